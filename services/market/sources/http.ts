import type { Clock } from '../../platform/clock.ts';
import { messageOf, TransientError } from '../../platform/errors.ts';
import type { SourceName } from '../bars/bars.ts';

export type Fetch = typeof globalThis.fetch;

export interface HttpAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** Statuses with which a server or a proxy refuses this caller, whatever is asked for (RFC 9110: 401, 403, 407; RFC 7725: 451). */
export const BLOCKING: ReadonlySet<number> = new Set([401, 403, 407, 451]);

/**
 * One request and its whole body, within `timeoutMs`. Returns answers of any status under 500 except 429. Otherwise throws `TransientError`:
 * `source.timeout`, `source.network`, `source.rate_limited` (with the server's own Retry-After), `source.unavailable`.
 * An abort by the caller rethrows the caller's reason. A URL may carry a key: the messages here never contain it, and `redact` removes it from the network's messages.
 */
export async function fetchText(
  {
    source,
    fetch,
    clock,
    timeoutMs,
    redact = (message) => message,
  }: { source: SourceName; fetch: Fetch; clock: Clock; timeoutMs: number; redact?: (message: string) => string },
  url: string | URL | Request,
  init: RequestInit | undefined,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const limit = AbortSignal.timeout(timeoutMs);
  let answer: HttpAnswer;
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.any([signal, limit]) });
    answer = { status: response.status, headers: response.headers, text: await response.text() };
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) throw new TransientError('source.timeout', `${source}: no answer within ${timeoutMs} ms`);
    throw new TransientError('source.network', `${source}: ${redact(networkReason(error))}`);
  }
  if (answer.status === 429) {
    const wait = retryAfterMs(answer.headers.get('retry-after'), clock.now());
    const when = wait === undefined ? '' : `, again in ${Math.ceil(wait / 1000)} s`;
    throw new TransientError(
      'source.rate_limited',
      `${source}: too many requests (HTTP 429)${when}`,
      wait === undefined ? {} : { retryAfterMs: wait },
    );
  }
  if (answer.status >= 500) throw new TransientError('source.unavailable', `${source}: HTTP ${answer.status}`);
  return answer;
}

/** Milliseconds until the moment a Retry-After header names: seconds or an HTTP date (RFC 9110, section 10.2.3). */
function retryAfterMs(header: string | null, now: Temporal.Instant): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now.epochMilliseconds);
}

// The message of fetch is only "fetch failed"; the reason (ECONNREFUSED, ENOTFOUND, a broken TLS handshake) is its cause.
function networkReason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return messageOf(cause ?? error);
}
