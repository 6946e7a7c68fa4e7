import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { DEMO_FOLDER } from '../../services/cli/mesh/demo.ts';
import { ALL_IS_READY } from '../../services/cli/mesh/up.ts';
import { isBuilt } from '../../services/gateway/http/dashboard.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { findServer } from '../../sql/running-server.ts';
import { hasSharedData, sharedData } from '../support/shared-data.ts';
import { type Command, processesNaming, stockmesh } from './command.ts';

const LEAN = sharedData('lean');
const hasLean = hasSharedData('lean');
const hasClients = spawnSync('mosquitto_sub', ['--help']).error === undefined;
if (!hasLean) console.warn('skipped: the demonstration over a Lean folder, since ../shared/data/lean is not there');
if (!hasClients) console.warn('skipped: watching with mosquitto_sub, since mosquitto-clients is not installed');

let folder: string;
let data: string;
let port: number;
let http: number;
let up: Command;
const startMesh = () => stockmesh(`--data ${data} --env demo up --mqtt-port ${port} --http-port ${http} --source simulated`.split(' '));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-e2e-'));
  data = join(folder, 'data');
  [port, http] = [await freePort(), await freePort()];
  up = startMesh();
  await up.until(new RegExp(ALL_IS_READY));
});

afterAll(async () => {
  up.child.kill('SIGKILL');
  await up.exited;
  rmSync(folder, { recursive: true, force: true });
});

const password = (account: string): string => readFileSync(join(data, `mqtt-${account}.password`), 'utf8').trim();
const client = (program: string, account: string, ...args: string[]): Command =>
  stockmesh(['-p', String(port), '-u', account, '-P', password(account), ...args], program, []);

test.skipIf(!hasClients)(
  'mosquitto_sub with the monitor account sees every job of a login that mosquitto_pub sent with the hook account',
  async () => {
    const watching = client('mosquitto_sub', 'monitor', '-v', '-t', 'stock/+/+', '-t', 'portfolio/+/priority', '-F', '%t %p');
    const trigger = client('mosquitto_pub', 'hook', '-q', '1', '-t', 'events/login', '-m', '{"userId":"alice"}');
    expect(await trigger.exited).toBe(0);
    await watching.until(/portfolio\/alice\/priority .*"5 of 5 symbols queued/);
    for (const symbol of ['AAPL', 'SPY', 'QQQ', 'IBM', 'GOOG']) {
      await watching.until(new RegExp(`^stock/fetch/${symbol} .*"why"`, 'm'));
      await watching.until(new RegExp(`^stock/analysis/${symbol} `, 'm'));
    }
    watching.child.kill();
  },
);

test('login --wait says per symbol what landed and from where, and that a second login finds all fresh', async () => {
  const first = stockmesh(['--data', data, 'login', 'carol', '--wait']);
  expect(await first.exited, first.output()).toBe(0);
  expect(first.output()).toMatch(/^EEM +simulated +\d+ +\d{4}-\d\d-\d\d/m);
  const second = stockmesh(['--data', data, 'login', 'carol', '--wait', '--json']);
  expect(await second.exited, second.output()).toBe(0);
  expect(JSON.parse(second.output().slice(second.output().indexOf('{\n')))).toMatchObject({ ok: true, total: 4, fresh: 4, queued: 0 });
});

test('a link to the dashboard is printed where its pages are built, and one of "stockmesh dashboard" signs a browser in once', async () => {
  const codeIn = (text: string) => new RegExp(`http://127\\.0\\.0\\.1:${http}/ui/#code=(smc_[\\w-]+)`).exec(text)?.[1];
  const signIn = (code: string | undefined) =>
    fetch(`http://127.0.0.1:${http}/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
    });
  const another = stockmesh(['--data', data, 'dashboard']);
  expect(await another.exited, another.output()).toBe(0);
  const [first, second] = [codeIn(up.output()), codeIn(another.output())];
  expect(first === undefined).toBe(!isBuilt());
  // The first one may be older than a minute by now.
  expect(first).not.toBe(second);
  const answer = await signIn(second);
  expect(((await answer.json()) as { key: { name: string } }).key.name).toBe('operator');
  expect((await signIn(second)).status).toBe(401);
});

test('a newcomer asks the HTTP API with the key that lies in the data folder', async () => {
  expect(up.output()).toContain(`http://127.0.0.1:${http}/docs`);
  const authorization = `Bearer ${readFileSync(join(data, 'gateway-operator.key'), 'utf8').trim()}`;
  const signedIn = await fetch(`http://127.0.0.1:${http}/v1/events/login`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ userId: 'bob' }),
  });
  expect(signedIn.status).toBe(202);
  const jobs = await fetch(`http://127.0.0.1:${http}/v1/jobs?user=bob`, { headers: { authorization } });
  expect(((await jobs.json()) as { jobs: unknown[] }).jobs.length).toBeGreaterThan(0);
  expect((await fetch(`http://127.0.0.1:${http}/v1/jobs`)).status).toBe(401);
});

test('a second start over the same data folder says so, names the process, and does no harm', async () => {
  const second = stockmesh([
    '--data',
    data,
    '--env',
    'demo',
    'up',
    '--mqtt-port',
    String(await freePort()),
    '--http-port',
    String(await freePort()),
  ]);
  expect(await second.exited).toBe(1);
  expect(second.output()).toContain(`process ${up.child.pid}`);
  const stats = stockmesh(['--data', data, 'stats', '--json']);
  expect(await stats.exited, stats.output()).toBe(0);
});

test('a port in use is an error that names the port, the option and a free port', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port: busy } = taken.address() as { port: number };
  const other = stockmesh(['--data', join(folder, 'other'), '--env', 'demo', 'up', '--mqtt-port', String(busy)]);
  expect(await other.exited).toBe(1);
  expect(other.output()).toMatch(new RegExp(`port ${busy} .*--mqtt-port.* \\d+`));
  taken.close();
});

test('the data folder and its passwords are for their owner alone', () => {
  expect(statSync(data).mode & 0o777).toBe(0o700);
  for (const file of ['secrets.json', 'gateway-operator.key'])
    expect([file, statSync(join(data, file)).mode & 0o777]).toEqual([file, 0o600]);
  expect(up.output()).not.toContain(password('monitor'));
});

test('a database server that a killed supervisor left behind is taken over by the next start', async () => {
  const left = findServer(join(data, 'database'))?.pid;
  up.child.kill('SIGKILL');
  await up.exited;
  // The services end when their supervisor is gone.
  await expect.poll(() => processesNaming(data)).toEqual([expect.stringContaining('--datadir=')]);
  up = startMesh();
  await up.until(new RegExp(ALL_IS_READY));
  expect(findServer(join(data, 'database'))?.pid).toBe(left);
});

test('Ctrl-C stops everything: exit code 0, and no process is left', async () => {
  expect(processesNaming(data).length).toBeGreaterThan(3);
  up.child.kill('SIGINT');
  expect(await up.exited, up.output()).toBe(0);
  expect(processesNaming(data)).toEqual([]);
});

test.skipIf(!hasLean)('the demonstration over a Lean folder lands its real bars and exits with 0', async () => {
  const demo = stockmesh(['demo', '--source', 'lean', '--lean-path', LEAN]);
  expect(await demo.exited, demo.output()).toBe(0);
  // The file of AAPL has 5,849 lines.
  expect(demo.output()).toMatch(/^AAPL +lean +5849 +2021-03-31/m);
  // The folder ends in 2021: that is current data of nobody.
  expect(demo.output()).toMatch(/^AAPL .*outdated: newest bar 2021-03-31, [\d,]+ sessions behind, checked \d+ min ago/m);
  expect(demo.output()).toMatch(/^0 fresh, 10 outdated after \d+ ms \(20 jobs\)/m);
});

test('the demonstration exits with 1 and the reasons when jobs fail, and leaves no process behind', async () => {
  const empty = join(folder, 'lean');
  mkdirSync(join(empty, 'equity', 'usa', 'daily'), { recursive: true });
  // There it makes its data folder.
  vi.stubEnv('TMPDIR', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const demo = stockmesh(['demo', '--source', 'lean', '--lean-path', empty]);
  await expect.poll(() => processesNaming(join(folder, DEMO_FOLDER)).length).toBeGreaterThan(3);
  expect(await demo.exited, demo.output()).toBe(1);
  expect(demo.output()).toMatch(/AAPL: fetch failed: .*no source knows AAPL/);
  expect(processesNaming(join(folder, DEMO_FOLDER))).toEqual([]);
});
