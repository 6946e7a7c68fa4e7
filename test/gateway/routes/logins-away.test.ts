import { expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'gateway.login_timeout': 0.3 });

test('a login that nobody commits is 503, with the event to send again', async () => {
  const { status, headers, body } = await mesh.operator.post('/v1/events/login', { userId: 'alice' });
  expect([status, body.code]).toEqual([503, 'login.unanswered']);
  expect(body.detail).toMatch(/portfolio-priority running\? Send it again with "at": "\d{4}-/);
  expect(headers.get('retry-after')).toBe('2');
});

test('without the broker a login is 503, the gateway not ready, and jobs are taken all the same', async () => {
  await mesh.broker.close();
  await expect.poll(() => mesh.bus.state).toBe('offline');
  expect(await mesh.operator.post('/v1/events/login', { userId: 'alice' })).toMatchObject({ status: 503, body: { code: 'bus.offline' } });
  expect(await mesh.anonymous.get('/readyz')).toMatchObject({
    status: 503,
    body: { status: 'unavailable', database: true, broker: false },
  });
  expect((await mesh.anonymous.get('/healthz')).status).toBe(200);
  expect((await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL' })).status).toBe(202);
});
