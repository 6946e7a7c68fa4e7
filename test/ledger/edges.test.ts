/** The edges of the ledger's rules: equal moments, equal priorities, the last of a range, and texts of just the length that fits. */
import { describe, expect, test } from 'vitest';
import { cancel } from '../../services/ledger/control.ts';
import { type Enqueued, enqueue, type JobRequest } from '../../services/ledger/enqueue/enqueue.ts';
import { idToBytes } from '../../services/ledger/id.ts';
import { priorityOf } from '../../services/ledger/job.ts';
import { promote } from '../../services/ledger/maintain/promote.ts';
import { createEstimator, jobToEstimate } from '../../services/ledger/read/estimate.ts';
import { readJob, readNewestOf, readStats } from '../../services/ledger/read/jobs.ts';
import { readMeshMetrics } from '../../services/ledger/read/metrics.ts';
import { complete, fail } from '../../services/ledger/run/complete.ts';
import { truncateReason } from '../../services/ledger/states/ended.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { reportInstance } from '../../services/platform/registry/instances.ts';
import { setJobs } from '../support/job-rows.ts';
import { ledgerFixture, request, START, transient } from './fixture.ts';

const on = ledgerFixture();
const at = (time: string): Date => new Date(`2026-06-02T${time}Z`);
const now = (): Date => new Date(on.clock.now().epochMilliseconds);
const fetchOf = (symbol: string, changes: Partial<JobRequest> = {}): Partial<JobRequest> => ({
  symbol,
  dedupeKey: `fetch:${symbol}`,
  ...changes,
});

describe('a request', () => {
  test('that is to start at this very moment is ready', async () => {
    expect(await on.ask({ runAt: new Date(START) })).toMatchObject([{ state: 'ready' }]);
  });

  test('that names its own key as its need waits for nobody', async () => {
    const asked = fetchOf('AAPL', { after: ['fetch:AAPL'] });
    const [id] = await on.add(asked);
    expect(await on.ask(asked)).toMatchObject([{ outcome: 'joined', id, state: 'ready' }]);
    expect(await on.count('job_dependencies')).toBe(0);
  });

  test('that joins when exactly half of the time to live is over lengthens nothing', async () => {
    const [id] = await on.add(fetchOf('AAPL', { level: 5 }));
    on.clock.advance({ minutes: 30 });
    await on.ask(fetchOf('AAPL', { level: 5 }));
    expect((await on.row(id!)).due_at).toEqual(at('15:00:00'));
  });

  test('for an early start lets a job that rests between two attempts rest', async () => {
    const job = await on.running(fetchOf('AAPL'));
    await fail(on.ledger(), 'worker-1', [{ job, error: transient() }], () => 0.5);
    await on.ask(fetchOf('AAPL', { runAt: at('14:00:10') }));
    expect(await on.row(job.id)).toMatchObject({ state: 'scheduled', due_at: at('14:00:30') });
  });

  test('to be refused by a full queue raises a job into that queue or to the top of its own, not in between', async () => {
    const queues = { ...on.ledger().queues, foreground: { maxJobs: 1, ttlSeconds: 300 } };
    const ledger = on.ledger({ queues });
    await enqueue(ledger, [request({}), request(fetchOf('AAPL', { level: 9 }))]);
    expect(await enqueue(ledger, [request(fetchOf('AAPL', { level: 2, whenFull: 'refuse' }))])).toMatchObject([
      { queue: 'background_analysis', level: 7, demoted: true },
    ]);
  });

  test('that is as urgent as the job changes neither its place nor its reason', async () => {
    const [id] = await on.add(fetchOf('AAPL', { why: { text: 'first' } }));
    expect(await on.ask(fetchOf('AAPL', { why: { text: 'second' } }))).toMatchObject([{ demoted: false }]);
    expect(await readJob(on.db, id!)).toMatchObject({ why: { text: 'first' }, triggered_by: 'test' });
    expect((await on.row(id!)).priority).toBe(priorityOf(1, 0.5));
  });
});

/** As `request` of the fixture asks. */
const PLACE = { queue: 'foreground', level: 1, user: null };

describe('a job', () => {
  test('that others wait for is claimed as such', async () => {
    await on.add(fetchOf('AAPL'), fetchOf('SPY'), { type: 'analysis', level: 8, after: ['fetch:AAPL'] });
    expect((await on.take('worker-1', 2)).map(({ symbol, hasDependents }) => [symbol, hasDependents])).toEqual([
      ['AAPL', true],
      ['SPY', false],
    ]);
  });

  test('that waits is cancelled without a worker who is to be told', async () => {
    const [id] = await on.add({});
    const [change] = await cancel(on.ledger(), id!, 'by hand');
    expect(change).toEqual({
      id,
      type: 'fetch',
      symbol: 'AAPL',
      state: 'cancelled',
      attempt: 0,
      worker: undefined,
      reason: 'by hand',
      code: 'job.cancelled',
      place: PLACE,
    });
    expect(await on.count('job_attempts')).toBe(0);
  });

  test('that is promoted says so with its type and its attempts', async () => {
    const [id] = await on.add({ runAt: at('14:10:00') });
    on.clock.set('2026-06-02T14:10:00Z');
    expect(await promote(on.ledger())).toEqual([
      { id, type: 'fetch', symbol: 'AAPL', state: 'ready', attempt: 0, reason: undefined, place: PLACE },
    ]);
  });

  test('with an error code that is longer than its column fails all the same', async () => {
    const job = await on.running();
    const error = new TransientError(`source.${'x'.repeat(70)}` as 'source.busy', 'busy');
    await fail(on.ledger(), 'worker-1', [{ job: { ...job, maxAttempts: 1 }, error }]);
    expect(await on.reason(job.id)).toMatchObject({ code: `source.${'x'.repeat(57)}` });
  });

  test('that fails is told with what is told of it: the reason, and when it is tried again', async () => {
    const job = await on.running();
    const { changes } = await fail(on.ledger(), 'worker-1', [{ job, error: transient() }], () => 0.5);
    expect(changes).toMatchObject([
      { state: 'scheduled', worker: 'worker-1', reason: 'the source answered 429; retried at 2026-06-02T14:00:30.000Z' },
    ]);
  });
});

test.each([
  [2_000, 'x'.repeat(2_000)],
  [2_001, `${'x'.repeat(1_999)}…`],
])('of a reason of %d characters 2,000 are kept', (length, kept) => {
  expect(truncateReason('x'.repeat(length))).toBe(kept);
});

describe('an estimate', () => {
  async function online(capacity: number): Promise<void> {
    const alive = { service: 'worker', session: crypto.randomUUID(), capacity, running: 0, started_at: now(), heartbeat_at: now() };
    await on.db.run('DELETE FROM instances');
    await reportInstance(on.db, { instance: 'w1', ...alive });
  }

  test('of a job behind more than a thousand equally urgent ones counts them all', async () => {
    await on.add(...Array.from({ length: 1_200 }, () => ({})));
    const ledger = on.ledger();
    const [answer] = await enqueue(ledger, [request({})]);
    const [estimate] = await createEstimator(ledger).estimate([jobToEstimate(answer as Enqueued)]);
    expect(estimate).toMatchObject({ position: 1_200 });
  });

  test('shares what it reads with those that are made at the same time, and does not keep what could not be read', async () => {
    const reads: string[] = [];
    let away = true;
    const db = {
      ...on.db,
      rows: (async (sql: string, params?: readonly unknown[]) => {
        if (/GROUP BY queue, priority/.test(sql)) {
          reads.push(sql);
          if (away) throw new TransientError('database.unavailable', 'the database is away');
        }
        return on.db.rows(sql, params);
      }) as typeof on.db.rows,
    };
    const { estimate } = createEstimator(on.ledger({ db }));
    const [answer] = await on.ask({});
    const ask = () => estimate([jobToEstimate(answer as Enqueued)]);
    const refused = await Promise.allSettled([ask(), ask()]);
    expect([refused.map(({ status }) => status), reads.length]).toEqual([['rejected', 'rejected'], 1]);
    away = false;
    expect(await Promise.all([ask(), ask(), ask()])).toMatchObject(Array(3).fill([{ position: 0 }]));
    expect(reads).toHaveLength(2);
  });

  test('takes no duration of a job that never began', async () => {
    const jobs = [await on.running(), await on.running()];
    on.clock.advance({ seconds: 6 });
    for (const job of jobs) await on.done(job);
    await setJobs(on.db, { started_at: null }, 'id = ?', [idToBytes(jobs[0]!.id)]);
    await online(1);
    const [answer] = await on.ask({});
    const [estimate] = await createEstimator(on.ledger()).estimate([jobToEstimate(answer as Enqueued)]);
    expect(estimate).toEqual({ position: 0, startSeconds: 0, completionSeconds: 6 });
  });

  test('of a job that is scheduled behind its need is not known, and of two that wait for each other neither', async () => {
    await online(1);
    const [one, other] = await on.add(fetchOf('A'), fetchOf('B'));
    await setJobs(on.db, { state: 'blocked', blocked_on: 'dependency' });
    await on.db.run('INSERT INTO job_dependencies (job_id, needs_id) VALUES ?', [
      [
        [idToBytes(one!), idToBytes(other!)],
        [idToBytes(other!), idToBytes(one!)],
      ],
    ]);
    const job = { id: one!, type: 'fetch', state: 'blocked', queue: 'foreground', priority: priorityOf(1, 0.5) } as const;
    expect(await createEstimator(on.ledger()).estimate([job])).toMatchObject([{ startSeconds: null, completionSeconds: null }]);
  });
});

describe('what is read of the whole', () => {
  test('the oldest ready job of a queue is that of all its levels', async () => {
    on.clock.advance({ hours: 3 });
    await on.add({ level: 3 });
    on.clock.advance({ seconds: 60 });
    await on.add({ level: 1 });
    await on.add({ level: 2 });
    on.clock.advance({ seconds: 30 });
    expect((await readStats(on.db, now())).queues[0]?.oldest_s).toBe(90);
  });

  test('only the jobs of types that measure a source count for its latency, and none where no type does', async () => {
    const ledger = on.ledger();
    const types = { ...ledger.types, fetch: { ...ledger.types.fetch!, measuresSource: true as const } };
    const result = (ms: number) => ({ source: 'yahoo_finance', ms });
    const [fetch, analysis] = [await on.running({}), await on.running({ type: 'analysis' })];
    await complete(ledger, 'worker-1', [
      { job: fetch, result: result(100) },
      { job: analysis, result: result(900) },
    ]);
    const read = async (rules: typeof ledger.types) => (await readMeshMetrics(on.db, now(), { leaseSeconds: 60, types: rules })).latencies;
    expect(await read(types)).toEqual([{ source: 'yahoo_finance', p95: 0.1, answers: 1 }]);
    expect(await read(ledger.types)).toEqual([]);
  });

  test('the newest job of a key is that of the key or of one that goes on behind a colon, and no other', async () => {
    const rank = (dedupeKey: string) => ({ type: 'analysis', symbol: 'AAPL', dedupeKey });
    await on.add(rank('rank:AAPL:exit'));
    const [marked] = await on.add(rank('rank:AAPL:exit:aaaa'));
    await on.add(rank('rank:AAPL:exits'), rank('rank:AAPL:entry'), { ...rank('rank:AAPL:exit:bbbb'), symbol: 'SPY' });
    expect((await readNewestOf(on.db, 'AAPL', 'rank:AAPL:exit'))?.id).toBe(marked);
    expect(await readNewestOf(on.db, 'AAPL', 'rank:AAPL:monitor')).toBeUndefined();
  });
});
