/** Jobs that end their process, beside jobs that do not: real workers, killed for real. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { cancel } from '../../../services/ledger/control.ts';
import { idFromBytes } from '../../../services/ledger/id.ts';
import { setJobs } from '../../support/job-rows.ts';
import { longTest } from '../../support/long.ts';
import { untilAllEnded } from '../mesh.ts';
import { endProcess } from '../processes.ts';
import { fetchOf, startWorkers, until, type Workers } from './workers.ts';

let workers: Workers;
beforeAll(async () => {
  workers = await startWorkers();
});
afterEach(() => workers.clear());
afterAll(() => workers.stop());

const innocent = Array.from({ length: 4 }, (_, index) => `GOOD${index}`);

async function outcome(): Promise<{ completed: string[]; failed: { symbol: string; reason: string | null; deaths: number }[] }> {
  await untilAllEnded(workers.mesh.db, 60_000);
  const jobs = await workers.jobs();
  return {
    completed: jobs.filter(({ state }) => state === 'completed').map(({ symbol }) => symbol),
    failed: jobs.filter(({ state }) => state === 'failed').map(({ symbol, reason, deaths }) => ({ symbol, reason, deaths })),
  };
}

longTest.each([
  ['KILL', 'SIGKILL'],
  ['ABORT', 'SIGABRT'],
])(
  'a job that ends its process by %s fails with the reason, and the four beside it complete',
  async (symbol, signal) => {
    await workers.mesh.service('scheduler');
    const worker = await workers.supervise('only');
    await workers.enqueue([symbol, ...innocent]);
    const { completed, failed } = await outcome();
    expect(completed).toEqual(innocent);
    // Twice its worker and what ran there, then three times a process of its own: `ALONE_FROM` and `MOST_CRASHES` of deaths.ts.
    const reason = `its worker died 5 times while it ran; the last time: its process was ended by ${signal}`;
    expect(failed).toEqual([{ symbol, deaths: 5, reason }]);
    expect(worker.deaths).toBe(2);
  },
  90_000,
);

test('two of them at once fail, and everything else completes, also what comes while they are tried', async () => {
  await workers.mesh.service('scheduler');
  await Promise.all([workers.supervise('one'), workers.supervise('two')]);
  await workers.enqueue(['KILL1', 'ABORT2', ...innocent]);
  await until('the first of them alone', async () => (await workers.jobs()).some(({ deaths }) => deaths >= 2));
  const later = Array.from({ length: 20 }, (_, index) => `LATER${index}`);
  await workers.enqueue(later);
  const { completed, failed } = await outcome();
  expect(completed.toSorted()).toEqual([...innocent, ...later].toSorted());
  expect(failed.map(({ symbol }) => symbol).toSorted()).toEqual(['ABORT2', 'KILL1']);
  for (const { reason } of failed)
    expect(reason).toMatch(/^its worker died \d times while it ran; the last time: its process was ended by SIG(KILL|ABRT)$/);
}, 90_000);

/** Jobs whose worker has died twice, for workers that are started afterwards. */
async function suspects(symbols: readonly string[], { maxAttempts = 4 } = {}): Promise<void> {
  await workers.enqueue(symbols);
  await setJobs(workers.mesh.db, { deaths: 2, max_attempts: maxAttempts });
}

longTest('while a suspect runs alone, its worker and the others run all other jobs', async () => {
  await suspects(['GATE']);
  await Promise.all([workers.start('one', ['worker.max_concurrent_jobs=3']), workers.start('two', ['worker.max_concurrent_jobs=3'])]);
  await until('the suspect runs', () => workers.startsOf('GATE').length === 1);
  const others = Array.from({ length: 20 }, (_, index) => `OTHER${index}`);
  await workers.enqueue(others);
  await until('the others complete', async () => (await workers.jobs()).filter(({ state }) => state === 'completed').length === 20);
  expect(new Set((await workers.jobs()).filter(({ state }) => state === 'completed').map(({ worker }) => worker))).toEqual(
    new Set(['one', 'two']),
  );
  workers.openGate();
  await untilAllEnded(workers.mesh.db);
});

longTest(
  'an operator who kills a worker again and again while it runs a job alone fails no job',
  async () => {
    await workers.mesh.service('scheduler');
    const worker = await workers.supervise('killed');
    await workers.enqueue(['GATE', 'GATE1']);
    // Twice beside each other, then alone.
    for (let kills = 1; kills <= 5; kills++) {
      await until(`attempt ${kills} runs`, () => workers.startsOf('GATE').length + workers.startsOf('GATE1').length >= kills, 30);
      worker.child.kill('SIGKILL');
      await until(
        `the worker is back ${kills} times`,
        () => worker.deaths === kills && worker.child.exitCode === null && worker.child.signalCode === null,
      );
    }
    workers.openGate();
    expect(await untilAllEnded(workers.mesh.db, 60_000)).toEqual({ completed: 2 });
    expect(await workers.mesh.db.rows('SELECT MAX(crashes) AS crashes FROM job_states')).toEqual([{ crashes: 0 }]);
  },
  90_000,
);

test('the process of an isolated job ends with its worker, also when the job blocks it', async () => {
  await suspects(['HANG']);
  const worker = await workers.start('parent');
  await until('the suspect runs', () => workers.startsOf('HANG').length === 1);
  const [pid] = workers.startsOf('HANG') as [number];
  expect(pid).not.toBe(worker.pid);
  worker.kill('SIGKILL');
  await until('its process is gone', () => !isAlive(pid));
});

longTest(
  'a job that blocks its process is ended at its time limit and fails as one that took too long, beside jobs that go on',
  async () => {
    await suspects(['HANG'], { maxAttempts: 1 });
    await workers.start('one', ['jobs.timeouts.stock_fetch=1']);
    await until('the suspect runs', () => workers.startsOf('HANG').length === 1);
    await workers.enqueue(innocent);
    const { completed, failed } = await outcome();
    expect(completed).toEqual(innocent);
    expect(failed).toMatchObject([{ symbol: 'HANG', reason: expect.stringContaining('took longer than 1 s') }]);
    await until('its process is gone', () => !isAlive(workers.startsOf('HANG')[0] as number));
  },
);

test('a worker that shuts down hands an isolated job back, and its process ends', async () => {
  await suspects(['GATE']);
  const worker = await workers.start('leaving', ['worker.grace_period=0']);
  await until('the suspect runs', () => workers.startsOf('GATE').length === 1);
  await endProcess(worker, 'SIGTERM');
  expect(worker.exitCode).toBe(0);
  expect(await workers.jobs()).toMatchObject([{ symbol: 'GATE', state: 'ready', deaths: 2 }]);
  expect(await workers.mesh.db.rows('SELECT outcome FROM job_attempts')).toEqual([{ outcome: 'handed_back' }]);
  await until('its process is gone', () => !isAlive(workers.startsOf('GATE')[0] as number));
});

longTest('a cancel stops an isolated job', async () => {
  await suspects(['GATE', 'GOOD']);
  await workers.start('one');
  await until('the suspect runs', () => workers.startsOf('GATE').length === 1);
  const [row] = await workers.mesh.db.rows<{ id: Buffer }>("SELECT id FROM job_states WHERE symbol = 'GATE'");
  const id = idFromBytes((row as { id: Buffer }).id);
  await cancel(workers.mesh.ledger, id, 'by hand');
  await workers.mesh.bus.publish('control', { instance: 'one', action: 'cancel', job_id: id });
  // The next one runs in the same process.
  expect(await untilAllEnded(workers.mesh.db)).toEqual({ cancelled: 1, completed: 1 });
  expect(workers.startsOf('GOOD')).toEqual(workers.startsOf('GATE'));
});

longTest(
  'a symbol that ends the process of a batch keeps no other symbol of the batch from being fetched',
  async () => {
    await workers.mesh.service('scheduler');
    await workers.supervise('only');
    const symbols = ['GOOD0', 'GOOD1', 'KILL', 'GOOD2', 'GOOD3'];
    await workers.enqueue([], { ...fetchOf('GOOD0'), type: 'batch_fetch', symbol: undefined, payload: { symbols }, dedupeKey: undefined });
    const { failed } = await outcome();
    expect(failed).toMatchObject([{ reason: expect.stringMatching(/^its worker died 5 times while it ran/) }]);
    const items = await workers.mesh.db.rows<{ item_key: string; state: string }>(
      'SELECT item_key, state FROM job_items ORDER BY item_key',
    );
    expect(items.map(({ item_key, state }) => `${item_key} ${state}`)).toEqual([
      ...['GOOD0 done', 'GOOD1 done', 'GOOD2 done', 'GOOD3 done'],
      'KILL pending',
    ]);
  },
  90_000,
);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
