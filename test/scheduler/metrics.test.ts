import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { readMeshMetrics } from '../../services/ledger/read/metrics.ts';
import type { Bus, BusState } from '../../services/platform/bus/bus.ts';
import type { Config } from '../../services/platform/config/load.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { type Endpoint, serveMetrics } from '../../services/scheduler/endpoint.ts';
import { createMetricsRenderer } from '../../services/scheduler/metrics.ts';
import { silent } from '../broker/peers.ts';
import { faultsOf } from '../support/promtool.ts';
import { configOf } from './configuration.ts';
import { fixture } from './mesh.ts';

const mesh = fixture();
let endpoint: Endpoint | undefined;
afterEach(async () => {
  await endpoint?.close();
  endpoint = undefined;
});

async function serve(changes: Record<string, unknown> = {}, { state = 'online' as BusState, databaseAway = false } = {}) {
  const monitoring: Config['monitoring'] = configOf({ 'monitoring.port': await freePort(), ...changes }).monitoring;
  const bus = { state, report: () => ({ counters: { published: 7, dropped: 1 } }) } as unknown as Bus;
  const away = async () => {
    throw new TransientError('database.unavailable', 'the database is away');
  };
  const db = { ...mesh.db, retries: new Map([[1213, 3]]), ...(databaseAway ? { rows: away, run: away } : {}) };
  const readMetrics = async () => ({
    ...(await readMeshMetrics(db, new Date(mesh.clock.now().epochMilliseconds), { ...mesh.ledger(), leaseSeconds: 30 })),
    loginToJobsP95: null,
    held: { counts: { fresh: 7, outdated: 2, stale: 1, missing: 0 }, simulated: 3, judged: [] },
  });
  const leads = () => true;
  const metrics = createMetricsRenderer({ db, bus, announcer: { missed: new Map([['bus.offline', 4]]) }, readMetrics, leads, monitoring });
  endpoint = await serveMetrics({ monitoring, metrics, sql: db, bus, leads, log: silent });
  return `http://127.0.0.1:${monitoring.port}`;
}

/** The samples of an answer in Prometheus' text format: name and labels → value. */
async function samples(url: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

test('the metrics are as Prometheus wants them', async () => {
  expect(faultsOf(await (await fetch(`${await serve()}/metrics`)).text())).toEqual([]);
});

test('/metrics shows depth, states, ages, rates, utilisation, retries, missed announcements and alerts', async () => {
  const ledger = mesh.ledger();
  await mesh.add(ledger, { level: 1 }, { level: 5 }, { level: 5 });
  await mesh.run(ledger, 'w1', 1);
  await mesh.db.run('INSERT INTO instances (instance, service, session, capacity, started_at, heartbeat_at, clock_offset_ms) VALUES (?)', [
    ['w1', 'worker', crypto.randomUUID(), 4, ...[0, 0].map(() => new Date(mesh.clock.now().epochMilliseconds)), -600_250],
  ]);
  await mesh.db.run("INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ('no_worker', 'raised', 0, 1, NOW(3), 'none')");
  mesh.clock.advance({ seconds: 12 });
  expect(await samples(await serve())).toMatchObject({
    'stockmesh_queue_depth{priority="1"}': 0,
    'stockmesh_queue_depth{priority="5"}': 2,
    'stockmesh_jobs{queue="foreground",state="running"}': 1,
    'stockmesh_jobs{queue="background_fetch",state="ready"}': 2,
    'stockmesh_oldest_job_age_seconds{queue="background_fetch"}': 12,
    'stockmesh_jobs_per_second{event="enqueued"}': 0.05,
    'stockmesh_worker_slots{use="free"}': 3,
    stockmesh_worker_utilisation: 0.25,
    'stockmesh_transaction_retries_total{errno="1213"}': 3,
    'stockmesh_missed_bells_total{code="bus.offline"}': 4,
    'stockmesh_bus_messages_total{outcome="published"}': 7,
    'stockmesh_alert_raised{name="no_worker"}': 1,
    'stockmesh_held_symbols{freshness="fresh"}': 7,
    'stockmesh_held_symbols{freshness="outdated"}': 2,
    stockmesh_held_symbols_simulated: 3,
    'stockmesh_clock_offset_seconds{service="worker",instance="w1"}': -600.25,
    stockmesh_database_up: 1,
    stockmesh_broker_up: 1,
    stockmesh_scheduler_leads: 1,
  });
});

test('counters that others count are not added up from one answer to the next', async () => {
  const url = await serve();
  await samples(url);
  expect((await samples(url))['stockmesh_transaction_retries_total{errno="1213"}']).toBe(3);
});

test('a measurement that is switched off is not shown', async () => {
  const names = Object.keys(
    await samples(await serve({ 'monitoring.stock_metrics.queue_depth': false, 'monitoring.stock_metrics.worker_efficiency': false })),
  ).join(' ');
  expect(names).toContain('stockmesh_jobs{');
  expect(names).not.toMatch(/queue_depth|worker_slots|utilisation/);
});

test('as JSON the same metrics are a list', async () => {
  const answer = await fetch(`${await serve({ 'monitoring.format': 'json' })}/metrics`);
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(await answer.json()).toContainEqual(
    expect.objectContaining({ name: 'stockmesh_database_up', values: [expect.objectContaining({ value: 1 })] }),
  );
});

test('while the database is away /metrics says so and leaves out what it cannot know', async () => {
  const shown = await samples(await serve({}, { databaseAway: true }));
  expect(shown).toMatchObject({ stockmesh_database_up: 0 });
  expect(Object.keys(shown).join(' ')).not.toContain('stockmesh_queue_depth');
});

test.each([
  [{}, 200, { status: 'ok', database: true, broker: true, leads: true }],
  [{ state: 'offline' as const }, 503, { status: 'unavailable', database: true, broker: false, leads: true }],
  [{ databaseAway: true }, 503, { status: 'unavailable', database: false, broker: true, leads: true }],
])('/healthz with %o is %d', async (state, status, body) => {
  const answer = await fetch(`${await serve({}, state)}/healthz`);
  expect(answer.status).toBe(status);
  expect(await answer.json()).toEqual(body);
});

test('/healthz is not there when it is switched off, and other paths never are', async () => {
  const url = await serve({ 'monitoring.health_check_enabled': false });
  expect((await fetch(`${url}/healthz`)).status).toBe(404);
  expect((await fetch(`${url}/etc/passwd`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
});

test('a port that is in use is refused, with the port, the key and a free port named', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await expect(serve({ 'monitoring.port': port })).rejects.toMatchObject({
    code: 'port.in_use',
    message: expect.stringMatching(new RegExp(`port ${port} of 127\\.0\\.0\\.1 is in use.*monitoring\\.port, for example \\d+`)),
  });
  other.close();
});
