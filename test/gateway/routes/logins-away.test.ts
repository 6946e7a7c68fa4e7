import mysql from 'mysql2/promise';
import { expect, onTestFinished, test } from 'vitest';
import { connectionOptions } from '../../../services/platform/database/database.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'gateway.login_timeout': 0.3 });

test('a login that the database does not commit in time is 503, with the event to send again', async () => {
  const blocker = await mysql.createConnection(connectionOptions(mesh.database.options));
  onTestFinished(() => blocker.end());
  await blocker.query('START TRANSACTION');
  await blocker.query('INSERT INTO logins (user_id, activity, last_login_at, hours) VALUES (?)', [['alice', 0, new Date(0), '[]']]);
  const { status, headers, body } = await mesh.operator.post('/v1/events/login', { userId: 'alice' });
  expect([status, body.code]).toEqual([503, 'login.unanswered']);
  expect(headers.get('retry-after')).toBe('2');
  const [, at] = /the database is slow or does not answer\. Send it again with "at": "([^"]+)"/.exec(body.detail) ?? [];
  await blocker.query('ROLLBACK');
  await expect.poll(() => mesh.db.rows('SELECT at FROM user_portfolio_priority')).toEqual([{ at: new Date(at!) }]);
});

test('without the broker a login is committed and answered, the gateway is not ready, and jobs are taken', async () => {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: 1 }] });
  await mesh.broker.close();
  await expect.poll(() => mesh.bus.state).toBe('offline');
  const { status, body } = await mesh.operator.post('/v1/events/login', { userId: 'alice' });
  expect([status, body]).toMatchObject([202, { userId: 'alice', total: 1, queued: 1, fresh: 0, decisions: [{ symbol: 'AAPL' }] }]);
  expect(await mesh.db.rows('SELECT id FROM job_states')).toHaveLength(2);
  expect(await mesh.anonymous.get('/readyz')).toMatchObject({
    status: 503,
    body: { status: 'unavailable', database: true, broker: false },
  });
  expect((await mesh.anonymous.get('/healthz')).status).toBe(200);
  expect((await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL' })).status).toBe(202);
});
