import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import mysql from 'mysql2/promise';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { freePort } from '../../services/platform/machine/ports.ts';
import type { DatabaseRole } from '../../sql/accounts.ts';
import { type EmbeddedDatabase, type EmbeddedOptions, startDatabase } from '../../sql/embedded.ts';
import { findServer, stopServer } from '../../sql/running-server.ts';

const passwords = { root: "ro'ot\\secret", migrate: 'migrate-secret', service: 'service/secret?', read: 'read@secret' };
const starter = fileURLToPath(new URL('../support/start-database.ts', import.meta.url));

let folder: string;
let running: EmbeddedDatabase[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-embedded-'));
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((database) => database.stop()));
  const left = findServer(join(folder, 'database'));
  if (left !== undefined) await stopServer(left.pid, join(folder, 'database'));
  rmSync(folder, { recursive: true, force: true });
});

async function start(options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedDatabase> {
  const database = await startDatabase({
    dataDir: join(folder, 'database'),
    passwords,
    log: pino({ level: 'silent' }),
    durable: false,
    ...options,
  });
  running.push(database);
  return database;
}

async function query(database: EmbeddedDatabase, role: DatabaseRole, ...statements: string[]): Promise<unknown> {
  const connection = await mysql.createConnection(database.url(role));
  try {
    let rows: unknown;
    for (const statement of statements) [rows] = await connection.query(statement);
    return rows;
  } finally {
    await connection.end();
  }
}

describe('a server that runs', () => {
  let home: string;
  let database: EmbeddedDatabase;
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'stockmesh-embedded-'));
    const secrets = { STOCKMESH_DATABASE_ROOT_PASSWORD: 'secret', MYSQL_HOME: home, MYSQL_TCP_PORT: '1', LD_PRELOAD: '' };
    for (const [name, value] of Object.entries(secrets)) vi.stubEnv(name, value);
    database = await startDatabase({ dataDir: join(home, 'database'), passwords, log: pino({ level: 'silent' }) });
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await database.stop();
    rmSync(home, { recursive: true, force: true });
  });

  test('each account may do its own work and nothing more', async () => {
    await query(database, 'migrate', 'CREATE TABLE t (id INT PRIMARY KEY)', 'ALTER TABLE t ADD n INT');
    await query(database, 'service', 'INSERT INTO t VALUES (1, 1)', 'UPDATE t SET n = 2', 'DELETE FROM t WHERE id = 9');
    await expect(query(database, 'service', 'SELECT n FROM t')).resolves.toEqual([{ n: 2 }]);

    const denied = { code: 'ER_TABLEACCESS_DENIED_ERROR' };
    await expect(query(database, 'service', 'DROP TABLE t')).rejects.toMatchObject(denied);
    await expect(query(database, 'service', 'CREATE TABLE u (id INT)')).rejects.toMatchObject(denied);
    // Its rights are given by column after the migrations, of which there are none here.
    await expect(query(database, 'read', 'SELECT n FROM t')).rejects.toMatchObject({ code: 'ER_DBACCESS_DENIED_ERROR' });
    for (const statement of ['ALTER TABLE t ADD m INT', 'CREATE INDEX i ON t (n)', 'TRUNCATE t'])
      await expect(query(database, 'service', statement)).rejects.toMatchObject(denied);
    for (const name of ['other', 'test', 'test_other'])
      await expect(query(database, 'service', `CREATE DATABASE ${name}`)).rejects.toMatchObject({ code: 'ER_DBACCESS_DENIED_ERROR' });
    await expect(query(database, 'service', "SELECT LOAD_FILE('/etc/hostname') AS text")).resolves.toEqual([{ text: null }]);
    for (const role of ['migrate', 'service'] as const)
      await expect(query(database, role, 'SELECT * FROM mysql.user')).rejects.toMatchObject(denied);
    await expect(query(database, 'migrate', 'CREATE DATABASE other')).rejects.toMatchObject({ code: 'ER_DBACCESS_DENIED_ERROR' });
    await expect(query(database, 'service', "SELECT 1 INTO OUTFILE '/tmp/stolen'")).rejects.toMatchObject({
      code: 'ER_SPECIFIC_ACCESS_DENIED_ERROR',
    });
  });

  test('nobody gets in without a password, and root not over TCP', async () => {
    const { host, port, socket: socketPath } = database;
    const denied = { code: 'ER_ACCESS_DENIED_ERROR' };
    await expect(mysql.createConnection({ socketPath, user: 'root' })).rejects.toMatchObject(denied);
    await expect(mysql.createConnection({ socketPath, user: '' })).rejects.toMatchObject(denied);
    await expect(mysql.createConnection({ host, port, user: 'stockmesh' })).rejects.toMatchObject(denied);
    await expect(mysql.createConnection({ host, port, ...database.accounts.root })).rejects.toMatchObject(denied);
    const tcp = await mysql.createConnection({ host, port, ...database.accounts.read });
    await tcp.end();
    await expect(
      query(database, 'root', "SELECT User, Host FROM mysql.user WHERE User NOT LIKE 'stockmesh%' ORDER BY User"),
    ).resolves.toEqual([
      { User: 'mariadb.sys', Host: 'localhost' },
      { User: 'root', Host: 'localhost' },
    ]);
  });

  test('sessions are READ COMMITTED, in UTC and in utf8mb4, on 127.0.0.1 alone', async () => {
    const rows = await query(
      database,
      'service',
      'SELECT @@tx_isolation AS isolation, @@time_zone AS zone, @@character_set_database AS letters, @@bind_address AS address, @@innodb_flush_log_at_trx_commit AS durable, @@local_infile AS local_files',
    );
    expect(rows).toEqual([
      { isolation: 'READ-COMMITTED', zone: '+00:00', letters: 'utf8mb4', address: '127.0.0.1', durable: 1, local_files: 0 },
    ]);
  });

  test('it has nothing of our environment that it would take for a setting, and no secret', () => {
    const names = readFileSync(`/proc/${database.pid}/environ`, 'utf8')
      .split('\0')
      .map((one) => one.split('=')[0]!);
    const allowed = /^(PATH|TZ|LANG|LC_\w+|LD_LIBRARY_PATH|UMASK|UMASK_DIR|)$/;
    expect(names.filter((name) => !allowed.test(name))).toEqual([]);
  });

  test('all that it creates is for its owner only, its socket too', async () => {
    await query(database, 'migrate', 'CREATE TABLE kept_private (id INT)');
    const wide = readdirSync(join(home, 'database'), { recursive: true, withFileTypes: true })
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => (statSync(path).mode & 0o077) !== 0);
    expect(wide).toEqual([]);
  });

  test('nothing that it was started with is left for others to read', async () => {
    const readable = readdirSync(join(home, 'database')).filter((name) => /\.sql$/.test(name));
    expect(readable).toEqual([]);
    expect(statSync(join(home, 'database', 'server.port')).mode & 0o777).toBe(0o600);
  });

  test('temporary files lie beside the database, out of reach of other servers', async () => {
    await expect(query(database, 'service', 'SELECT @@tmpdir AS folder')).resolves.toEqual([{ folder: join(home, 'database.tmp') }]);
    await expect(query(database, 'root', "SHOW DATABASES LIKE '%tmp%'")).resolves.toEqual([]);
  });

  test('it is in a session of its own, so Ctrl-C does not reach it', async () => {
    const { pid } = database;
    // proc(5): after the name in parentheses come state, parent, process group, session.
    const session = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[3];
    expect(Number(session)).toBe(pid);
  });
});

describe('a start', () => {
  test('with new passwords puts them in force, the one of root too', async () => {
    await (await start()).stop();
    const changed = { root: 'other-root', migrate: 'other-migrate', service: 'other-service', read: 'other-read' };
    const database = await start({ passwords: changed });
    await expect(query(database, 'service', 'SELECT 1 AS one')).resolves.toEqual([{ one: 1 }]);
  });

  test("the machine's own configuration does not leak in", async () => {
    writeFileSync(join(folder, 'my.cnf'), '[mysqld]\nno-such-setting=1\n');
    vi.stubEnv('MYSQL_HOME', folder);
    try {
      await start();
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test('a folder too long for a socket gets its socket in a private temporary folder, removed at the end', async () => {
    const deep = join(folder, 'a'.repeat(100));
    mkdirSync(deep);
    const database = await start({ dataDir: join(deep, 'database') });
    expect(Buffer.byteLength(database.socket)).toBeLessThan(104);
    await expect(query(database, 'service', 'SELECT 1 AS one')).resolves.toEqual([{ one: 1 }]);
    await database.stop();
    expect(existsSync(database.socket)).toBe(false);
  });

  test('a port in use is refused by its number, the option and a free one', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(start({ port })).rejects.toMatchObject({
      code: 'port.in_use',
      message: expect.stringMatching(new RegExp(`port ${port} .*database\\.port, for example \\d+`)),
    });
    other.close();
  });
});

describe('the port', () => {
  test('is the same at the next start', async () => {
    const first = await start();
    await first.stop();
    expect((await start()).port).toBe(first.port);
  });

  test('is another one, and remembered, where a program took it meanwhile', async () => {
    const first = await start();
    await first.stop();
    const other = createServer().listen(first.port, '127.0.0.1');
    await once(other, 'listening');
    const second = await start();
    other.close();
    expect(second.port).not.toBe(first.port);
    await second.stop();
    expect((await start()).port).toBe(second.port);
  });
});

describe('what goes wrong', () => {
  test('rows that were committed survive kill -9 of the server', async () => {
    const database = await start({ durable: true });
    await query(database, 'migrate', 'CREATE TABLE t (id INT PRIMARY KEY)', 'INSERT INTO t VALUES (1), (2)');
    process.kill(database.pid, 'SIGKILL');
    await expect(database.exited).resolves.toBe('signal SIGKILL');
    const again = await start({ durable: true });
    expect(again.adopted).toBe(false);
    expect(again.socket).toBe(database.socket);
    await expect(query(again, 'service', 'SELECT COUNT(*) AS n FROM t')).resolves.toEqual([{ n: 2 }]);
  });

  test('a frozen server is stopped cleanly', async () => {
    const database = await start();
    process.kill(database.pid, 'SIGSTOP');
    await database.stop();
    expect(readFileSync(join(folder, 'database', 'error.log'), 'utf8')).toMatch(/Shutdown complete/);
  });

  test('the server of a killed process is adopted with its work, and stopped at the end', async () => {
    const parent = spawn(process.execPath, [starter, join(folder, 'database')], { stdio: ['ignore', 'pipe', 'inherit'] });
    const { pid } = await firstLine(parent);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    const database = await start({
      passwords: { root: 'root-secret', migrate: 'migrate-secret', service: 'service-secret', read: 'read-secret' },
    });
    expect(database).toMatchObject({ pid, adopted: true });
    await expect(query(database, 'service', 'SELECT 1 AS one')).resolves.toEqual([{ one: 1 }]);
    await database.stop();
    await expect(database.exited).resolves.toBe('stopped');
    expect(findServer(join(folder, 'database'))).toBeUndefined();
  });

  test('a server left running with another password or port is restarted, not refused', async () => {
    const first = await start();
    const second = await start({ passwords: { ...passwords, root: 'another-root' } });
    expect(second.adopted).toBe(false);
    expect(second.pid).not.toBe(first.pid);
    await expect(query(second, 'service', 'SELECT 1 AS one')).resolves.toEqual([{ one: 1 }]);
  });

  test('a server left running on a port that was not asked for is restarted on the one that was', async () => {
    const first = await start();
    const port = await freePort();
    const second = await start({ port });
    expect([second.adopted, second.port, second.pid === first.pid]).toEqual([false, port, false]);
    const third = await start({ port });
    expect([third.adopted, third.pid]).toEqual([true, second.pid]);
  });

  test('a temporary folder for the socket that others may enter is refused', async () => {
    const deep = join(folder, 'a'.repeat(100));
    mkdirSync(deep);
    const dataDir = join(deep, 'database');
    // The name follows from the data folder.
    const name = `stockmesh-${createHash('sha256').update(dataDir).digest('hex').slice(0, 16)}`;
    mkdirSync(join(tmpdir(), name), { mode: 0o700 });
    onTestFinished(() => rmSync(join(tmpdir(), name), { recursive: true }));
    chmodSync(join(tmpdir(), name), 0o750);
    await expect(start({ dataDir })).rejects.toMatchObject({
      code: 'database.socket_folder',
      message: expect.stringContaining(`${name} must be a folder of this user with mode 0700`),
    });
  });

  test('a start that fails shows the end of the error log and the way out', async () => {
    await expect(start({ settings: { 'another-setting': 1 } })).rejects.toMatchObject({ code: 'database.start_failed' });
    const failed = await start({ settings: { 'no-such-setting': 1 } }).catch((error) => error);
    expect(failed).toMatchObject({
      code: 'database.start_failed',
      message: expect.stringMatching(/unknown variable 'no-such-setting=1'[\s\S]*start again/),
    });
    // The end of this start, and not of the one before.
    expect(failed.message).not.toContain('another-setting');
    expect(failed.message.split('\n').length).toBeLessThanOrEqual(17);
  });

  test('a creation that fails leaves nothing, and one that was interrupted is begun anew', async () => {
    const broken = join(folder, 'mysqld');
    writeFileSync(broken, '#!/bin/sh\necho "Ver 8.0 for Linux"; echo "no space left" >&2; exit 1\n');
    chmodSync(broken, 0o755);
    await expect(start({ binary: broken })).rejects.toThrow();
    writeFileSync(broken, '#!/bin/sh\n[ "$2" = --version ] && { echo "Ver 8.0 for Linux"; exit 0; }\necho "no space left" >&2; exit 1\n');
    await expect(start({ binary: broken })).rejects.toMatchObject({
      code: 'database.create_failed',
      message: expect.stringContaining('no space left'),
    });
    expect(existsSync(join(folder, 'database'))).toBe(false);

    mkdirSync(join(folder, 'database.creating'));
    writeFileSync(join(folder, 'database.creating', 'ibdata1'), 'half');
    await start();
    expect(readdirSync(folder)).not.toContain('database.creating');
  });

  test('a folder with something else in it is left alone', async () => {
    mkdirSync(join(folder, 'database'));
    writeFileSync(join(folder, 'database', 'thesis.txt'), 'precious');
    await expect(start()).rejects.toMatchObject({ code: 'database.not_a_database', message: expect.stringContaining(folder) });
    expect(readFileSync(join(folder, 'database', 'thesis.txt'), 'utf8')).toBe('precious');
  });
});

/** Whether root runs the tests and the account nobody could run this checkout too. */
const asNobody = { uid: 65534, gid: 65534 };
const nobodyCanRun =
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ['-e', `require('fs').accessSync(${JSON.stringify(starter)})`], asNobody).status === 0;

test.skipIf(!nobodyCanRun)('an ordinary user starts and stops it too', async () => {
  chmodSync(folder, 0o777);
  const parent = spawn(process.execPath, [starter, join(folder, 'database')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: folder,
    ...asNobody,
  });
  const { pid, uid } = await firstLine(parent);
  expect(uid).toBe(asNobody.uid);
  expect(findServer(join(folder, 'database'))).toMatchObject({ pid });
  parent.kill('SIGTERM');
  await expect(once(parent, 'exit')).resolves.toEqual([0, null]);
  expect(findServer(join(folder, 'database'))).toBeUndefined();
});

async function firstLine(child: ChildProcess): Promise<{ pid: number; uid: number }> {
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = await once(child.stdout!.setEncoding('utf8'), 'data');
  return JSON.parse(line as string) as { pid: number; uid: number };
}
