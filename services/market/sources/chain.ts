import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen, TimeoutStrategy, timeout } from 'cockatiel';
import type { Clock } from '../../platform/clock.ts';
import { codeOf, InputError, messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import type { BarsAnswer, DateRange, SourceName } from '../bars.ts';
import type { MarketSource } from './source.ts';

/** One source asked, or passed over because its circuit is open. `reason` and `code` say why it is not the answer; `ms` includes the wait for the budget. */
export interface Attempt {
  source: SourceName;
  ok: boolean;
  ms: number;
  reason?: string;
  code?: string;
}

export type ChainAnswer = BarsAnswer & { attempts: Attempt[] };

export interface SourceChain {
  bars(symbol: string, range: DateRange, signal: AbortSignal): Promise<ChainAnswer>;
}

/** Takes one token for a request to `source`, waiting a little if need be; `TransientError('source.rate_limited')` when that would take too long. */
export type Budget = (source: SourceName, signal: AbortSignal) => Promise<void>;

/**
 * Asks the sources in order until one answers; an answer without bars is one. Each has a circuit breaker that opens for `breaker.openMs` after `breaker.failures`
 * failures in a row (then one call probes it), and `timeoutMs` for an answer, after its token of the budget. An unknown symbol, an empty cache, a used-up budget
 * and the caller's own abort are not the source's failure.
 * Throws `PermanentError('source.unknown_symbol')` when every source that could be asked is sure; `source.all_failed` otherwise: permanent when no source may do
 * better later (missing key, denied), transient in every other case. An abort rethrows the signal's reason at once.
 */
export function sourceChain({
  sources,
  clock,
  log,
  budget,
  timeoutMs,
  breaker,
  onAttempt,
}: {
  sources: MarketSource[];
  clock: Clock;
  log?: { warn(fields: object, message: string): void };
  budget?: Budget;
  timeoutMs: number;
  breaker: { failures: number; openMs: number };
  onAttempt?: (attempt: Attempt, symbol: string) => void;
}): SourceChain {
  const links = sources.map((source) => guarded(source, { timeoutMs, breaker, budget }));

  return {
    async bars(symbol, range, signal) {
      const attempts: Attempt[] = [];
      const errors: unknown[] = [];
      for (const link of links) {
        signal.throwIfAborted();
        const started = clock.now();
        const record = (outcome: Pick<Attempt, 'ok' | 'reason' | 'code'>) => {
          const attempt = { source: link.name, ms: clock.now().epochMilliseconds - started.epochMilliseconds, ...outcome };
          attempts.push(attempt);
          onAttempt?.(attempt, symbol);
          if (!attempt.ok) log?.warn({ symbol, ...attempt }, `${link.name} did not answer: ${outcome.reason}`);
        };
        try {
          const answer = await link.bars(symbol, range, signal);
          record({ ok: true });
          return { ...answer, attempts };
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof InputError) throw error;
          errors.push(error);
          record({ ok: false, reason: messageOf(error), code: codeOf(error) });
        }
      }
      throw failureOf(symbol, attempts, errors);
    },
  };
}

function guarded(
  source: MarketSource,
  { timeoutMs, breaker, budget }: { timeoutMs: number; breaker: { failures: number; openMs: number }; budget: Budget | undefined },
): MarketSource {
  const notItsFault = new WeakSet<object>();
  const excused = (error: unknown) =>
    error instanceof InputError ||
    ['source.unknown_symbol', 'source.cache_empty'].includes(codeOf(error)) ||
    (error instanceof Object && notItsFault.has(error));
  const circuit = circuitBreaker(
    // A probe that ended without asking (aborted, no budget) proved nothing; cockatiel would close the circuit on an error that it does not handle.
    handleWhen(
      (error) => !excused(error) || (circuit.state === CircuitState.HalfOpen && error instanceof Object && notItsFault.has(error)),
    ),
    { halfOpenAfter: breaker.openMs, breaker: new ConsecutiveBreaker(breaker.failures) },
  );
  // Aggressive: a source that ignores its signal is left behind.
  const limit = timeout(timeoutMs, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: false });
  let lastFailure = '';

  async function ask(symbol: string, range: DateRange, signal: AbortSignal): Promise<BarsAnswer> {
    const excuse = (error: unknown) => {
      const thrown = error instanceof Object ? error : new Error(messageOf(error));
      notItsFault.add(thrown);
      return thrown;
    };
    try {
      await budget?.(source.name, signal);
    } catch (error) {
      throw excuse(error);
    }
    let inner: AbortSignal | undefined;
    try {
      return await limit.execute((context) => {
        inner = context.signal;
        return source.bars(symbol, range, inner);
      }, signal);
    } catch (error) {
      if (signal.aborted) throw excuse(error);
      // Its own error may win the race against the time-out's once it has been told to stop.
      const failure = inner?.aborted ? new TransientError('source.timeout', `${source.name}: no answer within ${timeoutMs} ms`) : error;
      if (!excused(failure)) lastFailure = messageOf(failure);
      throw failure;
    }
  }

  return {
    name: source.name,
    async bars(symbol, range, signal) {
      // While one call probes, cockatiel would let the others wait for it, deaf to their own abort.
      if (circuit.state === CircuitState.HalfOpen) throw skipped(source.name, lastFailure);
      let asked = false;
      try {
        return await circuit.execute(() => {
          asked = true;
          return ask(symbol, range, signal);
        });
      } catch (error) {
        throw asked ? error : skipped(source.name, lastFailure);
      }
    },
  };
}

function skipped(source: SourceName, lastFailure: string): TransientError {
  return new TransientError('source.circuit_open', `${source}: not asked after repeated failures, the last: ${lastFailure}`);
}

function failureOf(symbol: string, attempts: Attempt[], errors: unknown[]): Error {
  const mayPass = errors.some((error) => !(error instanceof PermanentError) && codeOf(error) !== 'source.cache_empty');
  const sure = attempts.filter(({ code }) => code === 'source.unknown_symbol').map(({ source }) => source);
  if (sure.length > 0 && !mayPass) {
    return new PermanentError('source.unknown_symbol', `no source knows ${symbol} (${sure.join(', ')} asked)`);
  }
  const reasons = attempts.map(({ source, reason = '' }) => (reason.startsWith(`${source}: `) ? reason : `${source}: ${reason}`));
  const message = `no source has bars of ${symbol}: ${reasons.join('; ') || 'no source is configured'}`;
  const cause = new AggregateError(errors);
  if (errors.length > 0 && errors.every((error) => error instanceof PermanentError))
    return new PermanentError('source.all_failed', message, { cause });
  const waits = errors.flatMap((error) =>
    error instanceof TransientError && error.retryAfterMs !== undefined ? [error.retryAfterMs] : [],
  );
  return new TransientError('source.all_failed', message, { cause, ...(waits.length > 0 && { retryAfterMs: Math.min(...waits) }) });
}
