/** What each holding is worth, what it has gained, and its share, by the currency of its price: sums of different currencies are never made here. */
import type { Sql } from '../../platform/database/database.ts';
import { readNewestPrices } from '../bars/read.ts';
import { isSimulated, type SymbolJudgement } from '../freshness/symbol-judgement.ts';
import type { Holding } from './holdings.ts';

export interface Valuation {
  currency: string | null;
  /** A share, on the session before that of the newest bar; after a split in the shares of today. */
  previousClose: number | null;
  /** Quantity × close. */
  value: number | null;
  /** Of the value, since the previous close. */
  dayChange: number | null;
  dayChangePct: number | null;
  /** % of all holdings of this currency; null where their sum is not positive. */
  weight: number | null;
  /** Value less what was paid; null where the cost is unknown. */
  profit: number | null;
  profitPct: number | null;
}

export interface CurrencyTotal {
  currency: string | null;
  holdings: number;
  value: number;
  /** The part from made-up prices. */
  simulated: number;
  /** Of the holdings whose previous close is known, and % of their value on that day. */
  dayChange: number | null;
  dayChangePct: number | null;
  /** Paid for the holdings whose cost is known, their gain, and that in % of what was paid. */
  cost: number | null;
  profit: number | null;
  profitPct: number | null;
}

export interface Valuations {
  /** By symbol; watched symbols have no value. */
  of: Map<string, Valuation>;
  /** The largest first. */
  totals: CurrencyTotal[];
}

/** A week and its holidays hold at least two sessions. */
const CALENDAR_DAYS = 10;

/** The closes of the sessions before the newest ones: one read for all symbols, and one for their splits. */
export async function readPreviousCloses(sql: Sql, symbols: readonly string[]): Promise<Map<string, number>> {
  const prices = await readNewestPrices(sql, symbols, CALENDAR_DAYS);
  const pairs = [...prices].flatMap(([symbol, bars]) => {
    const [previous, newest] = [bars.at(-2), bars.at(-1)];
    return previous === undefined || newest === undefined ? [] : [{ symbol, previous, newest }];
  });
  const [first] = pairs.map(({ newest }) => newest.date).sort();
  if (first === undefined) return new Map();
  // The primary key of each symbol.
  const splits = await sql.rows<{ symbol: string; date: string; value: number }>(
    "SELECT symbol, date, value + 0e0 AS value FROM corporate_actions WHERE symbol IN (?) AND date >= ? AND kind = 'split'",
    [pairs.map(({ symbol }) => symbol), first],
  );
  const splitOf = new Map(splits.map(({ symbol, date, value }) => [`${symbol} ${date}`, value]));
  return new Map(pairs.map(({ symbol, previous, newest }) => [symbol, previous.close / (splitOf.get(`${symbol} ${newest.date}`) ?? 1)]));
}

export function valuate(
  holdings: readonly Holding[],
  judged: ReadonlyMap<string, SymbolJudgement>,
  previousCloses: ReadonlyMap<string, number>,
): Valuations {
  const rows = holdings.map((holding) => {
    const state = judged.get(holding.symbol)?.state;
    const close = state?.close ?? null;
    const previousClose = previousCloses.get(holding.symbol) ?? null;
    const value = close === null ? null : holding.quantity * close;
    const before = previousClose === null ? null : holding.quantity * previousClose;
    const paid = holding.cost === null ? null : holding.quantity * holding.cost;
    return { ...holding, currency: state?.currency ?? null, simulated: isSimulated(state), previousClose, value, before, paid };
  });
  const held = rows.filter(({ quantity, value }) => quantity !== 0 && value !== null);
  const totals = [...Map.groupBy(held, ({ currency }) => currency)].map(([currency, group]) => totalOf(currency, group));
  const sumOf = new Map(totals.map(({ currency, value }) => [currency, value]));
  return {
    totals: totals.sort((a, b) => b.value - a.value),
    of: new Map(
      rows.map(({ symbol, quantity, currency, previousClose, value, before, paid }) => {
        const sum = sumOf.get(currency) ?? 0;
        const isHeld = quantity !== 0;
        const gain = value === null || before === null ? null : value - before;
        const profit = value === null || paid === null || !isHeld ? null : value - paid;
        return [
          symbol,
          {
            ...{ currency, previousClose, value },
            dayChange: isHeld ? gain : null,
            // Of a watched symbol the change of its price is of interest.
            dayChangePct: isHeld ? share(gain, before) : priceChange(judged.get(symbol), previousClose),
            weight: isHeld && value !== null && sum > 0 ? (100 * value) / sum : null,
            profit,
            profitPct: share(profit, paid),
          },
        ];
      }),
    ),
  };
}

interface Row {
  value: number | null;
  before: number | null;
  paid: number | null;
  simulated: boolean;
}

function totalOf(currency: string | null, group: readonly Row[]): CurrencyTotal {
  const sum = (values: readonly (number | null)[]): number => values.reduce<number>((total, value) => total + (value ?? 0), 0);
  const withBefore = group.filter(({ before }) => before !== null);
  const withCost = group.filter(({ paid }) => paid !== null);
  const before = sum(withBefore.map((one) => one.before));
  const cost = withCost.length === 0 ? null : sum(withCost.map(({ paid }) => paid));
  const dayChange = withBefore.length === 0 ? null : sum(withBefore.map(({ value }) => value)) - before;
  const profit = cost === null ? null : sum(withCost.map(({ value }) => value)) - cost;
  return {
    ...{ currency, holdings: group.length, value: sum(group.map(({ value }) => value)) },
    simulated: sum(group.filter(({ simulated }) => simulated).map(({ value }) => value)),
    ...{ dayChange, dayChangePct: share(dayChange, before), cost, profit, profitPct: share(profit, cost) },
  };
}

/** In %, with the sign of the gain also for a short position, whose value is negative. */
function share(gain: number | null, of: number | null): number | null {
  return gain === null || of === null || of === 0 ? null : (100 * gain) / Math.abs(of);
}

function priceChange(judged: SymbolJudgement | undefined, previousClose: number | null): number | null {
  const close = judged?.state?.close ?? null;
  return close === null || previousClose === null ? null : share(close - previousClose, previousClose);
}

/** Money to a millionth, percentages to a ten-thousandth: what is left of binary fractions is cut off. */
const money = (value: number | null): number | null => (value === null ? null : Number(value.toFixed(6)));
const percent = (value: number | null): number | null => (value === null ? null : Number(value.toFixed(4)));

/** As `--json` and the HTTP API give it. */
export function valuationJson({ previousClose, dayChange, dayChangePct, weight, profit, profitPct }: Valuation) {
  return {
    previous_close: money(previousClose),
    day_change: money(dayChange),
    day_change_pct: percent(dayChangePct),
    weight_pct: percent(weight),
    profit: money(profit),
    profit_pct: percent(profitPct),
  };
}

export function totalJson({ currency, holdings, value, simulated, dayChange, dayChangePct, cost, profit, profitPct }: CurrencyTotal) {
  return {
    ...{ currency, holdings, value: money(value) as number, simulated: money(simulated) as number },
    ...{ day_change: money(dayChange), day_change_pct: percent(dayChangePct) },
    ...{ cost: money(cost), profit: money(profit), profit_pct: percent(profitPct) },
  };
}

/** The columns of a portfolio as CSV. */
export const PORTFOLIO_COLUMNS = [
  ...(['symbol', 'quantity', 'cost', 'close', 'currency', 'newest_bar', 'value', 'base_value', 'previous_close'] as const),
  ...([
    'day_change',
    'day_change_pct',
    'weight_pct',
    'profit',
    'profit_pct',
    'freshness',
    'source',
    'simulated',
    'signal',
    'confidence',
  ] as const),
];
