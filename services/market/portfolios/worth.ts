/** What a portfolio is worth in the base currency, with the rates that were used and what is not in the sum. */
import type { Sql } from '../../platform/database/database.ts';
import type { FreshnessRules } from '../freshness/freshness.ts';
import { isSimulated, judgeSymbols, type SymbolJudgement } from '../freshness/symbol-judgement.ts';
import { currencyOf, rateSymbolOf, rateSymbols, toBase } from './base-currency.ts';
import type { Holding } from './holdings.ts';

export interface Rate {
  /** `GBPUSD=X`. */
  symbol: string;
  /** One of the currency in the base currency; null while none is stored. */
  rate: number | null;
  newestBar: string | null;
  price: SymbolJudgement['price'];
  simulated: boolean;
}

export interface Worth {
  currency: string;
  /** The sum of what is known. */
  value: number;
  /** The part of it from made-up prices or rates. */
  simulated: number;
  rates: Rate[];
  /** Held symbols that are not in the sum, with why. */
  unknown: { symbol: string; reason: string }[];
  /** Of each symbol; null when unknown. */
  values: Map<string, number | null>;
}

/** `judged` has a judgement of each holding. One read more when there are other currencies than `base`. */
export async function readWorth(
  sql: Sql,
  holdings: readonly Holding[],
  judged: ReadonlyMap<string, SymbolJudgement>,
  { base, now, rules }: { base: string; now: Temporal.Instant; rules: FreshnessRules },
): Promise<Worth> {
  const held = holdings.filter(({ quantity }) => quantity !== 0);
  const stateOf = (symbol: string) => judged.get(symbol)?.state;
  const needed = rateSymbols(
    held.map(({ symbol }) => ({ symbol, currency: stateOf(symbol)?.currency ?? null })),
    base,
  );
  const rates = await judgeSymbols(sql, needed, now, rules);
  const rateOf = (symbol: string): number | null => rates.get(symbol)?.state?.close ?? null;

  const values = new Map<string, number | null>(holdings.map(({ symbol }) => [symbol, 0]));
  const unknown: Worth['unknown'] = [];
  const made: string[] = [];
  for (const { symbol, quantity } of held) {
    const state = stateOf(symbol);
    const currency = currencyOf(symbol, state?.currency);
    const close = state?.close ?? null;
    const value = toBase(close === null ? null : quantity * close, currency, base, rateOf);
    values.set(symbol, value);
    const rate = rateSymbolOf(currency, base);
    if (value === null) unknown.push({ symbol, reason: whyUnknown(close, currency, rate) });
    else if (isSimulated(state) || (rate !== undefined && isSimulated(rates.get(rate)?.state))) made.push(symbol);
  }
  const sum = (symbols: Iterable<string>): number =>
    Number([...symbols].reduce((total, symbol) => total + (values.get(symbol) ?? 0), 0).toFixed(6));
  return {
    currency: base,
    value: sum(values.keys()),
    simulated: sum(made),
    rates: [...rates].map(([symbol, { state, price }]) => ({
      symbol,
      rate: state?.close ?? null,
      newestBar: state?.newestBar ?? null,
      price,
      simulated: isSimulated(state),
    })),
    unknown,
    values,
  };
}

function whyUnknown(close: number | null, currency: string | null, rate: string | undefined): string {
  if (close === null) return 'no price is stored';
  if (currency === null) return 'the currency of its price is not known';
  return rate === undefined
    ? `its currency ${JSON.stringify(currency)} has no rate`
    : `no rate ${rate} is stored; the next login fetches it`;
}

/** As `--json` and the HTTP API give it. */
export function worthJson({ currency, value, simulated, rates, unknown }: Worth) {
  return {
    currency,
    value,
    simulated,
    rates: rates.map((one) => ({
      symbol: one.symbol,
      rate: one.rate,
      newest_bar: one.newestBar,
      state: one.price.state,
      reason: one.price.reason,
      simulated: one.simulated,
    })),
    unknown,
  };
}
