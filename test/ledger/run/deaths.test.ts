import { expect, test } from 'vitest';
import { retry } from '../../../services/ledger/control.ts';
import { promote } from '../../../services/ledger/maintain/promote.ts';
import { reap, rescue } from '../../../services/ledger/maintain/rescue.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import type { ClaimedJob } from '../../../services/ledger/run/claim.ts';
import { fail } from '../../../services/ledger/run/complete.ts';
import { crash } from '../../../services/ledger/run/deaths.ts';
import { setJobs } from '../../support/job-rows.ts';
import { ledgerFixture, transient } from '../fixture.ts';

const on = ledgerFixture();

/** Lets the time pass that the job waits for, and claims it. */
async function next(id: string): Promise<ClaimedJob | undefined> {
  const { state, due_at } = await on.row(id);
  if (state === 'scheduled') {
    on.clock.set(due_at.toISOString());
    await promote(on.ledger());
  }
  return (await on.take()).find((job) => job.id === id);
}

test('a job whose worker dies again and again waits longer each time, and fails at the tenth death with the reason', async () => {
  const job = await on.running();
  const waits: number[] = [];
  for (let death = 1; ; death++) {
    const before = on.clock.now().epochMilliseconds;
    const { changes } = await rescue(on.ledger(), 'worker-1', 'worker worker-1 went offline');
    expect(changes[0]?.code).toBe(death === 10 ? 'job.worker_died' : undefined);
    const { state, due_at } = await on.row(job.id);
    if (state === 'failed') {
      expect(death).toBe(10);
      break;
    }
    waits.push(state === 'ready' ? 0 : (due_at.getTime() - before) / 1000);
    await next(job.id);
  }
  expect(waits).toEqual([0, 0, 1, 2, 4, 8, 16, 32, 60]);
  expect(await on.reason(job.id)).toEqual({
    code: 'job.worker_died',
    reason: 'its worker died 10 times while it ran; the last time: worker worker-1 went offline',
  });
});

test('ten jobs that ran together in five workers that died have used up no attempt', async () => {
  const ids = await on.add(...Array.from({ length: 10 }, () => ({})));
  const [first] = await on.take();
  for (let death = 1; death <= 5; death++) {
    await rescue(on.ledger(), 'worker-1', 'killed');
    on.clock.advance({ seconds: 60 });
    await promote(on.ledger());
    expect(await on.take()).toHaveLength(10);
  }
  const [last] = (await on.db.rows<{ left: number }>('SELECT MIN(max_attempts - attempt) AS `left` FROM job_states')) as [{ left: number }];
  expect(ids).toHaveLength(10);
  expect(last.left).toBe(first!.maxAttempts - first!.attempt);
});

test('a claim says how often the worker of a job has died', async () => {
  const job = await on.running();
  expect(job.deaths).toBe(0);
  await rescue(on.ledger(), 'worker-1', 'killed');
  expect((await next(job.id))?.deaths).toBe(1);
  on.clock.advance({ seconds: 61 });
  await reap(on.ledger());
  expect((await next(job.id))?.deaths).toBe(2);
});

test('a job that ends its own process fails the third time, with the number of all deaths and what ended the last one', async () => {
  const { id } = await on.running();
  await rescue(on.ledger(), 'worker-1', 'killed');
  await next(id);
  await rescue(on.ledger(), 'worker-1', 'killed');
  for (let crashes = 0; crashes < 3; crashes++) {
    const job = (await next(id)) as ClaimedJob;
    await crash(on.ledger(), 'worker-1', job, 'its process was ended by SIGKILL');
  }
  expect(await on.state(id)).toBe('failed');
  expect(await on.reason(id)).toEqual({
    code: 'job.worker_died',
    reason: 'its worker died 5 times while it ran; the last time: its process was ended by SIGKILL',
  });
  expect((await readJob(on.db, id))?.attempts.map(({ code }) => code)).toEqual([
    ...['job.lease_lost', 'job.lease_lost'],
    ...['job.worker_died', 'job.worker_died', 'job.worker_died'],
  ]);
});

test('a crash of an attempt that has lost its lease changes nothing', async () => {
  const job = await on.running();
  await rescue(on.ledger(), 'worker-1', 'killed');
  const again = await next(job.id);
  expect(await crash(on.ledger(), 'worker-1', job, 'late')).toEqual({ changes: [], lost: [job] });
  expect(await on.row(job.id)).toMatchObject({ state: 'running', attempt: again!.attempt });
});

test('the dependents of a job that killed its workers fail with its reason, and the slot of its user is free', async () => {
  const job = await on.running({ user: 'ada', dedupeKey: 'fetch:BAD' });
  const [dependent] = await on.add({ type: 'analysis', after: ['fetch:BAD'] });
  await setJobs(on.db, { crashes: 2 }, 'state = ?', ['running']);
  await crash(on.ledger(), 'worker-1', { ...job, hasDependents: true }, 'its process was ended by SIGABRT');
  expect(await on.state(dependent!)).toBe('failed');
  expect((await on.reason(dependent!))?.reason).toContain('its worker died 1 times while it ran');
  expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(0);
});

test('a death does not lengthen the backoff of the next failure', async () => {
  const job = await on.running();
  await rescue(on.ledger(), 'worker-1', 'killed');
  await fail(on.ledger(), 'worker-1', [{ job: (await next(job.id))!, error: transient() }], () => 0.5);
  // The first entry of the type's list.
  expect((await on.row(job.id)).due_at).toEqual(new Date('2026-06-02T14:00:30Z'));
});

test('a retry by hand starts it alone, with as many crashes as before the first', async () => {
  const job = await on.running();
  await setJobs(on.db, { state: 'failed', deaths: 5, crashes: 3 });
  await retry(on.ledger(), job.id);
  expect(await on.db.rows('SELECT state, deaths, crashes FROM job_states')).toEqual([{ state: 'ready', deaths: 2, crashes: 0 }]);
});
