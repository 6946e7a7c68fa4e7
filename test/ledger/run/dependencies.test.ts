import { describe, expect, test } from 'vitest';
import { cancel, redrive, retry } from '../../../services/ledger/control.ts';
import { type Enqueued, enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { expire } from '../../../services/ledger/maintain/expire.ts';
import { promote } from '../../../services/ledger/maintain/promote.ts';
import { reap } from '../../../services/ledger/maintain/rescue.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete, fail } from '../../../services/ledger/run/complete.ts';
import { setJobs } from '../../support/job-rows.ts';
import { ledgerFixture, permanent, request, stoppingAtCommit, transient } from '../fixture.ts';

const on = ledgerFixture();
const fetchOf = (symbol: string): Partial<JobRequest> => ({ symbol, dedupeKey: `fetch:${symbol}` });
const analysisOf = (symbol: string, ...needs: string[]): Partial<JobRequest> => ({
  type: 'analysis',
  symbol,
  level: 2,
  dedupeKey: `analysis:${symbol}`,
  after: (needs.length === 0 ? [symbol] : needs).map((need) => `fetch:${need}`),
});

/** A fetch that runs, and the analysis that waits for it. */
async function fetchAndAnalysis() {
  const [fetch, analysis] = await on.add(fetchOf('AAPL'), analysisOf('AAPL'));
  const [job] = await on.take();
  expect(job?.id).toBe(fetch);
  return { job: job!, analysis: analysis! };
}

describe('a job that needs another', () => {
  test('is blocked, and no worker gets it', async () => {
    const { analysis } = await fetchAndAnalysis();
    expect(await on.row(analysis)).toMatchObject({ state: 'blocked', blocked_on: 'dependency' });
    expect(await on.take('worker-2')).toEqual([]);
  });

  test('is ready in the commit that completes the other, which tells so', async () => {
    const { job, analysis } = await fetchAndAnalysis();
    const { changes } = await complete(on.ledger(), 'worker-1', [{ job }]);
    expect(changes.map(({ id, state }) => [id, state])).toEqual([
      [job.id, 'completed'],
      [analysis, 'ready'],
    ]);
    expect(await on.row(analysis)).toMatchObject({ state: 'ready', blocked_on: null });
  });

  test('whose need is not live is ready at once', async () => {
    const [analysis] = await on.add(analysisOf('AAPL'));
    expect(await on.state(analysis!)).toBe('ready');
  });

  test('may stand before its need in the same call', async () => {
    const [analysis] = await on.add(analysisOf('AAPL'), fetchOf('AAPL'));
    expect(await on.state(analysis!)).toBe('blocked');
  });

  test('may need a job of an earlier call', async () => {
    const job = await on.running(fetchOf('AAPL'));
    const [analysis] = await on.add(analysisOf('AAPL'));
    await on.done(job);
    expect(await on.state(analysis!)).toBe('ready');
  });

  test('waits for all that it needs', async () => {
    await on.add(fetchOf('AAPL'), fetchOf('SPY'));
    const [analysis] = await on.add(analysisOf('AAPL', 'AAPL', 'SPY'));
    const [first, second] = await on.take();
    await on.done(first!);
    expect(await on.state(analysis!)).toBe('blocked');
    await on.done(second!);
    expect(await on.state(analysis!)).toBe('ready');
  });

  test('is ready when its last two needs end in one call', async () => {
    await on.add(fetchOf('AAPL'), fetchOf('SPY'));
    const [analysis] = await on.add(analysisOf('AAPL', 'AAPL', 'SPY'));
    await complete(
      on.ledger(),
      'worker-1',
      (await on.take()).map((job) => ({ job })),
    );
    expect(await on.state(analysis!)).toBe('ready');
  });

  test.each([true, false])(
    'is ready when its last two needs end at the same moment in two transactions (known to be needed: %s)',
    async (hasDependents) => {
      await on.add(fetchOf('AAPL'), fetchOf('SPY'));
      const [analysis] = await on.add(analysisOf('AAPL', 'AAPL', 'SPY'));
      const [first, second] = await on.take();
      const stopping = stoppingAtCommit(on.db);
      const ending = complete(on.ledger({ db: stopping.db }), 'worker-1', [{ job: { ...first!, hasDependents } }]);
      await stopping.arrived;
      const other = complete(on.ledger(), 'worker-1', [{ job: { ...second!, hasDependents } }]);
      await on.untilWaiting();
      stopping.open();
      await Promise.all([ending, other]);
      expect(await on.state(analysis!)).toBe('ready');
    },
  );

  test('is ready when its need completed with errors: what the need could get is there', async () => {
    await on.add({ ...fetchOf('AAPL'), type: 'batch_fetch' });
    const [analysis] = await on.add(analysisOf('AAPL'));
    const [job] = await on.take();
    const { changes } = await complete(on.ledger(), 'worker-1', [{ job: job!, withErrors: '1 of 2 items failed' }]);
    expect(changes.map(({ id, state }) => [id, state])).toEqual([
      [job!.id, 'completed_with_errors'],
      [analysis, 'ready'],
    ]);
    expect(await on.row(analysis!)).toMatchObject({ state: 'ready', blocked_on: null });
  });

  test('waits on while its need rests between two attempts', async () => {
    const { job, analysis } = await fetchAndAnalysis();
    await fail(on.ledger(), 'worker-1', [{ job, error: transient() }]);
    expect(await on.state(analysis)).toBe('blocked');
  });

  test('shows what it needs', async () => {
    const { job, analysis } = await fetchAndAnalysis();
    expect((await readJob(on.db, analysis))?.needs).toEqual([
      { id: job.id, type: 'fetch', symbol: 'AAPL', state: 'running', is_part: false },
    ]);
  });
});

describe('a need that will never be', () => {
  test('fails what waits for it, with the reason', async () => {
    const { job, analysis } = await fetchAndAnalysis();
    const { changes } = await fail(on.ledger(), 'worker-1', [{ job, error: permanent() }]);
    const reason = `needs job ${job.id}, which ended as failed: no source knows "XQZW"`;
    expect(changes).toMatchObject([{ id: job.id }, { id: analysis, state: 'failed', reason }]);
    expect(await on.state(analysis)).toBe('failed');
    expect(await on.reason(analysis)).toEqual({ code: 'job.dependency', reason });
  });

  test('does not stop a job of a type that can do without: it becomes ready', async () => {
    const rank = { maxAttempts: 4, backoffSeconds: [30], timeoutSeconds: 60, mayCompleteWithErrors: true, needsMayFail: true } as const;
    const ledger = on.ledger();
    const able = { ...ledger, types: { ...ledger.types, rank } };
    const fetching = request(fetchOf('TWX'));
    const ranking = request({ type: 'rank', symbol: 'TWX', dedupeKey: 'rank:TWX:entry', after: [fetching.dedupeKey as string] });
    const answers = await enqueue(able, [fetching, ranking]);
    const [, waiting] = answers.map((answer) => (answer as Enqueued).id);
    expect(await on.state(waiting!)).toBe('blocked');
    const { jobs } = await claim(able, 'worker-1', 1);
    await fail(able, 'worker-1', [{ job: jobs[0]!, error: permanent() }]);
    expect(await on.state(waiting!)).toBe('ready');
    expect(await on.reason(waiting!)).toBeUndefined();
  });

  test('being cancelled, cancels what waits for it', async () => {
    const { job, analysis } = await fetchAndAnalysis();
    await cancel(on.ledger(), job.id, 'by hand');
    expect(await on.state(analysis)).toBe('cancelled');
  });

  test('being expired, fails what waits for it', async () => {
    const [, analysis] = await on.add(fetchOf('AAPL'), { ...analysisOf('AAPL'), level: 7 });
    on.clock.advance({ seconds: 301 });
    await expire(on.ledger(), 'ready');
    expect(await on.state(analysis!)).toBe('failed');
  });

  test('being lost with its last worker, fails what waits for it', async () => {
    const { analysis } = await fetchAndAnalysis();
    await setJobs(on.db, { deaths: 9 }, "state = 'running'");
    on.clock.advance({ seconds: 61 });
    await reap(on.ledger());
    expect(await on.state(analysis)).toBe('failed');
  });

  test('ends a whole chain', async () => {
    const { job, analysis } = await fetchAndAnalysis();
    const [report] = await on.add({ type: 'analysis', after: ['analysis:AAPL'] });
    await on.broken(job);
    expect([await on.state(analysis), await on.state(report!)]).toEqual(['failed', 'failed']);
  });

  test('outweighs the needs that are met', async () => {
    await on.add(fetchOf('AAPL'), fetchOf('SPY'));
    const [analysis] = await on.add(analysisOf('AAPL', 'AAPL', 'SPY'));
    const [first, second] = await on.take();
    await on.done(first!);
    await on.broken(second!);
    expect(await on.state(analysis!)).toBe('failed');
  });

  test('fails a scheduled job too', async () => {
    const job = await on.running(fetchOf('AAPL'));
    const [analysis] = await on.add({ ...analysisOf('AAPL'), runAt: new Date('2026-06-02T15:00:00Z') });
    await on.broken(job);
    expect(await on.state(analysis!)).toBe('failed');
  });

  test('that was refused in the same call refuses what needs it', async () => {
    const queues = { ...on.ledger().queues, foreground: { maxJobs: 1, ttlSeconds: 300 } };
    const answers = await enqueue(on.ledger({ queues }), [{}, fetchOf('AAPL'), { ...analysisOf('AAPL'), level: 8 }].map(request));
    expect(answers).toMatchObject([
      { outcome: 'queued' },
      { outcome: 'refused' },
      {
        outcome: 'refused',
        code: 'queue.full',
        reason: expect.stringContaining('needs fetch:AAPL, which was refused: the queue is full: foreground'),
      },
    ]);
    expect(await on.count('job_states')).toBe(1);
  });
});

describe('a request for an analysis that is live', () => {
  test('lets a ready one wait for the new fetch', async () => {
    const [analysis] = await on.add(analysisOf('AAPL'));
    const answers = await on.ask(fetchOf('AAPL'), analysisOf('AAPL'));
    expect(answers).toMatchObject([{ outcome: 'queued' }, { outcome: 'joined', id: analysis, state: 'blocked' }]);
    const [job] = await on.take();
    await on.done(job!);
    expect(await on.state(analysis!)).toBe('ready');
  });

  test('lets a blocked one wait for the new fetch as well', async () => {
    const { job, analysis } = await fetchAndAnalysis();
    const [other] = await on.add(fetchOf('SPY'));
    await on.ask(analysisOf('AAPL', 'AAPL', 'SPY'));
    await on.done(job);
    expect(await on.state(analysis)).toBe('blocked');
    await on.done((await on.take()).find(({ id }) => id === other)!);
    expect(await on.state(analysis)).toBe('ready');
  });

  test('lets one that rests between two attempts wait for the new fetch', async () => {
    const analysis = await on.running(analysisOf('AAPL'));
    await fail(on.ledger(), 'worker-1', [{ job: analysis, error: transient() }]);
    await on.ask(fetchOf('AAPL'), analysisOf('AAPL'));
    on.clock.advance({ minutes: 2 });
    expect(await promote(on.ledger())).toMatchObject([{ id: analysis.id, state: 'blocked' }]);
    await on.done((await on.take())[0]!);
    expect(await on.state(analysis.id)).toBe('ready');
  });

  test('leaves a running one alone', async () => {
    const analysis = await on.running(analysisOf('AAPL'));
    await on.ask(fetchOf('AAPL'), analysisOf('AAPL'));
    expect(await on.state(analysis.id)).toBe('running');
    expect((await readJob(on.db, analysis.id))?.needs).toEqual([]);
  });
});

describe('started again by hand', () => {
  test('a failed fetch and the analysis that failed with it run in their order', async () => {
    const { job, analysis } = await fetchAndAnalysis();
    await on.broken(job);
    await redrive(on.ledger(), {});
    expect([await on.state(job.id), await on.state(analysis)]).toEqual(['ready', 'blocked']);
    await on.done((await on.take())[0]!);
    expect(await on.state(analysis)).toBe('ready');
  });

  test.each([true, false])(
    'an analysis whose fetch is completed at this very moment is not left waiting (known to be needed: %s)',
    async (hasDependents) => {
      const { job, analysis } = await fetchAndAnalysis();
      await cancel(on.ledger(), analysis, 'by hand');
      const stopping = stoppingAtCommit(on.db);
      const completing = complete(on.ledger({ db: stopping.db }), 'worker-1', [{ job: { ...job, hasDependents } }]);
      await stopping.arrived;
      const retrying = retry(on.ledger(), analysis);
      await on.untilWaiting();
      stopping.open();
      await Promise.all([completing, retrying]);
      expect(await on.state(analysis)).toBe('ready');
    },
  );
});

test('a job that another one comes to wait for is made ready once, when that one leaves it the slot of their user', async () => {
  const ledger = on.ledger({ slotsPerUser: 1 });
  const ask = (...some: Partial<JobRequest>[]) =>
    enqueue(
      ledger,
      some.map((one) => request({ user: 'ada', ...one })),
    );
  const [, woken, needed] = (await ask(
    { score: 0.9 },
    { score: 0.8, dedupeKey: 'fetch:A' },
    { score: 0.7, dedupeKey: 'fetch:B' },
  )) as Enqueued[] as [Enqueued, Enqueued, Enqueued];
  const { jobs } = await claim(ledger, 'worker-1', 10);
  await complete(ledger, 'worker-1', [{ job: jobs[0]! }]);
  expect([await on.state(woken.id), await on.state(needed.id)]).toEqual(['ready', 'blocked']);
  // The first of the two waits for the second now, to which the free slot goes.
  await ask({ dedupeKey: 'fetch:A', after: ['fetch:B'] });
  expect(await on.row(woken.id)).toMatchObject({ state: 'blocked', blocked_on: 'dependency' });
  expect((await claim(ledger, 'worker-1', 10)).jobs.map(({ id }) => id)).toEqual([needed.id]);
});
