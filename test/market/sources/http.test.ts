/** One request over HTTP: which answers are given back, which are errors, and what the errors say. */
import { expect, test } from 'vitest';
import { BLOCKING, type Fetch, fetchText } from '../../../services/market/sources/http.ts';
import { ManualClock } from '../../../services/platform/clock.ts';

const NOW = '2025-02-20T12:00:00Z';
const signal = new AbortController().signal;

const ask = (
  fetch: Fetch,
  { redact, timeoutMs = 5_000, until = signal }: { redact?: (text: string) => string; timeoutMs?: number; until?: AbortSignal } = {},
) =>
  fetchText(
    { source: 'lean', fetch, clock: new ManualClock(NOW), timeoutMs, ...(redact && { redact }) },
    'http://there/',
    { method: 'POST' },
    until,
  );
const answering =
  (status: number, headers: Record<string, string> = {}) =>
  async () =>
    new Response('text', { status, headers });

test.each([200, 301, 404, 428, 430, 499])('an answer of status %i is given back', async (status) => {
  expect(await ask(answering(status, { 'x-a': 'b' }))).toMatchObject({ status, text: 'text' });
});

test.each([500, 503, 599])('status %i is an unavailable source', async (status) => {
  await expect(ask(answering(status))).rejects.toMatchObject({
    name: 'TransientError',
    code: 'source.unavailable',
    message: `lean: HTTP ${status}`,
  });
});

// RFC 9110, section 10.2.3: seconds or a date.
test.each<[string | undefined, number | undefined, string]>([
  ['17', 17_000, ', again in 17 s'],
  [' 0 ', 0, ', again in 0 s'],
  ['Thu, 20 Feb 2025 12:01:30 GMT', 90_000, ', again in 90 s'],
  ['Thu, 20 Feb 2025 11:00:00 GMT', 0, ', again in 0 s'],
  ['soon', undefined, ''],
  [undefined, undefined, ''],
])('429 with Retry-After %j waits %j ms', async (header, retryAfterMs, text) => {
  const error = await ask(answering(429, header === undefined ? {} : { 'retry-after': header })).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'source.rate_limited', retryAfterMs, message: `lean: too many requests (HTTP 429)${text}` });
});

test('a lost connection is named by its cause, and what redact removes is gone', async () => {
  const failing = (error: unknown) => async () => {
    throw error;
  };
  const lost = new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED key=SECRET') });
  await expect(ask(failing(lost), { redact: (text) => text.replace('SECRET', '***') })).rejects.toMatchObject({
    code: 'source.network',
    message: 'lean: connect ECONNREFUSED key=***',
  });
  await expect(ask(failing(new TypeError('no cause')))).rejects.toThrow('lean: no cause');
  await expect(ask(failing('text'))).rejects.toThrow('lean: text');
});

test('the request has the options of the caller and a signal that ends with the caller or the time', async () => {
  let seen: RequestInit | undefined;
  const caller = new AbortController();
  const hanging: Fetch = (_, init) => {
    seen = init;
    return new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
  };
  const asked = ask(hanging, { until: caller.signal });
  expect(seen).toMatchObject({ method: 'POST' });
  caller.abort(new Error('by hand'));
  await expect(asked).rejects.toThrow('by hand');
  await expect(ask(hanging, { timeoutMs: 5 })).rejects.toMatchObject({ code: 'source.timeout', message: 'lean: no answer within 5 ms' });
});

test('refusals of the caller are 401, 403, 407 and 451', () => {
  expect([...BLOCKING]).toEqual([401, 403, 407, 451]);
});
