/** The completion of jobs that no other job waits for, which is written without a look at them. */
import { expect, test } from 'vitest';
import { cancel } from '../../../services/ledger/control.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { ledgerFixture, stoppingAtCommit } from '../fixture.ts';

const on = ledgerFixture();

test.each([
  ['text of all kinds', { text: 'O\'Hara said: "C:\\new\\u0041"\n\t\u2028 ü 漢 😀', list: [1, null, { deep: true }] }],
  ['nothing', {}],
  ['more than is sent as one value', { text: 'x'.repeat(600_000) }],
])('each job keeps its own result: %s', async (_, result) => {
  await on.add({}, {}, {});
  const jobs = await on.take();
  const results = [{ first: 1 }, result, undefined];
  const { changes } = await complete(
    on.ledger(),
    'worker-1',
    jobs.map((job, at) => ({ job, result: results[at] })),
  );
  expect(changes.map(({ id, state }) => [id, state])).toEqual(jobs.map(({ id }) => [id, 'completed']));
  expect((await Promise.all(jobs.map(({ id }) => readJob(on.db, id)))).map((job) => job?.result)).toEqual([{ first: 1 }, result, null]);
});

test('a cancel that is being written wins, and the job is not ended twice', async () => {
  const job = await on.running();
  const stopping = stoppingAtCommit(on.db);
  const cancelling = cancel(on.ledger({ db: stopping.db }), job.id, 'not wanted any more');
  await stopping.arrived;
  const completing = complete(on.ledger(), 'worker-1', [{ job, result: {} }]);
  await on.untilWaiting();
  stopping.open();
  await cancelling;
  expect(await completing).toEqual({ changes: [], lost: [job] });
  expect(await on.state(job.id)).toBe('cancelled');
});

test('a cancel that comes during the completion is told that the job has ended', async () => {
  const job = await on.running();
  const stopping = stoppingAtCommit(on.db);
  const completing = complete(on.ledger({ db: stopping.db }), 'worker-1', [{ job, result: {} }]);
  await stopping.arrived;
  const cancelling = cancel(on.ledger(), job.id, 'not wanted any more');
  await on.untilWaiting();
  stopping.open();
  expect((await completing).lost).toEqual([]);
  await expect(cancelling).rejects.toMatchObject({ code: 'job.ended' });
  expect(await on.state(job.id)).toBe('completed');
});

test('a job that came to wait for it after its claim becomes ready', async () => {
  const job = await on.running({ dedupeKey: 'fetch:AAPL' });
  expect(job.hasDependents).toBe(false);
  const [analysis] = await on.add({ type: 'analysis', after: ['fetch:AAPL'] });
  expect(await on.state(analysis!)).toBe('blocked');
  await complete(on.ledger(), 'worker-1', [{ job }]);
  expect(await on.state(analysis!)).toBe('ready');
});

test('its key is free for another job, and its place for another one of its user', async () => {
  const ledger = on.ledger({ slotsPerUser: 1 });
  const first = await on.running({ dedupeKey: 'fetch:AAPL', user: 'ada' });
  const [second] = await on.add({ dedupeKey: 'fetch:MSFT', user: 'ada' });
  await on.db.run('DELETE FROM user_slots WHERE slot > 1');
  const { changes } = await complete(ledger, 'worker-1', [{ job: first }]);
  expect(changes.map(({ state }) => state)).toEqual(['completed']);
  const [again] = await on.add({ dedupeKey: 'fetch:AAPL', user: 'ada' });
  expect(again).not.toBe(first.id);
  expect((await on.take('worker-1', 1)).map(({ id }) => id)).toEqual([second]);
  expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(1);
});
