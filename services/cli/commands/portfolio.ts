/** `stockmesh portfolio`: imports holdings and shows them with their freshness. */
import { nowOf } from '../../ledger/job.ts';
import { countStates, countsText, freshnessRules } from '../../market/freshness/freshness.ts';
import { isSimulated, judgementJson, judgeSymbols, type SymbolJudgement } from '../../market/freshness/symbol-judgement.ts';
import type { Holding } from '../../market/portfolios/holdings.ts';
import { holdingsOf } from '../../market/portfolios/holdings.ts';
import { importPortfolioCsv } from '../../market/portfolios/import.ts';
import { paint, paintFreshness, paintSignal } from '../output/colour.ts';
import { money, plural, quantity, sharePrice, stamp } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { showProgress } from '../output/progress.ts';
import { type Column, plain, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

/** A CSV file, or `-` for standard input. Errors: those of `importPortfolioCsv`; nothing is imported then. */
export async function importPortfolio(
  file: string,
  { user, json, ...options }: GlobalOptions & { user?: string | undefined; json?: boolean | undefined },
): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const progress = showProgress({ quiet: true });
    progress.waiting(`importing ${file === '-' ? 'standard input' : file}`);
    const now = nowOf({ clock });
    const { users, held, watched } = await importPortfolioCsv(db, file === '-' ? process.stdin : file, { user, now }).finally(() =>
      progress.end(),
    );
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
}

/** Errors: `InputError('user.unknown')`. */
export async function showPortfolio(user: string, { json, ...options }: GlobalOptions & { json?: boolean | undefined }): Promise<number> {
  return withSession(options, async (session) => {
    const holdings = await holdingsOf(session.db, user.trim());
    const judged = await judgeSymbols(
      session.db,
      holdings.map(({ symbol }) => symbol),
      session.clock.now(),
      freshnessRules(session.loaded.config),
    );
    const positions = holdings.map((holding): ValuedHolding => {
      const known = judged.get(holding.symbol) as SymbolJudgement;
      const close = known.state?.close ?? null;
      return { ...holding, ...known, value: close === null ? null : holding.quantity * close };
    });
    if (json)
      printJson({
        user: user.trim(),
        at: nowOf(session),
        positions: positions.map(positionJson),
        value: totals(positions),
        freshness: countsOf(positions),
      });
    else {
      print(table(positions, COLUMNS));
      print(`\n${footOf(positions)}`);
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
  if (failure !== undefined)
    return `${failure.code === 'source.unknown_symbol' ? 'unknown' : 'no usable answer'} since ${stamp(failure.since)}`;
  return isSimulated(state) ? 'made-up prices' : null;
}

const countsOf = (positions: readonly ValuedHolding[]) => countStates(positions.map(({ price }) => price));

/** Sums by currency, since there are no rates; null where the currency is unknown. `simulated` is the part from made-up prices. */
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

function footOf(positions: readonly ValuedHolding[]): string {
  const values = totals(positions).map(({ currency, value, simulated }) => {
    const made = simulated === 0 ? '' : paint('yellow', ` (${simulated === value ? 'all' : money(simulated)} from made-up prices)`);
    return `${money(value)}${currency === null ? '' : ` ${plain(currency)}`}${made}`;
  });
  const worth = values.length === 0 ? '' : `; worth ${values.join(' + ')}`;
  return `${plural(positions.length, 'symbol')}, prices: ${countsText(countsOf(positions))}${worth}`;
}

function positionJson({ symbol, quantity: held, cost, value, state, price, analysis, signal }: ValuedHolding) {
  return {
    symbol,
    quantity: held,
    cost,
    close: state?.close ?? null,
    currency: state?.currency ?? null,
    value,
    newest_bar: state?.newestBar ?? null,
    source: state?.source ?? null,
    simulated: isSimulated(state),
    as_of: state?.asOf ?? null,
    price: judgementJson(price),
    analysis: judgementJson(analysis),
    signal: signal?.signal ?? null,
    confidence: signal?.confidence ?? null,
  };
}
