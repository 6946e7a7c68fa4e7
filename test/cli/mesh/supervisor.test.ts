import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Supervisor, supervise } from '../../../services/cli/mesh/supervisor.ts';

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
