import { describe, expect, test } from 'vitest';
import { cancel, redrive, retry } from '../../services/ledger/control.ts';
import { enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { idToBytes, newJobId } from '../../services/ledger/id.ts';
import { expire } from '../../services/ledger/maintain/expire.ts';
import { promote } from '../../services/ledger/maintain/promote.ts';
import { readJob } from '../../services/ledger/read/jobs.ts';
import { complete, fail } from '../../services/ledger/run/complete.ts';
import { setJobs } from '../support/job-rows.ts';
import { ledgerFixture, request, stoppingAtCommit, transient } from './fixture.ts';

const on = ledgerFixture();
const nobody = newJobId(0);

describe('cancel', () => {
  const live: [string, () => Promise<string>][] = [
    ['scheduled', async () => (await on.add({ runAt: new Date('2026-06-02T20:00:00Z') }))[0]!],
    ['ready', async () => (await on.add({}))[0]!],
    ['running', async () => (await on.running()).id],
    ['blocked', async () => (await on.add({ dedupeKey: 'fetch:AAPL' }, { after: ['fetch:AAPL'] }))[1]!],
  ];
  test.each(live)('a %s job is cancelled, with the reason', async (state, make) => {
    const id = await make();
    expect(await on.state(id)).toBe(state);
    expect(await cancel(on.ledger(), id, 'by hand')).toMatchObject([{ id, state: 'cancelled', reason: 'by hand' }]);
    expect(await on.row(id)).toMatchObject({ state: 'cancelled', blocked_on: null, ended_at: new Date('2026-06-02T14:00:00Z') });
    expect(await on.reason(id)).toEqual({ code: 'job.cancelled', reason: 'by hand' });
  });

  test('of a running job names its worker, who is to hear of it, and refuses what that one still makes', async () => {
    const job = await on.running();
    expect(await cancel(on.ledger(), job.id, 'by hand')).toMatchObject([{ worker: 'worker-1' }]);
    expect((await complete(on.ledger(), 'worker-1', [{ job }])).lost).toEqual([job]);
    expect((await readJob(on.db, job.id))?.attempts).toMatchObject([{ attempt: 1, outcome: 'cancelled' }]);
  });

  test('of a job that has ended is refused, with its state', async () => {
    const job = await on.running();
    await on.done(job);
    await expect(cancel(on.ledger(), job.id, 'by hand')).rejects.toMatchObject({
      code: 'job.ended',
      message: `job ${job.id} has ended already (completed); there is nothing to cancel`,
    });
  });

  test('of a job that is not there is refused', async () => {
    await expect(cancel(on.ledger(), nobody, 'by hand')).rejects.toMatchObject({ code: 'job.unknown' });
  });

  test('that meets the completion of the same job loses: the job is completed', async () => {
    const job = await on.running();
    const stopping = stoppingAtCommit(on.db);
    const completing = complete(on.ledger({ db: stopping.db }), 'worker-1', [{ job }]);
    await stopping.arrived;
    const cancelling = cancel(on.ledger(), job.id, 'by hand');
    await Promise.all([
      expect(cancelling).rejects.toMatchObject({ code: 'job.ended' }),
      on.untilWaiting().then(() => {
        stopping.open();
        return completing;
      }),
    ]);
    expect(await on.state(job.id)).toBe('completed');
  });
});

describe('retry', () => {
  test('starts a failed job again with a full set of attempts and no trace of the failure but its history', async () => {
    const job = await on.running();
    await on.broken(job);
    on.clock.advance({ seconds: 10 });
    expect(await retry(on.ledger(), job.id)).toMatchObject([{ id: job.id, state: 'ready', reason: 'started again by hand' }]);
    expect(await on.row(job.id)).toMatchObject({
      state: 'ready',
      attempt: 1,
      max_attempts: 5,
      worker_id: null,
      ended_at: null,
      due_at: new Date('2026-06-02T14:05:10Z'),
    });
    expect(await readJob(on.db, job.id)).toMatchObject({ code: null, attempts: [{ attempt: 1, outcome: 'failed' }] });
  });

  test('begins the backoff anew', async () => {
    const job = await on.running();
    await setJobs(on.db, { attempt: 4 });
    await fail(on.ledger(), 'worker-1', [{ job: { ...job, attempt: 4 }, error: transient() }]);
    await retry(on.ledger(), job.id);
    const [again] = await on.take();
    await fail(on.ledger(), 'worker-1', [{ job: again!, error: transient() }], () => 0.5);
    expect((await on.row(job.id)).due_at).toEqual(new Date('2026-06-02T14:00:30Z'));
  });

  test('starts a scheduled job now', async () => {
    const [id] = await on.add({ runAt: new Date('2026-06-02T20:00:00Z') });
    await retry(on.ledger(), id!);
    expect(await on.state(id!)).toBe('ready');
  });

  test.each(['completed', 'cancelled', 'expired', 'completed_with_errors'])('starts a job that ended as %s again', async (state) => {
    const [id] = await on.add({});
    await setJobs(on.db, { state: state });
    await retry(on.ledger(), id!);
    expect(await on.state(id!)).toBe('ready');
  });

  test.each(['ready', 'running', 'blocked'])('of a job that is %s is refused', async (state) => {
    const [id] = await on.add({});
    await setJobs(on.db, { state: state });
    await expect(retry(on.ledger(), id!)).rejects.toMatchObject({
      code: 'job.live',
      message: `job ${id} is ${state}: it will run without a retry`,
    });
  });

  test('of a job whose work another live one does is refused, with the key named', async () => {
    const job = await on.running({ dedupeKey: 'fetch:AAPL' });
    await on.broken(job);
    await on.add({ dedupeKey: 'fetch:AAPL' });
    await expect(retry(on.ledger(), job.id)).rejects.toMatchObject({
      code: 'job.superseded',
      message: expect.stringContaining('(fetch:AAPL)'),
    });
    expect(await on.state(job.id)).toBe('failed');
  });

  test('that races with a request for the same work is refused or joined, never both live', async () => {
    const job = await on.running({ dedupeKey: 'fetch:AAPL' });
    await on.broken(job);
    const stopping = stoppingAtCommit(on.db);

    const asking = enqueue(on.ledger({ db: stopping.db }), [request({ dedupeKey: 'fetch:AAPL' })]);
    await stopping.arrived;
    const retrying = retry(on.ledger(), job.id);
    await Promise.all([
      expect(retrying).rejects.toMatchObject({ code: 'job.superseded' }),
      on.untilWaiting().then(() => {
        stopping.open();
        return asking;
      }),
    ]);
    expect(await on.count("job_states WHERE state = 'ready'")).toBe(1);
  });
});

describe('redrive', () => {
  async function failed(...requests: Parameters<typeof on.add>): Promise<string[]> {
    const ids = await on.add(...requests);
    for (const job of await on.take('worker-1', 1000)) await on.broken(job);
    return ids;
  }

  test('starts all failed jobs again', async () => {
    const ids = await failed({}, {}, {});
    const { changes, superseded, more } = await redrive(on.ledger(), {});
    expect(changes.map(({ id, state }) => [id, state])).toEqual(ids.map((id) => [id, 'ready']));
    expect([superseded, more]).toEqual([[], false]);
  });

  test('takes those of one type or symbol when asked', async () => {
    const [, spy, analysis] = await failed({ symbol: 'AAPL' }, { symbol: 'SPY' }, { symbol: 'SPY', type: 'analysis' });
    expect((await redrive(on.ledger(), { type: 'analysis' })).changes.map(({ id }) => id)).toEqual([analysis]);
    expect((await redrive(on.ledger(), { symbol: 'SPY' })).changes.map(({ id }) => id)).toEqual([spy]);
  });

  test('takes another end state when asked', async () => {
    await failed({});
    const [expired] = await on.add({});
    on.clock.advance({ seconds: 300 });
    await expire(on.ledger(), 'ready');
    expect((await redrive(on.ledger(), { state: 'expired' })).changes.map(({ id }) => id)).toEqual([expired]);
  });

  test('leaves a job whose work another live one does, and names it', async () => {
    const [old] = await failed({ dedupeKey: 'fetch:AAPL' });
    await on.add({ dedupeKey: 'fetch:AAPL' });
    expect(await redrive(on.ledger(), {})).toEqual({ changes: [], superseded: [old], more: false });
    expect(await on.state(old!)).toBe('failed');
  });

  test('of two failed jobs of one key starts the one that ended first', async () => {
    const [first] = await failed({ dedupeKey: 'fetch:AAPL' });
    on.clock.advance({ seconds: 1 });
    const [second] = await failed({ dedupeKey: 'fetch:AAPL' });
    const { changes, superseded } = await redrive(on.ledger(), {});
    expect([changes.map(({ id }) => id), superseded]).toEqual([[first], [second]]);
  });

  test('reaches the jobs behind 600 that are superseded', async () => {
    await on.add(...Array.from({ length: 600 }, (_, index) => ({ dedupeKey: `fetch:${index}` })));
    await setJobs(on.db, { state: 'failed' });
    await on.add(...Array.from({ length: 600 }, (_, index) => ({ dedupeKey: `fetch:${index}` })));
    on.clock.advance({ seconds: 1 });
    const [behind] = await on.add({});
    await setJobs(on.db, { state: 'failed', due_at: new Date('2026-06-03T00:00:00Z') }, 'id = ?', [idToBytes(behind!)]);
    const started: string[] = [];
    for (let more = true; more; ) {
      const round = await redrive(on.ledger(), {});
      started.push(...round.changes.map(({ id }) => id));
      more = round.more;
    }
    expect(started).toEqual([behind]);
  });

  test('goes on in batches of 500 until nothing is left', async () => {
    await on.add(...Array.from({ length: 1100 }, () => ({})));
    await setJobs(on.db, { state: 'failed' });
    const sizes: number[] = [];
    for (let more = true; more; ) {
      const round = await redrive(on.ledger(), {});
      sizes.push(round.changes.length);
      more = round.more;
    }
    expect(sizes).toEqual([500, 500, 100]);
  });

  test('of a job that failed while it was scheduled again is not hindered by its own key', async () => {
    const job = await on.running({ dedupeKey: 'fetch:AAPL' });
    await fail(on.ledger(), 'worker-1', [{ job, error: transient() }]);
    on.clock.advance({ minutes: 1 });
    await promote(on.ledger());
    await on.broken((await on.take())[0]!);
    expect((await redrive(on.ledger(), {})).changes).toHaveLength(1);
  });
});
