/** The units: what systemd says of them, and what a service tells systemd. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { systemdOf } from '../../services/platform/machine/systemd.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'units-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
function installed(): { folder: string; units: string[] } {
  const folder = temporary();
  execFileSync(process.execPath, [join(ROOT, 'deploy/systemd/install.ts'), '--yes', '--to', folder], { stdio: 'ignore' });
  return { folder, units: readdirSync(folder).filter((name) => name.endsWith('.service')) };
}

test('each service of the program has a unit, which starts it from this checkout', () => {
  const { folder, units } = installed();
  for (const service of ['portfolio-priority', 'worker', 'scheduler', 'notifier', 'gateway']) {
    const unit = units.find((name) => name.startsWith(`stockmesh-${service}`));
    const text = readFileSync(join(folder, unit ?? ''), 'utf8');
    expect(text).toContain(
      `ExecStart=${process.execPath} ${ROOT}services/main.ts --env production --config /etc/stockmesh/stockmesh.yaml service ${service}\n`,
    );
    expect(text).not.toMatch(/@[A-Z]+@/);
  }
});

test('nothing is written without a yes', () => {
  const folder = temporary();
  const ran = spawnSync(process.execPath, [join(ROOT, 'deploy/systemd/install.ts'), '--to', folder], { input: 'no\n', encoding: 'utf8' });
  expect(ran.status).toBe(1);
  expect(ran.stdout).toContain(`${folder}/stockmesh-gateway.service`);
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder that is not there is an error in one line, with the way out', () => {
  const folder = join(temporary(), 'missing');
  const ran = spawnSync(process.execPath, [join(ROOT, 'deploy/systemd/install.ts'), '--yes', '--to', folder], { encoding: 'utf8' });
  expect(ran.status).toBe(1);
  expect(ran.stderr).toMatch(
    /^install:systemd: ENOENT: .*missing\/stockmesh-.*; run it as root, or name a folder that is there with --to\n$/,
  );
});

test.skipIf(!hasSystemd)('systemd finds no fault in them', { timeout: 60_000 }, () => {
  const { folder, units } = installed();
  const ran = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', ...units.map((unit) => join(folder, unit.replace('@.', '@1.'))), join(folder, 'stockmesh.target')],
    {
      encoding: 'utf8',
      env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` },
    },
  );
  expect(ran.stderr.split('\n').filter((line) => line.includes('stockmesh'))).toEqual([]);
  expect(ran.status).toBe(0);
});

test.skipIf(!hasSystemd)('systemd rates the exposure of each below 3', { timeout: 60_000 }, () => {
  const { folder, units } = installed();
  for (const unit of units) {
    const ran = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=30', '--no-pager', join(folder, unit)], {
      encoding: 'utf8',
    });
    expect(ran.stdout + ran.stderr, unit).toMatch(/exposure level for .*: [0-2]\.\d/);
    expect(ran.status, unit).toBe(0);
  }
});

/** A program in place of `systemd-notify` that writes down what it was told. */
function listening(script: string): { env: Record<string, string>; heard(): string[] } {
  const folder = temporary();
  const program = join(folder, 'systemd-notify');
  writeFileSync(program, `#!/bin/sh\n${script.replaceAll('HEARD', join(folder, 'heard'))}\n`);
  chmodSync(program, 0o755);
  const before = process.env.PATH;
  process.env.PATH = `${folder}${delimiter}${before}`;
  onTestFinished(() => {
    process.env.PATH = before;
  });
  return {
    env: { PATH: process.env.PATH, NOTIFY_SOCKET: join(folder, 'socket') },
    heard: () => (readdirSync(folder).includes('heard') ? readFileSync(join(folder, 'heard'), 'utf8').trim().split('\n') : []),
  };
}

test('a service says that it is ready, that it lives, and that it stops', async () => {
  const { env, heard } = listening('echo "$@ $NOTIFY_SOCKET" >> HEARD');
  const failures: string[] = [];
  const systemd = systemdOf({ ...env, WATCHDOG_USEC: '300000' }, (why) => failures.push(why));
  onTestFinished(() => systemd.end());
  systemd.ready();
  const own = (state: string) => `--pid=${process.pid} ${state} ${env.NOTIFY_SOCKET}`;
  await vi.waitFor(() => expect(heard().filter((line) => line === own('WATCHDOG=1')).length).toBeGreaterThan(1), { timeout: 20_000 });
  expect(heard()).toContain(own('--ready'));
  systemd.stopping();
  await vi.waitFor(() => expect(heard()).toContain(own('STOPPING=1')), { timeout: 20_000 });
  expect(failures).toEqual([]);
});

test('where systemd cannot be told, that is said once', async () => {
  const { env } = listening('exit 1');
  const failures: string[] = [];
  const systemd = systemdOf(env, (why) => failures.push(why));
  systemd.ready();
  systemd.stopping();
  await vi.waitFor(() => expect(failures).toHaveLength(1), { timeout: 20_000 });
});

test('outside of systemd nothing is started', () => {
  const { env, heard } = listening('echo "$@" >> HEARD');
  systemdOf({ PATH: env.PATH }, () => undefined).ready();
  expect(heard()).toEqual([]);
});
