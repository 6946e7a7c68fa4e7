/** The database goes away: a private server of this file's own, which the tests stop, kill and start again over the same data. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import type { Transaction } from '../../services/platform/database/database.ts';
import { PermanentError } from '../../services/platform/errors.ts';
import { type EmbeddedDatabase, startDatabase } from '../../sql/embedded.ts';
import { migrateUp } from '../../sql/migrate.ts';
import { silent } from '../broker/peers.ts';
import { startDatabaseProxy } from '../support/database-proxy.ts';
import { fetching, held, nothing, openWorkshop, sweep, type Workshop } from './workshop.ts';

const passwords = { root: 'root-secret', migrate: 'migrate-secret', service: 'service-secret', read: 'read-secret' };
let folder: string;
let server: EmbeddedDatabase;
let shop: Workshop;

const start = () => startDatabase({ dataDir: join(folder, 'database'), passwords, log: silent });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-outage-'));
  server = await start();
  await migrateUp(server.options('migrate'));
  shop = openWorkshop(server.options('service'));
});
afterEach(() => sweep(shop.db));
afterAll(async () => {
  await shop.db.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function writeNames(tx: Transaction, names: readonly string[]): Promise<void> {
  await tx.run('INSERT INTO symbols (symbol) VALUES ?', [names.map((name) => [name])]);
}

/** A job whose handler waits for `end`. */
async function underWay(symbol: string) {
  const [id] = await shop.enqueue({ symbol });
  const { handler, started, end } = held(writeNames);
  const worker = shop.worker([handler]);
  await started;
  return { id: id!, worker, end };
}

test('a job that ends while the database is down is committed once when it is back', async () => {
  const { id, end } = await underWay('DOWN');
  await server.stop();
  const failing = vi.spyOn(shop.db, 'transaction');
  end.resolve({ ...nothing, rows: ['DOWN'] });
  await expect.poll(() => failing.mock.calls.length, { timeout: 10_000 }).toBeGreaterThan(2);
  failing.mockRestore();
  server = await start();
  expect(await shop.reaches(id, 'completed')).toMatchObject({ attempt: 1 });
  expect(await shop.db.rows('SELECT symbol FROM symbols')).toEqual([{ symbol: 'DOWN' }]);
});

test('a job that cannot read because the database is down runs again at once when it is back, and uses up no attempt', async () => {
  const [id] = await shop.enqueue({ symbol: 'READS' });
  const down = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  let runs = 0;
  shop.worker([
    fetching(async () => {
      if (runs++ === 0) {
        started.resolve();
        await down.promise;
      }
      await shop.db.rows('SELECT symbol FROM symbols');
      return nothing;
    }),
  ]);
  await started.promise;
  await server.stop();
  down.resolve();
  server = await start();
  expect(await shop.reaches(id!, 'completed')).toMatchObject({ attempt: 2, maxAttempts: 5 });
  expect(runs).toBe(2);
});

test('a failure while the database is down is written when it is back', async () => {
  const { id, end } = await underWay('DOWN');
  await server.stop();
  end.reject(new PermanentError('source.unknown_symbol', 'no source knows DOWN'));
  server = await start();
  expect(await shop.reaches(id, 'failed')).toMatchObject({ attempt: 1, code: 'source.unknown_symbol' });
});

test('a worker finds work again after the server was killed', async () => {
  const { id, end } = await underWay('BEFORE');
  process.kill(server.pid, 'SIGKILL');
  await server.exited;
  server = await start();
  end.resolve(nothing);
  await shop.reaches(id, 'completed');
  const [next] = await shop.enqueue({ symbol: 'AFTER' });
  await shop.reaches(next!, 'completed');
});

test('a commit whose answer was lost is not made twice, and is told as the completion that it is', async () => {
  // The network loses the answer to the completion, and to no other transaction that runs at the same time.
  const proxy = await startDatabaseProxy(server);
  const through = openWorkshop({ ...server.options('service'), socketPath: undefined, host: proxy.host, port: proxy.port });
  onTestFinished(async () => {
    await through.db.close();
    await proxy.close();
  });
  const states: unknown[] = [];
  const bus = {
    state: 'online' as const,
    publish: async (_: string, message: object) => void states.push('state' in message ? message.state : message),
  };
  const [id] = await through.enqueue({ symbol: 'ONCE' });
  proxy.loseAnswer(/DELETE t FROM .* running t .*COMMIT$/s);
  through.worker([fetching(async () => ({ ...nothing, rows: ['ONCE'] }), writeNames)], { bus });
  await expect.poll(() => states).toEqual(['running', 'completed']);
  expect(proxy.met).toBe(1);
  expect(await through.job(id!)).toMatchObject({ state: 'completed', attempt: 1 });
  expect(await through.db.rows('SELECT symbol FROM symbols')).toEqual([{ symbol: 'ONCE' }]);
});

test.each([
  ['', 0],
  [', also when the first look for it fails', 1],
])('a job whose claim was committed although its answer was lost runs at once%s, and no attempt is used', async (_, failures) => {
  const proxy = await startDatabaseProxy(server);
  const through = openWorkshop({ ...server.options('service'), socketPath: undefined, host: proxy.host, port: proxy.port });
  onTestFinished(async () => {
    await through.db.close();
    await proxy.close();
  });
  const [id] = await through.enqueue({});
  proxy.loseAnswer(/INSERT INTO running.*COMMIT$/s);
  // 1064: a fault of the statement and no outage.
  if (failures > 0) proxy.refuse(1064, /FROM running WHERE worker_id = /, failures);
  through.worker([fetching(async () => nothing)]);
  // Nobody takes leases back here, so it did not wait for the end of one.
  const { attempt, maxAttempts } = await through.reaches(id!, 'completed');
  expect([proxy.met, attempt, maxAttempts - attempt]).toEqual([1 + failures, 2, 3]);
});

test('a worker shuts down in time though the database is down; its job keeps its lease and comes back when that ends', async () => {
  const { id, worker } = await underWay('DOWN');
  await server.stop();
  const started = performance.now();
  await worker.drain(0);
  // 5 s beyond the grace period at most; the rest is the machine's.
  expect(performance.now() - started).toBeLessThan(10_000);
  server = await start();
  expect(await shop.job(id)).toMatchObject({ state: 'running', attempt: 1 });
});
