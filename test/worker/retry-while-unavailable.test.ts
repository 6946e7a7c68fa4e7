import { beforeEach, expect, test, vi } from 'vitest';
import { TransientError } from '../../services/platform/errors.ts';
import { retryWhileUnavailable } from '../../services/worker/retry-while-unavailable.ts';

/** The pauses between the tries, in milliseconds; they are over at once, or as soon as the signal aborts. */
const pauses: number[] = [];
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: async (ms: number, _: undefined, { signal }: { signal: AbortSignal }) => {
    pauses.push(ms);
    signal.throwIfAborted();
  },
}));
beforeEach(() => {
  pauses.length = 0;
});

const away = (code = 'database.unavailable') => new TransientError(code, 'away');
/** Fails with these errors, one a try, and then succeeds; what it was told of earlier tries. */
async function write(errors: Error[], signal = new AbortController().signal) {
  const told: boolean[] = [];
  const outcome = await retryWhileUnavailable(async (mayBeCommitted) => {
    told.push(mayBeCommitted);
    const error = errors[told.length - 1];
    if (error !== undefined) throw error;
    return 'written';
  }, signal).catch(({ code }) => code);
  return { outcome, told };
}

test('a write is tried until the database is back, and told that an earlier try may have been committed', async () => {
  const errors = Array.from({ length: 7 }, () => away());
  expect(await write(errors)).toEqual({ outcome: 'written', told: [false, ...Array(7).fill(true)] });
  expect(pauses).toEqual([50, 100, 250, 500, 1_000, 1_000, 1_000]);
});

test.each([
  ['that is no outage', Object.assign(new Error('too long'), { code: 'ER_DATA_TOO_LONG' }), 'ER_DATA_TOO_LONG'],
  ['of a process that has given the database up', away('database.closed'), 'database.closed'],
])('an error %s is thrown at once', async (_, error, code) => {
  expect(await write([error])).toEqual({ outcome: code, told: [false] });
  expect(pauses).toEqual([]);
});

test('whoever stops gets the error of the last try', async () => {
  const stopping = new AbortController();
  const stopped = retryWhileUnavailable(async () => {
    stopping.abort();
    throw away();
  }, stopping.signal);
  await expect(stopped).rejects.toMatchObject({ code: 'database.unavailable' });
  expect(pauses).toEqual([]);
});
