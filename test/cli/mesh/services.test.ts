/** The services of a mesh as processes: how each is called, and what of their output a person and the log get. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { handedOn, takeHandedOn } from '../../../services/cli/mesh/handed-on.ts';
import { startServices } from '../../../services/cli/mesh/services.ts';

/** Starts the services with a program in place of their own, which `source` is. Its arguments are in `args`. */
async function start(source: string, { workers = 1, used = [] as string[] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-services-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const main = join(folder, 'main.mjs');
  writeFileSync(main, `const args = process.argv.slice(2); setInterval(() => {}, 1000);\n${source}`);
  const log: string[] = [];
  const notes: string[] = [];
  const settings = { environment: 'demo', files: ['/a.yaml', '/b.yaml'], set: ['x=1', 'y=2'] };
  const services = await startServices({
    ...{ dataFolder: '/data folder', settings, used, workers, main },
    writeLog: (line) => void log.push(line),
    note: (text) => void notes.push(text),
  });
  onTestFinished(() => services.stop(5_000));
  return { log, notes };
}
const READY = 'process.send({ subscribed: true });';

test('each is called with the data folder and the settings of the mesh, and logs in JSON', async () => {
  const { log } = await start(`console.log(JSON.stringify({ level: 'info', msg: args.join(' ') })); ${READY}`);
  const common = '--data /data folder --env demo --config /a.yaml --config /b.yaml --set logging.format=json';
  await expect
    .poll(() => log.map((line) => JSON.parse(line).msg).toSorted())
    .toEqual(['gateway', 'portfolio-priority', 'scheduler', 'worker'].map((name) => `service ${name} ${common}`));
  for (const line of log) expect(line).toMatch(/\}\n$/);
});

test('the values of --set reach each by its environment, where only this user can read them, and no password of another account does', async () => {
  const passwords = ['DATABASE_ROOT', 'DATABASE_MIGRATE', 'DATABASE_READ', 'MQTT_HOOK', 'MQTT_WORKER', 'GATEWAY_OPERATOR'].map(
    (account) => `STOCKMESH_${account}_PASSWORD`,
  );
  for (const name of [...passwords, 'STOCKMESH_DATABASE_SERVICE_PASSWORD', 'MINE']) vi.stubEnv(name, 'given');
  onTestFinished(() => void vi.unstubAllEnvs());
  const show =
    "console.log(JSON.stringify({ level: 'info', service: args[1], set: process.env.STOCKMESH_SET, has: Object.keys(process.env) }));";
  const { log } = await start(`${show} ${READY}`, { used: ['STOCKMESH_MQTT_HOOK_PASSWORD'] });
  await expect.poll(() => log.length).toBe(4);
  for (const line of log) {
    const { service, set, has } = JSON.parse(line) as { service: string; set: string; has: string[] };
    expect(JSON.parse(set)).toEqual(['x=1', 'y=2']);
    expect(has).toEqual(expect.arrayContaining(['MINE', 'PATH', 'STOCKMESH_DATABASE_SERVICE_PASSWORD']));
    // The configuration has use for the password of "hook".
    const left = ['STOCKMESH_MQTT_HOOK_PASSWORD', ...(service === 'worker' ? ['STOCKMESH_MQTT_WORKER_PASSWORD'] : [])];
    expect(has.filter((name) => passwords.includes(name)).toSorted(), service).toEqual(left);
  }
});

test('what is handed on is taken once, and is not in the environment of a child', () => {
  const env = { ...handedOn(['database.password=a b"c']) };
  expect(takeHandedOn(env)).toEqual(['database.password=a b"c']);
  expect(env).toEqual({});
  expect(takeHandedOn(env)).toEqual([]);
  expect(() => takeHandedOn({ STOCKMESH_SET: 'a=b' })).toThrow(expect.objectContaining({ code: 'option.bad_set' }));
});

test('a warning is shown with the name of its service, once a minute for all; of several workers each has a number', async () => {
  const { log, notes } = await start(
    `if (args[1] === 'worker') for (let times = 0; times < 3; times++) {
       console.log(JSON.stringify({ level: 'warn', msg: 'slow' }));
       console.log(JSON.stringify({ level: 'warn', msg: 'other of ' + process.pid }));
       console.log(JSON.stringify({ level: 'info', msg: 'fine' }));
     }
     ${READY}`,
    { workers: 2 },
  );
  await expect.poll(() => log.length).toBe(18);
  const [slow, ...others] = notes.toSorted((a, b) => Number(a.includes('other')) - Number(b.includes('other')) || (a < b ? -1 : 1));
  expect(slow).toMatch(/^worker-[12]: slow$/);
  expect(others.map((note) => note.replace(/\d+$/, 'n'))).toEqual(['worker-1: other of n', 'worker-2: other of n']);
});

test('when one ends before it is ready the others are stopped, and its last line is the reason', async () => {
  const failing = start(`if (args[1] === 'gateway') { console.log('no such port'); process.exit(1); } ${READY}`);
  await expect(failing).rejects.toMatchObject({
    code: 'mesh.service_failed',
    message: 'gateway did not start (exit code 1): no such port',
  });
});
