/** A whole mesh, started in this process with its services beside it: what it says, what it leaves for those who join it, and what is left when it has stopped. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { logFile, type Mesh, startMesh, type UpOptions } from '../../../services/cli/mesh/start.ts';
import { databaseOptions, findRuntime } from '../../../services/platform/connections.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { openDataFolder } from '../../../services/platform/machine/datafolder.ts';
import { assertPortFree, freePort } from '../../../services/platform/machine/ports.ts';
import { migrateUp } from '../../../sql/migrate.ts';
import { findServer } from '../../../sql/running-server.ts';
import { testDatabase } from '../../support/database.ts';
import { stockmesh } from '../command-line.ts';

let folder: string;
beforeAll(() => {
  for (const name of ['STOCKMESH_DATABASE_URL', 'STOCKMESH_MQTT_URL']) vi.stubEnv(name, undefined);
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-start-'));
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a mesh; gives it and the lines that a person has seen meanwhile. */
async function starting(options: UpOptions): Promise<{ mesh: Mesh; seen: string }> {
  let seen = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    seen += text;
    return true;
  });
  try {
    return { mesh: await startMesh(options), seen };
  } catch (error) {
    throw Object.assign(error as Error, { seen });
  } finally {
    spy.mockRestore();
  }
}

const SECRETS = ['database.password=hunter2-database', 'stock_jobs.data_fetch.alpha_vantage.api_key=hunter2-key'];

/** The processes that this one has started, and those that they have. */
function descendants(): number[] {
  const parents = new Map<number, number>();
  for (const pid of readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)) {
    const stat = readIfThere(`/proc/${pid}/stat`);
    parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const isOurs = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent === process.pid || (parent !== undefined && parent > 1 && isOurs(parent));
  };
  return [...parents.keys()].filter(isOurs);
}

/** A process may end at any time. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

describe('a mesh of the demo environment', () => {
  let mesh: Mesh;
  let seen: string;
  let db: Database;
  let data: string;
  let ports: { mqttPort: number; httpPort: number };
  let file: string;
  beforeAll(async () => {
    data = join(folder, 'data');
    ports = { mqttPort: await freePort(), httpPort: await freePort() };
    file = join(folder, 'site.yaml');
    writeFileSync(file, 'job_processor: {worker: {max_concurrent_jobs: 3}}\n');
    const set = ['worker.poll_interval=0.5', 'ranking.chains.file.path=past', ...SECRETS];
    vi.stubEnv('STOCKMESH_DATABASE_ROOT_PASSWORD', 'hunter2-root-of-database');
    const options = { data, env: 'demo', config: [file], set, workers: 2, ...ports, source: 'simulated', leanPath: 'lean' };
    ({ mesh, seen } = await starting(options));
    db = openDatabase({ ...databaseOptions(mesh.config, data, 'service'), maxConnections: 1 });
  }, 120_000);
  afterAll(async () => {
    await db.close();
    await mesh.stop();
  });

  test('no secret stands in the arguments of a process, nor one of the database server in any environment', () => {
    const children = descendants();
    expect(children.length).toBeGreaterThanOrEqual(6);
    const commands = children.map((pid) => readIfThere(`/proc/${pid}/cmdline`).replaceAll('\0', ' '));
    expect(commands.filter((command) => command.includes(' service '))).toHaveLength(5);
    expect(commands.filter((command) => command.includes('hunter2'))).toEqual([]);
    const environments = children.map((pid) => readIfThere(`/proc/${pid}/environ`));
    expect(environments.filter((environment) => environment.includes('hunter2-root'))).toEqual([]);
  });

  test('what --set gives reaches the services all the same', async () => {
    const { stdout } = await stockmesh(['config', 'show', 'database.password', '--json', '--data', data]);
    expect(JSON.parse(stdout).keys).toEqual([{ key: 'database.password', value: '•••', origin: expect.stringContaining('--set') }]);
    expect(JSON.stringify(readFileSync(logFile(data), 'utf8'))).not.toContain('hunter2');
  });

  test('says which secret can be read in the list of processes, and how to give it better', () => {
    expect(seen).toMatch(/--set database\.password: other users .* --config/);
    expect(seen).not.toContain('hunter2');
  });

  test('says each step, and what it did', () => {
    const lines = seen
      .trimEnd()
      .split('\n')
      .filter((line) => !line.startsWith('--set '));
    expect(lines.map((line) => line.replace(/ +\d+\.\d s/, ''))).toEqual([
      'ok database',
      expect.stringMatching(/^ok migrations {2}applied ledger, /),
      expect.stringMatching(/^ok demo portfolios {2}\d+ users, \d+ holdings, \d+ watched$/),
      'ok broker',
      'ok services',
    ]);
  });

  test('lets dashboards read what is listed for them, and nothing else', async () => {
    const reader = openDatabase({ ...databaseOptions(mesh.config, data, 'read'), maxConnections: 1 });
    onTestFinished(() => reader.close());
    expect(await reader.rows('SELECT DISTINCT capacity FROM instances WHERE service = ?', ['worker'])).toEqual([{ capacity: 3 }]);
    await expect(reader.rows('SELECT name FROM api_keys')).rejects.toMatchObject({ code: 'ER_TABLEACCESS_DENIED_ERROR' });
  });

  test('leaves for those who join it where its parts are, and its options with absolute paths', () => {
    const runtime = findRuntime(data);
    expect(runtime).toMatchObject({
      pid: process.pid,
      database: { socket: expect.stringContaining('sock'), port: expect.any(Number), name: expect.any(String) },
      broker: { host: '127.0.0.1', port: ports.mqttPort },
    });
    expect(runtime?.settings).toEqual({
      environment: 'demo',
      files: [file],
      set: [
        'worker.poll_interval=0.5',
        `ranking.chains.file.path=${resolve('past')}`,
        ...SECRETS,
        `queue.mqtt.port=${ports.mqttPort}`,
        `gateway.port=${ports.httpPort}`,
        'stock_jobs.data_fetch.sources=simulated',
        `stock_jobs.data_fetch.lean.path=${resolve('lean')}`,
      ],
    });
  });

  test('has its services, as many workers as were asked for, the demo users and the key of the operator', async () => {
    const services = await db.rows<{ service: string }>('SELECT service FROM instances ORDER BY service');
    expect(services.map(({ service }) => service)).toEqual(['gateway', 'portfolio-priority', 'scheduler', 'worker', 'worker']);
    expect(await db.rows('SELECT DISTINCT capacity FROM instances WHERE service = ?', ['worker'])).toEqual([{ capacity: 3 }]);
    expect(await db.rows('SELECT name, CAST(scopes AS CHAR) AS scopes FROM api_keys')).toEqual([
      { name: 'operator', scopes: expect.stringMatching(/read.*jobs.*admin/) },
    ]);
    expect((await db.rows('SELECT DISTINCT user_id FROM holdings')).length).toBeGreaterThan(2);
    const authorization = `Bearer ${readFileSync(join(data, 'gateway-operator.key'), 'utf8').trim()}`;
    expect((await fetch(`http://127.0.0.1:${ports.httpPort}/v1/jobs`, { headers: { authorization } })).status).toBe(200);
  });

  test('writes what its services say into one file, a JSON document a line', () => {
    const lines = readFileSync(logFile(data), 'utf8').trimEnd().split('\n');
    const services = new Set(lines.map((line) => JSON.parse(line).service));
    expect([...services].toSorted()).toEqual(expect.arrayContaining(['gateway', 'scheduler', 'worker']));
  });

  test('is not started twice over one folder, and the second try harms nothing', async () => {
    await expect(starting({ data, env: 'demo', mqttPort: await freePort(), httpPort: await freePort() })).rejects.toThrow(
      `process ${process.pid}`,
    );
    expect(findRuntime(data)?.pid).toBe(process.pid);
    expect(await stockmesh(['stats', '--data', data])).toMatchObject({ code: 0 });
  });

  test('that is stopped leaves no server, no port, no lock and nothing to join', async () => {
    await mesh.stop();
    expect(findRuntime(data)).toBeUndefined();
    expect(findServer(join(data, 'database'))).toBeUndefined();
    await assertPortFree({ port: ports.mqttPort, option: 'mqtt' });
    await assertPortFree({ port: ports.httpPort, option: 'http' });
    await (await openDataFolder(data)).release();
    expect((await stockmesh(['stats', '--data', data])).stderr).toContain('no stockmesh runs over');
  }, 60_000);
});

describe('a start that cannot be', () => {
  let data: string;
  beforeEach(() => {
    data = mkdtempSync(join(folder, 'data-'));
  });
  afterEach(async () => {
    // Whatever had begun was undone.
    expect(findServer(join(data, 'database'))).toBeUndefined();
    await (await openDataFolder(data)).release();
  });

  async function taken(): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolved) => server.listen(0, '127.0.0.1', resolved));
    onTestFinished(() => void server.close());
    return (server.address() as { port: number }).port;
  }

  test.each([
    ['the broker', '--mqtt-port (queue.mqtt.port)', async (port: number) => ({ mqttPort: port, httpPort: await freePort() })],
    [
      'WebSockets',
      'queue.mqtt.websocket_port',
      async (port: number) => ({ set: [`queue.mqtt.websocket_port=${port}`], mqttPort: await freePort() }),
    ],
    ['HTTP', '--http-port (gateway.port)', async (port: number) => ({ mqttPort: await freePort(), httpPort: port })],
  ])('the port of %s is in use', async (_, option, options) => {
    const port = await taken();
    await expect(starting({ data, env: 'demo', ...(await options(port)) })).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(new RegExp(`port ${port} .*${option.replaceAll(/[()]/g, '\\$&')}`)),
    });
  });

  test('a configured database is away: it is named, with the keys to check', async () => {
    const set = [`database.url=mysql://u:p@127.0.0.1:${await freePort()}/d`];
    const error = await starting({ data, env: 'demo', set, mqttPort: await freePort(), httpPort: await freePort() }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({
      name: 'ConfigError',
      code: 'mesh.database_unreachable',
      message: expect.stringMatching(
        /^the configured database cannot be reached \(.*ECONNREFUSED.*\): start it, or correct database\.\* \("npx stockmesh config show database" lists them\)$/,
      ),
    });
    expect((error as { seen: string }).seen).toMatch(/^failed migrations/m);
  }, 60_000);
});

test('a configured database that refuses the account is not called away', async () => {
  const database = await testDatabase({ migrated: false });
  onTestFinished(() => database.drop());
  const set = [`database.url=${database.url.replace('service-secret', 'wrong-secret')}`];
  const data = join(folder, 'refused');
  await expect(starting({ data, set, mqttPort: await freePort(), httpPort: await freePort() })).rejects.toMatchObject({
    code: 'ER_ACCESS_DENIED_ERROR',
  });
});

test("over a configured database that is current the services' account is enough; one that lacks migrations is named with the way out", async () => {
  const database = await testDatabase({ migrated: false });
  onTestFinished(() => database.drop());
  const start = async (name: string) =>
    starting({
      data: join(folder, name),
      env: 'demo',
      set: [`database.url=${database.url}`],
      mqttPort: await freePort(),
      httpPort: await freePort(),
    });
  await expect(start('older')).rejects.toMatchObject({
    code: 'schema.older',
    message: expect.stringMatching(
      /^the database lacks \d+ of \d+ migrations .*run "npx stockmesh migrate up" with the account that may change tables \(CREATE command denied/,
    ),
  });
  await migrateUp(database.migrate);
  const { mesh } = await start('current');
  await mesh.stop();
}, 60_000);

test('one name for several workers is refused before anything begins', async () => {
  const data = join(folder, 'none');
  await expect(starting({ data, workers: 2, set: ['worker.worker_id=w1'] })).rejects.toMatchObject({ code: 'config.conflicting_keys' });
  expect(existsSync(data)).toBe(false);
});

test('the folder of the log is made for its owner alone', () => {
  const data = join(folder, 'log');
  mkdirSync(data);
  expect(logFile(data)).toBe(join(data, 'logs', 'stockmesh.log'));
  expect(statSync(join(data, 'logs')).mode & 0o777).toBe(0o700);
});
