/** The embedded database under the supervision of a mesh, with a real server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { keepDatabase } from '../../../services/cli/mesh/database.ts';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { type EmbeddedDatabase, startDatabase } from '../../../sql/embedded.ts';
import { findServer } from '../../../sql/running-server.ts';

const passwords = { root: 'root-secret', migrate: 'migrate-secret', service: 'service-secret', read: 'read-secret' };

/** A kept server; `failures` starts after the first one fail, and each of them waits for `before`. */
async function kept({ failures = 0, before = async () => {} }: { failures?: number; before?: () => Promise<void> } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-kept-'));
  const dataDir = join(folder, 'database');
  const news: string[] = [];
  const started: EmbeddedDatabase[] = [];
  const ports: (number | undefined)[] = [];
  let back = Promise.withResolvers<void>();
  const database = await keepDatabase(
    async (port) => {
      ports.push(port);
      if (started.length === 1) await before();
      if (started.length === 1 && ports.length <= 1 + failures) throw new Error('no room on the disk');
      const one = await startDatabase({ dataDir, passwords, port, log: pino({ level: 'silent' }), durable: false });
      started.push(one);
      return one;
    },
    (text) => {
      news.push(text);
      if (!/is back/.test(text)) return;
      back.resolve();
      back = Promise.withResolvers();
    },
  );
  onTestFinished(async () => {
    await database.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return { database, dataDir, news, started, ports, isBack: () => back.promise };
}

test('a server that is killed is started again at the same socket and port', async () => {
  const { database, news, started, isBack } = await kept();
  const db = openDatabase({ ...database.first.options('service'), maxConnections: 2 });
  onTestFinished(() => db.close());
  for (const death of [1, 2]) {
    const returned = isBack();
    process.kill(started.at(-1)!.pid, 'SIGKILL');
    await returned;
    expect(started).toHaveLength(1 + death);
    expect(started.at(-1)).toMatchObject({ socket: database.first.socket, port: database.first.port });
    await expect.poll(() => db.rows('SELECT 1 AS one').catch(String)).toEqual([{ one: 1 }]);
  }
  expect(news[0]).toBe('the database server ended (signal SIGKILL); it is started again in 0.2 s, and the services wait for it');
});

test('a start that fails is tried again, and its reason is said', async () => {
  const { news, started, isBack } = await kept({ failures: 1 });
  const returned = isBack();
  process.kill(started[0]!.pid, 'SIGKILL');
  await returned;
  expect(news[1]).toMatch(/did not start \(no room on the disk\); it is started again in 1 s/);
});

test('a stop waits for a start that is under way, and stops its server too', async () => {
  const gate = Promise.withResolvers<void>();
  const { database, dataDir, started, ports } = await kept({ before: () => gate.promise });
  process.kill(started[0]!.pid, 'SIGKILL');
  await expect.poll(() => ports).toEqual([undefined, started[0]!.port]);
  const stopped = database.stop();
  gate.resolve();
  await stopped;
  expect(started).toHaveLength(2);
  expect(findServer(dataDir)).toBeUndefined();
});

test('a stop while it is being started again leaves no server', async () => {
  const { database, dataDir, started, news } = await kept();
  process.kill(started[0]!.pid, 'SIGKILL');
  await expect.poll(() => news.length, { interval: 5 }).toBe(1);
  await database.stop();
  expect(findServer(dataDir)).toBeUndefined();
  expect(news).toHaveLength(1);
});
