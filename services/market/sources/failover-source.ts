import type { Clock } from '../../platform/clock.ts';
import type { BarsAnswer, DateRange, SourceName } from '../bars/bars.ts';
import { type AttemptOf, askInOrder } from './failover.ts';
import type { MarketSource } from './source.ts';

/** One source asked for bars, or passed over because its circuit is open. */
export type Attempt = AttemptOf<SourceName>;

export type ChainAnswer = BarsAnswer & { attempts: Attempt[] };

export interface SourceChain {
  bars(symbol: string, range: DateRange, signal: AbortSignal): Promise<ChainAnswer>;
}

/** Takes one token for a request to `source`, waiting a little if need be; `TransientError('source.rate_limited')` when that would take too long. */
export type Budget = (source: SourceName, signal: AbortSignal) => Promise<void>;

/** Bars of the first source that answers, by the rules of `askInOrder`; an answer without bars is one. */
export function sourceChain({
  sources,
  ...options
}: {
  sources: MarketSource[];
  clock: Clock;
  log?: { warn(fields: object, message: string): void };
  budget?: Budget;
  timeoutMs: number;
  breaker: { failures: number; openMs: number };
  onAttempt?: (attempt: Attempt, symbol: string) => void;
}): SourceChain {
  const ask = askInOrder<SourceName, [range: DateRange], BarsAnswer>(
    sources.map((source) => ({ name: source.name, ask: (symbol, signal, range) => source.bars(symbol, range, signal) })),
    { what: 'bars', ...options },
  );
  return {
    async bars(symbol, range, signal) {
      const { answer, attempts } = await ask(symbol, signal, range);
      return { ...answer, attempts };
    },
  };
}
