/** The freshness of prices after a command: what its jobs have led to. */
import { type FreshnessState, freshnessRules } from '../../market/freshness/freshness.ts';
import { isSimulated, judgeSymbols } from '../../market/freshness/symbol-judgement.ts';
import type { Session } from '../session.ts';

/** The price of a symbol as `--json` prints it. */
export interface PriceState {
  symbol: string;
  state: FreshnessState;
  sessions_behind: number | null;
  reason: string;
  /** The last answer of the sources was a failure. */
  unknown: boolean;
  simulated: boolean;
}

/** Each symbol once, in their order. */
export async function readPrices(
  { db, loaded, clock }: Pick<Session, 'db' | 'loaded' | 'clock'>,
  symbols: readonly string[],
): Promise<PriceState[]> {
  const judged = await judgeSymbols(db, [...new Set(symbols)], clock.now(), freshnessRules(loaded.config));
  return [...judged].map(([symbol, { state, price }]) => ({
    symbol,
    state: price.state,
    sessions_behind: price.sessionsBehind ?? null,
    reason: price.reason,
    unknown: price.failure !== undefined,
    simulated: isSimulated(state),
  }));
}
