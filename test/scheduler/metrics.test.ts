import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { readMeshMetrics } from '../../services/ledger/read/metrics.ts';
import type { Bus, BusState } from '../../services/platform/bus/bus.ts';
import type { Config } from '../../services/platform/config/load.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { type Endpoint, serveMetrics } from '../../services/platform/monitoring/endpoint.ts';
import { createMetricsRenderer, type SchedulerMetrics } from '../../services/scheduler/metrics.ts';
import { silent } from '../broker/peers.ts';
import { setJobs } from '../support/job-rows.ts';
import { faultsOf } from '../support/promtool.ts';
import { samplesOf } from '../support/samples.ts';
import { configOf } from './configuration.ts';
import { fixture } from './mesh.ts';

const mesh = fixture();
let endpoint: Endpoint | undefined;
afterEach(async () => {
  await endpoint?.close();
  endpoint = undefined;
});

async function serve(
  changes: Record<string, unknown> = {},
  {
    state = 'online' as BusState,
    databaseAway = false,
    measured = {} as Partial<SchedulerMetrics>,
    defect = undefined as Error | undefined,
    leads: isLeader = true,
    missing = [] as string[],
  } = {},
) {
  const monitoring: Config['monitoring'] = configOf({ 'monitoring.port': await freePort(), ...changes }).monitoring;
  const bus = { state, report: () => ({ counters: { published: 7, dropped: 1 }, missing }) } as unknown as Bus;
  const away = async () => {
    throw new TransientError('database.unavailable', 'the database is away');
  };
  const db = { ...mesh.db, retries: new Map([[1213, 3]]), ...(databaseAway ? { rows: away, run: away } : {}) };
  const readMetrics = async (): Promise<SchedulerMetrics> => {
    if (defect !== undefined) throw defect;
    return { ...(await readAll()), ...measured };
  };
  const readAll = async () => ({
    ...(await readMeshMetrics(db, new Date(mesh.clock.now().epochMilliseconds), { ...mesh.ledger(), leaseSeconds: 30 })),
    loginToJobsP95: null,
    loginToFresh: null,
    budgets: [],
    held: { counts: { fresh: 7, outdated: 2, stale: 1, missing: 0 }, simulated: 3, judged: [] },
  });
  const leads = () => isLeader;
  const refusals = () => [{ source: 'broker', code: 'broker.oversize', count: 5 }];
  const announcer = { missed: new Map([['bus.offline', 4]]) };
  const { render } = createMetricsRenderer({ db, bus, announcer, readMetrics, refusals, leads, monitoring });
  endpoint = await serveMetrics({ monitoring, render, sql: db, bus, facts: () => ({ leads: leads() }), log: silent });
  return `http://127.0.0.1:${monitoring.port}`;
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
  expect(await samplesOf(await serve())).toMatchObject({
    'stockmesh_queue_depth{priority="1"}': 0,
    'stockmesh_queue_depth{priority="5"}': 2,
    'stockmesh_jobs{queue="foreground",state="running"}': 1,
    'stockmesh_jobs{queue="background_fetch",state="ready"}': 2,
    'stockmesh_queue_oldest_seconds{queue="background_fetch"}': 12,
    'stockmesh_jobs_per_second{event="enqueued"}': 0.05,
    'stockmesh_worker_slots{use="free"}': 3,
    stockmesh_worker_utilisation: 0.25,
    'stockmesh_transaction_retries_total{errno="1213"}': 3,
    'stockmesh_missed_bells_total{code="bus.offline"}': 4,
    'stockmesh_bus_messages_total{outcome="published"}': 7,
    'stockmesh_refusals_told_total{source="broker",code="broker.oversize"}': 5,
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
  await samplesOf(url);
  expect((await samplesOf(url))['stockmesh_transaction_retries_total{errno="1213"}']).toBe(3);
});

const source = (p95: number) => [{ source: 'yahoo_finance', p95, answers: 9 }];

test('/metrics shows how fast sources answer and logins become jobs, how many workers there are and what failed', async () => {
  const ledger = mesh.ledger();
  await mesh.add(ledger, {});
  await setJobs(mesh.db, { state: 'failed', due_at: new Date(mesh.clock.now().epochMilliseconds) });
  const shown = await samplesOf(
    await serve(
      {},
      {
        measured: {
          latencies: source(1.9),
          loginToJobsP95: 0.25,
          loginToFresh: { p50: 0.4, p99: 1.2 },
          budgets: [{ source: 'yahoo_finance', used: 12, left: 48 }],
          workers: { online: 3, slots: 9, busy: 2 },
        },
      },
    ),
  );
  expect(shown).toMatchObject({
    'stockmesh_fetch_latency_p95_seconds{source="yahoo_finance"}': 1.9,
    stockmesh_login_to_jobs_p95_seconds: 0.25,
    stockmesh_login_to_fresh_p50_seconds: 0.4,
    stockmesh_login_to_fresh_p99_seconds: 1.2,
    'stockmesh_source_budget_requests{source="yahoo_finance",use="used"}': 12,
    'stockmesh_source_budget_requests{source="yahoo_finance",use="left"}': 48,
    stockmesh_workers_online: 3,
    'stockmesh_worker_slots{use="busy"}': 2,
    'stockmesh_worker_slots{use="free"}': 7,
    stockmesh_failed_jobs: 1,
    'stockmesh_jobs_per_second{event="completed"}': 0,
    'stockmesh_jobs_per_second{event="failed"}': 1 / 60,
    'stockmesh_queue_oldest_seconds{queue="foreground"}': 0,
    'stockmesh_queue_depth{priority="10"}': 0,
  });
  expect(Object.keys(shown).filter((name) => name.startsWith('stockmesh_queue_depth'))).toHaveLength(10);
});

test('a metric that nobody has measured is not there, and neither is one that is switched off', async () => {
  const names = async (...args: Parameters<typeof serve>) => {
    const shown = Object.keys(await samplesOf(await serve(...args))).join(' ');
    await endpoint?.close();
    return shown;
  };
  const measured = { latencies: source(1.9), loginToJobsP95: 0.25, loginToFresh: { p50: 0.4, p99: 1.2 } };
  expect(await names()).not.toMatch(/login_to_|fetch_latency_p95_seconds\{/);
  const off = { 'monitoring.stock_metrics.portfolio_timing': false, 'monitoring.stock_metrics.fetch_latency': false };
  expect(await names(off, { measured })).not.toMatch(/login_to_|fetch_latency/);
});

test('what the process is not is 0, and an alert that is over too', async () => {
  await mesh.db.run(
    "INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ('stale_data', 'cleared', 0, 2, NOW(3), 'none')",
  );
  expect(await samplesOf(await serve({}, { state: 'offline', leads: false }))).toMatchObject({
    'stockmesh_alert_raised{name="stale_data"}': 0,
    stockmesh_broker_up: 0,
    stockmesh_scheduler_leads: 0,
  });
});

test('a defect is no outage: the answer is 500, without its text', async () => {
  const answer = await fetch(`${await serve({}, { defect: new TypeError('x is not a function') })}/metrics`);
  expect([answer.status, await answer.text()]).toEqual([500, 'the log says why\n']);
});

test('the path alone counts, HEAD is answered, and what is not there is answered with what is', async () => {
  const url = await serve();
  expect((await fetch(`${url}/healthz?deep=1`)).status).toBe(200);
  const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
  expect([head.status, head.headers.get('cache-control')]).toEqual([200, 'no-store']);
  expect(await (await fetch(`${url}/`)).text()).toBe('/ is not here; there are /metrics, /healthz and /readyz\n');
  const post = await fetch(`${url}/metrics`, { method: 'POST' });
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
});

test('a measurement that is switched off is not shown', async () => {
  const names = Object.keys(
    await samplesOf(await serve({ 'monitoring.stock_metrics.queue_depth': false, 'monitoring.stock_metrics.worker_efficiency': false })),
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
  const shown = await samplesOf(await serve({}, { databaseAway: true }));
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

test.each([
  [{}, 200, { status: 'ok', database: true, broker: true, missing: [], leads: true }],
  [{ missing: ['alerts/+'] }, 503, { status: 'unavailable', database: true, broker: true, missing: ['alerts/+'], leads: true }],
])('/readyz with %o is %d', async (state, status, body) => {
  const answer = await fetch(`${await serve({}, state)}/readyz`);
  expect(answer.status).toBe(status);
  expect(await answer.json()).toEqual(body);
});

test('/healthz is not there when it is switched off, and other paths never are', async () => {
  const url = await serve({ 'monitoring.health_check_enabled': false });
  expect((await fetch(`${url}/healthz`)).status).toBe(404);
  const other = await fetch(`${url}/etc/passwd`);
  expect([other.status, await other.text()]).toEqual([404, '/etc/passwd is not here; there are /metrics\n']);
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
