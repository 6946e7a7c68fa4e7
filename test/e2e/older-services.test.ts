/** A service of the version before an upgrade that ends while the upgrade goes on: it starts again over the newer schema, when that lets it. */
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestMesh, type TestMesh } from '../faults/mesh.ts';
import { endProcess } from '../faults/processes.ts';
import { stockmesh } from './command.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

let mesh: TestMesh;
/** The next version: this one with more migrations. */
let next: string;
beforeAll(async () => {
  mesh = await startTestMesh();
  next = mkdtempSync(join(tmpdir(), 'stockmesh-next-'));
  for (const part of ['services', 'sql', 'config', 'broker', 'package.json'])
    cpSync(join(ROOT, part), join(next, part), { recursive: true, filter: (path) => !path.includes('/services/dashboard/') });
  symlinkSync(join(ROOT, 'node_modules'), join(next, 'node_modules'));
});
afterAll(async () => {
  await mesh.stop();
  rmSync(next, { recursive: true, force: true });
});

/** What the next version applies before its services start. */
async function migrateNext(file: string, sql: string): Promise<void> {
  writeFileSync(join(next, 'sql/migrations', `${file}.up.sql`), sql);
  writeFileSync(join(next, 'sql/migrations', `${file}.down.sql`), '-- online: no, its columns are in use\nDO 0;\n');
  const args = ['migrate', 'up', '--yes', '--data', mesh.dataFolder, '--env', 'demo'];
  const up = stockmesh(args, process.execPath, [join(next, 'services/main.ts')]);
  expect([await up.exited, up.output()]).toEqual([0, expect.stringContaining(`applied ${file.slice(5)}`)]);
}

test('it starts again over a migration that lets it serve, and does its work, and not over one that does not', {
  timeout: 120_000,
}, async () => {
  const answers: string[] = [];
  await mesh.bus.subscribe('portfolio', {}, ({ body }) => void answers.push(body.user_id)).ready;
  const old = await mesh.service('portfolio-priority');
  await migrateNext('9001_more', '-- online: yes\nALTER TABLE user_portfolio_priority ADD COLUMN of_the_next_version INT NULL;\n');
  await endProcess(old, 'SIGKILL');
  const again = await mesh.service('portfolio-priority');
  await mesh.bus.publish('login', { userId: 'alice', at: new Date().toISOString() });
  await expect.poll(() => answers, { timeout: 30_000 }).toEqual(['alice']);

  await migrateNext('9002_other', '-- online: no, the version before does not write what it needs\nDO 0;\n');
  await endProcess(again, 'SIGKILL');
  await expect(mesh.service('portfolio-priority')).rejects.toThrow(/must not serve through 9002 \(other\)/);
});
