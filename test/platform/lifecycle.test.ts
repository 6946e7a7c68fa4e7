import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Bus } from '../../services/platform/bus/bus.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { databaseUrl, type EmbeddedDatabase, startDatabase } from '../../sql/embedded.ts';
import { migrateUp } from '../../sql/migrate.ts';
import { startEmbedded } from '../broker/brokers.ts';
import { accounts, silent } from '../broker/peers.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { startDatabaseProxy } from '../support/database-proxy.ts';
import { answerTo, closing, openBus, PACKET, scriptedBroker } from './bus/brokers.ts';

const program = fileURLToPath(new URL('./fixtures/service.ts', import.meta.url));

interface Running {
  child: ChildProcess;
  lines: string[];
  /** Waits for a line. */
  says(text: string | RegExp): Promise<void>;
  /** The exit code, or the signal that ended it. */
  ended: Promise<number | string>;
}

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function run(
  keys: Record<string, unknown>,
  more: { failing?: boolean; orphaned?: boolean; losingDatabase?: boolean; patienceMs?: number } = {},
): Running {
  const child = fork(program, [JSON.stringify({ dataFolder, keys: { 'logging.format': 'json', ...keys }, ...more })], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  children.push(child);
  const lines: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) createInterface({ input: stream }).on('line', (line) => lines.push(line));
  const says = (text: string | RegExp) =>
    expect
      .poll(() => lines.some((line) => (typeof text === 'string' ? line === text : text.test(line))), {
        timeout: 20_000,
        interval: 10,
        message: lines.join('\n'),
      })
      .toBe(true);
  const ended = once(child, 'exit').then(([code, signal]) => code ?? signal);
  return { child, lines, says, ended };
}

/** Nobody listens there. */
const noBroker = { 'queue.mqtt.url': 'mqtt://service:x@127.0.0.1:9' };

let database: TestDatabase;
let dataFolder: string;
beforeAll(async () => {
  dataFolder = mkdtempSync(join(tmpdir(), 'lifecycle-'));
  database = await testDatabase();
});
afterAll(async () => {
  rmSync(dataFolder, { recursive: true });
  await database.drop();
});

const here = () => ({ 'database.url': database.url, ...noBroker });

async function withBroker() {
  const broker = closing(await startEmbedded());
  const bus = openBus(broker.port, { service: 'gateway', version: '1' });
  await bus.online();
  return { bus, keys: { ...here(), 'queue.mqtt.url': `mqtt://service:${accounts.service!.password}@127.0.0.1:${broker.port}` } };
}

/** Sends a control message, again until the service received it: the service may not listen yet. */
async function order(bus: Bus, service: Running, action: 'drain' | 'reload'): Promise<void> {
  const heard = async () => {
    await bus.publish('control', { instance: 'test-1', action });
    return service.lines.includes('drained');
  };
  await expect.poll(heard, { timeout: 10_000 }).toBe(true);
}

describe('the end of a service', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s: it stops taking work, finishes, and exits with 0', async (signal) => {
    const service = run(here());
    await service.says('started');
    service.child.kill(signal);
    expect(await service.ended).toBe(0);
    expect(service.lines).toContain('drained');
    const said = service.lines.filter((line) => /"msg":"test (stops|has stopped)"/.test(line)).map((line) => JSON.parse(line));
    expect(said).toMatchObject([{ why: signal, msg: 'test stops' }, { msg: 'test has stopped' }]);
  });

  test('its supervisor is told when it is ready, and need not hang up before it can end', async () => {
    const { bus, keys } = await withBroker();
    const service = run(keys);
    expect((await once(service.child, 'message'))[0]).toEqual({ ready: true });
    await service.says(/broker connected/);
    await order(bus, service, 'drain');
    expect(await service.ended).toBe(0);
  });

  test('its supervisor is told when the broker delivers to it', async () => {
    const { keys } = await withBroker();
    const service = run(keys);
    const messages: unknown[] = [];
    service.child.on('message', (message) => messages.push(message));
    await expect.poll(() => messages, { timeout: 20_000 }).toEqual([{ ready: true }, { subscribed: true }]);
  });

  test('a broker that grants what it does not deliver: its supervisor is not told, and the log names what does not come', async () => {
    const { keys } = await withBroker();
    // The account of the hook may subscribe to everything and gets nothing.
    const service = run({ ...keys, 'queue.mqtt.url': keys['queue.mqtt.url'].replace(/\/\/.*@/, `//hook:${accounts.hook!.password}@`) });
    const messages: unknown[] = [];
    service.child.on('message', (message) => messages.push(message));
    await service.says(/does not hear the broker yet: nothing comes from mesh\/test\/test-1\/state/);
    expect(messages).toEqual([{ ready: true }]);
  });

  test('a reload is an exit with 75: the supervisor starts it anew', async () => {
    const { bus, keys } = await withBroker();
    const service = run(keys);
    await service.says(/broker connected/);
    await order(bus, service, 'reload');
    expect(await service.ended).toBe(75);
  });

  test('an order for another instance does not concern it; a cancel reaches the service', async () => {
    const { bus, keys } = await withBroker();
    const service = run(keys);
    await service.says(/broker connected/);
    await expect
      .poll(
        async () => {
          await bus.publish('control', { instance: 'test-2', action: 'drain' });
          await bus.publish('control', { instance: 'test-1', action: 'cancel', job_id: 'job-7' });
          return service.lines.includes('cancel job-7');
        },
        { timeout: 10_000 },
      )
      .toBe(true);
    expect(service.lines).not.toContain('drained');
  });

  test('the mesh sees it online and then offline', async () => {
    const { bus, keys } = await withBroker();
    const seen: string[] = [];
    bus.subscribe('presence', { params: { service: 'test' } }, ({ body }) => void seen.push(body.state));
    const service = run(keys);
    await expect.poll(() => seen, { timeout: 10_000 }).toContain('online');
    service.child.kill('SIGTERM');
    await service.ended;
    await expect.poll(() => seen.at(-1)).toBe('offline');
  });

  test('it has a heartbeat row while it runs, and none afterwards', async () => {
    const service = run(here());
    await once(service.child, 'message');
    const db = openDatabase(database.options);
    const rows = () => db.rows("SELECT service, instance FROM instances WHERE instance = 'test-1'");
    expect(await rows()).toEqual([{ service: 'test', instance: 'test-1' }]);
    service.child.kill('SIGTERM');
    await service.ended;
    expect(await rows()).toEqual([]);
    await db.close();
  });

  test('a second process of its name is refused, and the first one goes on', async () => {
    const first = run(here());
    await first.says('started');
    const second = run(here());
    expect(await second.ended).toBe(2);
    expect(second.lines).toEqual([
      expect.stringMatching(new RegExp(`^refused instance\\.in_use: .*${first.child.pid}.*"test-1".*--instance`)),
    ]);
    first.child.kill('SIGKILL');
    await first.ended;
    await run(here()).says('started');
  });

  test('a supervisor that is gone ends it', async () => {
    const service = run(here());
    await service.says('started');
    service.child.disconnect();
    expect(await service.ended).toBe(0);
    expect(service.lines).toContain('drained');
  });

  test('a supervisor that was gone before it listened ends it too', async () => {
    const service = run(here(), { orphaned: true });
    service.child.disconnect();
    expect(await service.ended).toBe(0);
  });

  test('what cannot start ends with its reason, and leaves nothing open that would keep the process', async () => {
    const service = run(here(), { failing: true });
    expect(await service.ended).toBe(2);
    expect(service.lines).toContain('refused internal: cannot start');
  });

  test('what loses its database between its start and its first heartbeat stops its work and ends', async () => {
    const service = run(here(), { losingDatabase: true });
    expect(await service.ended).toBe(2);
    expect(service.lines).toContain('drained');
    expect(service.lines).toContainEqual(expect.stringMatching(/^refused /));
  });
});

describe('the end of a service without its database', () => {
  test('one that has drained waits no longer for a database that does not answer', async () => {
    const proxy = await startDatabaseProxy(inject('databaseServer'));
    const { user, password, database: name } = database.options;
    const service = run(
      {
        ...noBroker,
        'database.url': `mysql://${user}:${encodeURIComponent(password)}@127.0.0.1:${proxy.port}/${name}`,
        // No limit of a statement ends the wait for it.
        ...{ 'database.statement_timeout': 600, 'database.acquire_timeout': 600 },
      },
      { patienceMs: 600_000 },
    );
    await service.says(/test is ready/);
    proxy.stall();
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.lines).toContainEqual(expect.stringMatching(/own heartbeat row not removed: this process stops/));
    await proxy.close();
  });
});

describe('the start of a service', () => {
  test('without a broker it goes on, and says so', async () => {
    const service = run(here());
    await service.says('started');
    await service.says(/broker not reachable/);
  });

  test('a broker that acknowledges nothing is waited for as long as is configured, in seconds', async () => {
    const broker = await scriptedBroker((type, packet, socket) => {
      if (type === PACKET.subscribe) socket.write(answerTo(packet, 1));
    });
    const service = run({ ...here(), 'queue.mqtt.url': `mqtt://127.0.0.1:${broker.port}`, 'queue.mqtt.publish_timeout': 0.2 });
    await service.says(/mesh\/test\/test-1\S*: the broker did not acknowledge it within 200 ms/);
  });

  test('a schema without all migrations is refused with the way out', async () => {
    const empty = await testDatabase({ migrated: false });
    const service = run({ ...here(), 'database.url': empty.url });
    expect(await service.ended).toBe(2);
    await service.says(/^refused schema\.older: .*run "npx stockmesh migrate up"/);
    await empty.drop();
  });

  test('a schema of a newer version that lets this one serve is served through, with a warning', async () => {
    const newer = await testDatabase();
    const db = openDatabase(newer.migrate);
    await db.run(
      "INSERT INTO schema_migrations (version, name, checksum, applied_at, online) VALUES (9999, 'tomorrow', '', UTC_TIMESTAMP(), 1)",
    );
    await db.close();
    const service = run({ ...here(), 'database.url': newer.url });
    await service.says(/"level":"warn".*the schema is newer than this version \(tomorrow\) and lets it serve/);
    await service.says(/test is ready/);
    service.child.kill('SIGTERM');
    await service.ended;
    await newer.drop();
  });

  test('a schema of a newer version is refused with the way out', async () => {
    const newer = await testDatabase();
    const db = openDatabase(newer.migrate);
    await db.run("INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (9999, 'tomorrow', '', UTC_TIMESTAMP())");
    await db.close();
    const service = run({ ...here(), 'database.url': newer.url });
    expect(await service.ended).toBe(2);
    await service.says(/^refused schema\.newer: the database is at migration 9999, .*update stockmesh/);
    await newer.drop();
  });
});

describe('a database that is not there yet', () => {
  const passwords = { root: 'root-secret', migrate: 'migrate-secret', service: 'service-secret', read: 'read-secret' };
  let folder: string;
  let url: string;
  let server: EmbeddedDatabase | undefined;
  const start = () => startDatabase({ dataDir: join(folder, 'database'), passwords, log: silent, durable: false });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'stockmesh-lifecycle-'));
    const first = await start();
    await migrateUp(first.options('migrate'));
    const { user, password, socketPath, database: name } = first.options('service');
    url = databaseUrl({ user, password, socket: socketPath!, port: first.port, database: name });
    await first.stop();
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('SIGTERM ends the wait for it, with 0', async () => {
    const service = run({ ...noBroker, 'database.url': url });
    await service.says(/next try in/);
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.lines).not.toContain('started');
  });

  test('is waited for while it is read-only', async () => {
    const proxy = await startDatabaseProxy(inject('databaseServer'));
    const { user, password, database: name } = database.options;
    proxy.refuse(1290, /write_probes/, 2);
    const service = run({ ...noBroker, 'database.url': `mysql://${user}:${encodeURIComponent(password)}@127.0.0.1:${proxy.port}/${name}` });
    await service.says(/ER_OPTION_PREVENTS_STATEMENT.*read-only.*next try in 200 ms/);
    await service.says('started');
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
    await proxy.close();
  });

  test('is waited for with longer and longer pauses, until it is', async () => {
    const service = run({ ...noBroker, 'database.url': url });
    await service.says(/next try in 400 ms/);
    const waits = service.lines.flatMap((line) => /next try in (\d+) ms/.exec(line)?.[1] ?? []);
    expect(waits.slice(0, 3)).toEqual(['100', '200', '400']);
    server = await start();
    await service.says('started');
  });
});
