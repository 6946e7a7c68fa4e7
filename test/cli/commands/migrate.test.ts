/** Migrations on the command line: what is applied, what is lost, and that a person is asked before. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { databaseUrl } from '../../../sql/embedded.ts';
import { migrations } from '../../../sql/migrate.ts';
import { checksumOf } from '../../../sql/steps.ts';
import { testDatabase } from '../../support/database.ts';
import { stockmesh } from '../command-line.ts';
import { configText } from '../running-mesh.ts';

const database = await testDatabase({ migrated: false });
const db = openDatabase(database.migrate);
const folder = mkdtempSync(join(tmpdir(), 'stockmesh-migrate-'));
const config = join(folder, 'migrate.yaml');
const names = (await migrations()).map(({ name }) => name);
const newest = names.at(-1)!;
beforeAll(() => {
  const { user, password, socketPath, database: name } = database.migrate;
  const url = databaseUrl({ user, password, database: name, socket: socketPath as string, port: 3306 });
  writeFileSync(config, configText(url, 'mqtt://127.0.0.1:1'));
});
afterAll(async () => {
  await db.close();
  await database.drop();
  rmSync(folder, { recursive: true });
});
const migrate = (...args: string[]) => stockmesh(['migrate', ...args, '--config', config]);
const json = async (...args: string[]) => JSON.parse((await migrate(...args, '--json')).stdout);

/** Runs a command at a terminal at which a person answers. */
async function asked(answer: string, ...args: string[]) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const input = vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
  const { isTTY } = process.stderr;
  Object.assign(process.stderr, { isTTY: true });
  onTestFinished(() => {
    input.mockRestore();
    Object.assign(process.stderr, { isTTY });
  });
  stdin.write(`${answer}\n`);
  return migrate(...args);
}

test('of an empty database nothing is taken back, and all are missing', async () => {
  expect(await migrate('down', '--yes')).toEqual({ code: 0, stdout: 'no migration is applied: nothing to take back\n', stderr: '' });
  expect(await json('down', '--yes')).toEqual({ ok: true, taken_back: [] });
  const { stdout } = await migrate('status');
  expect(stdout).toMatch(/^VERSION +NAME +APPLIED +WHILE SERVICES RUN\n +1 +ledger +missing +yes\n/);
  expect(stdout).toMatch(new RegExp(`\n\n${names.length} migrations are missing; "npx stockmesh migrate up" applies them\n$`));
});

test('they are applied once', async () => {
  expect((await migrate('up')).stdout).toBe(`applied ${names.join(', ')}\n`);
  expect((await migrate('up')).stdout).toBe('the schema is current: nothing to apply\n');
  expect(await json('up')).toEqual({ ok: true, applied: [], online: true });
  const { stdout } = await migrate('status');
  expect(stdout).toMatch(/\n +1 +ledger +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC +yes\n/);
  expect(stdout).toMatch(/\n\nthe schema is current\n$/);
  const { current, migrations: all } = await json('status');
  expect([current, all.map(({ name }: { name: string }) => name)]).toEqual([true, names]);
});

test('the rights of dashboards are printed as SQL for an account that may grant them', async () => {
  const { code, stdout } = await migrate('grants');
  expect(code).toBe(0);
  expect(stdout.split('\n')[0]).toBe("REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'stockmesh_read'@'%';");
  expect(stdout).toContain(`GRANT SELECT (\`name\`, \`holder\`, \`until\`) ON \`${database.name}\`.\`leases\` TO 'stockmesh_read'@'%';\n`);
  expect(stdout).not.toMatch(/api_keys|hash|url/);
  const { statements } = await json('grants', '--account', 'grafana@10.0.0.7');
  expect(statements[0]).toBe("REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'grafana'@'10.0.0.7'");
  expect(await migrate('grants', '--account', 'a@b@c')).toMatchObject({ code: 2, stderr: expect.stringContaining('USER@HOST') });
});

test('one that was cut on its way back is shown so, and is what "down" names and takes back', async () => {
  const { version, down } = (await migrations()).at(-1)!;
  await db.run('DELETE FROM schema_migrations WHERE version = ?', [version]);
  await db.run("INSERT INTO schema_steps (version, way, done, checksum) VALUES (?, 'down', 0, ?)", [version, checksumOf(down)]);
  const { stdout } = await migrate('status');
  expect(stdout).toMatch(new RegExp(`\\n +${version} +${newest} +cut on its way down +`));
  expect(stdout).toContain(`${newest} was cut on its way down: "npx stockmesh migrate down --steps 1" ends that`);
  expect((await json('status')).migrations.at(-1)).toMatchObject({ name: newest, applied_at: null, cut_on_its_way: 'down' });
  expect((await migrate('down')).stderr).toContain(`takes back 1 migration (${newest})`);
  expect(await json('down', '--yes')).toEqual({ ok: true, taken_back: [newest] });
  expect(await json('up')).toMatchObject({ applied: [newest] });
});

test('without a terminal and --yes nothing is taken back; what would be lost is named', async () => {
  const back = names.slice(names.findIndex((name) => name.includes('symbol_failures'))).reverse();
  const ran = await migrate('down', '--steps', String(back.length));
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toMatch(
    new RegExp(`^stockmesh: takes back ${back.length} migrations \\(${back.join(', ')}\\): .*; confirm it with --yes\n$`),
  );
  expect(ran.stderr).toMatch(/all rows of [^;]*symbol_failures[^;]* are lost/);
  const many = await migrate('down', '--steps', '99');
  expect(many.stderr).toMatch(/all rows of [^;]*\bjobs\b[^;]* are lost, all values of [^;]* are lost; confirm it with --yes\n$/);
  expect((await json('status')).current).toBe(true);
});

test('a person who does not agree changes nothing', async () => {
  for (const answer of ['', 'n', 'yesterday']) {
    const ran = await asked(answer, 'down');
    expect(ran.code).toBe(1);
    expect(stripVTControlCharacters(ran.stderr)).toMatch(
      /^This takes back 1 migration \(\w+\): [^\n]*\. Go on\? \[y\/N\] [^\n]*\nnothing was changed\n$/,
    );
  }
  expect((await json('status')).current).toBe(true);
});

test('a person who agrees takes the newest back, and can apply it again', async () => {
  const ran = await asked(' YES ', 'down');
  expect(ran).toMatchObject({ code: 0, stdout: `took back ${newest}; "npx stockmesh migrate up" applies them again, without the data\n` });
  const { stdout } = await migrate('status');
  expect(stdout).toMatch(/\n\n1 migration is missing; "npx stockmesh migrate up" applies them\n$/);
  expect(await json('up')).toEqual({ ok: true, applied: [newest], online: true });
  expect(await json('down', '--yes', '--steps', '2')).toEqual({ ok: true, taken_back: names.slice(-2).reverse() });
});

test('what the old version may not serve through is applied when all services have ended, or with --yes', async () => {
  const last = names.indexOf('spellings');
  const missing = names.slice(last);
  await migrate('down', '--yes', '--steps', String(missing.length));
  const { migrations: all } = await json('status');
  expect(all[last]).toMatchObject({ name: 'spellings', online: false, why_not: expect.stringContaining('old spellings') });
  const alive = (instance: string, seconds: number) =>
    db.run(
      `REPLACE INTO instances (instance, service, session, capacity, running, started_at, heartbeat_at)
        VALUES (?, 'worker', 's', 5, 0, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) - INTERVAL ? SECOND)`,
      [instance, seconds],
    );
  await alive('worker-1', 0);
  await alive('killed-long-ago', 3_600);
  const ran = await migrate('up');
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toMatch(
    /^stockmesh: migration 12 \(spellings\) may not run while .* would write the old spellings again\. Alive: worker-1; stop them where they were started \(systemctl stop, .*"npx stockmesh drain worker-1" for one that nobody starts again.*migrate up --yes" applies it all the same\n$/,
  );
  expect((await json('status')).current).toBe(false);
  // The way back says whom it would hurt.
  expect((await migrate('down')).stderr).toMatch(
    /1 service is alive that may need them \(worker-1\), stop them first where they were started .*--yes\n$/,
  );
  await alive('worker-1', 3_600);
  expect((await migrate('up')).stdout).toMatch(/; services of the version before must not run any more \(spellings, .*bars_digest\)\n$/);
  await alive('worker-1', 0);
  await migrate('down', '--yes', '--steps', String(missing.length));
  expect(await json('up', '--yes')).toEqual({ ok: true, applied: missing, online: false });
});

test('one that the old version may serve through is applied under it', async () => {
  await db.run('UPDATE instances SET heartbeat_at = UTC_TIMESTAMP(3)');
  await migrate('down', '--yes');
  expect((await migrate('up')).stdout).toBe(
    `applied ${newest}; services of the version before may go on serving until they are restarted\n`,
  );
});
