import { randomUUID } from 'node:crypto';
import type { MqttClient } from 'mqtt';
import { beforeEach, expect, test, vi } from 'vitest';
import type { EmbeddedBroker } from '../../broker/embedded.ts';
import { idToBytes } from '../../services/ledger/id.ts';
import { claim } from '../../services/ledger/run/claim.ts';
import { complete, fail } from '../../services/ledger/run/complete.ts';
import { PermanentError, TransientError } from '../../services/platform/errors.ts';
import { listInstances, reportInstance } from '../../services/platform/registry/instances.ts';
import { startEmbedded } from '../broker/brokers.ts';
import { join, silent } from '../broker/peers.ts';
import { stoppingAtCommit, watched } from '../ledger/fixture.ts';
import { closing } from '../platform/bus/brokers.ts';
import { configOf } from './configuration.ts';
import { connectWorker, say, watchDeaths } from './deaths.ts';
import { fixture } from './mesh.ts';

const mesh = fixture();
// A broker a test: none remembers the deaths of another.
let broker: EmbeddedBroker;
beforeEach(async () => {
  broker = closing(await startEmbedded());
});

const waitFor = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 15_000, interval: 5 });

const connect = (instance: string, session: string): Promise<MqttClient> => connectWorker(broker.port, instance, session, mesh.clock.now());
const watch = (ledger = mesh.ledger(), log = silent) => watchDeaths(broker.port, ledger, log);

/** Locks the rows of jobs in a transaction that stays open until `release`. */
async function lockRows(...ids: readonly string[]): Promise<{ release(): Promise<void> }> {
  const locked = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const holding = mesh.db.transaction(async (tx) => {
    await tx.rows('SELECT id FROM job_states WHERE id IN (?) ORDER BY id FOR UPDATE', [ids.map(idToBytes)]);
    locked.resolve();
    await gate.promise;
  });
  await locked.promise;
  return {
    async release() {
      gate.resolve();
      await holding;
    },
  };
}

test("a killed worker's job is taken back although the clock was set back since it began", async () => {
  const [id] = await mesh.add(mesh.ledger(), {});
  await mesh.run(mesh.ledger(), 'w1');
  mesh.clock.advance({ seconds: -3_590 });
  const clock = { now: () => mesh.clock.now(), lastJump: { byMs: -3_600_000, agoMs: 10_000 } };
  const { told } = await watch(mesh.ledger(configOf(), clock));
  const worker = await connect('w1', randomUUID());
  worker.stream.destroy();
  await waitFor(() => expect(told).toMatchObject([{ id, state: 'ready', reason: 'worker w1 went offline' }]));
});

test("a killed worker's job is ready again within a second", async () => {
  const ledger = mesh.ledger();
  const { told, ended } = await watch(ledger);
  const worker = await connect('w1', randomUUID());
  const [id] = await mesh.add(ledger, {});
  await mesh.run(ledger, 'w1');

  const killed = performance.now();
  worker.stream.destroy();
  await waitFor(async () => expect(await mesh.state(id!)).toBe('ready'));

  expect(performance.now() - killed).toBeLessThan(1_000);
  // Told after the commit that was just seen.
  await expect.poll(() => told).toMatchObject([{ id, state: 'ready', worker: 'w1', reason: 'worker w1 went offline' }]);
  expect(ended).toEqual([]);
});

test('what a killed worker has committed and not announced is told: completed and failed, with reason and user, and nothing older', async () => {
  const ledger = mesh.ledger();
  const [old, done, broken] = await mesh.add(ledger, {}, { user: 'ada' }, {});
  const jobs = (await claim(ledger, 'w1', 3)).jobs;
  const of = (id: string | undefined) => jobs.find((job) => job.id === id)!;
  await complete(ledger, 'w1', [{ job: of(old) }]);
  mesh.clock.advance({ seconds: 10 });
  await complete(ledger, 'w1', [{ job: of(done) }]);
  await fail(ledger, 'w1', [{ job: of(broken), error: new PermanentError('symbol.unknown', 'no source knows it') }]);
  const { told } = await watch(ledger);
  const worker = await connect('w1', randomUUID());
  worker.stream.destroy();
  await waitFor(() => expect(told).toHaveLength(2));
  expect(told.find(({ id }) => id === done)).toMatchObject({ state: 'completed', worker: 'w1', attempt: 1, place: { user: 'ada' } });
  expect(told.find(({ id }) => id === broken)).toMatchObject({ state: 'failed', code: 'symbol.unknown', reason: 'no source knows it' });
});

test('the end of an earlier life of a scheduler that runs again ends no lead, and neither does one that is online', async () => {
  const { ended } = await watch();
  const { client } = await join(broker.port, 'service');
  const at = new Date(mesh.clock.now().epochMilliseconds);
  const [earlier, present] = [randomUUID(), randomUUID()];
  const life = { service: 'scheduler', capacity: 0, running: 0, started_at: at, heartbeat_at: at };
  await reportInstance(mesh.db, { ...life, instance: 's1', session: present });
  await reportInstance(mesh.db, { ...life, instance: 's3', session: present });
  const states = [
    { instance: 's1', session: earlier, state: 'offline' },
    { instance: 's2', session: earlier, state: 'online' },
    { instance: 's3', session: present, state: 'offline' },
  ] as const;
  for (const one of states) await say(client, { ...one, service: 'scheduler' }, mesh.clock.now());
  await waitFor(() => expect(ended).toEqual(['s3']));
});

test('the jobs of other workers are left alone', async () => {
  const ledger = mesh.ledger();
  const { told } = await watch(ledger);
  const worker = await connect('w2', randomUUID());
  const [other] = await mesh.add(ledger, {});
  await mesh.run(ledger, 'w3');
  const [own] = await mesh.add(ledger, {});
  await mesh.run(ledger, 'w2');
  worker.stream.destroy();
  await waitFor(() => expect(told).toHaveLength(1));
  expect(await mesh.state(own!)).toBe('ready');
  expect(await mesh.state(other!)).toBe('running');
});

test('more jobs than one transaction takes are all given back', async () => {
  const ledger = mesh.ledger();
  const { told } = await watch(ledger);
  const worker = await connect('w4', randomUUID());
  await mesh.add(ledger, ...Array.from({ length: 700 }, () => ({})));
  await mesh.run(ledger, 'w4', 700);
  worker.stream.destroy();
  await waitFor(() => expect(told).toHaveLength(700));
});

test('after a false alarm the job runs elsewhere, and what the first worker made is refused', async () => {
  const ledger = mesh.ledger();
  const { told } = await watch(ledger);
  const session = randomUUID();
  const worker = await connect('w5', session);
  const [id] = await mesh.add(ledger, {});
  const [first] = await mesh.run(ledger, 'w5');
  worker.stream.destroy();
  await connect('w5', session);
  await waitFor(() => expect(told).toHaveLength(1));
  const [second] = await mesh.run(ledger, 'w6');

  expect(second).toMatchObject({ id, attempt: 2 });
  expect(await complete(ledger, 'w5', [{ job: first!, result: 'late' }])).toMatchObject({ changes: [], lost: [expect.anything()] });
  expect((await complete(ledger, 'w6', [{ job: second!, result: 'kept' }])).lost).toEqual([]);
  expect(await mesh.state(id!)).toBe('completed');
});

test('the death of an earlier life of a worker, remembered by the broker, takes nothing from the present one', async () => {
  const ledger = mesh.ledger();
  const { client } = await join(broker.port, 'service');
  await say(client, { instance: 'w7', session: randomUUID(), state: 'offline' }, mesh.clock.now());
  const at = new Date(mesh.clock.now().epochMilliseconds);
  await reportInstance(mesh.db, {
    instance: 'w7',
    service: 'worker',
    session: randomUUID(),
    capacity: 5,
    running: 1,
    started_at: at,
    heartbeat_at: at,
  });
  const [id] = await mesh.add(ledger, {});
  await mesh.run(ledger, 'w7');
  const { ended } = await watch(ledger);
  // Presence is handled one at a time: what was said before this is done.
  await say(client, { instance: 'after-w7', session: randomUUID(), state: 'offline', service: 'scheduler' }, mesh.clock.now());
  await waitFor(() => expect(ended).toContain('after-w7'));
  expect(await mesh.state(id!)).toBe('running');
});

test('a dead worker counts no longer among the instances', async () => {
  const { told } = await watch();
  const session = randomUUID();
  const at = new Date(mesh.clock.now().epochMilliseconds);
  await reportInstance(mesh.db, { instance: 'w8', service: 'worker', session, capacity: 5, running: 0, started_at: at, heartbeat_at: at });
  (await connect('w8', session)).stream.destroy();
  await waitFor(async () => expect(await listInstances(mesh.db, new Date(0))).toEqual([]));
  expect(told).toEqual([]);
});

test('a death during an outage of the database is made up for afterwards', async () => {
  const ledger = mesh.ledger();
  let away = true;
  const refused: unknown[] = [];
  const failing = {
    ...ledger,
    db: {
      ...mesh.db,
      rows: async <T>(sql: string, params?: readonly unknown[]): Promise<T[]> => {
        if (away) {
          refused.push(...(params ?? []));
          throw new TransientError('database.unavailable', 'the database is away');
        }
        return await mesh.db.rows<T>(sql, params);
      },
    },
  };
  const { told } = await watch(failing);
  const worker = await connect('w9', randomUUID());
  const [id] = await mesh.add(ledger, {});
  await mesh.run(ledger, 'w9');
  worker.stream.destroy();
  await waitFor(() => expect(refused).toContain('w9'));
  expect(await mesh.state(id!)).toBe('running');
  away = false;
  await waitFor(() => expect(told).toMatchObject([{ id, state: 'ready' }]));
});

test('a job whose row another transaction has locked at the moment of the death is taken back as soon as it is free; that is said once', async () => {
  const ledger = mesh.ledger();
  const said: string[] = [];
  let looks = 0;
  const seen = watched(ledger.db, async ({ sql }) => {
    if (sql.includes('SELECT session FROM instances')) looks++;
  });
  const log = Object.assign(Object.create(silent), { warn: (_: unknown, text: string) => said.push(text) });
  const { told } = await watch({ ...ledger, db: seen }, log);
  const worker = await connect('w10', randomUUID());
  const [locked, free] = await mesh.add(ledger, {}, {});
  await mesh.run(ledger, 'w10');
  const lock = await lockRows(locked!);
  worker.stream.destroy();
  await waitFor(() => expect(told).toMatchObject([{ id: free, state: 'ready' }]));
  expect(await mesh.state(locked!)).toBe('running');
  await waitFor(() => expect(looks).toBeGreaterThan(3));
  await lock.release();
  await waitFor(() => expect(told).toMatchObject([{ id: free }, { id: locked, state: 'ready', worker: 'w10' }]));
  await waitFor(() => expect(said).toHaveLength(3));
  expect(said.toSorted()).toEqual([
    '1 jobs of the dead worker w10 are locked by other transactions; looking again',
    ...Array(2).fill('worker w10 went offline: took back 1 jobs'),
  ]);
});

test('a claim that is committed after the death of its worker is taken back too', async () => {
  const ledger = mesh.ledger();
  const { told } = await watch(ledger);
  const worker = await connect('w11', randomUUID());
  const [first, second] = await mesh.add(ledger, {}, { level: 2 });
  await mesh.run(ledger, 'w11', 1);
  // The claim has read the time and locked its row, and its commit is on its way when the worker dies.
  const { db, arrived, open } = stoppingAtCommit(ledger.db);
  const late = mesh.run({ ...ledger, db }, 'w11', 1);
  await arrived;
  worker.stream.destroy();
  await waitFor(() => expect(told).toMatchObject([{ id: first, state: 'ready' }]));
  open();
  await late;
  await waitFor(() => expect(told).toMatchObject([{ id: first }, { id: second, state: 'ready', worker: 'w11' }]));
});

test('while the rows of one dead worker are locked, the jobs of another are taken back', async () => {
  const ledger = mesh.ledger();
  const { told } = await watch(ledger);
  const [one, two] = [await connect('w12', randomUUID()), await connect('w13', randomUUID())];
  const [locked] = await mesh.add(ledger, {});
  await mesh.run(ledger, 'w12');
  const [other] = await mesh.add(ledger, {});
  await mesh.run(ledger, 'w13');
  const lock = await lockRows(locked!);
  one.stream.destroy();
  two.stream.destroy();
  await waitFor(() => expect(told).toMatchObject([{ id: other, state: 'ready', worker: 'w13' }]));
  await lock.release();
});

test.each([
  ['was started again under its name', randomUUID()],
  ['is back under its session', undefined],
])('a worker that %s keeps its new jobs while its earlier ones are locked', async (_, next) => {
  const ledger = mesh.ledger();
  // A look that comes while the new life begins goes on when that has claimed.
  let begun: PromiseWithResolvers<void> | undefined;
  const looked = Promise.withResolvers<void>();
  const slow = watched(ledger.db, async ({ sql, params }) => {
    if (!sql.includes('SELECT session FROM instances') || params?.[0] !== 'w14' || begun === undefined) return;
    await begun.promise;
    looked.resolve();
  });
  const { told } = await watch({ ...ledger, db: slow });
  const earlier = randomUUID();
  const now = new Date(mesh.clock.now().epochMilliseconds);
  const register = (session: string) =>
    reportInstance(mesh.db, {
      ...{ instance: 'w14', service: 'worker', session, capacity: 5, running: 0 },
      ...{ started_at: now, heartbeat_at: now },
    });
  await register(earlier);
  const worker = await connect('w14', earlier);
  const [locked, free] = await mesh.add(ledger, {}, {});
  await mesh.run(ledger, 'w14');
  const lock = await lockRows(locked!);
  worker.stream.destroy();
  await waitFor(() => expect(told).toMatchObject([{ id: free }]));
  await waitFor(async () => expect(await mesh.db.rows("SELECT session FROM instances WHERE instance = 'w14'")).toEqual([]));
  begun = Promise.withResolvers();
  // It registers, then it claims.
  await register(next ?? earlier);
  const [again] = await mesh.run(ledger, 'w14', 1);
  begun.resolve();
  await looked.promise;
  await lock.release();
  // A death that is handled after the looks for this one.
  (await connect('w15', randomUUID())).stream.destroy();
  const [probe] = await mesh.add(ledger, { level: 3 });
  await mesh.run(ledger, 'w15');
  await waitFor(() => expect(told.map(({ id }) => id)).toContain(probe));
  expect(again?.id).toBe(free);
  expect(await mesh.state(free!)).toBe('running');
});
