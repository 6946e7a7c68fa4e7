import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { deliver } from '../../../services/gateway/webhooks/callback-delivery.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();

test('by default a callback to a private address is refused with the request, and no job is made', async () => {
  for (const callback_url of ['http://127.0.0.1:8080/hook', 'http://169.254.169.254/latest', 'http://localhost/', 'http://[::1]/']) {
    const answer = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', callback_url });
    expect(answer).toMatchObject({
      status: 422,
      body: { code: 'callback.private_address', detail: expect.stringContaining('allow_private') },
    });
  }
  expect(await mesh.db.rows('SELECT id FROM job_states')).toEqual([]);
});

test('a name that leads to a private address is not connected to', async () => {
  const connected = vi.fn();
  const server = createServer().on('connection', connected).listen(0);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  // The system resolves its own name to itself: a name that is not "localhost" and leads to a private address.
  const name = (await import('node:os')).hostname();
  const delivery = {
    id: '1',
    url: `http://${name}:${(server.address() as AddressInfo).port}/`,
    secrets: [Buffer.from('x')],
    body: '{}',
    timestamp: 1,
  };
  await expect(deliver(delivery, { timeoutMs: 2_000, allowPrivate: false })).rejects.toMatchObject({ code: 'callback.private_address' });
  expect(connected).not.toHaveBeenCalled();
  expect(await deliver(delivery, { timeoutMs: 300, allowPrivate: true }).catch((error: { code: string }) => error.code)).toBe(
    'callback.timeout',
  );
  expect(connected).toHaveBeenCalled();
});
