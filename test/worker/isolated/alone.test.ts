/** A job whose worker has died before, as its present worker runs it. The process of its own is the test's: it only tells how it ended. */
import { expect, test } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { rulesOf } from '../../../services/ledger/job.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import type { Isolation, Outcome } from '../../../services/worker/isolated.ts';
import { type JobRunnerOptions, startJob } from '../../../services/worker/job-runner.ts';
import { createRunningJobs } from '../../../services/worker/running-jobs.ts';
import { silent } from '../../broker/peers.ts';
import { setJobs } from '../../support/job-rows.ts';
import { fetching, nothing, workshopOfFile } from '../workshop.ts';

const shop = await workshopOfFile();

/** Runs one job whose worker has died `deaths` times, to its end; what the worker was told meanwhile. */
async function runSuspect(outcome: Outcome | Promise<never>, { deaths = 2, timeout = 300 } = {}) {
  const [id] = await shop.enqueue({});
  await setJobs(shop.db, { deaths: deaths }, 'id = ?', [idToBytes(id!)]);
  const { jobs: claimed } = await claim(shop.ledger, 'w1', 1);
  const told: string[] = [];
  let ranHere = 0;
  let ranAlone = 0;
  const isolation: Isolation = {
    async run() {
      ranAlone++;
      return outcome;
    },
    close() {},
  };
  const handler = fetching(async () => {
    ranHere++;
    return nothing;
  });
  const jobs = createRunningJobs({ capacity: 1, batchSize: 1 });
  const options = {
    ...{ isolation, jobs, ledger: shop.ledger, workerId: 'w1', log: silent },
    types: new Map([['fetch', { handler, rules: { ...rulesOf(shop.ledger, 'fetch'), timeoutSeconds: timeout } }]]),
    committer: { commit: async () => true, idle: async () => {} },
    publisher: { committed: async () => void told.push('committed'), progress: async () => {} },
    onLoad: (handling: number) => told.push(`load ${handling}`),
    onSlotFree: () => told.push('slot free'),
    onBacklogShorter: () => {},
  } as unknown as JobRunnerOptions;
  await startJob(options, claimed[0]!).done;
  const [row] = await shop.db.rows('SELECT state, deaths, crashes, attempt, max_attempts FROM job_states WHERE id = ?', [idToBytes(id!)]);
  const [attempt] = await shop.db.rows('SELECT code, reason FROM job_attempts WHERE job_id = ?', [idToBytes(id!)]);
  return { told, row, attempt, ranHere, ranAlone, left: [jobs.handling, jobs.claimed.size] };
}

test('what its process has written is its end, and its slot is free', async () => {
  const { told, row, ranHere, ranAlone, left } = await runSuspect({ kind: 'ended' });
  expect(told).toEqual(['load 1', 'load 0', 'slot free']);
  expect(row).toMatchObject({ state: 'running', deaths: 2, crashes: 0 });
  expect([ranHere, ranAlone, left]).toEqual([0, 1, [0, 0]]);
});

test('the death of its process is counted as its own, and told', async () => {
  const { told, row } = await runSuspect({ kind: 'died', how: 'its process was ended by SIGKILL' });
  expect(row).toMatchObject({ deaths: 3, crashes: 1 });
  expect(told).toEqual(['load 1', 'committed', 'load 0', 'slot free']);
});

test('a process that ran nothing costs it neither an attempt nor a death', async () => {
  const { row, attempt } = await runSuspect({ kind: 'not_run', how: 'its process ended with exit code 5' });
  const { attempt: used, max_attempts: most } = row as { attempt: number; max_attempts: number };
  // Four are allowed; the number goes up with the attempt that did not count.
  expect(most - used).toBe(shop.ledger.types.fetch!.maxAttempts);
  expect(row).toMatchObject({ deaths: 2, crashes: 0 });
  expect(attempt).toEqual({
    code: 'worker.no_process',
    reason: 'no process of its own could be started: its process ended with exit code 5',
  });
});

test('before its second death it runs beside the others', async () => {
  const { ranHere, ranAlone } = await runSuspect({ kind: 'ended' }, { deaths: 1 });
  expect([ranHere, ranAlone]).toEqual([1, 0]);
});
