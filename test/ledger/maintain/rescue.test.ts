import { describe, expect, test } from 'vitest';
import { cancel } from '../../../services/ledger/control.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { reap, rescue } from '../../../services/ledger/maintain/rescue.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import { heartbeat } from '../../../services/ledger/run/heartbeat.ts';
import { ledgerFixture } from '../fixture.ts';

const on = ledgerFixture();

describe('heartbeat', () => {
  test('renews the lease from now', async () => {
    const job = await on.running();
    on.clock.advance({ seconds: 20 });
    expect(await heartbeat(on.ledger(), 'worker-1', [job])).toEqual([]);
    expect((await on.row(job.id)).due_at).toEqual(new Date('2026-06-02T14:01:20Z'));
  });

  test('of a worker without jobs asks nothing', async () => {
    expect(await heartbeat(on.ledger(), 'worker-1', [])).toEqual([]);
  });

  test('names the jobs that were cancelled, and renews the others', async () => {
    await on.add({}, {});
    const [kept, cancelled] = await on.take();
    await cancel(on.ledger(), cancelled!.id, 'by hand');
    on.clock.advance({ seconds: 20 });
    expect(await heartbeat(on.ledger(), 'worker-1', [kept!, cancelled!])).toEqual([cancelled]);
    expect((await on.row(kept!.id)).due_at).toEqual(new Date('2026-06-02T14:01:20Z'));
  });

  test.each(['worker-2', 'worker-1'])('of an attempt that lost its job to %s names it and does not renew the new lease', async (by) => {
    const old = await on.running();
    on.clock.advance({ seconds: 61 });
    await reap(on.ledger());
    await on.take(by);
    const { due_at: lease } = await on.row(old.id);
    on.clock.advance({ seconds: 20 });
    expect(await heartbeat(on.ledger(), 'worker-1', [old])).toEqual([old]);
    expect((await on.row(old.id)).due_at).toEqual(lease);
  });
});

describe('the reaper', () => {
  test('leaves a job whose lease holds', async () => {
    const job = await on.running();
    on.clock.advance({ seconds: 60 });
    expect(await reap(on.ledger())).toEqual([]);
    expect(await on.state(job.id)).toBe('running');
  });

  test('makes a job whose lease has run out ready, with a new time to live', async () => {
    const job = await on.running();
    on.clock.advance({ seconds: 61 });
    expect(await reap(on.ledger())).toMatchObject([
      { id: job.id, state: 'ready', attempt: 1, reason: 'worker worker-1 did not renew its lease' },
    ]);
    expect(await on.row(job.id)).toMatchObject({ state: 'ready', worker_id: null, due_at: new Date('2026-06-02T14:06:01Z') });
  });

  test('uses up no attempt: as many failures are left as before', async () => {
    const job = await on.running();
    on.clock.advance({ seconds: 61 });
    await reap(on.ledger());
    const [again] = await on.take();
    expect(again!.maxAttempts - again!.attempt).toBe(job.maxAttempts - job.attempt);
  });

  test('keeps the lost attempt in the history', async () => {
    const job = await on.running();
    on.clock.advance({ seconds: 61 });
    await reap(on.ledger());
    expect((await readJob(on.db, job.id))?.attempts).toMatchObject([
      { attempt: 1, outcome: 'lease_lost', code: 'job.lease_lost', worker: 'worker-1' },
    ]);
  });

  test('takes the longest dead first, at most 500 a call', async () => {
    await on.add(...Array.from({ length: 501 }, () => ({})));
    await on.take('worker-1', 501);
    on.clock.advance({ seconds: 61 });
    expect(await reap(on.ledger())).toHaveLength(500);
    expect(await reap(on.ledger())).toHaveLength(1);
  });

  test('two at once take each job back once', async () => {
    await on.add(...Array.from({ length: 50 }, () => ({})));
    await on.take('worker-1', 50);
    on.clock.advance({ seconds: 61 });
    const changes = (await Promise.all([reap(on.ledger()), reap(on.ledger()), reap(on.ledger())])).flat();
    expect(new Set(changes.map(({ id }) => id)).size).toBe(changes.length);
    await reap(on.ledger());
    expect(await on.count("job_states WHERE state = 'ready'")).toBe(50);
    expect(await on.count('job_attempts')).toBe(50);
  });
});

describe('the rescue of a worker', () => {
  test('ends its leases at once, with the reason', async () => {
    const job = await on.running();
    expect(await rescue(on.ledger(), 'worker-1', 'worker-1 went offline')).toMatchObject({
      changes: [{ id: job.id, state: 'ready', reason: 'worker-1 went offline' }],
      left: 0,
    });
  });

  test('leaves the jobs of other workers', async () => {
    const job = await on.running({}, 'worker-2');
    await rescue(on.ledger(), 'worker-1', 'offline');
    expect(await on.state(job.id)).toBe('running');
  });

  test('takes back all of them, however many', async () => {
    await on.add(...Array.from({ length: 501 }, () => ({})));
    await on.take('worker-1', 501);
    expect((await rescue(on.ledger(), 'worker-1', 'offline')).changes).toHaveLength(501);
  });

  test('skips rows that another transaction has locked, says how many, and takes them when it is asked again', async () => {
    await on.add({}, {}, {});
    const [first, locked, last] = await on.take();
    await on.db.transaction(async (tx) => {
      await tx.rows('SELECT id FROM job_states WHERE id = ? FOR UPDATE', [idToBytes(locked!.id)]);
      const { changes, left } = await rescue(on.ledger(), 'worker-1', 'offline');
      expect({ ids: changes.map(({ id }) => id), left }).toEqual({ ids: [first!.id, last!.id], left: 1 });
    });
    expect(await rescue(on.ledger(), 'worker-1', 'offline')).toMatchObject({ changes: [{ id: locked!.id, state: 'ready' }], left: 0 });
  });

  test('takes what began until the death, not what the next process under the same name has claimed', async () => {
    const earlier = await on.running();
    const death = new Date(on.clock.now().epochMilliseconds);
    on.clock.advance({ seconds: 1 });
    const later = await on.running();
    const { changes, left } = await rescue(on.ledger(), 'worker-1', 'offline', death);
    expect({ ids: changes.map(({ id }) => id), left }).toEqual({ ids: [earlier.id], left: 0 });
    expect(await on.state(later.id)).toBe('running');
  });

  test('of a worker that lives after all does no harm: its job is claimed anew, its own result refused', async () => {
    const job = await on.running();
    await rescue(on.ledger(), 'worker-1', 'a false alarm');
    const [again] = await on.take('worker-2');
    expect(again).toMatchObject({ id: job.id, attempt: 2 });
    expect(await heartbeat(on.ledger(), 'worker-1', [job])).toEqual([job]);
  });
});
