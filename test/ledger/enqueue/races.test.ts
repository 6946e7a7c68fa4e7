/** Enqueuers beside other transactions, each stopped on purpose at the moment that matters. */
import { expect, test } from 'vitest';
import { type Enqueued, enqueue, enqueueWith, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { priorityOf } from '../../../services/ledger/job.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import { ledgerFixture, request, stoppingAtCommit, watched } from '../fixture.ts';

const on = ledgerFixture();
const at = (time: string): Date => new Date(`2026-06-02T${time}Z`);
const fetchOf = (symbol: string, changes: Partial<JobRequest> = {}): JobRequest =>
  request({ symbol, dedupeKey: `fetch:${symbol}`, ...changes });
const analysisOf = (symbol: string): JobRequest =>
  request({ type: 'analysis', symbol, level: 2, dedupeKey: `analysis:${symbol}`, after: [`fetch:${symbol}`] });

/** A call that has done all its work and stands before its commit. */
async function standingBeforeCommit(...requests: JobRequest[]) {
  const { db, arrived, open } = stoppingAtCommit(on.db);
  const answers = enqueue(on.ledger({ db }), requests);
  await arrived;
  return {
    async commit() {
      open();
      return await answers;
    },
  };
}

test('a late, less urgent join does not lower the priority that an earlier commit has raised', async () => {
  const [id] = await on.add(fetchOf('AAPL', { level: 6 }));
  const late = await standingBeforeCommit(fetchOf('AAPL', { level: 5 }));
  await on.ask(fetchOf('AAPL', { level: 4 }));
  await late.commit();
  expect((await on.row(id!)).priority).toBe(priorityOf(4, 0.5));
});

test('a join that comes after the claim leaves the priority of the running job', async () => {
  const [id] = await on.add(fetchOf('AAPL', { level: 6 }));
  const late = await standingBeforeCommit(fetchOf('AAPL', { level: 5 }));
  await on.take();
  await late.commit();
  expect(await on.row(id!)).toMatchObject({ state: 'running', priority: priorityOf(6, 0.5) });
});

test('a new job is ready when its need ended between the look and the lock', async () => {
  const job = await on.running(fetchOf('AAPL'));
  let ended = false;
  const db = watched(on.db, async ({ sql }) => {
    if (ended || !/FROM jobs j FORCE INDEX .* FOR UPDATE$/s.test(sql)) return;
    ended = true;
    await on.done(job);
  });
  const [answer] = await enqueue(on.ledger({ db }), [analysisOf('AAPL')]);
  expect(ended).toBe(true);
  expect(answer).toMatchObject({ outcome: 'queued', state: 'ready' });
  expect(await on.state((answer as Enqueued).id)).toBe('ready');
});

test('a joined job does not wait for a need that ended between the look and the lock', async () => {
  const job = await on.running(fetchOf('AAPL'));
  const [analysis] = await on.add(request({ type: 'analysis', symbol: 'AAPL', level: 2, dedupeKey: 'analysis:AAPL' }));
  let ended = false;
  const db = watched(on.db, async ({ sql }) => {
    if (ended || !/FROM jobs j FORCE INDEX .* FOR UPDATE$/s.test(sql)) return;
    ended = true;
    await on.done(job);
  });
  expect(await enqueue(on.ledger({ db }), [analysisOf('AAPL')])).toMatchObject([{ outcome: 'joined', id: analysis, state: 'ready' }]);
  expect(ended).toBe(true);
  expect(await on.row(analysis!)).toMatchObject({ state: 'ready', blocked_on: null });
  expect(await on.count('job_dependencies')).toBe(0);
});

test('a need cannot end unseen between the lock and the commit: its completion waits, and makes the new job ready', async () => {
  const job = await on.running(fetchOf('AAPL'));
  const enqueueing = await standingBeforeCommit(analysisOf('AAPL'));
  const completing = on.done(job);
  await on.untilWaiting();
  const [answer] = await enqueueing.commit();
  await completing;
  expect(await on.row((answer as Enqueued).id)).toMatchObject({ state: 'ready', blocked_on: null });
});

test('the keys of one insert are taken in their order, whatever the order of the requests: two enqueuers never wait crosswise', async () => {
  const ledger = on.ledger();
  const retriesBefore = new Map(on.db.retries);
  let others: Promise<unknown> | undefined;
  await on.db.transaction(async (tx) => {
    await enqueueWith(tx, ledger, [fetchOf('B')]);
    // It must wait for B before it has C: whoever holds B may still want C.
    others = enqueue(ledger, [fetchOf('C'), fetchOf('B'), fetchOf('A')]);
    await on.untilWaiting();
    await enqueueWith(tx, ledger, [fetchOf('C')]);
  });
  expect(await others).toMatchObject([{ outcome: 'joined' }, { outcome: 'joined' }, { outcome: 'queued' }]);
  expect(on.db.retries).toEqual(retriesBefore);
});

test.each([
  ['16:00:00', '15:00:00'],
  ['15:00:00', '16:00:00'],
])('two later starts in one call, %s and %s: the job starts at the earlier one, 15:00', async (first, second) => {
  const [id] = await on.add(fetchOf('AAPL', { runAt: at(first) }), fetchOf('AAPL', { runAt: at(second) }));
  expect(await on.row(id!)).toMatchObject({ state: 'scheduled', due_at: at('15:00:00') });
});

test.each([
  [300, undefined],
  [undefined, 300],
  [60, 300],
])('two dedupe windows in one call, %s and %s s: the longer one, 300 s, holds', async (first, second) => {
  const job = await on.running(fetchOf('AAPL'));
  await on.done(job);
  const [id] = await on.add(
    fetchOf('AAPL', { dedupeWindowSeconds: first, score: 0.1 }),
    fetchOf('AAPL', { dedupeWindowSeconds: second, score: 0.2 }),
  );
  await on.done((await on.take())[0]!);
  on.clock.advance({ seconds: 299 });
  expect(await on.ask(fetchOf('AAPL', { dedupeWindowSeconds: 1 }))).toMatchObject([{ outcome: 'joined', id, state: 'completed' }]);
});

test('a request for a later start leaves a scheduled job where it is', async () => {
  const [id] = await on.add(fetchOf('AAPL', { runAt: at('15:00:00') }));
  await on.ask(fetchOf('AAPL', { runAt: at('16:00:00') }));
  expect((await on.row(id!)).due_at).toEqual(at('15:00:00'));
});

test('the reason of a priority is that of the most urgent request, also when a less urgent one commits last', async () => {
  const [id] = await on.add(fetchOf('AAPL', { level: 6, why: { text: 'first' } }));
  const late = await standingBeforeCommit(fetchOf('AAPL', { level: 5, why: { text: 'late' }, triggeredBy: 'schedule' }));
  await on.ask(fetchOf('AAPL', { level: 4, why: { text: 'most urgent' }, triggeredBy: 'login' }));
  await late.commit();
  expect(await readJob(on.db, id!)).toMatchObject({ priority: 4, why: { text: 'most urgent' }, triggered_by: 'login' });
});
