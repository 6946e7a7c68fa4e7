/** A mesh in two regions, as processes: the source can be asked in one of them alone. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { analysisRequest } from '../../services/job-types/analysis/request.ts';
import { fetchRequest } from '../../services/job-types/fetch/request.ts';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import type { Origin } from '../../services/job-types/request.ts';
import { type Enqueued, enqueue, type JobRequest } from '../../services/ledger/enqueue/enqueue.ts';
import { idToBytes } from '../../services/ledger/id.ts';
import { readJob } from '../../services/ledger/read/jobs.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { listInstances } from '../../services/platform/registry/instances.ts';
import { startTestMesh, type TestMesh } from '../faults/mesh.ts';
import { endProcess } from '../faults/processes.ts';
import { configWith } from '../worker/workshop.ts';
import { stockmesh } from './command.ts';

const EU = 'region:eu';
const SETTINGS = {
  ...{ 'stock_jobs.data_fetch.sources': 'simulated', 'stock_jobs.data_fetch.history_days': '60', 'worker.poll_interval': '1' },
  ...{ 'stock_jobs.data_fetch.capabilities.simulated': EU, 'worker.heartbeat_interval': '1', 'scheduler.stats_interval': '1' },
};
const set = Object.entries(SETTINGS).map(([key, value]) => `${key}=${value}`);

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await startTestMesh();
});
afterAll(() => mesh.stop());

const worker = (name: string, ...more: string[]) => mesh.service('worker', [...set, `worker.worker_id=${name}`, ...more]);
const inEurope = (name: string) => worker(name, `worker.capabilities=${EU}`);

async function add(...requests: readonly JobRequest[]): Promise<string[]> {
  const config = configWith({ ...SETTINGS, 'stock_jobs.data_fetch.simulated.enabled': true });
  const answers = await enqueue(ledgerOf(mesh.db, systemClock, config), requests);
  return answers.map((answer) => (answer as Enqueued).id);
}

const origin: Origin = { cause: 'user_request', rules: { user_request: 3, scheduled_update: 5, background_analysis: 8 } };
const fetches = (name: string, count: number) => Array.from({ length: count }, (_, index) => fetchRequest(`${name}${index}`, origin));

/** Waits until all have ended, and says who ran them. */
async function workersOf(ids: readonly string[]): Promise<string[]> {
  const rows = await vi.waitFor(
    async () => {
      const ended = await mesh.db.rows<{ state: string; worker_id: string }>('SELECT state, worker_id FROM ended WHERE job_id IN (?)', [
        ids.map(idToBytes),
      ]);
      expect(ended.map(({ state }) => state)).toEqual(ids.map(() => 'completed'));
      return ended;
    },
    { timeout: 60_000, interval: 50 },
  );
  return [...new Set(rows.map(({ worker_id }) => worker_id))];
}

async function alertIs(state: 'raised' | 'cleared'): Promise<string> {
  return vi.waitFor(
    async () => {
      const [alert] = await mesh.db.rows<{ state: string; text: string }>("SELECT state, text FROM alerts WHERE name = 'no_worker'");
      expect(alert?.state).toBe(state);
      return alert?.text ?? '';
    },
    { timeout: 60_000, interval: 100 },
  );
}

test("a source's jobs run in its region alone, wait while nobody is there, and say so", { timeout: 240_000 }, async () => {
  await mesh.service('scheduler', set);
  const [europe] = await Promise.all([inEurope('eu-1'), worker('us-1')]);
  await vi.waitFor(async () => {
    const alive = await listInstances(mesh.db, new Date(Date.now() - 60_000));
    expect(alive.flatMap(({ service, capabilities }) => (service === 'worker' ? [capabilities] : []))).toEqual([[EU], []]);
  });
  expect(await workersOf(await add(...fetches('AA', 30)))).toEqual(['eu-1']);
  // Nothing else is tied to the region: the other worker goes on with it.
  await endProcess(europe, 'SIGKILL');
  const waiting = await add(...fetches('BB', 10));
  expect(await workersOf(await add(analysisRequest('AA0', origin), analysisRequest('AA1', origin)))).toEqual(['us-1']);
  expect(await alertIs('raised')).toMatch(
    // The analyses may be among them: the text is of the moment at which it was raised.
    /^\d workers are online, 1[0-2] jobs wait, some of them for what no worker has \(worker\.capabilities\): region:eu$/,
  );
  const job = await readJob(mesh.db, waiting[0] as string);
  expect(job).toMatchObject({ state: 'ready', attempt: 0, capability: EU, reason: `waits for a worker with ${EU} (worker.capabilities)` });
  const shown = stockmesh(['job', waiting[0] as string, '--data', mesh.dataFolder, '--env', 'demo']);
  expect([await shown.exited, shown.output()]).toEqual([0, expect.stringContaining(`waits for a worker with ${EU}`)]);
  await inEurope('eu-2');
  expect(await workersOf(waiting)).toEqual(['eu-2']);
  await alertIs('cleared');
});
