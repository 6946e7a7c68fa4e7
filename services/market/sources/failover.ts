/** Failover over several sources of the same data (bars, option chains): asks one after the other, each behind a circuit breaker and a time limit. */
import { CircuitState, circuitBreaker, handleWhen, TimeoutStrategy, timeout } from 'cockatiel';
import type { Clock } from '../../platform/clock.ts';
import { codeOf, InputError, isDatabaseAway, messageOf, PermanentError, TransientError } from '../../platform/errors.ts';

/** One source that was asked, or skipped because its circuit is open. `reason` and `code` say why it has no answer; `ms` includes the wait for the budget. */
export interface SourceAttemptOf<Name extends string> {
  source: Name;
  ok: boolean;
  ms: number;
  reason?: string;
  code?: string;
}

/** A source. `Args`: its arguments after the symbol. */
export interface Link<Name extends string, Args extends readonly unknown[], Answer> {
  name: Name;
  ask(symbol: string, signal: AbortSignal, ...args: Args): Promise<Answer>;
}

export interface FailoverOptions<Name extends string> {
  /** The requested data, for messages: `bars`. */
  what: string;
  clock: Clock;
  log?: { warn(fields: object, message: string): void } | undefined;
  /** Takes one token for a request to a source. When it fails, the circuit breaker does not count it as a failure of the source. */
  budget?: ((source: Name, signal: AbortSignal) => Promise<void>) | undefined;
  timeoutMs: number;
  breaker: { failures: number; openMs: number };
  /** `retryAfterMs`: until the source may be asked again, where the failure says so. */
  onAttempt?: ((attempt: SourceAttemptOf<Name> & { retryAfterMs?: number }, symbol: string) => void) | undefined;
}

/**
 * Asks the sources in order until one answers. Each has `timeoutMs` for an answer, after its token of the budget, and a circuit breaker that opens for
 * `breaker.openMs` (then one call probes it). Only what says something about the source opens it: `breaker.failures` faults of the source in a row (`ABOUT_SOURCE`), or
 * bad answers for as many different symbols in a row that this source had answered before. A symbol's own bad answer, an unknown symbol, an empty cache, a used-up
 * budget and the caller's own abort do not.
 * Throws `PermanentError('source.unknown_symbol')` when every source that could be asked certainly does not know the symbol; `source.all_failed` otherwise: permanent when no source
 * can succeed later (missing key, denied), transient in every other case. An `InputError` and an abort end it at once; an abort rethrows the signal's reason.
 */
export function askWithFailover<Name extends string, Args extends readonly unknown[], Answer>(
  sources: readonly Link<Name, Args, Answer>[],
  options: FailoverOptions<Name>,
): (symbol: string, signal: AbortSignal, ...args: Args) => Promise<{ answer: Answer; attempts: SourceAttemptOf<Name>[] }> {
  const { what, clock, log, onAttempt } = options;
  const links = sources.map((source) => guarded(source, options));

  return async (symbol, signal, ...args) => {
    const attempts: SourceAttemptOf<Name>[] = [];
    const errors: unknown[] = [];
    for (const link of links) {
      signal.throwIfAborted();
      const started = clock.now();
      const record = (outcome: Pick<SourceAttemptOf<Name>, 'ok' | 'reason' | 'code'>, retryAfterMs?: number) => {
        const attempt = { source: link.name, ms: clock.now().epochMilliseconds - started.epochMilliseconds, ...outcome };
        attempts.push(attempt);
        onAttempt?.({ ...attempt, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }, symbol);
        if (!attempt.ok) log?.warn({ symbol, ...attempt }, `${link.name} did not answer: ${outcome.reason}`);
      };
      try {
        const answer = await link.ask(symbol, signal, ...args);
        record({ ok: true });
        return { answer, attempts };
      } catch (error) {
        signal.throwIfAborted();
        // A database that is away fails every source alike, and says nothing about any of them.
        if (error instanceof InputError || isDatabaseAway(error)) throw error;
        errors.push(error);
        record(
          { ok: false, reason: messageOf(error), code: codeOf(error) },
          error instanceof TransientError ? error.retryAfterMs : undefined,
        );
      }
    }
    throw failureOf(what, symbol, attempts, errors);
  };
}

/** Errors of a working source that has no such data. */
const KNOWS_NOTHING = new Set(['source.unknown_symbol', 'source.cache_empty', 'chain.empty', 'chain.no_day']);

/** Errors that hold for each symbol that the source would be asked for: it cannot be reached, is down, overloaded, or refuses this caller. */
const ABOUT_SOURCE = new Set([
  'source.timeout',
  'source.network',
  'source.unavailable',
  'source.rate_limited',
  'source.blocked',
  'source.denied',
  'source.no_key',
]);

/** At most this many answered symbols are remembered for each source. The oldest are forgotten first. */
const REMEMBERED = 5000;

/** Of these, what no wait mends. */
const HOPELESS = new Set(['source.denied', 'source.no_key']);

/** The source was not asked: the shared budget gave no token. */
const UNASKED = new Set(['source.budget_used_up', 'source.budget_unavailable']);

/** Where the blame for a failure lies: with the symbol, whatever source is asked (`symbol`); perhaps, since some sources could not be asked (`unsure`); or elsewhere (`none`). */
export function blameOf(error: unknown): 'symbol' | 'unsure' | 'none' {
  if (codeOf(error) === 'source.unknown_symbol') return 'symbol';
  const cause = error instanceof Error ? error.cause : undefined;
  return codeOf(error) === 'source.all_failed' && cause instanceof AggregateError ? blameOfCodes(cause.errors.map(codeOf)) : 'none';
}

/** The same from the codes of all sources that were asked or skipped. */
export function blameOfCodes(codes: readonly string[]): ReturnType<typeof blameOf> {
  const isSkipped = (code: string): boolean => UNASKED.has(code) || code === 'source.circuit_open';
  const isOwn = (code: string): boolean => !ABOUT_SOURCE.has(code) && !isSkipped(code) && code !== 'source.cache_empty';
  if (!codes.some(isOwn)) return 'none';
  return codes.some((code) => isSkipped(code) || (ABOUT_SOURCE.has(code) && !HOPELESS.has(code))) ? 'unsure' : 'symbol';
}

/** What a source's last answers say about it. */
interface Health {
  /** Faults of the source in a row. */
  faults: number;
  /** Different symbols with a bad answer (not readable, refused, a defect) since the last good answer, each of them answered before: most likely the source has changed. */
  misread: Set<string>;
  answeredBefore: Set<string>;
  lastFailure: string;
  openUntilMs: number;
}

function good(health: Health, symbol: string): void {
  health.faults = 0;
  health.misread.clear();
  health.answeredBefore.delete(symbol);
  health.answeredBefore.add(symbol);
  if (health.answeredBefore.size > REMEMBERED) health.answeredBefore.delete(health.answeredBefore.values().next().value as string);
}

function bad(health: Health, symbol: string, failure: unknown): void {
  if (ABOUT_SOURCE.has(codeOf(failure))) health.faults++;
  else if (health.answeredBefore.has(symbol)) health.misread.add(symbol);
  else return;
  health.lastFailure = messageOf(failure);
}

function guarded<Name extends string, Args extends readonly unknown[], Answer>(
  source: Link<Name, Args, Answer>,
  { timeoutMs, breaker, budget }: FailoverOptions<Name>,
): Link<Name, Args, Answer> {
  const notItsFault = new WeakSet<object>();
  const health: Health = { faults: 0, misread: new Set(), answeredBefore: new Set(), lastFailure: '', openUntilMs: 0 };
  const unasked = (error: unknown) =>
    isDatabaseAway(error) || UNASKED.has(codeOf(error)) || (error instanceof Object && notItsFault.has(error));
  const excused = (error: unknown) => error instanceof InputError || KNOWS_NOTHING.has(codeOf(error)) || unasked(error);
  const changed = () => health.misread.size >= breaker.failures;
  const circuit = circuitBreaker(
    handleWhen((error) => {
      // A probe that ended before the request (aborted, no budget) shows nothing about the source. Cockatiel would close the circuit on an error that it does not handle.
      if (unasked(error)) return circuit.state === CircuitState.HalfOpen;
      return !excused(error) && (ABOUT_SOURCE.has(codeOf(error)) || changed());
    }),
    {
      halfOpenAfter: breaker.openMs,
      breaker: { state: undefined, success: () => {}, failure: () => health.faults >= breaker.failures || changed() },
    },
  );
  circuit.onBreak(() => {
    health.openUntilMs = performance.now() + breaker.openMs;
  });
  // Aggressive: does not wait for a source that ignores its signal.
  const limit = timeout(timeoutMs, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: false });

  async function ask(symbol: string, signal: AbortSignal, args: Args): Promise<Answer> {
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
      const answer = await limit.execute((context) => {
        inner = context.signal;
        return source.ask(symbol, inner, ...args);
      }, signal);
      good(health, symbol);
      return answer;
    } catch (error) {
      if (signal.aborted) throw excuse(error);
      // After the time-out the source's own error may arrive first.
      const failure = inner?.aborted ? new TransientError('source.timeout', `${source.name}: no answer within ${timeoutMs} ms`) : error;
      if (!excused(failure)) bad(health, symbol, failure);
      throw failure;
    }
  }

  return {
    name: source.name,
    async ask(symbol, signal, ...args) {
      // While one call probes, cockatiel would let the others wait for it and ignore their own abort.
      if (circuit.state === CircuitState.HalfOpen) throw skipped(source.name, health);
      let asked = false;
      try {
        return await circuit.execute(() => {
          asked = true;
          return ask(symbol, signal, args);
        });
      } catch (error) {
        throw asked ? error : skipped(source.name, health);
      }
    },
  };
}

/** Names the wait until the next probe, so that a job does not use up its attempts on a source that is not asked. */
function skipped(source: string, { lastFailure, openUntilMs }: Health): TransientError {
  return new TransientError('source.circuit_open', `${source}: not asked after repeated failures, the last: ${lastFailure}`, {
    retryAfterMs: Math.max(0, Math.ceil(openUntilMs - performance.now())),
  });
}

function failureOf(what: string, symbol: string, attempts: readonly SourceAttemptOf<string>[], errors: unknown[]): Error {
  const mayPass = errors.some((error) => !(error instanceof PermanentError) && codeOf(error) !== 'source.cache_empty');
  const sure = attempts.filter(({ code }) => code === 'source.unknown_symbol').map(({ source }) => source);
  if (sure.length > 0 && !mayPass) {
    return new PermanentError('source.unknown_symbol', `no source knows ${symbol} (asked: ${sure.join(', ')}); check its spelling`);
  }
  const reasons = attempts.map(({ source, reason = '' }) => (reason.startsWith(`${source}: `) ? reason : `${source}: ${reason}`));
  const message = `no source has ${what} of ${symbol}: ${reasons.join('; ') || 'no source is configured that this worker may ask'}`;
  const cause = new AggregateError(errors);
  if (errors.length > 0 && errors.every((error) => error instanceof PermanentError))
    return new PermanentError('source.all_failed', message, { cause });
  const waits = errors.flatMap((error) =>
    error instanceof TransientError && error.retryAfterMs !== undefined ? [error.retryAfterMs] : [],
  );
  return new TransientError('source.all_failed', message, { cause, ...(waits.length > 0 && { retryAfterMs: Math.min(...waits) }) });
}
