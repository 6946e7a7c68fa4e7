/** Which configuration a command or service has that joins a mesh. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type GlobalOptions, loadFor, loadJoining, reachable, type Session, withSession } from '../../services/cli/session.ts';
import { type Runtime, writeRuntime } from '../../services/platform/connections.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { startEmbedded } from '../broker/brokers.ts';
import { accounts } from '../broker/peers.ts';
import { openBus } from '../platform/bus/brokers.ts';
import { testDatabase } from '../support/database.ts';
import { configText } from './running-mesh.ts';

let data: string;
beforeEach(() => {
  for (const name of ['STOCKMESH_DATA', 'STOCKMESH_ENV', 'STOCKMESH_CONFIG', 'STOCKMESH_DATABASE_URL', 'STOCKMESH_MQTT_URL'])
    vi.stubEnv(name, undefined);
  data = mkdtempSync(join(tmpdir(), 'stockmesh-session-'));
  return () => rmSync(data, { recursive: true });
});
afterEach(() => vi.unstubAllEnvs());

function file(name: string, text: string): string {
  const path = join(data, name);
  writeFileSync(path, text);
  return path;
}
const embedded = { database: { socket: '/s', port: 3306, name: 'stockmesh' }, broker: { host: '127.0.0.1', port: 1883 } };
/** A mesh of the demo environment with one file and one option. */
function running(runtime: Partial<Runtime> = {}): void {
  writeRuntime(data, {
    pid: process.pid,
    ...embedded,
    settings: {
      environment: 'demo',
      files: [file('site.yaml', 'job_processor: {worker: {max_concurrent_jobs: 7, poll_interval: 3}}\n')],
      set: ['worker.poll_interval=4'],
    },
    ...runtime,
  });
}
const joined = (options: GlobalOptions = {}) => {
  const { loaded } = loadJoining({ data, ...options });
  const { max_concurrent_jobs: jobs, poll_interval: poll } = loaded.config.worker;
  return { environment: loaded.environment, jobs, poll };
};

test('where no mesh runs the options stand alone', () => {
  expect(joined().environment).toBe('development');
});

test('a command has environment, files and options of the mesh that runs over its data folder', () => {
  running();
  expect(joined()).toEqual({ environment: 'demo', jobs: 7, poll: 4 });
});

test('what is given with the command is stronger', () => {
  running();
  const own = file('own.yaml', 'job_processor: {worker: {max_concurrent_jobs: 8}}\n');
  expect(joined({ env: 'development', config: [own], set: ['worker.poll_interval=5'] })).toEqual({
    environment: 'development',
    jobs: 8,
    poll: 5,
  });
});

test('an option says whose it is', () => {
  running();
  expect(loadJoining({ data }).loaded.origins.get('worker.poll_interval')).toBe(
    'option --set worker.poll_interval of the running stockmesh',
  );
});

test('a command that names another database and broker has nothing of the mesh', () => {
  running();
  const set = ['database.url=mysql://u:p@h/d', 'queue.mqtt.url=mqtt://h'];
  expect(joined({ set }).environment).toBe('development');
});

test('a mesh on a configured database and broker is joined by a command in the same surroundings', () => {
  vi.stubEnv('STOCKMESH_DATABASE_URL', 'mysql://u:p@h/d');
  vi.stubEnv('STOCKMESH_MQTT_URL', 'mqtt://h');
  running({ database: null, broker: null });
  expect(joined()).toMatchObject({ environment: 'demo', jobs: 7 });
});

test.each<[string, () => GlobalOptions]>([
  ['environment', () => ({ env: 'production' })],
  ['file', () => ({ config: [file('own.yaml', 'job_processor: {worker: {max_concurrent_jobs: 8}}\n')] })],
])('a command with an %s of its own has nothing of a mesh on a configured database and broker', (_, options) => {
  vi.stubEnv('STOCKMESH_DATABASE_URL', 'mysql://u:p@h/d');
  vi.stubEnv('STOCKMESH_MQTT_URL', 'mqtt://h');
  running({ database: null, broker: null });
  expect(joined(options()).poll).not.toBe(4);
});

test.each([
  ['database', 'database.url=mysql://u:p@h/d'],
  ['broker', 'queue.mqtt.url=mqtt://h'],
])('a command that names another %s alone joins the mesh for the rest', (_, set) => {
  running();
  expect(joined({ set: [set] })).toMatchObject({ environment: 'demo', jobs: 7 });
});

test('a file of the mesh that is given again is read once, and in the place of the mesh', () => {
  running();
  const own = file('own.yaml', 'job_processor: {worker: {max_concurrent_jobs: 8}}\n');
  expect(joined({ config: [own, join(data, 'site.yaml')] }).jobs).toBe(8);
});

test.each(['worker', '=3', ''])('--set "%s" is refused with the form', (set) => {
  expect(() => loadFor({ data, set: [set] })).toThrow(
    expect.objectContaining({ code: 'option.bad_set', message: expect.stringContaining(`--set "${set}": write it as KEY=VALUE`) }),
  );
});

test('a value may hold the sign that divides it from its key', () => {
  const { loaded } = loadFor({ data, set: ['database.url=mysql://u:p@h/d?ssl-mode=REQUIRED'] });
  expect(loaded.config.database.url).toBe('mysql://u:p@h/d?ssl-mode=REQUIRED');
  expect(loaded.origins.get('database.url')).toBe('option --set database.url');
});

test('the data folder is that of the option, else of the environment, else of the configuration', () => {
  const set = ['storage.data_folder=/of/the/configuration'];
  expect(loadFor({ data, set }).dataFolder).toBe(data);
  expect(loadFor({ set }).dataFolder).toBe('/of/the/configuration');
  vi.stubEnv('STOCKMESH_DATA', '/of/the/environment');
  expect(loadFor({ set }).dataFolder).toBe('/of/the/environment');
});

describe('a session', () => {
  const open = async (work: Parameters<typeof withSession>[1]) => {
    const database = await testDatabase();
    onTestFinished(() => database.drop());
    const broker = await startEmbedded();
    onTestFinished(() => broker.close());
    const config = file('session.yaml', configText(database.url, `mqtt://service:${accounts.service!.password}@127.0.0.1:${broker.port}`));
    return withSession({ data, config: [config] }, work);
  };

  test('is closed with whatever it opened, also after an error', async () => {
    const opened: Session[] = [];
    const failing = open(async (session) => {
      opened.push(session);
      await (await session.bus()).online();
      expect(await reachable(await session.bus())).toBe(true);
      expect(await session.bus()).toBe(await session.bus());
      throw new Error('of the command');
    });
    await expect(failing).rejects.toThrow('of the command');
    const [session] = opened;
    await expect((await session!.bus()).online()).rejects.toThrow('closed');
    await expect(session!.db.rows('SELECT 1')).rejects.toThrow();
  });

  test('has the time of the database', async () => {
    await open(async ({ clock, db }) => {
      const [row] = await db.rows<{ now: Date }>('SELECT UTC_TIMESTAMP(3) AS now');
      expect(Math.abs(clock.now().epochMilliseconds - row!.now.getTime())).toBeLessThan(60_000);
      expect(clock.offsetMs).toEqual(expect.any(Number));
    });
  });
});

test('a broker that does not answer is not reachable, and another error of it is none of the time', async () => {
  const bus = openBus(await freePort());
  expect(await reachable(bus)).toBe(false);
  await bus.close();
  await expect(reachable(bus)).rejects.toThrow('closed');
});

test('a mesh of an earlier version, which said nothing of its settings, is joined without them', () => {
  running({ settings: undefined });
  expect(joined().environment).toBe('development');
});

test('an option of its own that is not given leaves --set in force', () => {
  const own = (value: number | undefined) => ({ 'gateway.port': { value, option: '--http-port' } });
  const portOf = (value: number | undefined) => loadFor({ data, set: ['gateway.port=18787'] }, own(value)).loaded.config.gateway.port;
  expect([portOf(undefined), portOf(18_788)]).toEqual([18_787, 18_788]);
});
