import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { fetching, held, nothing, workshopOfFile } from './workshop.ts';

const shop = await workshopOfFile();

test('what ends within the grace period is committed', async () => {
  const [id] = await shop.enqueue({});
  const { handler, started, end } = held();
  const worker = shop.worker([handler]);
  await started;
  const drained = worker.drain(10_000);
  end.resolve(nothing);
  await drained;
  expect(await shop.job(id!)).toMatchObject({ state: 'completed', attempt: 1 });
});

test('what has ended but still waits for its batch is committed, even without any grace', async () => {
  const [id] = await shop.enqueue({});
  const ended = Promise.withResolvers<void>();
  const worker = shop.worker(
    [
      fetching(async () => {
        setImmediate(ended.resolve);
        return nothing;
      }),
    ],
    { overrides: { 'worker.batch.wait': 1000 } },
  );
  await ended.promise;
  await worker.drain(0);
  expect((await shop.job(id!)).state).toBe('completed');
});

test('what is still running after the grace period is stopped and handed back without using up an attempt', async () => {
  const [id] = await shop.enqueue({});
  const { handler, started } = held();
  const worker = shop.worker([handler], { id: 'first' });
  const signal = await started;
  const { maxAttempts } = await shop.job(id!);
  await worker.drain(0);
  expect(signal.reason).toMatchObject({ code: 'worker.shutdown' });
  // The attempt is the fence and only goes up, so the allowance does too.
  expect(await shop.job(id!)).toMatchObject({ state: 'ready', attempt: 1, maxAttempts: maxAttempts + 1, worker: null });
  expect(await shop.db.rows('SELECT outcome, worker_id FROM job_attempts')).toEqual([{ outcome: 'handed_back', worker_id: 'first' }]);

  shop.worker([fetching(async () => nothing)], { id: 'second' });
  expect(await shop.reaches(id!, 'completed')).toMatchObject({ worker: 'second', attempt: 2 });
});

test('a worker that shuts down claims nothing more, whatever is announced', async () => {
  const [first] = await shop.enqueue({});
  const { handler, started, end } = held();
  const worker = shop.worker([handler], { overrides: { 'worker.max_concurrent_jobs': 1 } });
  await started;
  const [second] = await shop.enqueue({});
  const drained = worker.drain(10_000);
  worker.wake();
  end.resolve(nothing);
  await drained;
  worker.wake();
  expect((await shop.job(first!)).state).toBe('completed');
  expect(await shop.job(second!)).toMatchObject({ state: 'ready', attempt: 0 });
});

test('a claim under way at the shutdown is not lost', async () => {
  const [id] = await shop.enqueue({});
  const claimed = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const transaction = shop.db.transaction;
  // The first transaction of a worker is its claim: committed, but its answer is still on its way.
  const slow = vi.spyOn(shop.db, 'transaction').mockImplementationOnce(async (work) => {
    const result = await transaction(work);
    claimed.resolve();
    await answer.promise;
    return result;
  });
  const worker = shop.worker([fetching(() => new Promise(() => {}))]);
  await claimed.promise;
  expect((await shop.job(id!)).state).toBe('running');
  const drained = worker.drain(0);
  // The grace period is over before the answer is here.
  await delay(20);
  answer.resolve();
  await drained;
  slow.mockRestore();
  expect(await shop.job(id!)).toMatchObject({ state: 'ready', worker: null });
});
