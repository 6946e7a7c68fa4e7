/** Waiting for a job: what is read is scripted, and the pauses are short. */
import { expect, test } from 'vitest';
import { type WaitedJob, WaitTimeoutError, waitForJob } from '../../services/client/wait.ts';

const job = (status: string, completed: number): WaitedJob => ({
  status,
  progress: { completed, skipped: 0, no_data: 0, failed: 0, not_entitled: 0, not_yet: 0, total: 3 },
});
const pauseMs = { first: 1, longest: 2 };

/** Gives one after the other, the last one for ever. An error is thrown. */
function script(...steps: (WaitedJob | Error)[]): { read: () => Promise<WaitedJob>; reads: () => number } {
  let reads = 0;
  return {
    async read() {
      const step = steps[Math.min(reads++, steps.length - 1)]!;
      if (step instanceof Error) throw step;
      return step;
    },
    reads: () => reads,
  };
}

test.each(['completed', 'completed_with_errors', 'failed', 'cancelled', 'expired'])('ends with a job that is %s', async (status) => {
  const { read } = script(job('ready', 0), job('running', 1), job(status, 3));
  expect(await waitForJob(read, { pauseMs })).toEqual(job(status, 3));
});

test('tells every change once', async () => {
  const seen: string[] = [];
  const { read } = script(job('ready', 0), job('running', 0), job('running', 0), job('running', 2), job('running', 2), job('completed', 3));
  await waitForJob(read, { pauseMs, onProgress: ({ status, progress }) => seen.push(`${status} ${progress.completed}`) });
  expect(seen).toEqual(['ready 0', 'running 0', 'running 2', 'completed 3']);
});

test('ends with an error when the time is over, and reads no more', async () => {
  const { read, reads } = script(job('running', 1));
  await expect(waitForJob(read, { pauseMs, timeoutMs: 20 })).rejects.toThrow(WaitTimeoutError);
  const before = reads();
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(reads()).toBe(before);
});

test('ends with the reason of its signal, at once', async () => {
  const stop = new AbortController();
  const { read } = script(job('running', 1));
  const waiting = waitForJob(read, {
    pauseMs: { first: 60_000, longest: 60_000 },
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('enough')),
  });
  await expect(waiting).rejects.toThrow('enough');
  await expect(waitForJob(read, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
});

test('goes on after an error that is temporary, and not after another one', async () => {
  const { read } = script(job('ready', 0), new TypeError('fetch failed'), job('completed', 3));
  expect(await waitForJob(read, { pauseMs, isTemporary: (error) => error instanceof TypeError })).toEqual(job('completed', 3));
  const other = script(job('ready', 0), new Error('unknown job'));
  await expect(waitForJob(other.read, { pauseMs, isTemporary: (error) => error instanceof TypeError })).rejects.toThrow('unknown job');
});

test('a sign of a change ends the pause', async () => {
  const { read } = script(job('running', 1), job('completed', 3));
  expect(await waitForJob(read, { pauseMs: { first: 60_000, longest: 60_000 }, changed: async () => undefined })).toEqual(
    job('completed', 3),
  );
});
