import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Supervisor, supervise } from '../../../services/cli/mesh/supervisor.ts';
import { EXIT_RELOAD } from '../../../services/platform/lifecycle.ts';

let folder: string;
let supervisor: Supervisor;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-supervisor-'));
});
afterEach(async () => {
  await supervisor.stop(1_000);
  rmSync(folder, { recursive: true });
});

/** Supervises a program whose first life runs `firstLife`. Its later lives are ready at once. */
function start(firstLife: string): { news: string[] } {
  const main = join(folder, 'service.mjs');
  const lived = join(folder, 'lived');
  writeFileSync(
    main,
    `import { existsSync, writeFileSync } from 'node:fs';
     setInterval(() => {}, 1000);
     if (existsSync(${JSON.stringify(lived)})) process.send({ subscribed: true });
     else {
       writeFileSync(${JSON.stringify(lived)}, '');
       ${firstLife}
     }`,
  );
  const news: string[] = [];
  supervisor = supervise([{ label: 'worker', args: [] }], { main, onLine: () => undefined, onNews: (text) => news.push(text) });
  return { news };
}

/** Supervises programs of one source each, all of which get their arguments. */
function startAll(sources: Record<string, string>) {
  const lines: string[] = [];
  const news: string[] = [];
  const main = join(folder, 'service.mjs');
  writeFileSync(
    main,
    `const run = { ${Object.entries(sources)
      .map(([label, source]) => `${label}() { ${source} }`)
      .join(', ')} }; run[process.argv[2]]();`,
  );
  supervisor = supervise(
    Object.keys(sources).map((label) => ({ label, args: [label, 'argument'] })),
    { main, onLine: (label, line) => lines.push(`${label}: ${line}`), onNews: (text) => news.push(text) },
  );
  return { lines, news };
}
const LIVES = 'setInterval(() => {}, 1000);';

test('a service that is killed before it is ready is started again, and the mesh becomes ready', async () => {
  const { news } = start("process.kill(process.pid, 'SIGKILL');");
  await supervisor.ready;
  expect(news).toEqual(['worker ended (signal SIGKILL); it is started again in 0.2 s']);
  expect(existsSync(join(folder, 'lived'))).toBe(true);
});

test('a service that ends by itself before it is ready fails the start with its last line', async () => {
  start("console.log('no such key'); process.exit(1);");
  await expect(supervisor.ready).rejects.toMatchObject({
    code: 'mesh.service_failed',
    message: 'worker did not start (exit code 1): no such key',
  });
});

test('a service that exits with the code of a reload is started again at once', async () => {
  const { news } = start(`process.send({ subscribed: true }); process.exitCode = ${EXIT_RELOAD}; process.exit();`);
  await supervisor.ready;
  await expect.poll(() => news).toEqual([`worker ended (exit code ${EXIT_RELOAD}); it is started again`]);
});

test('the mesh is ready when every service is, and each gets its arguments; what they write comes line by line with their name', async () => {
  const { lines } = startAll({
    one: `${LIVES} console.log('of', process.argv[3]); console.error('two'); process.send({ subscribed: true });`,
    other: `${LIVES} process.once('message', () => undefined); setTimeout(() => process.send({ subscribed: true }), 50);`,
  });
  await supervisor.ready;
  await expect.poll(() => lines.toSorted()).toEqual(['one: of argument', 'one: two']);
});

test('a service that does not stop within its grace is killed, and the others are not waited for longer', async () => {
  const { news } = startAll({
    stubborn: `${LIVES} process.on('SIGTERM', () => undefined); process.send({ subscribed: true });`,
    polite: `${LIVES} process.send({ subscribed: true });`,
  });
  await supervisor.ready;
  await supervisor.stop(500);
  expect(news).toEqual(['stubborn did not stop within 0.5 s; killed']);
});

test('a stop starts nothing again and leaves nothing that keeps the process alive', async () => {
  const { news } = startAll({ polite: `${LIVES} process.send({ subscribed: true });` });
  await supervisor.ready;
  const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  await supervisor.stop(60_000);
  expect(news).toEqual([]);
  expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length).toBeLessThanOrEqual(before);
});

test('a program that cannot be started is a failed start, with the reason', async () => {
  const main = join(folder, 'absent.mjs');
  supervisor = supervise([{ label: 'worker', args: [] }], { main, onLine: () => undefined, onNews: () => undefined });
  await expect(supervisor.ready).rejects.toThrow(/^worker did not start \(exit code 1\): Node\.js v\d+/);
});

test('a service that says nothing before it ends has no last line', async () => {
  start('process.exit(3);');
  await expect(supervisor.ready).rejects.toThrow(/^worker did not start \(exit code 3\)$/);
});
