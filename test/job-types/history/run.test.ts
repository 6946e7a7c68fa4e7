/** What a download does with its objects, with a real ledger and store, and a source that the test steers. */
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { NotEntitledError, StopError } from '../../../services/history/sources/source.ts';
import { historyHandler } from '../../../services/job-types/history/handler.ts';
import { cancel, retry } from '../../../services/ledger/control.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { rescue } from '../../../services/ledger/maintain/rescue.ts';
import { PermanentError, TransientError } from '../../../services/platform/errors.ts';
import { setJobs } from '../../support/job-rows.ts';
import { fetching, nothing } from '../../worker/workshop.ts';
import { historyDoubles, type ScriptedSource, scriptedSource, stuckSource } from './doubles.ts';
import { downloadsOfFile } from './downloads.ts';

const on = await downloadsOfFile({ 'history.concurrency': 1, 'history.items_per_job': 10 });

test('stores an object a day, the newest first, each with its row in the manifest, and says what it has done', async () => {
  const doubles = await historyDoubles();
  const [id] = await on.request();
  on.downloader(doubles);
  const { result } = await on.reaches(id!, 'completed');
  expect(doubles.source.asked).toEqual(['2024-01-05', '2024-01-04', '2024-01-03', '2024-01-02']);
  expect(await on.items(id!)).toEqual(['2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05'].map((day) => [day, 'done']));
  expect(result).toMatchObject({ root: 'AAPL', objects: 4, done: 4, failed: 0, not_yet: 0, days: 4, rows: 12 });
  const rows = await on.manifest();
  expect(rows).toMatchObject([{ rows: 3, source: 'theta', isPartial: false, days: { '2024-01-02': 3 } }, {}, {}, {}]);
  for (const { object, etag, bytes } of rows)
    expect(await doubles.store.head(object.key, AbortSignal.timeout(5_000))).toMatchObject({ etag, bytes });
  expect((await on.itemsOf(id!))[0]?.reason).toMatch(/^theta v3: 3 rows, \d+ bytes, 1 request; 1 with bid above ask$/);
  expect(await on.db.rows('SELECT 1 FROM history_fetches')).toEqual([]);
  expect(await readdir(doubles.spool)).toEqual([]);
});

test('publishes each stored object as data of the root', async () => {
  const seen: object[] = [];
  const [id] = await on.request({ to: '2024-01-02' });
  const bus = { state: 'online' as const, publish: async (kind: string, message: object) => void (kind === 'data' && seen.push(message)) };
  on.downloader(await historyDoubles(), { bus: bus as never });
  await on.reaches(id!, 'completed');
  expect(seen).toEqual([{ symbol: 'AAPL', kind: 'history', source: 'theta', as_of: expect.any(String), rows: 3, through: '2024-01-02' }]);
});

test('skips what is complete, unless it is forced', async () => {
  const doubles = await historyDoubles();
  const [first] = await on.request({ to: '2024-01-03' });
  on.downloader(doubles);
  await on.reaches(first!, 'completed');
  const before = await on.manifest();
  const [second] = await on.request();
  await on.reaches(second!, 'completed');
  expect(await on.items(second!)).toEqual([
    ['2024-01-02', 'skipped'],
    ['2024-01-03', 'skipped'],
    ['2024-01-04', 'done'],
    ['2024-01-05', 'done'],
  ]);
  const [forced] = await on.request({ to: '2024-01-03' }, { force: true });
  await on.reaches(forced!, 'completed');
  expect(doubles.source.asked.slice(-2)).toEqual(['2024-01-03', '2024-01-02']);
  expect((await on.manifest())[0]?.sha256).not.toBe(before[0]?.sha256);
});

test('two jobs over overlapping ranges fetch each object once, at the same time', async () => {
  const doubles = await historyDoubles(
    scriptedSource(async (_, days) => {
      // Both jobs run until each object was taken by one of them.
      await new Promise((resolve) => setTimeout(resolve, 20));
      return days;
    }),
  );
  const [first] = await on.request({ from: '2024-01-02', to: '2024-01-11' });
  const [second] = await on.request({ from: '2024-01-04', to: '2024-01-16' });
  on.downloader(doubles);
  on.downloader(doubles);
  await Promise.all([on.reaches(first!, 'completed'), on.reaches(second!, 'completed')]);
  // Ten trading days from 2024-01-02 to 2024-01-16, of which the 15th is Martin Luther King's (NYSE's calendar).
  expect(doubles.source.asked.toSorted()).toEqual([...new Set(doubles.source.asked)].sort());
  expect(doubles.source.asked).toHaveLength(10);
  const states = [...(await on.items(first!)), ...(await on.items(second!))].map(([, state]) => state);
  expect(states.filter((state) => state === 'done')).toHaveLength(10);
  expect(states.filter((state) => state === 'skipped')).toHaveLength(6);
});

test('a refresh that is asked for while another one runs takes what that one gets from then on, and fetches the rest again', async () => {
  const doubles = await historyDoubles();
  const [stored] = await on.request({ from: '2024-01-03' });
  on.downloader(doubles);
  await on.reaches(stored!, 'completed');
  doubles.source.asked.length = 0;
  let second: string | undefined;
  doubles.source.answer = async ({ period }, days) => {
    // The first refresh has stored the 5th and is at the 4th.
    if (period.name === '2024-01-04') [second] = second === undefined ? await on.request({}, { force: true }) : [second];
    return days;
  };
  const [first] = await on.request({ from: '2024-01-03' }, { force: true });
  await on.reaches(first!, 'completed');
  await on.reaches(second!, 'completed');
  expect(doubles.source.asked.toSorted()).toEqual(['2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05', '2024-01-05']);
  const states = [...(await on.items(first!)), ...(await on.items(second!))].map(([, state]) => state);
  expect(states.toSorted()).toEqual(['done', 'done', 'done', 'done', 'done', 'skipped', 'skipped']);
});

test('a worker that dies costs the objects that were under way, and no other one', async () => {
  const stuck = Promise.withResolvers<void>();
  const doubles = await historyDoubles(
    scriptedSource(async ({ period }, days) => {
      if (period.name !== '2024-01-03' || doubles.source.asked.filter((name) => name === period.name).length > 1) return days;
      stuck.resolve();
      return new Promise(() => {});
    }),
  );
  const [id] = await on.request();
  on.downloader(doubles, { id: 'dying' });
  await stuck.promise;
  // What the scheduler does when the broker says that the worker is gone; the dead process never learns of it.
  await rescue(on.ledger, 'dying', 'gone');
  on.downloader(doubles, { id: 'next' });
  await on.reaches(id!, 'completed');
  expect(doubles.source.asked).toEqual(['2024-01-05', '2024-01-04', '2024-01-03', '2024-01-03', '2024-01-02']);
  expect((await on.items(id!)).map(([, state]) => state)).toEqual(['done', 'done', 'done', 'done']);
});

test('cancel stops the request to the source, and keeps what is whole', async () => {
  const { source, begun, stopped } = stuckSource(({ period }) => period.name === '2024-01-04');
  const doubles = await historyDoubles(source);
  const [id] = await on.request();
  const worker = on.downloader(doubles);
  await begun;
  await cancel(on.ledger, id!, 'by hand');
  worker.abort(id!, 'cancelled by hand');
  expect(await stopped).toMatchObject({ code: 'job.cancelled' });
  expect((await on.job(id!)).state).toBe('cancelled');
  expect((await on.items(id!)).map(([, state]) => state)).toEqual(['pending', 'pending', 'pending', 'done']);
  expect(await on.manifest()).toMatchObject([{ object: { period: { name: '2024-01-05' } } }]);
  await expect.poll(() => readdir(doubles.spool), { interval: 5 }).toEqual([]);
});

test('an item that fails leaves the job with errors, and a retry runs that one alone', async () => {
  const doubles = await historyDoubles(
    scriptedSource(({ period }, days) => {
      if (period.name === '2024-01-03') throw new PermanentError('history.malformed', 'line 7 has no strike');
      return days;
    }),
  );
  const [id] = await on.request();
  on.downloader(doubles);
  const { reason } = await on.reaches(id!, 'completed_with_errors');
  expect(reason).toBe(`1 of 4 objects failed ("npx stockmesh job ${id}" lists them, "npx stockmesh retry ${id}" tries them again)`);
  expect((await on.itemsOf(id!))[1]).toMatchObject({ state: 'failed', reason: 'line 7 has no strike' });
  doubles.source.answer = (_, days) => days;
  doubles.source.asked.length = 0;
  await retry(on.ledger, id!);
  await on.reaches(id!, 'completed');
  expect(doubles.source.asked).toEqual(['2024-01-03']);
});

test('what the account may not read ends with all that is older, without asking', async () => {
  const doubles = await historyDoubles(
    scriptedSource(({ period }, days) => {
      if (period.name <= '2024-01-04') throw new NotEntitledError('source.not_entitled', 'the subscription reaches back to 2024-01-05');
      return days;
    }),
  );
  const [id] = await on.request();
  on.downloader(doubles);
  const { reason } = await on.reaches(id!, 'completed_with_errors');
  expect(reason).toContain('3 of 4 are not in the subscription of the source');
  expect(doubles.source.asked).toEqual(['2024-01-05', '2024-01-04']);
  expect((await on.items(id!)).map(([, state]) => state)).toEqual(['not_entitled', 'not_entitled', 'not_entitled', 'done']);
  expect((await on.itemsOf(id!))[0]?.reason).toMatch(/^older than 2024-01-04, which the account may not read: /);
});

test('a refusal of everything fails the job with the reason, and what is open stays so', async () => {
  const doubles = await historyDoubles(
    scriptedSource(({ period }, days) => {
      if (period.name === '2024-01-04') throw new StopError('source.second_terminal', 'a second terminal runs on the account');
      return days;
    }),
  );
  const [id] = await on.request();
  on.downloader(doubles);
  expect(await on.reaches(id!, 'failed')).toMatchObject({
    code: 'source.second_terminal',
    reason: 'a second terminal runs on the account',
  });
  expect((await on.items(id!)).map(([, state]) => state)).toEqual(['pending', 'pending', 'pending', 'done']);
});

test('a dataset that no source has fails the job, with the reason of each source', async () => {
  const doubles = await historyDoubles();
  doubles.source.refusal = () => 'it has prices at the end of the day only';
  const [id] = await on.request();
  on.downloader(doubles);
  expect((await on.reaches(id!, 'failed')).reason).toBe(
    'no source can give option quote of 15m (theta: it has prices at the end of the day only); add one to history.sources',
  );
});

test('an error that may pass is tried by another attempt, and counts as a failure in the last one', async () => {
  const doubles = await historyDoubles(
    scriptedSource(({ period }, days) => {
      if (period.name === '2024-01-04') throw new TransientError('source.busy', 'the terminal answered 429');
      return days;
    }),
  );
  const [id] = await on.request();
  on.downloader(doubles);
  const { attempt } = await on.reaches(id!, 'scheduled');
  expect((await on.items(id!)).map(([, state]) => state)).toEqual(['done', 'done', 'pending', 'done']);
  await setJobs(on.db, { max_attempts: attempt + 1 }, 'id = ?', [idToBytes(id!)]);
  await retryNow(id!);
  await on.reaches(id!, 'completed_with_errors');
  expect((await on.itemsOf(id!))[2]).toMatchObject({ state: 'failed', reason: 'the terminal answered 429' });
});

test('a source that is away is not asked for every object: the rest waits, and in the last attempt says so', async () => {
  const doubles = await historyDoubles(
    scriptedSource(() => {
      throw new TransientError('source.unreachable', 'no terminal answers at 127.0.0.1:25503');
    }),
  );
  const [id] = await on.request({ to: '2024-01-16' });
  on.downloader(doubles);
  const { attempt } = await on.reaches(id!, 'scheduled');
  expect(doubles.source.asked).toHaveLength(8);
  await setJobs(on.db, { max_attempts: attempt + 1 }, 'id = ?', [idToBytes(id!)]);
  await retryNow(id!);
  await on.reaches(id!, 'completed_with_errors');
  expect(doubles.source.asked).toHaveLength(16);
  expect((await on.itemsOf(id!))[0]).toMatchObject({
    state: 'failed',
    reason: 'not asked for, since 8 others failed one after the other: no terminal answers at 127.0.0.1:25503',
  });
});

test('a terminal that nobody has named and that is not there leaves the download to the next source', async () => {
  const absent = scriptedSource(() => {
    throw new TransientError('theta.no_terminal', 'no Theta Terminal was found');
  });
  const next: ScriptedSource = { ...scriptedSource(), name: 'yahoo' };
  const { store, spool, history } = await historyDoubles(absent);
  const both = async () => ({ ...(await history()), sources: [absent, next] });
  const [id] = await on.request({ to: '2024-01-03' });
  on.downloader({ source: absent, store, spool, history: both });
  await on.reaches(id!, 'completed');
  expect(absent.asked).toEqual(['2024-01-03']);
  expect((await on.manifest({ to: '2024-01-03' })).map(({ source }) => source)).toEqual(['yahoo', 'yahoo']);
});

test('simulated data does not stand in for a terminal where real data of the root is stored', async () => {
  const real = await historyDoubles();
  const [stored] = await on.request({ to: '2024-01-02' });
  const first = on.downloader(real);
  await on.reaches(stored!, 'completed');
  await first.drain(5_000);
  real.source.answer = () => {
    throw new TransientError('theta.no_terminal', 'no Theta Terminal was found');
  };
  const simulated: ScriptedSource = { ...scriptedSource(), name: 'simulated' };
  const [id] = await on.request({ from: '2024-01-03', to: '2024-01-03' });
  on.downloader({ ...real, history: async () => ({ ...(await real.history()), sources: [real.source, simulated] }) });
  await on.reaches(id!, 'scheduled');
  expect(simulated.asked).toEqual([]);
});

test('a worker keeps places free of downloads for other work', async () => {
  const begun = Promise.withResolvers<void>();
  const doubles = await historyDoubles(
    scriptedSource(async () => {
      begun.resolve();
      return new Promise(() => {});
    }),
  );
  const downloads = [await on.request({ root: 'AAPL' }), await on.request({ root: 'SPY' }), await on.request({ root: 'QQQ' })];
  on.worker([historyHandler({ sql: on.db, history: doubles.history }), fetching(async () => nothing)], {
    overrides: { 'worker.max_concurrent_jobs': 2 },
  });
  await begun.promise;
  const [fetch] = await on.enqueue({ level: 10 });
  await on.reaches(fetch!, 'completed');
  expect((await Promise.all(downloads.map(([id]) => on.job(id!)))).map(({ state }) => state)).toEqual(['running', 'ready', 'ready']);
});

/** The end of the pause between two attempts. */
async function retryNow(id: string): Promise<void> {
  await setJobs(on.db, { state: 'ready' }, 'id = ?', [idToBytes(id)]);
}
