/** `stockmesh portfolio`: imports holdings and shows them with their freshness. */
import { nowOf } from '../../ledger/job.ts';
import { countStates, countsText, freshnessRules } from '../../market/freshness/freshness.ts';
import { isSimulated, judgementJson, judgeSymbols, type SymbolJudgement } from '../../market/freshness/symbol-judgement.ts';
import type { Holding } from '../../market/portfolios/holdings.ts';
import { holdingsOf } from '../../market/portfolios/holdings.ts';
import { importPortfolioCsv } from '../../market/portfolios/import.ts';
import { previewPortfolioCsv } from '../../market/portfolios/preview.ts';
import {
  type CurrencyTotal,
  PORTFOLIO_COLUMNS,
  readPreviousCloses,
  totalJson,
  type Valuation,
  valuate,
  valuationJson,
} from '../../market/portfolios/valuation.ts';
import { readWorth, type Worth, worthJson } from '../../market/portfolios/worth.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { parseUser } from '../../platform/user-id.ts';
import { cliActor } from '../actor.ts';
import { paint, paintFreshness, paintSignal } from '../output/colour.ts';
import { money, paintGain, percentText, plural, quantity, sharePrice, signed, signedPercent, stamp } from '../output/numbers.ts';
import { previewJson, previewText } from '../output/preview.ts';
import { print, printCsv, printJson } from '../output/print.ts';
import { showProgress } from '../output/progress.ts';
import { type Column, plain, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

interface ImportFileOptions extends GlobalOptions {
  user?: string | undefined;
  dryRun?: boolean | undefined;
  json?: boolean | undefined;
}

/** A CSV file, or `-` for standard input. Errors: those of `importPortfolioCsv`; nothing is imported then. */
export async function importPortfolio(file: string, { user: owner, dryRun, json, ...options }: ImportFileOptions): Promise<number> {
  const user = owner === undefined ? undefined : parseUser(owner);
  return withSession(options, async ({ db, clock }) => {
    const progress = showProgress({ quiet: true });
    const text = `${dryRun ? 'reading' : 'importing'} ${file === '-' ? 'standard input' : file}`;
    progress.waiting(text);
    const onRead = (positions: number): void => progress.waiting(`${text}: ${quantity(positions)} positions`);
    const source = file === '-' ? process.stdin : file;
    if (dryRun) {
      const preview = await previewPortfolioCsv(db.long, source, { user, onRead }).finally(() => progress.end());
      if (json) printJson(previewJson(preview));
      else print(previewText(preview));
      return 0;
    }
    const now = nowOf({ clock });
    const { users, held, watched } = await importPortfolioCsv(db.long, source, {
      user,
      now,
      onRead,
      alongside: (tx, imported) =>
        recordChange(tx, cliActor(), {
          action: 'portfolio.import',
          target: user === undefined ? undefined : `user:${user}`,
          details: `users: ${imported.users}; ${imported.held} held, ${imported.watched} watched`,
        }),
    }).finally(() => progress.end());
    if (json) printJson({ ok: true, users, held, watched });
    else
      print(
        `imported ${plural(held, 'holding')} and ${plural(watched, 'watched symbol')} of ${plural(users, 'user')}; the earlier portfolios of these users are replaced`,
      );
    return 0;
  });
}

interface ValuedHolding extends Holding, SymbolJudgement {
  /** Quantity × close; null while there is no close. */
  value: number | null;
  /** The same in the base currency. */
  baseValue: number | null;
  valuation: Valuation;
}

/** Errors: `InputError('user.unknown')`. */
export async function showPortfolio(
  user: string,
  { json, csv, ...options }: GlobalOptions & { json?: boolean | undefined; csv?: boolean | undefined },
): Promise<number> {
  return withSession(options, async (session) => {
    const holdings = await holdingsOf(session.db, user.trim());
    const { config } = session.loaded;
    const now = session.clock.now();
    const rules = freshnessRules(config);
    const judged = await judgeSymbols(
      session.db,
      holdings.map(({ symbol }) => symbol),
      now,
      rules,
    );
    const [worth, previous] = await Promise.all([
      readWorth(session.db, holdings, judged, { base: config.portfolio.base_currency, now, rules }),
      readPreviousCloses(
        session.db,
        holdings.map(({ symbol }) => symbol),
      ),
    ]);
    const valued = valuate(holdings, judged, previous);
    const positions = holdings.map((holding): ValuedHolding => {
      const known = judged.get(holding.symbol) as SymbolJudgement;
      const close = known.state?.close ?? null;
      const value = close === null ? null : holding.quantity * close;
      const valuation = valued.of.get(holding.symbol) as Valuation;
      return { ...holding, ...known, value, baseValue: worth.values.get(holding.symbol) ?? null, valuation };
    });
    if (csv)
      printCsv(
        csvOf(
          PORTFOLIO_COLUMNS,
          positions.map(positionJson).map(({ price, ...rest }) => ({ ...rest, freshness: price.state })),
        ),
      );
    else if (json)
      printJson({
        user: user.trim(),
        at: nowOf(session),
        positions: positions.map(positionJson),
        value: totals(positions),
        totals: valued.totals.map(totalJson),
        worth: worthJson(worth),
        freshness: countsOf(positions),
      });
    else {
      print(table(positions, COLUMNS));
      print(`\n${[...footOf(positions, worth), ...valued.totals.flatMap(totalLine)].join('\n')}`);
    }
    return 0;
  });
}

const COLUMNS: Column<ValuedHolding>[] = [
  { title: 'SYMBOL', value: ({ symbol }) => symbol },
  { title: 'QUANTITY', value: (one) => (one.quantity === 0 ? 'watched' : quantity(one.quantity)), align: 'right', optional: 3 },
  { title: 'COST', value: ({ cost }) => sharePrice(cost), align: 'right', optional: 5 },
  { title: 'CLOSE', value: ({ state }) => sharePrice(state?.close), align: 'right' },
  { title: 'VALUE', value: (one) => (one.quantity === 0 ? null : money(one.value)), align: 'right', optional: 2 },
  {
    title: 'IN BASE',
    value: (one) => (one.value === one.baseValue || one.quantity === 0 ? null : money(one.baseValue)),
    align: 'right',
    optional: 7,
  },
  { title: 'DAY', value: ({ valuation }) => signedPercent(valuation.dayChangePct), align: 'right', paint: paintGain, optional: 3 },
  { title: 'WEIGHT', value: ({ valuation }) => percentText(valuation.weight), align: 'right', optional: 6 },
  { title: 'P/L', value: ({ valuation }) => signed(valuation.profit), align: 'right', paint: paintGain, optional: 4 },
  { title: 'P/L %', value: ({ valuation }) => signedPercent(valuation.profitPct), align: 'right', paint: paintGain, optional: 5 },
  { title: 'CURRENCY', value: ({ state }) => state?.currency, optional: 6 },
  { title: 'PRICE', value: ({ price }) => price.state, paint: (text, { price }) => paintFreshness(text, price.state) },
  {
    title: 'ANALYSIS',
    value: ({ analysis }) => analysis.state,
    paint: (text, { analysis }) => paintFreshness(text, analysis.state),
    optional: 4,
  },
  {
    title: 'SIGNAL',
    value: ({ signal }) => signal && `${signal.signal} ${Math.round(signal.confidence * 100)} %`,
    paint: (text, { signal }) => paintSignal(text, signal?.signal ?? null),
    optional: 1,
  },
  { title: 'NOTE', value: noteOf, paint: (text) => paint('yellow', text) },
  { title: 'FRESHNESS', value: ({ price }) => price.reason, flexible: 40, optional: 9 },
];

function noteOf({ state, price: { failure } }: ValuedHolding): string | null {
  const notes = [
    isSimulated(state) && 'made-up prices',
    state?.unrestatedSplit && `split of ${state.unrestatedSplit} not restated: no signal`,
    failure && `${failure.code === 'source.unknown_symbol' ? 'unknown' : 'no usable answer'} since ${stamp(failure.since)}`,
  ].filter(Boolean);
  return notes.length === 0 ? null : notes.join('; ');
}

const countsOf = (positions: readonly ValuedHolding[]) => countStates(positions.map(({ price }) => price));

/** Sums by the currency of the prices; null where the currency is unknown. `simulated` is the part from made-up prices. */
function totals(positions: readonly ValuedHolding[]): { currency: string | null; value: number; simulated: number }[] {
  const sum = (group: readonly ValuedHolding[]): number =>
    Number(group.reduce((total, { value }) => total + (value as number), 0).toFixed(6));
  const known = positions.filter(({ value, quantity: held }) => value !== null && held !== 0);
  return [...Map.groupBy(known, ({ state }) => state?.currency ?? null)].map(([currency, group]) => ({
    currency,
    value: sum(group),
    simulated: sum(group.filter(({ state }) => isSimulated(state))),
  }));
}

function* footOf(positions: readonly ValuedHolding[], worth: Worth): Generator<string> {
  const made =
    worth.simulated === 0
      ? ''
      : paint('yellow', ` (${worth.simulated === worth.value ? 'all' : money(worth.simulated)} from made-up prices)`);
  const sums = totals(positions);
  const isOther = ({ currency }: { currency: string | null }): boolean => currency !== null && currency !== worth.currency;
  const parts = sums.some(isOther)
    ? ` = ${sums.map(({ currency, value }) => `${money(value)} ${plain(currency ?? 'of unknown currency')}`).join(' + ')}`
    : '';
  const known = sums.length === 0 ? '' : `; worth ${money(worth.value)} ${worth.currency}${made}${parts}`;
  yield `${plural(positions.length, 'symbol')}, prices: ${countsText(countsOf(positions))}${known}`;
  for (const { symbol, rate, newestBar, price, simulated } of worth.rates)
    if (rate !== null)
      yield `rate ${symbol}: ${rate} of ${newestBar}, ${paintFreshness(price.state, price.state)}${simulated ? paint('yellow', ', made up') : ''}`;
  if (worth.unknown.length > 0)
    yield paint('yellow', `not in the sum: ${worth.unknown.map(({ symbol, reason }) => `${symbol} (${plain(reason)})`).join(', ')}`);
}

/** Change of the day and gain of all holdings of one currency, as far as they are known. */
function totalLine({ currency, dayChange, dayChangePct, profit, profitPct }: CurrencyTotal): string[] {
  const parts = [
    dayChange === null ? null : `${signed(dayChange)} (${signedPercent(dayChangePct)}) since the close before`,
    profit === null ? null : `${signed(profit)} (${signedPercent(profitPct)}) since it was bought`,
  ].filter((part) => part !== null);
  return parts.length === 0 ? [] : [`${plain(currency ?? 'of unknown currency')}: ${parts.join(', ')}`];
}

function positionJson({ symbol, quantity: held, cost, value, baseValue, valuation, state, price, analysis, signal }: ValuedHolding) {
  return {
    symbol,
    quantity: held,
    cost,
    close: state?.close ?? null,
    currency: state?.currency ?? null,
    value,
    base_value: baseValue,
    ...valuationJson(valuation),
    newest_bar: state?.newestBar ?? null,
    source: state?.source ?? null,
    simulated: isSimulated(state),
    unrestated_split: state?.unrestatedSplit ?? null,
    as_of: state?.asOf ?? null,
    price: judgementJson(price),
    analysis: judgementJson(analysis),
    signal: signal?.signal ?? null,
    confidence: signal?.confidence ?? null,
  };
}
