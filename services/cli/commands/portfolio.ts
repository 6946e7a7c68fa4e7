/** `stockmesh portfolio`: imports holdings and shows them with their freshness. */
import { freshnessRules } from '../../market/freshness/freshness.ts';
import { judgementJson, judgeSymbols, type SymbolJudgement } from '../../market/freshness/symbol-judgement.ts';
import type { Holding } from '../../market/portfolios/holdings.ts';
import { holdingsOf } from '../../market/portfolios/holdings.ts';
import { importPortfolioCsv } from '../../market/portfolios/import.ts';
import { systemClock } from '../../platform/clock.ts';
import { paintFreshness, paintSignal } from '../output/colour.ts';
import { money, plural, quantity } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { showProgress } from '../output/progress.ts';
import { type Column, plain, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

/** A CSV file, or `-` for standard input. Errors: those of `importPortfolioCsv`; nothing is imported then. */
export async function importPortfolio(
  file: string,
  { user, json, ...options }: GlobalOptions & { user?: string | undefined; json?: boolean | undefined },
): Promise<number> {
  return withSession(options, async ({ db }) => {
    const progress = showProgress({ quiet: true });
    progress.waiting(`importing ${file === '-' ? 'standard input' : file}`);
    const now = new Date(systemClock.now().epochMilliseconds);
    const { users, held, watched } = await importPortfolioCsv(db.long, file === '-' ? process.stdin : file, { user, now }).finally(() =>
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
      systemClock.now(),
      freshnessRules(session.loaded.config),
    );
    const positions = holdings.map((holding): ValuedHolding => {
      const known = judged.get(holding.symbol) as SymbolJudgement;
      const close = known.state?.close ?? null;
      return { ...holding, ...known, value: close === null ? null : holding.quantity * close };
    });
    if (json) printJson({ user: user.trim(), at: new Date(), positions: positions.map(positionJson), value: totals(positions) });
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
  { title: 'COST', value: ({ cost }) => money(cost), align: 'right', optional: 5 },
  { title: 'CLOSE', value: ({ state }) => money(state?.close), align: 'right' },
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
  { title: 'FRESHNESS', value: ({ price }) => price.reason, flexible: 40, optional: 9 },
];

/** Sums by currency, since there are no rates; null where the currency is unknown. */
function totals(positions: readonly ValuedHolding[]): { currency: string | null; value: number }[] {
  const known = positions.filter(({ value, quantity: held }) => value !== null && held !== 0);
  return [...Map.groupBy(known, ({ state }) => state?.currency ?? null)].map(([currency, group]) => ({
    currency,
    value: Number(group.reduce((sum, { value }) => sum + (value as number), 0).toFixed(6)),
  }));
}

function footOf(positions: readonly ValuedHolding[]): string {
  const values = totals(positions).map(({ currency, value }) => `${money(value)}${currency === null ? '' : ` ${plain(currency)}`}`);
  const fresh = positions.filter(({ price }) => price.state === 'fresh').length;
  return `${plural(positions.length, 'symbol')}, prices of ${fresh} fresh${values.length === 0 ? '' : `; worth ${values.join(' + ')}`}`;
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
    as_of: state?.asOf ?? null,
    price: judgementJson(price),
    analysis: judgementJson(analysis),
    signal: signal?.signal ?? null,
    confidence: signal?.confidence ?? null,
  };
}
