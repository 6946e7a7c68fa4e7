import { describe, expect, test } from 'vitest';
import { type Enqueued, enqueue, enqueueWith, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { readLive } from '../../../services/ledger/enqueue/join.ts';
import { priorityOf } from '../../../services/ledger/job.ts';
import { promote } from '../../../services/ledger/maintain/promote.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import { complete, fail, handBack } from '../../../services/ledger/run/complete.ts';
import { ledgerFixture, request, stoppingAtCommit, transient } from '../fixture.ts';

const on = ledgerFixture();
const at = (time: string): Date => new Date(`2026-06-02T${time}Z`);
const fetchOf = (symbol: string, changes: Partial<JobRequest> = {}): Partial<JobRequest> => ({
  symbol,
  dedupeKey: `fetch:${symbol}`,
  ...changes,
});

describe('a new job', () => {
  test("is ready, and expires when its queue's time to live is over", async () => {
    const [answer] = await on.ask({ level: 5, score: 0.25 });
    expect(answer).toMatchObject({
      outcome: 'queued',
      type: 'fetch',
      symbol: 'AAPL',
      state: 'ready',
      queue: 'background_fetch',
      level: 5,
      demoted: false,
      enqueuedAt: at('14:00:00'),
    });
    expect((answer as Enqueued).score).toBeCloseTo(0.25, 4);
    expect(await on.row((answer as Enqueued).id)).toMatchObject({ state: 'ready', attempt: 0, max_attempts: 4, due_at: at('15:00:00') });
  });

  test('that is to start later is scheduled for then', async () => {
    const [answer] = await on.ask({ runAt: at('15:30:00') });
    expect(answer).toMatchObject({ state: 'scheduled' });
    expect(await on.row((answer as Enqueued).id)).toMatchObject({ state: 'scheduled', due_at: at('15:30:00') });
  });

  test('whose start has passed is ready', async () => {
    expect(await on.ask({ runAt: at('13:00:00') })).toMatchObject([{ state: 'ready' }]);
  });

  test('keeps its payload and why it is as urgent as it is', async () => {
    const [id] = await on.add({
      payload: { symbol: 'AAPL', days: 2 },
      why: { text: 'the sum of four', factors: [1, 2] },
      triggeredBy: 'login',
      user: 'ada',
    });
    expect(await readJob(on.db, id!)).toMatchObject({
      payload: { symbol: 'AAPL', days: 2 },
      why: { text: 'the sum of four', factors: [1, 2] },
      triggered_by: 'login',
      subscribers: ['ada'],
    });
  });

  test('without a dedupe key is never the same as another', async () => {
    const [first, second] = await on.add({}, {});
    expect(first).not.toBe(second);
  });

  test('of a type without rules is refused as a defect, and nothing of the call is kept', async () => {
    await expect(on.ask({}, { type: 'dance' })).rejects.toThrow('no rules for job type "dance"; known: fetch, batch_fetch, analysis');
    expect(await on.count('job_states')).toBe(0);
  });
});

test('the answers stand in the order of the requests', async () => {
  const answers = await on.ask(fetchOf('MSFT'), fetchOf('AAPL'), fetchOf('IBM'));
  expect(answers.map((answer) => (answer as Enqueued).symbol)).toEqual(['MSFT', 'AAPL', 'IBM']);
});

test('no requests are no statement', async () => {
  // Without a transaction any statement would throw.
  expect(await enqueueWith(undefined as never, on.ledger(), [])).toEqual([]);
});

describe('requests of one call for the same work', () => {
  test('are one job with all users as subscribers', async () => {
    const [first, second] = await on.add(fetchOf('AAPL', { user: 'ada' }), fetchOf('AAPL', { user: 'bob' }));
    expect(second).toBe(first);
    expect((await readJob(on.db, first!))?.subscribers).toEqual(['ada', 'bob']);
  });

  test('take the most urgent priority and its reason', async () => {
    const [id] = await on.add(
      fetchOf('AAPL', { level: 5, why: { text: 'low' } }),
      fetchOf('AAPL', { level: 2, why: { text: 'high' } }),
      fetchOf('AAPL', { level: 3 }),
    );
    expect(await readJob(on.db, id!)).toMatchObject({ queue: 'foreground', priority: 2, why: { text: 'high' } });
  });

  test('start when the earliest of them wants', async () => {
    const [id] = await on.add(fetchOf('AAPL', { level: 1, runAt: at('16:00:00') }), fetchOf('AAPL', { level: 5 }));
    expect(await on.state(id!)).toBe('ready');
  });
});

describe('a request for live work', () => {
  test('gets the id of the job that is there, and joins its subscribers', async () => {
    const [id] = await on.add(fetchOf('AAPL', { user: 'ada' }));
    expect(await on.ask(fetchOf('AAPL', { user: 'bob' }))).toMatchObject([{ outcome: 'joined', id, state: 'ready' }]);
    expect((await readJob(on.db, id!))?.subscribers).toEqual(['ada', 'bob']);
    expect(await on.count('job_states')).toBe(1);
  });

  test('that is more urgent raises it across the queues, with the new reason and cause', async () => {
    const [id] = await on.add(fetchOf('AAPL', { level: 8, why: { text: 'background' } }));
    expect(await on.ask(fetchOf('AAPL', { level: 2, score: 1, why: { text: 'a login' }, triggeredBy: 'login' }))).toMatchObject([
      { outcome: 'joined', queue: 'foreground', level: 2, demoted: false },
    ]);
    expect(await on.row(id!)).toMatchObject({ queue: 'foreground', priority: priorityOf(2, 1) });
    expect(await readJob(on.db, id!)).toMatchObject({ why: { text: 'a login' }, triggered_by: 'login' });
  });

  test('that is less urgent changes neither its priority nor its reason', async () => {
    const [id] = await on.add(fetchOf('AAPL', { level: 2, why: { text: 'a login' } }));
    await on.ask(fetchOf('AAPL', { level: 8, why: { text: 'background' } }));
    expect(await readJob(on.db, id!)).toMatchObject({ queue: 'foreground', priority: 2, why: { text: 'a login' } });
  });

  test('raises many jobs in one call, each to its own priority', async () => {
    const symbols = Array.from({ length: 250 }, (_, index) => `S${index}`);
    const ids = await on.add(...symbols.map((symbol) => fetchOf(symbol, { level: 9 })));
    await on.ask(...symbols.map((symbol, index) => fetchOf(symbol, { level: 1 + (index % 8), score: index / 250 })));
    const priorities = await Promise.all(ids.map(async (id) => (await on.row(id)).priority));
    expect(priorities).toEqual(symbols.map((_, index) => priorityOf(1 + (index % 8), index / 250)));
  });

  test("in a higher queue has that queue's time to live from now on", async () => {
    const [id] = await on.add(fetchOf('AAPL', { level: 8 }));
    on.clock.advance({ minutes: 10 });
    await on.ask(fetchOf('AAPL', { level: 1 }));
    expect((await on.row(id!)).due_at).toEqual(at('14:15:00'));
  });

  test('that would soon expire lets it wait as long again', async () => {
    const [id] = await on.add(fetchOf('AAPL', { level: 5 }));
    on.clock.advance({ minutes: 59 });
    await on.ask(fetchOf('AAPL', { level: 5 }));
    expect((await on.row(id!)).due_at).toEqual(at('15:59:00'));
  });

  test.each([
    [29, '15:00:00'],
    [31, '15:31:00'],
  ])('after %i of its 60 minutes lets it wait until %s: as long again once half of the time is over', async (minutes, until) => {
    const [id] = await on.add(fetchOf('AAPL', { level: 5 }));
    on.clock.advance({ minutes });
    await on.ask(fetchOf('AAPL', { level: 5 }));
    expect((await on.row(id!)).due_at).toEqual(at(until));
  });

  test('of a running job subscribes, and leaves lease and priority as they are', async () => {
    const job = await on.running(fetchOf('AAPL', { level: 5 }));
    const before = await on.row(job.id);
    expect(await on.ask(fetchOf('AAPL', { level: 1, user: 'bob' }))).toMatchObject([{ outcome: 'joined', id: job.id, state: 'running' }]);
    expect(await on.row(job.id)).toEqual(before);
  });

  test('that is to start now starts a scheduled one now', async () => {
    const [id] = await on.add(fetchOf('AAPL', { runAt: at('18:00:00') }));
    expect(await on.ask(fetchOf('AAPL'))).toMatchObject([{ outcome: 'joined', id, state: 'ready' }]);
    expect(await on.row(id!)).toMatchObject({ state: 'ready', due_at: at('14:05:00') });
  });

  test('that is to start earlier brings a scheduled one forward', async () => {
    const [id] = await on.add(fetchOf('AAPL', { runAt: at('18:00:00') }));
    await on.ask(fetchOf('AAPL', { runAt: at('17:00:00') }));
    expect(await on.row(id!)).toMatchObject({ state: 'scheduled', due_at: at('17:00:00') });
  });

  test('lets one that rests between two attempts rest', async () => {
    const job = await on.running(fetchOf('AAPL'));
    await fail(on.ledger(), 'worker-1', [{ job, error: transient() }], () => 0.5);
    expect(await on.ask(fetchOf('AAPL'))).toMatchObject([{ outcome: 'joined', id: job.id, state: 'scheduled' }]);
    expect((await on.row(job.id)).due_at).toEqual(at('14:00:30'));
  });

  test('is a new job once that one has ended', async () => {
    const job = await on.running(fetchOf('AAPL'));
    await on.done(job);
    expect(await on.ask(fetchOf('AAPL'))).toMatchObject([{ outcome: 'queued' }]);
  });
});

describe('a dedupe window', () => {
  const ranking = (changes: Partial<JobRequest> = {}): Partial<JobRequest> => ({
    dedupeKey: 'rank:AAPL:put',
    dedupeWindowSeconds: 300,
    ...changes,
  });

  test('lets a completed job stand for a later request', async () => {
    const job = await on.running(ranking());
    await on.done(job);
    on.clock.advance({ seconds: 299 });
    expect(await on.ask(ranking())).toMatchObject([{ outcome: 'joined', id: job.id, state: 'completed' }]);
  });

  test('ends: after it the work is done again', async () => {
    await on.done(await on.running(ranking()));
    on.clock.advance({ seconds: 300 });
    expect(await on.ask(ranking())).toMatchObject([{ outcome: 'queued' }]);
  });

  test('does not cover a job that failed', async () => {
    await on.broken(await on.running(ranking()));
    expect(await on.ask(ranking())).toMatchObject([{ outcome: 'queued' }]);
  });

  test('does not bind a request without one', async () => {
    await on.done(await on.running(ranking()));
    expect(await on.ask(ranking({ dedupeWindowSeconds: undefined }))).toMatchObject([{ outcome: 'queued' }]);
  });

  test('gives way to a live job of the same key', async () => {
    await on.done(await on.running(ranking()));
    const [live] = await on.add(ranking({ dedupeWindowSeconds: undefined }));
    expect(await on.ask(ranking())).toMatchObject([{ outcome: 'joined', id: live, state: 'ready' }]);
  });

  test('tells the new user of the job that stands for the request', async () => {
    const job = await on.running(ranking({ user: 'ada' }));
    await on.done(job);
    await on.ask(ranking({ user: 'bob' }));
    expect((await readJob(on.db, job.id))?.subscribers).toEqual(['ada', 'bob']);
  });
});

describe('races', () => {
  test('twenty calls at once for the same new work make one job with twenty subscribers', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => on.ask(fetchOf('AAPL', { user: `user-${index}` }))));
    expect(new Set(answers.map(([answer]) => (answer as Enqueued).id)).size).toBe(1);
    expect(answers.filter(([answer]) => answer?.outcome === 'queued')).toHaveLength(1);
    expect(await on.count('job_subscribers')).toBe(20);
  });

  test('a request that meets a job which is just being completed has joined it a moment before', async () => {
    const job = await on.running(fetchOf('AAPL'));
    const stopping = stoppingAtCommit(on.db);
    const completing = complete(on.ledger({ db: stopping.db }), 'worker-1', [{ job }]);
    await stopping.arrived;
    expect(await on.ask(fetchOf('AAPL', { user: 'ada' }))).toMatchObject([{ outcome: 'joined', id: job.id, state: 'running' }]);
    stopping.open();
    await completing;
    expect(await readJob(on.db, job.id)).toMatchObject({ state: 'completed', subscribers: ['ada'] });
  });

  test('whoever joins a job without changing it holds up neither its claim nor its completion', async () => {
    await on.add(fetchOf('AAPL'));
    await on.db.transaction(async (tx) => {
      await enqueueWith(tx, on.ledger(), [request(fetchOf('AAPL', { user: 'ada' }))]);
      const [job] = await on.take();
      await on.done(job!);
    });
    expect(await on.count('job_subscribers')).toBe(1);
  });

  test('a job that ended after it was seen live is what the request is answered with, however urgent', async () => {
    const job = await on.running(fetchOf('AAPL'));
    const answers = await on.db.transaction(async (tx) => {
      const live = await readLive(tx, new Set(['fetch:AAPL']));
      await on.done(job);
      return enqueueWith(tx, on.ledger(), [request(fetchOf('AAPL', { level: 1, score: 1 }))], live);
    });
    expect(answers).toMatchObject([{ outcome: 'joined', id: job.id }]);
    expect(await on.count('job_states')).toBe(1);
  });

  test('a waiting job that ended before it could be raised stays as it ended', async () => {
    const [id] = await on.add(fetchOf('AAPL', { level: 5 }));
    const answers = await on.db.transaction(async (tx) => {
      const live = await readLive(tx, new Set(['fetch:AAPL']));
      await on.done((await on.take())[0]!);
      return enqueueWith(tx, on.ledger(), [request(fetchOf('AAPL', { level: 1 }))], live);
    });
    expect(answers).toMatchObject([{ outcome: 'joined', id, state: 'completed' }]);
    expect(await readJob(on.db, id!)).toMatchObject({ state: 'completed', priority: 5 });
  });
});

describe("in the caller's transaction", () => {
  test('jobs are committed with what the caller writes', async () => {
    await on.db.transaction(async (tx) => {
      await tx.run("INSERT INTO dedupe_windows (dedupe_key, job_id, until) VALUES ('theirs', 'x', NOW())");
      await enqueueWith(tx, on.ledger(), [request({ user: 'ada' })]);
    });
    expect(await on.count('job_states')).toBe(1);
    expect(await on.count('dedupe_windows')).toBe(1);
  });

  test('a key that another enqueuer was faster with is joined, and the transaction goes on', async () => {
    const stopping = stoppingAtCommit(on.db);
    const faster = enqueue(on.ledger({ db: stopping.db }), [request(fetchOf('AAPL'))]);
    await stopping.arrived;
    let runs = 0;
    const slower = on.db.transaction((tx) => {
      runs++;
      return enqueueWith(tx, on.ledger(), [request(fetchOf('AAPL')), request(fetchOf('SPY'))]);
    });
    await on.untilWaiting();
    stopping.open();
    const [first] = await faster;
    expect(await slower).toMatchObject([{ outcome: 'joined', id: (first as Enqueued).id }, { outcome: 'queued' }]);
    expect(runs).toBe(1);
  });

  test('and are gone when the caller throws', async () => {
    const giveUp = on.db.transaction(async (tx) => {
      await enqueueWith(tx, on.ledger(), [request({ user: 'ada' })]);
      throw new Error('changed my mind');
    });
    await expect(giveUp).rejects.toThrow('changed my mind');
    expect(await on.count('job_states')).toBe(0);
  });

  test('a user whose first job was rolled back runs the next one', async () => {
    const ledger = on.ledger();
    await on.db
      .transaction(async (tx) => {
        await enqueueWith(tx, ledger, [request({ user: 'ada' })]);
        throw new Error('rolled back');
      })
      .catch(() => {});
    const [answer] = await enqueue(ledger, [request({ user: 'ada' })]);
    expect((await on.take()).map(({ id }) => id)).toEqual([(answer as Enqueued).id]);
  });
});

test('a job that was handed back keeps its place among equally urgent ones', async () => {
  const job = await on.running();
  const [later] = await on.add({});
  await handBack(on.ledger(), 'worker-1', [job], 'shutdown');
  expect((await on.take()).map(({ id }) => id)).toEqual([job.id, later]);
});

test('a scheduled job keeps its dependency until it starts', async () => {
  await on.add(fetchOf('AAPL'));
  const [id] = await on.add({ type: 'analysis', after: ['fetch:AAPL'], runAt: at('14:10:00') });
  on.clock.set('2026-06-02T14:10:00Z');
  await promote(on.ledger());
  expect(await on.row(id!)).toMatchObject({ state: 'blocked', blocked_on: 'dependency' });
});
