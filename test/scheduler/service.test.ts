import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { EmbeddedBroker } from '../../broker/embedded.ts';
import { systemClock } from '../../services/platform/clock.ts';
import type { RunningService, ServiceContext } from '../../services/platform/lifecycle.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { startSchedulerService } from '../../services/scheduler/service.ts';
import { startEmbedded } from '../broker/brokers.ts';
import { accounts, join, type Peer, silent } from '../broker/peers.ts';
import { openBus } from '../platform/bus/brokers.ts';
import { setJobs } from '../support/job-rows.ts';
import { configOf } from './configuration.ts';
import { fixture } from './mesh.ts';
import type { Options } from './start-scheduler.ts';

const mesh = fixture();
let broker: EmbeddedBroker;
beforeAll(async () => {
  broker = await startEmbedded();
});
afterAll(() => broker.close());

const waitFor = (check: () => void | Promise<void>, timeout = 10_000) => vi.waitFor(check, { timeout, interval: 10 });

/** All intervals short; a lease that nobody waits for in vain. */
const QUICK = {
  'scheduler.lease': 1,
  'scheduler.stats_interval': 0.05,
  'scheduler.promote_interval': 0.02,
  'scheduler.reap_interval': 0.02,
  'scheduler.announce_interval': 0.05,
};

const running: RunningService[] = [];
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const one of running.splice(0)) await one.drain();
});

/** A scheduler in this process. */
async function start(instance: string, changes: Record<string, unknown> = {}, parts: Partial<Pick<ServiceContext, 'clock' | 'db'>> = {}) {
  const bus = openBus(broker.port, { service: 'scheduler', instance, version: '0.1.0' });
  const config = configOf({ ...QUICK, ...changes });
  const service = await startSchedulerService({
    service: 'scheduler',
    instance,
    config,
    log: silent,
    clock: systemClock,
    dataFolder: tmpdir(),
    db: mesh.db,
    bus,
    ...parts,
  });
  running.push(service);
  await bus.online();
  return {
    bus,
    async stop(): Promise<void> {
      running.splice(running.indexOf(service), 1);
      await service.drain();
      await bus.close();
    },
  };
}

/** A scheduler in a process of its own. */
async function spawnScheduler(instance: string, changes: Record<string, unknown> = {}): Promise<ChildProcess> {
  const options: Options = {
    instance,
    database: mesh.database.options,
    broker: { port: broker.port, username: 'service', password: accounts.service!.password },
    changes: { ...QUICK, ...changes },
  };
  const child = spawn(process.execPath, [fileURLToPath(new URL('start-scheduler.ts', import.meta.url)), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout!, 'data');
  return child;
}

async function holder(): Promise<string | undefined> {
  const [row] = await mesh.db.rows<{ holder: string }>('SELECT holder FROM leases');
  return row?.holder;
}

async function monitor(topic: string): Promise<Peer['heard']> {
  const { client, heard } = await join(broker.port, 'monitor');
  await client.subscribeAsync(topic, { qos: 1 });
  return heard;
}

const ledger = () => mesh.ledger(configOf(QUICK), systemClock);

test('of two schedulers one leads', async () => {
  const metrics = await monitor('mesh/stats');
  await start('a');
  await waitFor(async () => expect(await holder()).toBe('a'));
  await start('b');
  const before = metrics.length;
  await waitFor(() => expect(metrics.length).toBeGreaterThan(before + 10));
  expect(await holder()).toBe('a');
});

test('a refused login raises an alert that says whose it was and why', async () => {
  const alerts = await monitor('alerts/refused_5Flogins');
  const { bus } = await start('a');
  await waitFor(() => expect(bus.report().missing).toEqual([]));
  const gateway = openBus(broker.port, { service: 'gateway', instance: 'g1' });
  await gateway.online();
  const refused = { source: 'gateway', code: 'request.invalid', text: 'not valid: "at"', count: 1, account: 'hook' } as const;
  await gateway.publish('refused', { ...refused, at: new Date().toISOString() });
  await waitFor(() =>
    expect(alerts.map(({ payload }) => JSON.parse(payload))).toMatchObject([{ state: 'raised', value: 1, threshold: 0 }]),
  );
  expect(alerts[0]!.payload).toContain('account hook: not valid: \\"at\\" (request.invalid, gateway)');
});

test('when the leader shuts down, another leads at once', async () => {
  const first = await start('a', { 'scheduler.lease': 600 });
  await waitFor(async () => expect(await holder()).toBe('a'));
  await start('b', { 'scheduler.lease': 600 });
  await first.stop();
  await waitFor(async () => expect(await holder()).toBe('b'), 2_000);
});

test('when the leader is killed, its last will makes another one lead at once', async () => {
  const child = await spawnScheduler('a', { 'scheduler.lease': 600 });
  await waitFor(async () => expect(await holder()).toBe('a'));
  await start('b', { 'scheduler.lease': 600 });
  child.kill('SIGKILL');
  await waitFor(async () => expect(await holder()).toBe('b'), 2_000);
});

test('a dead leader of which the broker knows nothing is followed when its lease ends', async () => {
  await mesh.db.run("INSERT INTO leases (name, holder, until) VALUES ('scheduler', 'gone', ?)", [new Date(Date.now() + 400)]);
  const metrics = await monitor('mesh/stats');
  await start('b');
  expect(await holder()).toBe('gone');
  await waitFor(() => expect(metrics.length).toBeGreaterThan(0), 2_000);
  expect(await holder()).toBe('b');
});

test('after SIGTERM nothing is left: no lease, no instance, and the process ends with 0', async () => {
  const child = await spawnScheduler('a');
  await waitFor(async () => expect(await holder()).toBe('a'));
  await waitFor(async () =>
    expect(await mesh.db.rows('SELECT instance, service FROM instances')).toEqual([{ instance: 'a', service: 'scheduler' }]),
  );
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(await holder()).toBeUndefined();
  expect(await mesh.db.rows('SELECT instance FROM instances')).toEqual([]);
});

test('a job whose time has come is announced as ready', async () => {
  await start('a');
  const announcements = await monitor('stock/fetch/AAPL');
  const states = await monitor('jobs/+/status');
  const [id] = await mesh.add(ledger(), { runAt: new Date(Date.now() + 300) });
  await waitFor(() => expect(announcements).not.toEqual([]));
  expect(JSON.parse(announcements[0]!.payload)).toMatchObject({ id, type: 'fetch', symbol: 'AAPL' });
  await waitFor(() =>
    expect(states.map(({ payload }) => JSON.parse(payload))).toContainEqual(expect.objectContaining({ id, state: 'ready' })),
  );
});

test('a job whose announcement was lost is announced again while it waits, and no longer once it runs', async () => {
  await start('a');
  const announcements = await monitor('stock/fetch/AAPL');
  const [id] = await mesh.add(ledger(), {});
  await waitFor(() => expect(announcements.length).toBeGreaterThan(2));
  expect(JSON.parse(announcements[0]!.payload).id).toBe(id);
  await mesh.run(ledger(), 'w1');
  const [other] = await mesh.add(ledger(), { symbol: 'MSFT' });
  const others = await monitor('stock/fetch/MSFT');
  await waitFor(() => expect(others).not.toEqual([]));
  const before = announcements.length;
  await waitFor(() => expect(others.length).toBeGreaterThan(2));
  expect(announcements.length).toBe(before);
  expect(JSON.parse(others[0]!.payload).id).toBe(other);
});

test('of many jobs that wait the most urgent hundred of a queue are announced again', async () => {
  const ids = await mesh.add(ledger(), ...Array.from({ length: 150 }, (_, i) => ({ score: 1 - i / 1000 })));
  const announcements = await monitor('stock/fetch/AAPL');
  await start('a', { 'scheduler.announce_interval': 0.001 });
  await waitFor(() => expect(announcements.length).toBeGreaterThan(250));
  expect(new Set(announcements.map(({ payload }) => JSON.parse(payload).id))).toEqual(new Set(ids.slice(0, 100)));
});

test('the metrics are published, and a mesh without workers raises one alert, retained, that ends when one is there', async () => {
  const metrics = await monitor('mesh/stats');
  const alerts = await monitor('alerts/+');
  // Not what an earlier scheduler left behind on the broker.
  const told = () =>
    alerts.flatMap(({ payload, retain }) => (retain ? [] : [JSON.parse(payload)])).filter(({ name }) => name === 'no_worker');
  await start('a');
  await mesh.add(ledger(), { level: 5 });
  await waitFor(() =>
    expect(metrics.map(({ payload }) => JSON.parse(payload))).toContainEqual(expect.objectContaining({ depth: { 5: 1 }, utilisation: 0 })),
  );
  await waitFor(() => expect(told()).toMatchObject([{ state: 'raised', value: 0, threshold: 1 }]));

  const now = new Date();
  await mesh.db.run('INSERT INTO instances (instance, service, session, capacity, started_at, heartbeat_at) VALUES (?)', [
    ['w1', 'worker', crypto.randomUUID(), 5, now, now],
  ]);
  await waitFor(() => expect(told()).toMatchObject([{ state: 'raised' }, { state: 'cleared' }]));
  await waitFor(async () => {
    const late = await monitor('alerts/+');
    await waitFor(
      () =>
        expect(late.map(({ payload, retain }) => ({ ...JSON.parse(payload), retain }))).toContainEqual(
          expect.objectContaining({ name: 'no_worker', state: 'cleared', retain: true }),
        ),
      500,
    );
  });
});

test('with monitoring switched off there are metrics and no alerts', async () => {
  const metrics = await monitor('mesh/stats');
  await start('a', { 'monitoring.enabled': false });
  await waitFor(() => expect(metrics.length).toBeGreaterThan(5));
  expect(await mesh.db.rows('SELECT name FROM alerts')).toEqual([]);
});

test('it answers on the port of the configuration', async () => {
  const port = await freePort();
  await start('a', { 'monitoring.port': port });
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  expect(answer.status).toBe(200);
});

test.each([
  ['is read again when it is older than the statistics', 0.05, 1],
  ['is that of the statistics while these are young', 3600, 0],
])('what /metrics shows of the mesh %s', async (_, interval, waiting) => {
  const port = await freePort();
  const statistics = await monitor('mesh/stats');
  await start('a', { 'monitoring.port': port, 'scheduler.stats_interval': interval });
  await waitFor(() => expect(statistics).not.toEqual([]));
  const depth = async () =>
    /stockmesh_queue_depth\{priority="9"\} (\d+)/.exec(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text())?.[1];
  expect(await depth()).toBe('0');
  await mesh.add(ledger(), { level: 9 });
  await waitFor(async () => expect(await depth()).toBe(String(waiting)));
});

test('after a jump of the time a standby takes the lead only when the leader had a minute to renew it', async () => {
  await mesh.db.run("INSERT INTO leases (name, holder, until) VALUES ('scheduler', 'gone', ?)", [new Date(Date.now() - 1)]);
  const lastJump = { byMs: 600_000, agoMs: 30_000 };
  let looks = 0;
  const run: typeof mesh.db.run = (...args) => {
    looks++;
    return mesh.db.run(...args);
  };
  await start('b', {}, { clock: { now: () => systemClock.now(), lastJump }, db: { ...mesh.db, run } });
  await waitFor(() => expect(looks).toBeGreaterThan(5));
  expect(await holder()).toBe('gone');
  lastJump.agoMs = 60_000;
  await waitFor(async () => expect(await holder()).toBe('b'));
});

test('its end waits until what it has changed was announced', async () => {
  const { bus, stop } = await start('a');
  const publish = vi.spyOn(bus, 'publish');
  const gate = Promise.withResolvers<void>();
  const announcing = Promise.withResolvers<void>();
  publish.mockImplementation((kind) => {
    if (kind !== 'status') return Promise.resolve();
    announcing.resolve();
    return gate.promise;
  });
  await mesh.add(ledger(), { runAt: new Date(Date.now() + 3_600_000) });
  await setJobs(mesh.db, { due_at: new Date('2020-01-01T00:00:00Z') });
  await announcing.promise;
  const happened: string[] = [];
  const stopped = stop().then(() => happened.push('stopped'));
  await waitFor(async () => expect(await holder()).toBeUndefined());
  happened.push('announced');
  gate.resolve();
  await stopped;
  expect(happened).toEqual(['announced', 'stopped']);
});

test('while the broker is away jobs move on all the same', async () => {
  const bus = openBus(await freePort(), { service: 'scheduler', instance: 'deaf', version: '0.1.0' });
  const config = configOf(QUICK);
  running.push(
    await startSchedulerService({
      service: 'scheduler',
      instance: 'deaf',
      config,
      log: silent,
      clock: systemClock,
      dataFolder: tmpdir(),
      db: mesh.db,
      bus,
    }),
  );
  const [id] = await mesh.add(ledger(), { runAt: new Date(Date.now() + 100) });
  await waitFor(async () => expect(await mesh.state(id!)).toBe('ready'));
});

test('an alert of the broker is in the table while it is raised, and is not published a second time', async () => {
  const said = openBus(broker.port, { service: 'gateway', version: '0.1.0' });
  await said.online();
  const heard: string[] = [];
  await said.subscribe('alert', { params: { name: 'held_logins' } }, ({ body }) => void heard.push(body.state)).ready;
  const alert = { name: 'held_logins', value: 50_000, threshold: 50_000, since: new Date().toISOString(), text: '50000 logins wait' };
  const rows = () => mesh.db.rows("SELECT state, value, text FROM alerts WHERE name = 'held_logins'");
  await said.publish('alert', { ...alert, state: 'raised' });
  await start('s1');
  await waitFor(async () => expect(await rows()).toEqual([{ state: 'raised', value: 50_000, text: '50000 logins wait' }]));
  await said.publish('alert', { ...alert, state: 'cleared', value: 10 });
  await waitFor(async () => expect(await rows()).toMatchObject([{ state: 'cleared', value: 10 }]));
  expect(heard).toEqual(['raised', 'cleared']);
  await said.close();
});

test('an alert that a broker had raised before it was started again is cleared in the table', async () => {
  await mesh.db.run(
    "INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ('login_wait', 'raised', 61, 60, UTC_TIMESTAMP(3), 'late')",
  );
  await start('s1');
  await waitFor(async () =>
    expect(await mesh.db.rows("SELECT state FROM alerts WHERE name = 'login_wait'")).toEqual([{ state: 'cleared' }]),
  );
});
