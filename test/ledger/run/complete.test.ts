import { describe, expect, test } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { promote } from '../../../services/ledger/maintain/promote.ts';
import { reap } from '../../../services/ledger/maintain/rescue.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import type { ClaimedJob } from '../../../services/ledger/run/claim.ts';
import { commitPart, complete, fail, handBack, postpone } from '../../../services/ledger/run/complete.ts';
import type { Transaction } from '../../../services/platform/database/database.ts';
import { ConfigError } from '../../../services/platform/errors.ts';
import { setJobs } from '../../support/job-rows.ts';
import { ledgerFixture, permanent, START, transient } from '../fixture.ts';

const on = ledgerFixture();

/** Anything that a handler could write in the job's own transaction. */
const mark = (key: string) => (tx: Transaction) =>
  tx.run("INSERT INTO dedupe_windows (dedupe_key, job_id, until) VALUES (?, 'x', NOW())", [key]).then(() => {});
const isMarked = async (key: string): Promise<boolean> => (await on.count('dedupe_windows WHERE dedupe_key = ?', [key])) === 1;

/** A job whose lease ran out and that the same worker, or another, has claimed again: both attempts. */
async function lostAndReclaimed(by: string): Promise<[ClaimedJob, ClaimedJob]> {
  const old = await on.running();
  on.clock.advance({ seconds: 61 });
  await reap(on.ledger());
  const [current] = await on.take(by);
  return [old, current as ClaimedJob];
}

describe('complete', () => {
  test('a running job becomes completed at that time', async () => {
    const job = await on.running();
    on.clock.advance({ seconds: 7 });
    const { changes, lost } = await complete(on.ledger(), 'worker-1', [{ job }]);
    expect(await on.row(job.id)).toMatchObject({ state: 'completed', ended_at: new Date('2026-06-02T14:00:07Z') });
    expect(changes).toMatchObject([{ id: job.id, type: 'fetch', symbol: 'AAPL', state: 'completed', attempt: 1, worker: 'worker-1' }]);
    expect(lost).toEqual([]);
  });

  test('the result is kept with the job', async () => {
    const job = await on.running();
    await complete(on.ledger(), 'worker-1', [{ job, result: { bars: 250 } }]);
    expect((await readJob(on.db, job.id))?.result).toEqual({ bars: 250 });
  });

  test('the effects are committed with the completion', async () => {
    const job = await on.running();
    await complete(on.ledger(), 'worker-1', [{ job }], mark('effect'));
    expect(await isMarked('effect')).toBe(true);
  });

  test('effects that cannot be written leave the job running and nothing behind', async () => {
    const job = await on.running();
    const broken = async (tx: Transaction): Promise<void> => {
      await mark('effect')(tx);
      throw new Error('the disk is full');
    };
    await expect(complete(on.ledger(), 'worker-1', [{ job }], broken)).rejects.toThrow('the disk is full');
    expect(await on.state(job.id)).toBe('running');
    expect(await isMarked('effect')).toBe(false);
  });

  test('many jobs end in one call, and those that are lost do not hold up the others', async () => {
    await on.add({}, {}, {});
    const jobs = await on.take();
    const stale = { ...(jobs[1] as ClaimedJob), attempt: 7 };
    const { lost } = await complete(on.ledger(), 'worker-1', [{ job: jobs[0]! }, { job: stale }, { job: jobs[2]! }]);
    expect(lost).toEqual([stale]);
    expect(await Promise.all(jobs.map(({ id }) => on.state(id)))).toEqual(['completed', 'running', 'completed']);
  });

  test('with errors, where the type allows it, the reason stands beside the result', async () => {
    const job = await on.running({ type: 'batch_fetch' });
    const { changes } = await complete(on.ledger(), 'worker-1', [{ job, result: { done: 1 }, withErrors: '1 of 2 symbols failed' }]);
    expect(changes).toMatchObject([{ code: 'job.items_failed', reason: '1 of 2 symbols failed' }]);
    expect(await readJob(on.db, job.id)).toMatchObject({
      state: 'completed_with_errors',
      code: 'job.items_failed',
      reason: '1 of 2 symbols failed',
      result: { done: 1 },
    });
  });

  test('with errors, where the type does not allow it, is refused', async () => {
    const job = await on.running({ type: 'fetch' });
    await expect(complete(on.ledger(), 'worker-1', [{ job, withErrors: '1 of 2 symbols failed' }])).rejects.toMatchObject({
      code: 'job.items_failed',
    });
    expect(await on.state(job.id)).toBe('running');
  });
});

test('a call about no jobs does nothing', async () => {
  const nothing = { changes: [], lost: [] };
  expect(await complete(on.ledger(), 'worker-1', [])).toEqual(nothing);
  expect(await fail(on.ledger(), 'worker-1', [])).toEqual(nothing);
  expect(await handBack(on.ledger(), 'worker-1', [], 'shutdown')).toEqual(nothing);
});

describe('fencing', () => {
  test.each(['worker-2', 'worker-1'])(
    'the completion of an attempt that lost its job to %s is refused, and so are its effects',
    async (by) => {
      const [old] = await lostAndReclaimed(by);
      const finished = await complete(on.ledger(), 'worker-1', [{ job: old }], mark('stale'));
      expect(finished).toEqual({ changes: [], lost: [old] });
      expect(await on.state(old.id)).toBe('running');
      expect(await isMarked('stale')).toBe(false);
    },
  );

  test('of two attempts at one job that the same worker completes in one call, only the newer one and its effects count', async () => {
    const [old, current] = await lostAndReclaimed('worker-1');
    let owned: unknown[] = [];
    const { lost } = await complete(on.ledger(), 'worker-1', [{ job: old }, { job: current }], async (_, mine) => {
      owned = mine.map(({ job }) => job);
    });
    expect(owned).toEqual([current]);
    expect(lost).toEqual([old]);
  });

  test.each(['worker-2', 'worker-1'])('the failure of an attempt that lost its job to %s is refused', async (by) => {
    const [old] = await lostAndReclaimed(by);
    expect(await fail(on.ledger(), 'worker-1', [{ job: old, error: permanent() }])).toEqual({ changes: [], lost: [old] });
    expect(await on.state(old.id)).toBe('running');
  });

  test.each(['worker-2', 'worker-1'])('the part of an attempt that lost its job to %s is refused', async (by) => {
    const [old] = await lostAndReclaimed(by);
    expect(await commitPart(on.ledger(), 'worker-1', old, mark('stale'))).toBe(false);
    expect(await isMarked('stale')).toBe(false);
  });

  test.each(['worker-2', 'worker-1'])('an attempt that lost its job to %s cannot hand it back', async (by) => {
    const [old] = await lostAndReclaimed(by);
    expect(await handBack(on.ledger(), 'worker-1', [old], 'shutdown')).toEqual({ changes: [], lost: [old] });
    expect(await on.state(old.id)).toBe('running');
  });

  test('a worker cannot complete what another one runs, even if it knows the attempt', async () => {
    const job = await on.running({}, 'worker-2');
    expect((await complete(on.ledger(), 'worker-1', [{ job }])).lost).toEqual([job]);
    expect(await on.state(job.id)).toBe('running');
  });

  test('an attempt ends once: the second completion of the same one is refused', async () => {
    const job = await on.running();
    await on.done(job);
    expect((await complete(on.ledger(), 'worker-1', [{ job }], mark('twice'))).lost).toEqual([job]);
    expect(await isMarked('twice')).toBe(false);
  });

  test('a part of a job that is still owned is committed, and the job runs on', async () => {
    const job = await on.running();
    expect(await commitPart(on.ledger(), 'worker-1', job, mark('part'))).toBe(true);
    expect(await isMarked('part')).toBe(true);
    expect(await on.state(job.id)).toBe('running');
  });
});

describe('fail', () => {
  test('a permanent error fails the job at its first attempt, with the text that names the value', async () => {
    const job = await on.running();
    const { changes } = await fail(on.ledger(), 'worker-1', [{ job, error: permanent() }]);
    expect(await on.state(job.id)).toBe('failed');
    expect(await on.reason(job.id)).toEqual({ code: 'symbol.unknown', reason: 'no source knows "XQZW"' });
    expect(changes).toMatchObject([{ state: 'failed', reason: 'no source knows "XQZW"' }]);
  });

  test.each([
    ['a transient error', transient()],
    ['an error of an unknown kind', new TypeError('x is not a function')],
    ['a wrong configuration of this one worker', new ConfigError('config.missing', 'no key')],
  ])('%s is tried again', async (_, error) => {
    const job = await on.running();
    await fail(on.ledger(), 'worker-1', [{ job, error }]);
    expect(await on.row(job.id)).toMatchObject({ state: 'scheduled', worker_id: null, attempt: 1 });
  });

  describe('what a failure leaves', () => {
    const final = (failures: readonly { job: { id: string } }[]): string[] => failures.map(({ job }) => job.id);

    test('is written with the end of the job, in one transaction', async () => {
      const job = await on.running();
      await fail(on.ledger(), 'worker-1', [{ job, error: permanent() }], Math.random, async (tx, ended) => {
        expect(final(ended)).toEqual([job.id]);
        await mark('unknown')(tx);
      });
      expect([await on.state(job.id), await isMarked('unknown')]).toEqual(['failed', true]);
    });

    test('that cannot be written leaves the job running: neither is there without the other', async () => {
      const job = await on.running();
      const store = async (tx: Transaction): Promise<void> => {
        await mark('unknown')(tx);
        throw new Error('the row does not fit');
      };
      await expect(fail(on.ledger(), 'worker-1', [{ job, error: permanent() }], Math.random, store)).rejects.toThrow('does not fit');
      expect([await on.state(job.id), await isMarked('unknown')]).toEqual(['running', false]);
    });

    test('is not written while attempts are left', async () => {
      const job = await on.running();
      const ended: string[] = [];
      await fail(
        on.ledger(),
        'worker-1',
        [{ job, error: transient() }],
        Math.random,
        async (_, failures) => void ended.push(...final(failures)),
      );
      expect(ended).toEqual([]);
    });

    test('is not written by an attempt that has lost its lease', async () => {
      const [old] = await lostAndReclaimed('worker-1');
      const ended: string[] = [];
      await fail(
        on.ledger(),
        'worker-1',
        [{ job: old, error: permanent() }],
        Math.random,
        async (_, failures) => void ended.push(...final(failures)),
      );
      expect(ended).toEqual([]);
    });
  });

  // The configuration's backoff list for fetches, ± 20 %.
  test.each([
    [1, 0, 24],
    [1, 0.5, 30],
    [1, 0.999999, 36],
    [2, 0, 96],
    [2, 0.999999, 144],
    [3, 0.5, 300],
  ])('attempt %i waits, at the draw %d, for %d s', async (attempt, draw, seconds) => {
    let job = await on.running();
    for (let earlier = 1; earlier < attempt; earlier++) {
      await fail(on.ledger(), 'worker-1', [{ job, error: transient() }]);
      on.clock.advance({ seconds: 400 });
      await promote(on.ledger());
      job = (await on.take())[0]!;
    }
    const before = on.clock.now().epochMilliseconds;
    await fail(on.ledger(), 'worker-1', [{ job, error: transient() }], () => draw);
    expect(((await on.row(job.id)).due_at.getTime() - before) / 1000).toBeCloseTo(seconds, 2);
  });

  test('the last entry of the backoff list repeats', async () => {
    const rules = { ...on.ledger().types.fetch!, maxAttempts: 9, backoffSeconds: [1, 2] };
    const ledger = on.ledger({ types: { fetch: rules } });
    const job = { ...(await on.running()), maxAttempts: 9 };
    await setJobs(on.db, { attempt: 5, max_attempts: 9 });
    await fail(ledger, 'worker-1', [{ job: { ...job, attempt: 5 }, error: transient() }], () => 0.5);
    expect((await on.row(job.id)).due_at).toEqual(new Date('2026-06-02T14:00:02Z'));
  });

  test("the source's own wish counts when it is later than the backoff", async () => {
    const job = await on.running();
    await fail(on.ledger(), 'worker-1', [{ job, error: transient({ retryAfterMs: 90_000 }) }]);
    expect((await on.row(job.id)).due_at).toEqual(new Date('2026-06-02T14:01:30Z'));
  });

  test("the source's own wish does not make the wait shorter", async () => {
    const job = await on.running();
    await fail(on.ledger(), 'worker-1', [{ job, error: transient({ retryAfterMs: 1_000 }) }], () => 0.5);
    expect((await on.row(job.id)).due_at).toEqual(new Date('2026-06-02T14:00:30Z'));
  });

  test('the last attempt fails the job with the reason and the number of attempts', async () => {
    const job = await on.running();
    await setJobs(on.db, { attempt: 4 });
    await fail(on.ledger(), 'worker-1', [{ job: { ...job, attempt: 4 }, error: transient() }]);
    expect(await on.state(job.id)).toBe('failed');
    expect(await on.reason(job.id)).toEqual({ code: 'source.busy', reason: 'the source answered 429 (attempt 4 of 4)' });
  });

  test('each attempt that did not complete is kept with its worker, times and reason', async () => {
    const job = await on.running();
    on.clock.advance({ seconds: 5 });
    await fail(on.ledger(), 'worker-1', [{ job, error: transient() }]);
    const { attempts } = (await readJob(on.db, job.id))!;
    expect(attempts).toEqual([
      {
        attempt: 1,
        worker: 'worker-1',
        started_at: new Date(START),
        ended_at: new Date('2026-06-02T14:00:05Z'),
        outcome: 'retried',
        code: 'source.busy',
        reason: 'the source answered 429',
      },
    ]);
  });

  test('a reason longer than its column is cut, not refused', async () => {
    const job = await on.running();
    await fail(on.ledger(), 'worker-1', [{ job, error: new Error('😀'.repeat(3000)) }]);
    await setJobs(on.db, { attempt: 4, state: 'running', worker_id: 'worker-1' });
    await fail(on.ledger(), 'worker-1', [{ job: { ...job, attempt: 4 }, error: new Error('x'.repeat(3000)) }]);
    expect((await on.reason(job.id))?.reason).toHaveLength(2000);
  });

  test('failures and retries of one call each go their way', async () => {
    await on.add({}, {});
    const [first, second] = await on.take();
    await fail(on.ledger(), 'worker-1', [
      { job: first!, error: permanent() },
      { job: second!, error: transient() },
    ]);
    expect([await on.state(first!.id), await on.state(second!.id)]).toEqual(['failed', 'scheduled']);
  });
});

describe('handing back', () => {
  test('makes the job ready at once', async () => {
    const job = await on.running();
    const { changes } = await handBack(on.ledger(), 'worker-1', [job], 'the worker shuts down');
    expect(await on.row(job.id)).toMatchObject({ state: 'ready', worker_id: null });
    expect(changes).toMatchObject([{ state: 'ready', reason: 'the worker shuts down' }]);
  });

  test('uses up no attempt: as many failures are left as before', async () => {
    let job = await on.running();
    for (let shutdown = 0; shutdown < 5; shutdown++) {
      await handBack(on.ledger(), 'worker-1', [job], 'shutdown');
      job = (await on.take())[0]!;
    }
    expect(job.maxAttempts - job.attempt).toBe(3);
  });

  test('does not lengthen the backoff of the next failure', async () => {
    await handBack(on.ledger(), 'worker-1', [await on.running()], 'shutdown');
    const [job] = await on.take();
    await fail(on.ledger(), 'worker-1', [{ job: job!, error: transient() }], () => 0.5);
    expect((await on.row(job!.id)).due_at).toEqual(new Date('2026-06-02T14:00:30Z'));
  });
});

describe('handing back after an outage', () => {
  const outage = { code: 'database.unavailable', reason: 'the database cannot be reached' };

  test('makes the job ready at once the first time', async () => {
    const job = await on.running();
    const { changes } = await postpone(on.ledger(), 'worker-1', [job], outage);
    expect(changes).toMatchObject([{ id: job.id, state: 'ready', reason: outage.reason }]);
    expect(await on.row(job.id)).toMatchObject({ state: 'ready', worker_id: null });
  });

  test('waits 1, 2, 4, … at most 60 s from the second time on, and uses up no attempt', async () => {
    const waits: number[] = [];
    let job = await on.running();
    for (let times = 0; times < 9; times++) {
      const before = on.clock.now().epochMilliseconds;
      await postpone(on.ledger(), 'worker-1', [job], outage, () => 0.5);
      const { state, due_at } = await on.row(job.id);
      const seconds = state === 'ready' ? 0 : (due_at.getTime() - before) / 1000;
      waits.push(seconds);
      on.clock.advance({ milliseconds: seconds * 1000 });
      await promote(on.ledger());
      job = (await on.take())[0]!;
    }
    expect(waits).toEqual([0, 1, 2, 4, 8, 16, 32, 60, 60]);
    expect(job.maxAttempts - job.attempt).toBe(3);
  });

  test('says when the job is tried again, and frees the slot of its user meanwhile', async () => {
    await postpone(on.ledger(), 'worker-1', [await on.running({ user: 'ada' })], outage);
    const [job] = await on.take();
    const { changes } = await postpone(on.ledger(), 'worker-1', [job!], outage, () => 0.5);
    expect(changes).toMatchObject([
      { state: 'scheduled', reason: 'the database cannot be reached; tried again at 2026-06-02T14:00:01.000Z' },
    ]);
    expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(0);
  });

  test('counts neither shutdowns nor what was five minutes ago', async () => {
    await handBack(on.ledger(), 'worker-1', [await on.running()], 'shutdown');
    const [job] = await on.take();
    await postpone(on.ledger(), 'worker-1', [job!], outage);
    on.clock.advance({ seconds: 301 });
    const [again] = await on.take();
    expect((await postpone(on.ledger(), 'worker-1', [again!], outage)).changes).toMatchObject([{ state: 'ready' }]);
  });
});

test('a job that somebody holds locked is waited for, not given up', async () => {
  const job = await on.running();
  let completing: ReturnType<typeof complete> | undefined;
  await on.db.transaction(async (tx) => {
    await tx.rows('SELECT id FROM job_states WHERE id = ? FOR UPDATE', [idToBytes(job.id)]);
    completing = complete(on.ledger(), 'worker-1', [{ job }]);
  });
  expect((await completing)?.lost).toEqual([]);
});
