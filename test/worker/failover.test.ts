/** A worker with two addresses of its database: two proxies in front of one server stand for the nodes of a cluster. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { testDatabase } from '../support/database.ts';
import { type DatabaseProxy, startDatabaseProxy } from '../support/database-proxy.ts';
import { fetching, held, nothing, openWorkshop, type Workshop } from './workshop.ts';

let nodes: DatabaseProxy[];
let shop: Workshop;
let drop: () => Promise<void>;
beforeAll(async () => {
  const database = await testDatabase();
  drop = database.drop;
  const server = inject('databaseServer');
  nodes = await Promise.all([startDatabaseProxy(server), startDatabaseProxy(server)]);
  const addresses = nodes.map(({ host, port }) => ({ host, port }));
  shop = openWorkshop({ ...database.options, socketPath: undefined, addresses, statementSeconds: 0.5 });
});
afterAll(async () => {
  await shop.db.close();
  await Promise.all(nodes.map((node) => node.close()));
  await drop();
});

// A lease is 30 s, and nobody takes leases back here: what completes as the first attempt did not wait for one.
test.each<[string, (node: DatabaseProxy) => unknown]>([
  ['dies', (node) => node.die()],
  ['answers nothing any more', (node) => node.stall()],
  ['becomes read-only', (node) => node.refuse(1290, /INSERT|UPDATE|DELETE/, Number.POSITIVE_INFINITY)],
])('when its node %s, it writes its finished work to another one and goes on', async (_, strike) => {
  const { handler, started, end } = held();
  const worker = shop.worker([handler]);
  const [id] = await shop.enqueue({});
  await started;
  const [used, other] = (nodes[0]?.open === 0 ? nodes.toReversed() : nodes) as [DatabaseProxy, DatabaseProxy];
  await strike(used);
  end.resolve(nothing);
  // Read through whichever node answers.
  await expect
    .poll(() =>
      shop.job(id!).then(
        ({ state, attempt, maxAttempts }) => [state, maxAttempts - attempt],
        () => undefined,
      ),
    )
    .toEqual(['completed', 3]);
  expect(other.open).toBeGreaterThan(0);
  await worker.drain(0);
  shop.worker([fetching(async () => nothing)]);
  const [next] = await shop.enqueue({});
  expect(await shop.reaches(next!, 'completed')).toMatchObject({ attempt: 1 });
  used.clear();
  used.strand();
  used.flow();
  if (used.open === 0) await used.listen().catch(() => undefined);
});
