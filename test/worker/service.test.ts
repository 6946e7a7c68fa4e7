/** The worker service with a real broker: what `stockmesh service worker` runs. */
import { tmpdir } from 'node:os';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { idToBytes } from '../../services/ledger/id.ts';
import type { Bus } from '../../services/platform/bus/bus.ts';
import { systemClock } from '../../services/platform/clock.ts';
import type { RunningService } from '../../services/platform/lifecycle.ts';
import { startWorkerService } from '../../services/worker/service.ts';
import { startEmbedded } from '../broker/brokers.ts';
import { silent } from '../broker/peers.ts';
import { closing, openBus } from '../platform/bus/brokers.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { setJobs } from '../support/job-rows.ts';
import { configWith, openWorkshop, sweep, type Workshop } from './workshop.ts';

const config = configWith({
  'stock_jobs.data_fetch.sources': 'simulated',
  'stock_jobs.data_fetch.simulated.enabled': true,
  'worker.poll_interval': 3600,
  'worker.max_concurrent_jobs': 7,
  'worker.grace_period': 0,
});

let database: TestDatabase;
let shop: Workshop;
const services: RunningService[] = [];
beforeAll(async () => {
  database = await testDatabase();
  shop = openWorkshop(database.options);
});
afterEach(async () => {
  for (const service of services.splice(0)) await service.drain();
  await sweep(shop.db);
});
afterAll(async () => {
  await shop.db.close();
  await database.drop();
});

async function start(instance = 'worker-a') {
  const broker = closing(await startEmbedded());
  const watcher = openBus(broker.port, { service: 'gateway' });
  const bus = openBus(broker.port, { service: 'worker', instance, version: '1' });
  await Promise.all([watcher.online(), bus.online()]);
  const service = await startWorkerService({
    service: 'worker',
    instance,
    config,
    log: silent,
    clock: systemClock,
    dataFolder: tmpdir(),
    db: shop.db,
    bus,
  });
  return { watcher, bus, service };
}

test('fetches and analyses announced jobs, and publishes the stored data', async () => {
  const { watcher, service } = await start();
  services.push(service);
  const landed: string[] = [];
  watcher.subscribe('data', {}, ({ body }) => void landed.push(`${body.symbol} ${body.kind}${body.simulated ? ' simulated' : ''}`));
  const states: string[] = [];
  watcher.subscribe('status', {}, ({ body }) => void states.push(body.state));
  await expect.poll(() => watcher.report().subscriptions.length).toBe(2);
  const ids = await shop.enqueue(
    { symbol: 'AAA', dedupeKey: 'fetch:AAA:bars' },
    { type: 'analysis', symbol: 'AAA', after: ['fetch:AAA:bars'] },
  );
  const { why, ...announcement } = {
    id: ids[0]!,
    type: 'fetch' as const,
    queue: 'foreground',
    priority: 1,
    score: 0.5,
    why: { text: 'test' },
    symbol: 'AAA',
  };
  await watcher.publish('job', { ...announcement, why, triggered_by: 'test', enqueued_at: new Date().toISOString() });
  for (const id of ids) await shop.reaches(id, 'completed');
  await expect.poll(() => landed).toEqual(['AAA bars simulated', 'AAA indicators simulated']);
  await expect.poll(() => states.filter((state) => state === 'completed')).toHaveLength(2);
});

test('claims a job as soon as a service says that jobs are being committed', async () => {
  const { watcher, service } = await start();
  services.push(service);
  const [id] = await shop.enqueue({ symbol: 'AAA' });
  await watcher.publish('work', {});
  await shop.reaches(id!, 'completed');
});

test('says its capacity and its load', async () => {
  const { service, bus } = await start();
  services.push(service);
  expect(bus.load).toMatchObject({ capacity: 7, running: 0 });
});

test('that was killed and comes back under its own name takes back at once what it was at', async () => {
  const [id] = await shop.enqueue({ symbol: 'AAA' });
  const due_at = new Date(Date.now() + 3_600_000);
  await setJobs(shop.db, { state: 'running', attempt: 1, worker_id: 'worker-a', due_at }, 'id = ?', [idToBytes(id!)]);
  const { service } = await start('worker-a');
  services.push(service);
  expect(await shop.reaches(id!, 'completed')).toMatchObject({ attempt: 2, worker: 'worker-a' });
});

test('takes back what its earlier process committed as it died, also some time after the start', async () => {
  const asked = vi.spyOn(shop.db, 'rows');
  onTestFinished(() => void asked.mockRestore());
  const looks = () => asked.mock.calls.filter(([sql]) => /FROM running n .*worker_id = \?/s.test(sql)).length;
  const { service } = await start('worker-a');
  services.push(service);
  // The one of the start, and the first of those that follow it.
  await expect.poll(looks).toBeGreaterThan(1);
  const [id] = await shop.enqueue({ symbol: 'AAA' });
  const [due_at, started_at] = [new Date(Date.now() + 3_600_000), new Date(Date.now() - 60_000)];
  await setJobs(shop.db, { state: 'running', attempt: 1, worker_id: 'worker-a', due_at, started_at }, 'id = ?', [idToBytes(id!)]);
  expect(await shop.reaches(id!, 'completed')).toMatchObject({ attempt: 2, worker: 'worker-a' });
});

/** The service with a bus that the test rings. */
async function ringing(graceSeconds = 0) {
  const at = { states: [] as ((state: 'online' | 'offline') => void)[], ring: () => {}, closed: [] as string[] };
  const bus = {
    state: 'offline',
    publish: async () => {},
    updatePresence() {},
    onDoorbell(kind: string, ring: () => void) {
      at.ring = ring;
      return { close: async () => void at.closed.push(`doorbell ${kind}`) };
    },
    onState(told: (state: 'online' | 'offline') => void) {
      at.states.push(told);
      return () => void at.closed.push('state');
    },
  } as unknown as Bus;
  const patient = { ...config, worker: { ...config.worker, grace_period: graceSeconds } };
  const service = await startWorkerService({
    service: 'worker',
    instance: 'w1',
    config: patient,
    log: silent,
    clock: systemClock,
    dataFolder: tmpdir(),
    db: shop.db,
    bus,
  });
  services.push(service);
  // Its first claim has found nothing.
  const [first] = await shop.enqueue({ symbol: 'AAA' });
  at.ring();
  await shop.reaches(first!, 'completed');
  return { at, service };
}

test('looks for work when the broker is back, since announcements were lost meanwhile', async () => {
  const { at } = await ringing();
  const claims = vi.spyOn(shop.db, 'transaction');
  onTestFinished(() => claims.mockRestore());
  for (const told of at.states) told('offline');
  expect(claims).not.toHaveBeenCalled();
  const [id] = await shop.enqueue({ symbol: 'BBB' });
  for (const told of at.states) told('online');
  await shop.reaches(id!, 'completed');
});

test('has the patience that its grace period says, and hears nothing more once it ends', async () => {
  const { at, service } = await ringing(3);
  expect(service.patienceMs).toBe(3_000);
  await service.drain();
  expect(at.closed.toSorted()).toEqual(['doorbell job', 'doorbell work', 'state']);
});
