import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join as joinPath } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import { findMosquitto, mosquittoConfig, startMosquitto } from '../../broker/mosquitto.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { findProgram } from '../../services/platform/machine/programs.ts';
import { accounts, join, refusalOf } from './peers.ts';

const access = loadAccess();
const shipped = (name: string) => new URL(`../../broker/mosquitto/${name}`, import.meta.url);
const folder = mkdtempSync(joinPath(tmpdir(), 'stockmesh-mosquitto-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the shipped configuration is what the access rules give', async () => {
  const { conf, acl } = mosquittoConfig({
    access,
    accounts: Object.fromEntries(Object.keys(access.roles).map((role) => [role, { role }])),
    port: 1883,
    passwordFile: '/etc/mosquitto/stockmesh/passwords',
    aclFile: '/etc/mosquitto/stockmesh/access.acl',
  });
  await expect(conf).toMatchFileSnapshot(shipped('mosquitto.conf').pathname);
  await expect(acl).toMatchFileSnapshot(shipped('access.acl').pathname);
});

test('an account with an unknown role is refused', () => {
  const options = { access, accounts: { eve: { role: 'admin' } }, port: 1, passwordFile: '/p', aclFile: '/a' };
  expect(() => mosquittoConfig(options)).toThrow('"eve" has the unknown role "admin"');
});

test('what the shipped configuration leaves to the machine can be given', () => {
  const options = { access, accounts: {}, port: 1884, passwordFile: '/p', aclFile: '/a' };
  const { conf } = mosquittoConfig({
    ...{ ...options, host: '::1', user: 'ada', persistenceFolder: '/kept', maxPayloadBytes: 2_000_000, savesEachChange: false },
  });
  expect(conf).toContain('listener 1884 ::1\n');
  expect(conf).toMatch(/\nuser ada\npersistence_location \/kept\/\n$/);
  expect(conf).toContain('message_size_limit 2000000\nmax_packet_size 8000000\n');
  expect(conf).toContain('persistence true\nautosave_interval 1800\n');
  expect(conf).not.toContain('autosave_on_changes');
});

test.each([
  ['/nowhere/mosquitto', /did not start on port \d+: spawn .*ENOENT/],
  ['/bin/false', /did not start on port \d+: it said nothing$/],
])('a program that does not start is refused with what is known of it: %s', async (binary, message) => {
  await expect(startMosquitto({ access, accounts, folder: joinPath(folder, 'none'), binary })).rejects.toMatchObject({
    code: 'broker.cannot_start',
    message: expect.stringMatching(message),
  });
});

test('an account that no password file can hold is refused before anything is written', async () => {
  const two = { eve: { password: 'one\ntwo', role: 'hook' } };
  await expect(startMosquitto({ access, accounts: two, folder: joinPath(folder, 'unused') })).rejects.toMatchObject({
    code: 'access.bad_account',
  });
  expect(existsSync(joinPath(folder, 'unused'))).toBe(false);
});

const passwd = findProgram(['mosquitto_passwd']);
test.skipIf(findMosquitto() === undefined || passwd === undefined)(
  'the shipped files run, with passwords made by mosquitto_passwd',
  async () => {
    const port = await freePort();
    const here = (name: string) => joinPath(folder, name);
    const conf = readFileSync(shipped('mosquitto.conf'), 'utf8')
      .replaceAll('/etc/mosquitto/stockmesh/', `${folder}/`)
      .replace('listener 1883', `listener ${port}`);
    // Started by root it would become "mosquitto", who may not read this folder.
    writeFileSync(here('mosquitto.conf'), `${conf}user ${userInfo().username}\npersistence_location ${folder}/\n`);
    writeFileSync(here('access.acl'), readFileSync(shipped('access.acl')), { mode: 0o600 });
    await promisify(execFile)(passwd!, ['-c', '-b', here('passwords'), 'service', accounts.service!.password]);
    await promisify(execFile)(passwd!, ['-b', here('passwords'), 'monitor', accounts.monitor!.password]);
    const mosquitto = spawn(findMosquitto()!, ['-c', here('mosquitto.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      let said = '';
      mosquitto.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      await expect.poll(() => said).toContain('running');
      expect(said).not.toMatch(/error/i);
      const monitor = await join(port, 'monitor');
      await monitor.client.subscribeAsync('stock/+/+', { qos: 1 });
      const service = await join(port, 'service');
      await service.client.publishAsync('stock/fetch/AAPL', 'job', { qos: 1 });
      await expect.poll(() => monitor.heard).toMatchObject([{ topic: 'stock/fetch/AAPL', payload: 'job' }]);
      expect(await refusalOf(port, {})).toBe(5);
    } finally {
      const exited = new Promise((resolve) => mosquitto.once('exit', resolve));
      mosquitto.kill();
      await exited;
    }
  },
);

test.skipIf(findMosquitto() === undefined)('a Mosquitto that cannot start is refused with what it said', async () => {
  const first = await startMosquitto({ access, accounts, folder: joinPath(folder, 'first') });
  try {
    const second = startMosquitto({ access, accounts, folder: joinPath(folder, 'second'), port: first.port });
    await expect(second).rejects.toMatchObject({ code: 'broker.cannot_start', message: expect.stringContaining('Address already in use') });
  } finally {
    await first.close();
  }
});
