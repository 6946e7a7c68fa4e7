import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createAnnouncer } from '../../../services/ledger/announce.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { silent } from '../../broker/peers.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'gateway.callbacks.allow_private': true, 'gateway.callbacks.poll_interval': 3600 });

test('the message that a job has ended is enough: nobody waits for the next look', async () => {
  let calls = 0;
  const server = createServer((_, response) => {
    calls++;
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const callback_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  expect((await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false, callback_url })).status).toBe(202);
  const [job] = (await claim(mesh.ledger, 'w1', 1)).jobs;
  const { changes } = await complete(mesh.ledger, 'w1', [{ job: job! }]);
  await createAnnouncer({ bus: mesh.bus, sql: mesh.db, clock: systemClock, log: silent }).changed(changes);
  await expect.poll(() => calls).toBe(1);
});

test('more callbacks than one look takes of a receiver are all called after one message', async () => {
  const paths = new Set<string | undefined>();
  const server = createServer((request, response) => {
    paths.add(request.url);
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const many = mesh.config.gateway.callbacks.max_per_host * 3 + 1;
  for (let number = 0; number < many; number++) {
    const callback_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${number}`;
    await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false, callback_url });
  }
  const [job] = (await claim(mesh.ledger, 'w1', 1)).jobs;
  const { changes } = await complete(mesh.ledger, 'w1', [{ job: job! }]);
  await createAnnouncer({ bus: mesh.bus, sql: mesh.db, clock: systemClock, log: silent }).changed(changes);
  await expect.poll(() => paths.size).toBe(many);
});
