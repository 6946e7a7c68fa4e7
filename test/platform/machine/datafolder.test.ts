import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { dataFolderPath, openDataFolder, readSecrets } from '../../../services/platform/machine/datafolder.ts';

const source = new URL('../../../services/platform/machine/datafolder.ts', import.meta.url);
let parent: string;
let path: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'stockmesh-folder-'));
  path = join(parent, 'data');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const modeOf = (file: string) => statSync(file).mode & 0o777;

/** Another process that opens the folder and holds it until it is killed, at the latest at the end of the test. */
async function holder(): Promise<ChildProcess> {
  const script = `import { openDataFolder } from ${JSON.stringify(source.href)}; await openDataFolder(${JSON.stringify(path)}, {}); console.log('held'); setInterval(() => {}, 60_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('the folder is taken from --data, else STOCKMESH_DATA, else ./data', () => {
  expect(dataFolderPath('/a', { STOCKMESH_DATA: '/b' })).toBe('/a');
  expect(dataFolderPath(undefined, { STOCKMESH_DATA: '/b' })).toBe('/b');
  expect(dataFolderPath(undefined, {})).toBe(resolve('data'));
});

test('everything in a new folder is for its owner only', async () => {
  const folder = await openDataFolder(path, {});
  expect(modeOf(path)).toBe(0o700);
  for (const file of ['secrets.json', 'mqtt-hook.password', 'mqtt-monitor.password', 'mqtt-service.password'])
    expect([file, modeOf(join(path, file))]).toEqual([file, 0o600]);
  expect(readdirSync(path).filter((file) => file.endsWith('.new'))).toEqual([]);
  folder.release();
});

test('passwords are random, all different, and the same at the next start', async () => {
  const first = await openDataFolder(path, {});
  first.release();
  const all = [...Object.values(first.secrets.database), ...Object.values(first.secrets.mqtt)];
  expect(new Set(all).size).toBe(13);
  for (const password of all) expect(password).toMatch(/^[\w-]{32}$/);
  const second = await openDataFolder(path, {});
  second.release();
  expect(second.secrets).toEqual(first.secrets);
  expect(readFileSync(join(path, 'mqtt-monitor.password'), 'utf8').trim()).toBe(first.secrets.mqtt.monitor);
});

test("the operator's key to the HTTP API is 256 random bits, lies in a file of its own, and stays", async () => {
  const { secrets, release } = await openDataFolder(path, {});
  release();
  expect(secrets.gateway.operator).toMatch(/^smk_[\w-]{43}$/);
  const file = join(path, 'gateway-operator.key');
  expect([modeOf(file), readFileSync(file, 'utf8')]).toEqual([0o600, `${secrets.gateway.operator}\n`]);
  const again = await openDataFolder(path, {});
  again.release();
  expect(again.secrets.gateway).toEqual(secrets.gateway);
});

test('an environment variable wins and is never written to the disk', async () => {
  (await openDataFolder(path, {})).release();
  const environment = { STOCKMESH_MQTT_MONITOR_PASSWORD: 'from-outside', STOCKMESH_DATABASE_SERVICE_PASSWORD: 'another-one' };
  const folder = await openDataFolder(path, environment);
  folder.release();
  expect(folder.secrets.mqtt.monitor).toBe('from-outside');
  expect(readSecrets(path, environment).database.service).toBe('another-one');
  expect(readFileSync(join(path, 'secrets.json'), 'utf8')).not.toMatch(/from-outside|another-one/);
  expect(existsSync(join(path, 'mqtt-monitor.password'))).toBe(false);
});

test('the password of an account with a "-" is taken from a variable with a "_"', async () => {
  const folder = await openDataFolder(path, { STOCKMESH_MQTT_PORTFOLIO_PRIORITY_PASSWORD: 'from-outside' });
  folder.release();
  expect(folder.secrets.mqtt['portfolio-priority']).toBe('from-outside');
});

test('reading the secrets that an earlier version made says what to do', async () => {
  const first = await openDataFolder(path, {});
  first.release();
  const { hook, monitor, service } = first.secrets.mqtt;
  writeFileSync(join(path, 'secrets.json'), JSON.stringify({ ...first.secrets, mqtt: { hook, monitor, service } }));
  expect(() => readSecrets(path, {})).toThrow(
    expect.objectContaining({ code: 'data.older', message: expect.stringMatching(/mqtt portfolio-priority.*stop.*start it again/) }),
  );
});

test('a password that is too short is refused by the name of its variable', async () => {
  await expect(openDataFolder(path, { STOCKMESH_MQTT_HOOK_PASSWORD: 'short' })).rejects.toMatchObject({
    code: 'data.secrets_invalid',
    message: expect.stringContaining('STOCKMESH_MQTT_HOOK_PASSWORD'),
  });
});

test.each([
  ['MQTT_HOOK', 8],
  ['DATABASE_SERVICE', 8],
  // Stored under a fast hash.
  ['GATEWAY_OPERATOR', 32],
])('the secret of %s from the environment needs %d characters', async (account, least) => {
  const variable = `STOCKMESH_${account}_PASSWORD`;
  (await openDataFolder(path, { [variable]: 'x'.repeat(least) })).release();
  await expect(openDataFolder(path, { [variable]: 'x'.repeat(least - 1) })).rejects.toMatchObject({
    code: 'data.secrets_invalid',
    message: `${variable} is too short: it needs at least ${least} characters`,
  });
});

test("an operator's key from the environment is in no file", async () => {
  (await openDataFolder(path, {})).release();
  (await openDataFolder(path, { STOCKMESH_GATEWAY_OPERATOR_PASSWORD: 'k'.repeat(32) })).release();
  expect(existsSync(join(path, 'gateway-operator.key'))).toBe(false);
});

test('an account that is new in this version gets a password, the others keep theirs', async () => {
  const first = await openDataFolder(path, {});
  first.release();
  const { hook, service } = first.secrets.mqtt;
  writeFileSync(join(path, 'secrets.json'), JSON.stringify({ ...first.secrets, mqtt: { hook, service } }));
  const second = await openDataFolder(path, {});
  second.release();
  expect(second.secrets).toMatchObject({ database: first.secrets.database, mqtt: { hook, service } });
  expect(second.secrets.mqtt.monitor).toMatch(/^[\w-]{32}$/);
});

test('damaged secrets are refused with the file and the way out, and the folder is free again', async () => {
  (await openDataFolder(path, {})).release();
  writeFileSync(join(path, 'secrets.json'), '{"database": ');
  const refused = { code: 'data.secrets_invalid', message: expect.stringMatching(/secrets\.json[\s\S]*remove it/) };
  await expect(openDataFolder(path, {})).rejects.toMatchObject(refused);
  writeFileSync(join(path, 'secrets.json'), '{"database": 5}');
  await expect(openDataFolder(path, {})).rejects.toMatchObject(refused);
});

test('the text of damaged secrets is not shown, and a byte that is no text is named', async () => {
  (await openDataFolder(path, {})).release();
  const file = join(path, 'secrets.json');
  writeFileSync(file, '{"database": {"root": "correct-horse-battery" x}}');
  const error: Error = await openDataFolder(path, {}).then(
    () => expect.unreachable(),
    (thrown) => thrown,
  );
  expect(error.message).toContain('it is not JSON');
  expect(error.message).not.toContain('horse');
  writeFileSync(file, Buffer.from('{\n"database": "caf\u00e9"}', 'latin1'));
  await expect(openDataFolder(path, {})).rejects.toThrow('in line 2 byte 19 is 0xE9, which is not UTF-8 there');
});

test('secrets that others could read are closed again', async () => {
  (await openDataFolder(path, {})).release();
  chmodSync(join(path, 'secrets.json'), 0o644);
  (await openDataFolder(path, {})).release();
  expect(modeOf(join(path, 'secrets.json'))).toBe(0o600);
});

test('whatever is in the folder with wider rights is closed again, links are not followed, and a mask of 0 opens nothing', async () => {
  const before = process.umask(0);
  onTestFinished(() => void process.umask(before));
  (await openDataFolder(path, {})).release();
  for (const name of ['logs', 'instances', 'database', 'database/stockmesh']) mkdirSync(join(path, name), { mode: 0o777 });
  const files = ['logs/stockmesh.log', 'logs/stockmesh.log.1', 'instances/worker.json', 'runtime.json', 'database/stockmesh/jobs.ibd'];
  for (const name of files) writeFileSync(join(path, name), '', { mode: 0o666 });
  const outside = `${path}-outside`;
  writeFileSync(outside, '', { mode: 0o644 });
  symlinkSync(outside, join(path, 'logs', 'link'));

  (await openDataFolder(path, {})).release();
  const wide = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((one) => (statSync(one).mode & 0o077) !== 0);
  expect(wide).toEqual([]);
  expect(statSync(join(path, 'database/stockmesh/jobs.ibd')).mode & 0o777).toBe(0o600);
  expect(statSync(outside).mode & 0o777).toBe(0o644);
});

test('the files of historical downloads are closed by their folder alone, which may hold very many', async () => {
  (await openDataFolder(path, {})).release();
  const object = join(path, 'history', 'root=AAPL', 'data.parquet');
  mkdirSync(dirname(object), { recursive: true });
  writeFileSync(object, '', { mode: 0o644 });
  chmodSync(join(path, 'history'), 0o755);
  (await openDataFolder(path, {})).release();
  expect([modeOf(join(path, 'history')), modeOf(object)]).toEqual([0o700, 0o644]);
});

test('a folder that holds nothing but the files of historical downloads is a data folder', async () => {
  mkdirSync(join(path, 'history'), { recursive: true });
  (await openDataFolder(path, {})).release();
});

test('reading the secrets of a folder that was never started says how to start', () => {
  expect(() => readSecrets(path, {})).toThrow(
    expect.objectContaining({ code: 'data.not_started', message: expect.stringContaining('npm start') }),
  );
});

test('a second start over the same folder names the folder, the process and the way out', async () => {
  const other = await holder();
  await expect(openDataFolder(path, {})).rejects.toMatchObject({
    code: 'data.in_use',
    message: expect.stringMatching(new RegExp(`process ${other.pid}, since \\d{4}-.*Z.*${path}.*kill ${other.pid}.*--data`)),
  });
});

test('the lock of a killed process is free at once, even if its number now is another living process', async () => {
  const other = await holder();
  other.kill('SIGKILL');
  await once(other, 'exit');
  writeFileSync(join(path, 'lock.json'), JSON.stringify({ pid: process.ppid, since: '2026-01-01T00:00:00Z' }));
  (await openDataFolder(path, {})).release();
});

test('a folder that was released can be opened again by the same process, and not before', async () => {
  const first = await openDataFolder(path, {});
  await expect(openDataFolder(path, {})).rejects.toMatchObject({ code: 'data.in_use' });
  first.release();
  first.release();
  (await openDataFolder(path, {})).release();
});

test.skipIf(!existsSync('/proc/self'))('a folder that the system refuses without a reason is refused at once', async () => {
  for (const folder of ['/proc/stockmesh', '/proc/stockmesh/data'])
    await expect(openDataFolder(folder, {})).rejects.toMatchObject({ code: 'data.unusable' });
});

test('missing folders above it are created', async () => {
  (await openDataFolder(join(path, 'a', 'b'), {})).release();
});

test('a damaged note of the holder does not hide that the folder is in use', async () => {
  const first = await openDataFolder(path, {});
  writeFileSync(join(path, 'lock.json'), '{');
  await expect(openDataFolder(path, {})).rejects.toMatchObject({ code: 'data.in_use' });
  first.release();
});

test('a file in the place of the folder is refused with the option, and keeps its mode', async () => {
  writeFileSync(path, '', { mode: 0o644 });
  await expect(openDataFolder(path, {})).rejects.toMatchObject({ code: 'data.unusable', message: expect.stringContaining('--data') });
  expect(statSync(path).mode & 0o777).toBe(0o644);
});

describe('a folder that is there already', () => {
  test('with files of somebody else is refused in one line with the way out, and keeps its mode', async () => {
    mkdirSync(path, { mode: 0o755 });
    writeFileSync(join(path, 'thesis.txt'), '');
    await expect(openDataFolder(path, {})).rejects.toMatchObject({
      code: 'data.foreign',
      message: expect.stringMatching(/^.*holds other files \(such as "thesis\.txt"\).*--data \S+stockmesh$/),
    });
    expect([modeOf(path), readdirSync(path)]).toEqual([0o755, ['thesis.txt']]);
  });

  test("with another program's secrets.json is refused, and the file stays as it was", async () => {
    mkdirSync(path);
    writeFileSync(join(path, 'secrets.json'), '{"token":"1"}');
    writeFileSync(join(path, 'program.js'), '');
    await expect(openDataFolder(path, {})).rejects.toMatchObject({ code: 'data.foreign' });
    expect(readFileSync(join(path, 'secrets.json'), 'utf8')).toBe('{"token":"1"}');
  });

  test('and is empty is taken, and closed for others', async () => {
    mkdirSync(path, { mode: 0o755 });
    (await openDataFolder(path, {})).release();
    expect(modeOf(path)).toBe(0o700);
  });

  test('and is a new disk, or holds what a service has left before the first start, is taken', async () => {
    for (const name of ['lost+found', 'instances']) mkdirSync(join(path, name), { recursive: true });
    (await openDataFolder(path, {})).release();
  });

  test('and is ours goes on, with files that somebody put beside ours and without its secrets', async () => {
    const first = await openDataFolder(path, {});
    first.release();
    writeFileSync(join(path, 'portfolios.csv'), '');
    (await openDataFolder(path, {})).release();
    mkdirSync(first.database);
    rmSync(join(path, 'secrets.json'));
    (await openDataFolder(path, {})).release();
  });
});
