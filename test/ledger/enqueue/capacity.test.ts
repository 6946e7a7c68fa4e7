import { describe, expect, test } from 'vitest';
import { type EnqueueAnswer, enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import type { Ledger } from '../../../services/ledger/job.ts';
import { ledgerFixture, request, stoppingAtCommit } from '../fixture.ts';

const on = ledgerFixture();
const limited = (foreground: number, fetch = 100, analysis = 100): Ledger =>
  on.ledger({
    queues: {
      foreground: { maxJobs: foreground, ttlSeconds: 300 },
      background_fetch: { maxJobs: fetch, ttlSeconds: 3600 },
      background_analysis: { maxJobs: analysis, ttlSeconds: 7200 },
    },
  });
const ask = (ledger: Ledger, ...requests: Partial<JobRequest>[]): Promise<EnqueueAnswer[]> => enqueue(ledger, requests.map(request));
const outcomes = (answers: readonly EnqueueAnswer[]): string[] =>
  answers.map((answer) => (answer.outcome === 'refused' ? 'refused' : answer.queue));

describe('a full queue', () => {
  test('refuses what does not fit, with the limit and its key named', async () => {
    const answers = await ask(limited(2), {}, {}, {});
    expect(outcomes(answers)).toEqual(['foreground', 'foreground', 'refused']);
    expect(answers[2]).toEqual({
      outcome: 'refused',
      code: 'queue.full',
      reason: 'the queue is full: foreground holds 2 jobs (queue.priority_queues.foreground.max_jobs); try again later, or raise the limit',
    });
  });

  test("sends a login's jobs to the next queue down, and says so", async () => {
    const answers = await ask(limited(1), {}, { whenFull: 'next_queue', score: 0.7 });
    expect(outcomes(answers)).toEqual(['foreground', 'background_fetch']);
    expect(answers[1]).toMatchObject({ level: 4, demoted: true });
    expect(await on.count("job_states WHERE queue = 'background_fetch' AND priority DIV 10000 = 4")).toBe(1);
  });

  test('sends them two queues down when that one is full, too', async () => {
    expect(outcomes(await ask(limited(1, 1), {}, { level: 4 }, { whenFull: 'next_queue' }))).toEqual([
      'foreground',
      'background_fetch',
      'background_analysis',
    ]);
  });

  test("refuses a login's job when all three are full, with all limits named", async () => {
    const ledger = limited(1, 1, 1);
    await ask(ledger, {}, { level: 4 }, { level: 7 });
    expect(await ask(ledger, { whenFull: 'next_queue' })).toMatchObject([
      { outcome: 'refused', reason: expect.stringMatching(/foreground holds 1 .*background_fetch holds 1 .*background_analysis holds 1/) },
    ]);
  });

  test("keeps room for logins in foreground, whose jobs are neither refused nor sent down while others' are", async () => {
    const ledger = { ...limited(10), loginReserve: 0.2 };
    const login = { triggeredBy: 'user_login', whenFull: 'next_queue' } as const;
    const asked = await ask(ledger, ...Array.from({ length: 11 }, () => ({})));
    expect(outcomes(asked)).toEqual([...Array.from({ length: 10 }, () => 'foreground'), 'refused']);
    expect(outcomes(await ask(ledger, {}, login, {}, login, login))).toEqual([
      'refused',
      'foreground',
      'refused',
      'foreground',
      'background_fetch',
    ]);
  });

  test('keeps room in foreground alone', async () => {
    const ledger = { ...limited(10, 2), loginReserve: 0.5 };
    const login = { level: 4, triggeredBy: 'user_login' };
    expect(outcomes(await ask(ledger, login, login, login))).toEqual(['background_fetch', 'background_fetch', 'refused']);
  });

  test('has room again when a job was claimed', async () => {
    const ledger = limited(1);
    await ask(ledger, {});
    await on.take('worker-1', 1);
    expect(outcomes(await ask(ledger, {}))).toEqual(['foreground']);
  });

  test.each([
    ['scheduled', { runAt: new Date('2026-06-02T20:00:00Z') }],
    ['ready', {}],
    ['blocked', { after: ['fetch:SPY'] }],
  ])('counts its %s jobs', async (_, waiting) => {
    await on.add({ level: 5, dedupeKey: 'fetch:SPY' });
    expect(outcomes(await ask(limited(1), waiting, {}))).toEqual(['foreground', 'refused']);
  });

  test.each([
    ['scheduled', { runAt: new Date('2026-06-02T20:00:00Z') }],
    ['ready', {}],
    ['blocked', { after: ['fetch:SPY'] }],
  ])('counts the %s jobs of earlier calls', async (_, waiting) => {
    await on.add({ level: 5, dedupeKey: 'fetch:SPY' });
    await ask(limited(1), waiting);
    expect(outcomes(await ask(limited(1), {}))).toEqual(['refused']);
  });

  test('refuses what needs a refused job, and what needs that, each with the need named', async () => {
    const answers = await ask(
      limited(1),
      {},
      { dedupeKey: 'a' },
      { dedupeKey: 'b', level: 4, after: ['a'] },
      { dedupeKey: 'c', level: 7, after: ['b'] },
    );
    expect(answers).toMatchObject([
      { outcome: 'queued' },
      { reason: expect.stringMatching(/^the queue is full: foreground/) },
      { reason: expect.stringMatching(/^needs a, which was refused: the queue is full: foreground/) },
      { reason: expect.stringMatching(/^needs b, which was refused: needs a, which was refused/) },
    ]);
    expect(await on.count('job_states')).toBe(1);
  });

  test('lets a request join a job that is in it', async () => {
    const ledger = limited(1);
    await ask(ledger, { dedupeKey: 'fetch:AAPL' });
    expect(await ask(ledger, { dedupeKey: 'fetch:AAPL' })).toMatchObject([{ outcome: 'joined' }]);
  });

  test('keeps out jobs that would be raised into it: they go to the top of their own queue', async () => {
    const ledger = limited(1);
    await ask(ledger, {}, { level: 9, dedupeKey: 'fetch:AAPL' });
    expect(await ask(ledger, { level: 1, score: 1, dedupeKey: 'fetch:AAPL' })).toMatchObject([
      { outcome: 'joined', queue: 'background_analysis', level: 7, score: 1, demoted: true },
    ]);
  });

  test('lets a login raise a job as far up as there is room', async () => {
    const ledger = limited(1);
    await ask(ledger, {}, { level: 9, dedupeKey: 'fetch:AAPL' });
    expect(await ask(ledger, { level: 1, dedupeKey: 'fetch:AAPL', whenFull: 'next_queue' })).toMatchObject([
      { outcome: 'joined', queue: 'background_fetch', level: 4, demoted: true },
    ]);
  });
});

describe('the count', () => {
  test('sees the jobs of an enqueuer that is about to commit', async () => {
    const stopping = stoppingAtCommit(on.db);
    const ledger = limited(1);
    const first = ask({ ...ledger, db: stopping.db }, {});
    await stopping.arrived;
    const second = ask(ledger, {});
    await on.untilWaiting();
    stopping.open();
    expect([...outcomes(await first), ...outcomes(await second)]).toEqual(['foreground', 'refused']);
  });

  test('is exact with eight processes that enqueue at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const ledger = limited(100, 50);
        const all: EnqueueAnswer[] = [];
        for (let call = 0; call < 10; call++)
          all.push(...(await ask(ledger, ...Array.from({ length: 5 }, () => ({ whenFull: 'next_queue' as const, level: 2 })))));
        return all;
      }),
    );
    const counts = Object.groupBy(answers.flat(), (answer) => outcomes([answer])[0]!);
    expect([
      counts.foreground?.length,
      counts.background_fetch?.length,
      counts.background_analysis?.length,
      counts.refused?.length,
    ]).toEqual([100, 50, 100, 150]);
    expect(await on.count("job_states WHERE queue = 'foreground'")).toBe(100);
  });

  test('is exact at a large limit, too, where it is mostly an estimate', async () => {
    await Promise.all(Array.from({ length: 10 }, () => ask(limited(6000), ...Array.from({ length: 1000 }, () => ({})))));
    expect(await on.count("job_states WHERE queue = 'foreground'")).toBe(6000);
  });

  test('of two queues at once is taken in the same order by everybody: nobody waits crosswise', async () => {
    const before = new Map(on.db.retries);
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        ask(limited(50), ...(index % 2 === 0 ? [{ level: 1 }, { level: 5 }] : [{ level: 5 }, { level: 1 }])),
      ),
    );
    expect(on.db.retries).toEqual(before);
  });
});
