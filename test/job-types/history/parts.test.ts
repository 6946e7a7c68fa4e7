/** Downloads of many objects: one job over parts, which give way to other work and go on. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { StopError } from '../../../services/history/sources/source.ts';
import { cancel, retry } from '../../../services/ledger/control.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { setJobs } from '../../support/job-rows.ts';
import { historyDoubles, scriptedSource, stuckSource } from './doubles.ts';
import { downloadsOfFile } from './downloads.ts';

const on = await downloadsOfFile({ 'history.concurrency': 1, 'history.items_per_job': 2 });

/** Lets milliseconds pass for the test's process. */
function passingTime(): (ms: number) => void {
  const now = performance.now.bind(performance);
  let passed = 0;
  const watch = vi.spyOn(performance, 'now').mockImplementation(() => now() + passed);
  onTestFinished(() => watch.mockRestore());
  return (ms) => {
    passed += ms;
  };
}

test('a job of parts shows the sum of their items from its beginning, and says at its end what they have', async () => {
  const seen: { id: string; progress?: object }[] = [];
  const [id] = await on.request();
  expect((await readJob(on.db, id!))?.items).toMatchObject({ pending: 4, total: 4 });
  const bus = {
    state: 'online' as const,
    publish: async (kind: string, message: object) => void (kind === 'status' && seen.push(message as never)),
  };
  on.downloader(await historyDoubles(), { bus: bus as never });
  const { result } = await on.reaches(id!, 'completed');
  expect(result).toMatchObject({ root: 'AAPL', from: '2024-01-02', to: '2024-01-05', objects: 4, done: 4, rows: 12, days: 4 });
  const sums = seen.flatMap((message) => (message.id === id && message.progress !== undefined ? [message.progress] : []));
  expect(sums.at(-1)).toMatchObject({ done: 4, total: 4 });
  for (const sum of sums) expect(sum).toMatchObject({ total: 4 });
});

test('a part that fails leaves the job with errors: it says what was not tried, and a retry does that', async () => {
  const doubles = await historyDoubles(
    scriptedSource(({ period }, days) => {
      if (period.name === '2024-01-03') throw new StopError('source.bad_parameters', 'the terminal answered 473');
      return days;
    }),
  );
  const [id] = await on.request();
  on.downloader(doubles);
  const { reason } = await on.reaches(id!, 'completed_with_errors');
  const failed = (await readJob(on.db, id!))?.needs.find(({ state }) => state === 'failed')?.id;
  expect(reason).toContain(`2 of 4 were not tried (part ${failed} ended as failed: the terminal answered 473)`);
  doubles.source.answer = (_, days) => days;
  doubles.source.asked.length = 0;
  await retry(on.ledger, id!);
  await on.reaches(id!, 'completed');
  expect(doubles.source.asked).toEqual(['2024-01-03', '2024-01-02']);
});

test('a job none of whose parts has done anything fails', async () => {
  const doubles = await historyDoubles(
    scriptedSource(() => {
      throw new StopError('source.bad_parameters', 'the terminal answered 473');
    }),
  );
  const [id] = await on.request();
  on.downloader(doubles);
  const { code, reason } = await on.reaches(id!, 'failed');
  expect([code, reason]).toEqual([
    'history.parts_failed',
    expect.stringMatching(/^none of the 4 objects was downloaded: part \S+ and 1 more ended as failed: the terminal answered 473 \("/),
  ]);
});

test('failed items of parts are counted at the job, and its retry runs these alone', async () => {
  const doubles = await historyDoubles(
    scriptedSource(({ period }, days) => {
      if (period.name === '2024-01-03') throw new PermanentError('history.malformed', 'line 7 has no strike');
      return days;
    }),
  );
  const [id] = await on.request();
  on.downloader(doubles);
  expect((await on.reaches(id!, 'completed_with_errors')).reason).toMatch(/^1 of 4 objects failed \(/);
  doubles.source.answer = (_, days) => days;
  doubles.source.asked.length = 0;
  await retry(on.ledger, id!);
  await on.reaches(id!, 'completed');
  expect(doubles.source.asked).toEqual(['2024-01-03']);
});

test('cancelling the job stops the part that runs', async () => {
  const { source, begun, stopped } = stuckSource();
  const doubles = await historyDoubles(source);
  const [id] = await on.request();
  const worker = on.downloader(doubles, { overrides: { 'worker.max_concurrent_jobs': 1 } });
  await begun;
  const changes = await cancel(on.ledger, id!, 'by hand');
  expect(changes.map(({ state }) => state)).toEqual(['cancelled', 'cancelled', 'cancelled']);
  for (const { id: changed, worker: name } of changes) if (name !== undefined) worker.abort(changed, 'cancelled by hand');
  expect(await stopped).toMatchObject({ code: 'job.cancelled' });
});

test('a job near its time limit goes on in another attempt, which counts as none', async () => {
  const passes = passingTime();
  const doubles = await historyDoubles(
    scriptedSource((_, days) => {
      // The first object takes 80 of the 100 seconds.
      passes(80_000);
      return days;
    }),
  );
  const [id] = await on.request({ to: '2024-01-03' });
  on.downloader(doubles, { overrides: { 'history.job_timeout': 100 } });
  const { attempt, maxAttempts } = await on.reaches(id!, 'completed');
  expect([attempt, maxAttempts]).toEqual([2, 5]);
  expect(doubles.source.asked).toEqual(['2024-01-03', '2024-01-02']);
  expect((await readJob(on.db, id!))?.attempts).toMatchObject([
    { outcome: 'handed_back', code: 'job.continued', reason: '1 of 2 objects are left; its turn is over' },
    { outcome: 'completed', code: null },
  ]);
});

test('a long download gives its place to a more urgent one, and goes on after it', async () => {
  const passes = passingTime();
  let short: string | undefined;
  const doubles = await historyDoubles(
    scriptedSource(async (_, days) => {
      // The short one is asked for while the first object of the long one is under way, which takes ten seconds.
      [short] = short === undefined ? await on.request({ root: 'MSFT', from: '2024-02-01', to: '2024-02-01' }) : [short];
      passes(10_000);
      return days;
    }),
  );
  const [long] = await on.request();
  on.downloader(doubles, { overrides: { 'worker.max_concurrent_jobs': 1 } });
  await on.reaches(long!, 'completed');
  expect(doubles.source.asked).toEqual(['2024-01-05', '2024-02-01', '2024-01-04', '2024-01-03', '2024-01-02']);
  expect((await on.job(short!)).attempt).toBe(1);
});

test('a download does not give its place to one that is more urgent by its waiting alone', async () => {
  const passes = passingTime();
  let other: string | undefined;
  const doubles = await historyDoubles(
    scriptedSource(async (_, days) => {
      if (other === undefined) {
        [other] = await on.request({ root: 'MSFT', to: '2024-01-02' });
        // As ageing does it.
        await setJobs(on.db, ({ priority }) => ({ priority: priority - 10_000, aged: 1 }), 'id = ?', [idToBytes(other!)]);
      }
      passes(10_000);
      return days;
    }),
  );
  const [first] = await on.request({ to: '2024-01-03' });
  on.downloader(doubles, { overrides: { 'worker.max_concurrent_jobs': 1 } });
  await on.reaches(first!, 'completed');
  expect((await on.job(first!)).attempt).toBe(1);
});
