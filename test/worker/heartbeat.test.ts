/** How a worker renews its leases. */
import { expect, onTestFinished, test, vi } from 'vitest';
import type { ClaimedJob } from '../../services/ledger/run/claim.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { startHeartbeat } from '../../services/worker/heartbeat.ts';
import { addClaimed, createRunningJobs } from '../../services/worker/running-jobs.ts';
import type { silent } from '../broker/peers.ts';
import { workshopOfFile } from './workshop.ts';

const shop = await workshopOfFile();
const LEASE_SECONDS = 0.06;

/** The heartbeat of a worker with one job, over a ledger whose transactions are the test's. */
function beating(transaction: () => Promise<unknown>) {
  const warnings: string[] = [];
  const jobs = createRunningJobs({ capacity: 1, batchSize: 1 });
  const job = { id: '00000000-0000-7000-8000-000000000001', attempt: 1 } as ClaimedJob;
  const running = addClaimed(jobs, job);
  const stop = startHeartbeat({
    jobs,
    ledger: { ...shop.ledger, leaseSeconds: LEASE_SECONDS, db: { ...shop.db, transaction: transaction as typeof shop.db.transaction } },
    workerId: 'w1',
    log: { warn: (_: object, text: string) => warnings.push(text) } as unknown as typeof silent,
  });
  onTestFinished(stop);
  return { warnings, running, stop };
}

/** The interval stands still; the function returned lets so many beats pass. */
function fakeInterval() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  return (beats: number) => vi.advanceTimersByTimeAsync((beats * LEASE_SECONDS * 1000) / 6);
}

test('an outage is told once, and again after a beat that succeeded', async () => {
  let beats = 0;
  const { warnings } = beating(async () => {
    if (++beats !== 4) throw new TransientError('database.unavailable', 'away');
    return { affectedRows: 1 };
  });
  await expect.poll(() => beats).toBeGreaterThan(3);
  await expect.poll(() => warnings.length).toBe(2);
  await expect.poll(() => beats).toBeGreaterThan(8);
  expect(warnings).toEqual(Array(2).fill('could not renew the leases, trying again: away'));
});

test('a database that is slow to answer gets one request at a time', async () => {
  const passBeats = fakeInterval();
  const answers: PromiseWithResolvers<{ affectedRows: number }>[] = [];
  beating(() => {
    const answer = Promise.withResolvers<{ affectedRows: number }>();
    answers.push(answer);
    return answer.promise;
  });
  await passBeats(5);
  expect(answers).toHaveLength(1);
  answers[0]!.resolve({ affectedRows: 1 });
  await passBeats(5);
  expect(answers).toHaveLength(2);
});

test('a job whose lease was kept goes on', async () => {
  const passBeats = fakeInterval();
  let beats = 0;
  const { running, stop } = beating(async () => {
    beats++;
    return { affectedRows: 1 };
  });
  await passBeats(3);
  expect([beats, running.abort.signal.aborted]).toEqual([3, false]);
  stop();
  await passBeats(3);
  expect(beats).toBe(3);
});
