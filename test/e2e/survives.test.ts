/** What a running mesh survives, and what joins it. Its folder has a space and a quote in its path. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../services/platform/machine/ports.ts';
import { findServer } from '../../sql/running-server.ts';
import { type Command, processesNaming, stockmesh } from './command.ts';

let folder: string;
let data: string;
let port: number;
let up: Command;
const startMesh = async (): Promise<Command> => {
  const ports = ['--mqtt-port', String(port), '--http-port', String(await freePort())];
  const started = stockmesh([
    '--data',
    data,
    '--env',
    'demo',
    'up',
    ...ports,
    '--source',
    'simulated',
    '--set',
    'worker.poll_interval=0.5',
  ]);
  await started.until(/Ctrl-C stops everything/);
  return started;
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-e2e-'));
  data = join(folder, "o'brien and co");
  mkdirSync(data);
  port = await freePort();
  up = await startMesh();
});
afterAll(async () => {
  up.child.kill('SIGKILL');
  await up.exited;
  const left = findServer(join(data, 'database'));
  if (left !== undefined) process.kill(left.pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function ran(...args: string[]): Promise<string> {
  const command = stockmesh(['--data', data, ...args]);
  expect(await command.exited, command.output()).toBe(0);
  return command.output();
}
const jsonOf = (output: string) => JSON.parse(output.slice(output.indexOf('{\n')));
const login = (user: string): Promise<string> => ran('login', user, '--wait', '--timeout', '60');
const logText = (): string => readFileSync(join(data, 'logs', 'stockmesh.log'), 'utf8');

test('migrations come before the broker: nobody can send a login that has no table yet', () => {
  expect([...up.output().matchAll(/^ok (\w+)/gm)].map(([, step]) => step)).toEqual([
    'database',
    'migrations',
    'demo',
    'broker',
    'services',
  ]);
});

test('a user id that many readers take for two lines is refused, logged as one line, and ends nothing', async () => {
  const password = readFileSync(join(data, 'mqtt-hook.password'), 'utf8').trim();
  const hook = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { username: 'hook', password });
  for (const userId of ['a\u2028b', 'a\u2029b', '{"level":"error","msg":3}\u2028{'])
    await hook.publishAsync('events/login', JSON.stringify({ userId }), { qos: 1 });
  await hook.endAsync();
  await up.until(/broker: a publish on events\/login refused, client mqttjs_\w+: .*field "userId"/);
  await expect.poll(logText).toMatch(/"event":"broker\.event_refused"/);
  expect(logText()).not.toMatch(/[\u2028\u2029]/);
  for (const line of logText().trimEnd().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
  await login('alice');
  expect(up.child.exitCode).toBeNull();
});

test('after kill -9 of its database the mesh goes on at the same port, with the same processes', async () => {
  const services = (): string[] => processesNaming(data).filter((line) => line.includes(' service '));
  const before = services();
  const server = findServer(join(data, 'database'))!;
  process.kill(server.pid, 'SIGKILL');
  await up.until(/the database server is back/);
  expect(findServer(join(data, 'database'))).toMatchObject({ port: server.port, socket: server.socket });
  await login('bob');
  expect(services()).toEqual(before);
});

test('a worker started beside the mesh has its environment and sources, and does its jobs', async () => {
  const worker = stockmesh(['--data', data, 'service', 'worker', '--instance', 'beside']);
  onTestFinished(() => void worker.child.kill('SIGKILL'));
  await worker.until(/worker is ready/);
  const config = jsonOf(await ran('config', 'show', '--json'));
  expect(config.environment).toBe('demo');
  expect(config.keys).toContainEqual(
    expect.objectContaining({
      key: 'stock_jobs.data_fetch.sources',
      value: ['simulated'],
      origin: expect.stringContaining('running stockmesh'),
    }),
  );
  // The mesh's own worker is frozen, so only the other one can do these jobs.
  const { instances } = jsonOf(await ran('stats', '--json')) as { instances: { instance: string; service: string }[] };
  const own = instances.find(({ instance, service }) => service === 'worker' && instance !== 'beside');
  const pid = Number(/-(\d+)-\w+$/.exec(own?.instance ?? '')?.[1]);
  process.kill(pid, 'SIGSTOP');
  onTestFinished(() => void process.kill(pid, 'SIGCONT'));
  await login('dave');
  worker.child.kill('SIGTERM');
  expect(await worker.exited, worker.output()).toBe(0);
});

test('a stop is not cut short by a second SIGTERM, and after the next start the database has the same port', async () => {
  const { port: before } = findServer(join(data, 'database'))!;
  up.child.kill('SIGTERM');
  await up.until(/^stopping$/m);
  up.child.kill('SIGTERM');
  expect(await up.exited, up.output()).toBe(0);
  expect(processesNaming(data)).toEqual([]);
  up = await startMesh();
  expect(findServer(join(data, 'database'))?.port).toBe(before);
});
