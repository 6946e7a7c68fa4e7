import { describe, expect, test } from 'vitest';
import { newJobId } from '../../../services/ledger/id.ts';
import { promote } from '../../../services/ledger/maintain/promote.ts';
import { listJobs, readJob, readStats } from '../../../services/ledger/read/jobs.ts';
import { complete, fail } from '../../../services/ledger/run/complete.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import { ledgerFixture, transient } from '../fixture.ts';

const on = ledgerFixture();
const now = (): Date => new Date(on.clock.now().epochMilliseconds);

describe('one job', () => {
  test('that does not exist is undefined', async () => {
    expect(await readJob(on.db, newJobId(0))).toBeUndefined();
  });

  test('shows level and score, not the number they are stored as', async () => {
    const [id] = await on.add({ level: 5, score: 0.25 });
    expect(await readJob(on.db, id!)).toMatchObject({
      id,
      queue: 'background_fetch',
      priority: 5,
      score: 0.25,
      state: 'ready',
      run_at: null,
      worker: null,
    });
  });

  test('that is scheduled shows when it starts, and why it was not done at its last attempt', async () => {
    const job = await on.running();
    await fail(on.ledger(), 'worker-1', [{ job, error: transient() }], () => 0.5);
    expect(await readJob(on.db, job.id)).toMatchObject({
      state: 'scheduled',
      run_at: new Date('2026-06-02T14:00:30Z'),
      reason: 'the source answered 429',
    });
  });

  test('that failed several times shows why it was not done at its last attempt', async () => {
    const job = await on.running();
    await fail(on.ledger(), 'worker-1', [{ job, error: new TransientError('source.busy', 'the first reason') }], () => 0.5);
    on.clock.advance({ seconds: 30 });
    await promote(on.ledger());
    const [again] = await on.take();
    await fail(on.ledger(), 'worker-1', [{ job: again!, error: new TransientError('source.busy', 'the last reason') }], () => 0.5);
    expect(await readJob(on.db, job.id)).toMatchObject({
      reason: 'the last reason',
      attempts: [
        { attempt: 1, reason: 'the first reason' },
        { attempt: 2, reason: 'the last reason' },
      ],
    });
  });

  test('that a slot was freed for is not shown as blocked', async () => {
    await on.add(...Array.from({ length: 4 }, () => ({ user: 'ada' })));
    const jobs = await on.take();
    await on.done(jobs[0]!);
    const [woken] = await listJobs(on.db, { state: 'ready', limit: 1 });
    expect(woken).toMatchObject({ state: 'ready', blocked_on: null });
  });
});

describe('the list of jobs', () => {
  test('is newest first and goes on before a job', async () => {
    const ids = await on.add({}, {}, {});
    const newest = ids.toReversed();
    expect((await listJobs(on.db, { limit: 2 })).map(({ id }) => id)).toEqual(newest.slice(0, 2));
    expect((await listJobs(on.db, { limit: 2, before: newest[1]! })).map(({ id }) => id)).toEqual(newest.slice(2));
  });

  test('is filtered by state, queue, type and symbol', async () => {
    const [, wanted] = await on.add({}, { type: 'analysis', symbol: 'SPY', level: 8 }, { type: 'analysis', symbol: 'SPY', level: 1 });
    const found = await listJobs(on.db, { state: 'ready', queue: 'background_analysis', type: 'analysis', symbol: 'SPY', limit: 9 });
    expect(found.map(({ id }) => id)).toEqual([wanted]);
  });

  test('of a user has those that the user subscribed to, also when somebody else asked first', async () => {
    const [shared] = await on.add({ user: 'ada', dedupeKey: 'fetch:AAPL' }, { user: 'ada' });
    await on.ask({ user: 'bob', dedupeKey: 'fetch:AAPL' });
    expect((await listJobs(on.db, { user: 'bob', limit: 9 })).map(({ id }) => id)).toEqual([shared]);
  });

  test('of given ids has just those, and none for none', async () => {
    const [first] = await on.add({}, {});
    expect((await listJobs(on.db, { ids: [first!], limit: 9 })).map(({ id }) => id)).toEqual([first]);
    expect(await listJobs(on.db, { ids: [], limit: 9 })).toEqual([]);
  });
});

describe('the metrics', () => {
  test('of an empty ledger are all there, and nought', async () => {
    const none = { ready: 0, running: 0, scheduled: 0, blocked: 0, oldest_s: null };
    expect(await readStats(on.db, now())).toEqual({
      depth: {},
      queues: [
        { queue: 'foreground', ...none },
        { queue: 'background_fetch', ...none },
        { queue: 'background_analysis', ...none },
      ],
      states: {},
      completed_last_minute: 0,
      failed_last_minute: 0,
      enqueued_last_minute: 0,
      failed: 0,
    });
  });

  test('count waiting jobs by level, states by queue, and the age of the oldest', async () => {
    await on.add({ level: 1 }, { level: 1 }, { level: 3 }, { level: 5, runAt: new Date('2026-06-03T00:00:00Z') });
    await on.add({ level: 8, dedupeKey: 'x' }, { level: 9, after: ['x'] });
    await on.take('worker-1', 1);
    const stats = await readStats(on.db, now());
    expect(stats.depth).toEqual({ 1: 1, 3: 1, 8: 1, 9: 1 });
    expect(stats.states).toEqual({ ready: 3, running: 1, scheduled: 1, blocked: 1 });
    expect(stats.queues.map(({ oldest_s, ...counts }) => counts)).toEqual([
      { queue: 'foreground', ready: 2, running: 1, scheduled: 0, blocked: 0 },
      { queue: 'background_fetch', ready: 0, running: 0, scheduled: 1, blocked: 0 },
      { queue: 'background_analysis', ready: 1, running: 0, scheduled: 0, blocked: 1 },
    ]);
  });

  test('tell how long the oldest ready job has waited', async () => {
    on.clock.advance({ hours: 2 });
    await on.add({});
    on.clock.advance({ seconds: 90 });
    await on.add({});
    expect((await readStats(on.db, now())).queues[0]?.oldest_s).toBe(90);
  });

  test('tell what happened within the last minute', async () => {
    // Ids of one process ascend even where the clock of another test was ahead.
    on.clock.advance({ hours: 5 });
    await on.add({}, {}, { type: 'batch_fetch' });
    const [first, second, batch] = await on.take();
    await on.done(first!);
    await on.broken(second!);
    on.clock.advance({ seconds: 30 });
    await complete(on.ledger(), 'worker-1', [{ job: batch!, withErrors: 'one failed' }]);
    expect(await readStats(on.db, now())).toMatchObject({
      completed_last_minute: 2,
      failed_last_minute: 1,
      failed: 1,
      enqueued_last_minute: 3,
    });
    on.clock.advance({ seconds: 31 });
    expect(await readStats(on.db, now())).toMatchObject({
      completed_last_minute: 1,
      failed_last_minute: 0,
      failed: 1,
      enqueued_last_minute: 0,
    });
  });
});
