/** A secret may be the content of a file that `{NAME}_FILE` names, as container engines and systemd hand them out. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { leaves } from '../../../services/platform/config/keys.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { foreignVariables, openDataFolder, readSecrets } from '../../../services/platform/machine/datafolder.ts';

function fileWith(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'secret-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'secret');
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}
const at = (config: object, key: string): unknown =>
  key.split('.').reduce<unknown>((part, name) => (part as Record<string, unknown>)[name], config);

// Every secret that the defaults fill from a variable. Those with another form than a password's are named here.
const PLAIN = /_FILE$|_CONFIG$|_ENV$|^STOCKMESH_MODEL_(URL|NAME)$|^ENABLE_|^OTEL_/;
const sample = (name: string): string =>
  name.endsWith('MQTT_URL') ? 'mqtt://a:b@c' : name.endsWith('URL') ? 'mysql://a:b@c/d' : 'correct horse battery staple, and more';
const every = new Proxy({}, { get: (_, name) => (PLAIN.test(String(name)) ? undefined : sample(String(name))) });
const { origins } = loadConfig({ env: every });
const secrets = [...leaves].flatMap(([key, node]) => {
  const origin = origins.get(key);
  return node.meta()?.secret === true && typeof origin === 'string' && origin.startsWith('environment ')
    ? [[key, origin.slice('environment '.length)] as const]
    : [];
});

test('there are secrets with a variable', () => expect(secrets.length).toBeGreaterThan(8));

test.for(secrets)('%s is taken from the file of %s_FILE, without the line break at its end', ([key, variable]) => {
  // All of them, since some belong together.
  const env = Object.fromEntries(secrets.map(([, name]) => [`${name}_FILE`, fileWith(`${sample(name)}\n`)]));
  const { config, origins: places } = loadConfig({ env });
  expect(at(config, key)).toBe(sample(variable));
  expect(places.get(key)).toBe(`environment ${variable}_FILE`);
});

test('a file that cannot be read is named with the way out, and so is a variable that is set in both ways', () => {
  const refused = (env: Record<string, string>) => () => loadConfig({ env });
  expect(refused({ STOCKMESH_DATABASE_PASSWORD_FILE: '/nowhere/x' })).toThrow(/STOCKMESH_DATABASE_PASSWORD_FILE: .*\/nowhere\/x.*may read/);
  expect(refused({ STOCKMESH_DATABASE_PASSWORD_FILE: '/nowhere/x', STOCKMESH_DATABASE_PASSWORD: 'x' })).toThrow(/both set/);
});

test('the passwords of a data folder are taken from files too, and a service is not given the names of those of others', async () => {
  const path = mkdtempSync(join(tmpdir(), 'secret-data-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  const env = { STOCKMESH_MQTT_WORKER_PASSWORD_FILE: fileWith('a-long-password\r\n') };
  (await openDataFolder(path, env)).release();
  expect(readSecrets(path, env).mqtt.worker).toBe('a-long-password');
  expect(foreignVariables('gateway')).toContain('STOCKMESH_MQTT_WORKER_PASSWORD_FILE');
  expect(foreignVariables('worker')).not.toContain('STOCKMESH_MQTT_WORKER_PASSWORD_FILE');
});
