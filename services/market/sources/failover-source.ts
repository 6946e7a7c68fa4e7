import type { Clock } from '../../platform/clock.ts';
import type { BarsAnswer, DateRange, SourceName } from '../bars/bars.ts';
import { askWithFailover, type SourceAttemptOf } from './failover.ts';
import type { MarketSource } from './source.ts';

/** One source that was asked for bars, or skipped because its circuit is open. */
export type SourceAttempt = SourceAttemptOf<SourceName>;

export type FailoverAnswer = BarsAnswer & { attempts: SourceAttempt[] };

export interface FailoverSource {
  bars(symbol: string, range: DateRange, signal: AbortSignal): Promise<FailoverAnswer>;
}

/** Takes one token for a request to `source`, and waits for it up to a limit. Errors: `TransientError('source.budget_used_up')` when the wait would be longer. */
export type Budget = (source: SourceName, signal: AbortSignal) => Promise<void>;

/** Bars of the first source that answers, by the rules of `askWithFailover`; an answer without bars counts as an answer. */
export function failoverSource({
  sources,
  ...options
}: {
  sources: MarketSource[];
  clock: Clock;
  log?: { warn(fields: object, message: string): void };
  budget?: Budget;
  timeoutMs: number;
  breaker: { failures: number; openMs: number };
  onAttempt?: (attempt: SourceAttempt, symbol: string) => void;
}): FailoverSource {
  const ask = askWithFailover<SourceName, [range: DateRange], BarsAnswer>(
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
