/** The services of a mesh as processes: how each is called, and what of their output a person and the log get. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startServices } from '../../../services/cli/mesh/services.ts';

/** Starts the services with a program in place of their own, which `source` is. Its arguments are in `args`. */
async function start(source: string, { workers = 1 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-services-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const main = join(folder, 'main.mjs');
  writeFileSync(main, `const args = process.argv.slice(2); setInterval(() => {}, 1000);\n${source}`);
  const log: string[] = [];
  const notes: string[] = [];
  const settings = { environment: 'demo', files: ['/a.yaml', '/b.yaml'], set: ['x=1', 'y=2'] };
  const services = await startServices({
    ...{ dataFolder: '/data folder', settings, workers, main },
    writeLog: (line) => void log.push(line),
    note: (text) => void notes.push(text),
  });
  onTestFinished(() => services.stop(5_000));
  return { log, notes };
}
const READY = 'process.send({ subscribed: true });';

test('each is called with the data folder and the settings of the mesh, and logs in JSON', async () => {
  const { log } = await start(`console.log(JSON.stringify({ level: 'info', msg: args.join(' ') })); ${READY}`);
  const common = '--data /data folder --env demo --config /a.yaml --config /b.yaml --set x=1 --set y=2 --set logging.format=json';
  await expect
    .poll(() => log.map((line) => JSON.parse(line).msg).toSorted())
    .toEqual(['gateway', 'portfolio-priority', 'scheduler', 'worker'].map((name) => `service ${name} ${common}`));
  for (const line of log) expect(line).toMatch(/\}\n$/);
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
