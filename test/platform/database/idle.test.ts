/** Servers end connections on which nothing was asked for a while: MySQL after half a lease, as it is told, others by their configuration. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { type EmbeddedDatabase, startDatabase } from '../../../sql/embedded.ts';

const passwords = { root: 'a', migrate: 'b', service: 'c', read: 'd' };
let folder: string;
let server: EmbeddedDatabase;
// Of its own: how long it waits for a connection is a global setting.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-idle-'));
  const log = pino({ level: 'silent' });
  server = await startDatabase({ dataDir: join(folder, 'database'), passwords, log, durable: false, settings: { 'wait-timeout': 1 } });
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

test('a connection that the server has ended while this process was busy is not used', async () => {
  const db = openDatabase({ ...server.options('service'), idleTransactionSeconds: 1 });
  onTestFinished(() => db.close());
  for (let round = 0; round < 5; round++) {
    await db.rows('SELECT 1');
    await db.transaction((tx) => tx.rows('SELECT 1'));
    // The event loop stands still: nobody has heard yet that the connections are over.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_300);
    expect(await db.rows('SELECT 2 AS n')).toEqual([{ n: 2 }]);
    expect(await db.transaction((tx) => tx.rows('SELECT 3 AS n'))).toEqual([{ n: 3 }]);
  }
});
