import { expect, onTestFinished, test } from 'vitest';
import { startTracing } from '../../../services/platform/monitoring/traces.ts';
import { silent } from '../../broker/peers.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'gateway.login_timeout': 5 });
const hold = (user: string, ...symbols: string[]) =>
  mesh.operator.put(`/v1/users/${user}/portfolio`, { positions: symbols.map((symbol) => ({ symbol, quantity: 1 })) });

test('202 comes when the jobs of a login are committed, and says which', async () => {
  await hold('alice', 'AAPL', 'MSFT');
  const { status, body } = await mesh.operator.post('/v1/events/login', { userId: 'alice', sessionId: 's1' });
  const jobs = await mesh.db.rows<{ type: string; symbol: string }>('SELECT type, symbol FROM job_states ORDER BY type DESC, symbol');
  expect([status, body], JSON.stringify(body)).toMatchObject([202, { userId: 'alice', total: 2, queued: 2, fresh: 0 }]);
  expect(body.decisions.map(({ symbol, fetch }: { symbol: string; fetch: { id: string } }) => [symbol, typeof fetch.id])).toEqual([
    ['AAPL', 'string'],
    ['MSFT', 'string'],
  ]);
  expect(jobs).toEqual([
    { type: 'fetch', symbol: 'AAPL' },
    { type: 'fetch', symbol: 'MSFT' },
    { type: 'analysis', symbol: 'AAPL' },
    { type: 'analysis', symbol: 'MSFT' },
  ]);
});

test('the same event again changes nothing', async () => {
  await hold('alice', 'AAPL');
  const event = { userId: 'alice', at: new Date(Date.now() - 5_000).toISOString() };
  const first = await mesh.operator.post('/v1/events/login', event);
  const second = await mesh.operator.post('/v1/events/login', event);
  expect(second.body).toEqual(first.body);
  expect(await mesh.db.rows('SELECT activity FROM logins')).toEqual([{ activity: 1 }]);
  expect(await mesh.db.rows('SELECT id FROM job_states')).toHaveLength(2);
});

test('a hundred logins at once are all committed when they are answered', async () => {
  const users = Array.from({ length: 100 }, (_, index) => `user-${index}`);
  await mesh.db.run('INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ?', [
    users.map((user) => [user, 'AAPL', 1, new Date()]),
  ]);
  const answers = await Promise.all(users.map((userId) => mesh.operator.post('/v1/events/login', { userId })));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
  expect(await mesh.db.rows("SELECT user_id FROM user_portfolio_priority WHERE user_id LIKE 'user-%'")).toHaveLength(100);
});

test('a login of another key does not wait behind hundreds of one key', async () => {
  const other = await mesh.caller('jobs');
  const signIn = (caller: typeof other, userId: string) => caller.post('/v1/events/login', { userId });
  const held = async () => (await (await fetch(`${mesh.gateway.url}/metrics`)).text()).match(/^stockmesh_logins_held (\d+)$/m)?.[1];
  await signIn(mesh.operator, 'first');
  // All others come while this one's transaction waits for its row.
  const answers = await mesh.db.transaction(async (tx) => {
    await tx.rows("SELECT 1 FROM logins WHERE user_id = 'first' FOR UPDATE");
    const first = signIn(mesh.operator, 'first');
    await expect.poll(held).toBe('1');
    const burst = Array.from({ length: 540 }, (_, index) => signIn(mesh.operator, `many-${index}`));
    await expect.poll(held, { timeout: 20_000 }).toBe('541');
    const alone = signIn(other, 'alone');
    await expect.poll(held).toBe('542');
    return [first, ...burst, alone];
  });
  expect(new Set((await Promise.all(answers)).map(({ status }) => status))).toEqual(new Set([202]));
  // 500 a transaction: without turns it would be in the last one, with nobody behind it.
  const [row] = await mesh.db.rows<{ behind: number }>(
    `SELECT COUNT(*) AS behind FROM user_portfolio_priority a JOIN user_portfolio_priority m ON m.admitted_at > a.admitted_at WHERE a.user_id = 'alone'`,
  );
  expect(row?.behind).toBeGreaterThanOrEqual(40);
}, 40_000);

test('a user without holdings signs in too', async () => {
  expect(await mesh.operator.post('/v1/events/login', { userId: 'nobody' })).toMatchObject({ status: 202, body: { total: 0, queued: 0 } });
});

test('a login with a header traceparent is part of the trace of its caller, and a collector that is away does not matter', async () => {
  await hold('alice', 'AAPL');
  const collector = { endpoint: 'http://127.0.0.1:9', sample: 0 };
  const stop = await startTracing({ service: 'gateway', instance: 'gateway-1', version: '0' }, collector, silent);
  onTestFinished(stop);
  // The example of W3C Trace Context, section 3.2.3.
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const { status } = await fetch(`${mesh.gateway.url}/v1/events/login`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${mesh.operator.key}`,
      'content-type': 'application/json',
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
    },
    body: JSON.stringify({ userId: 'alice' }),
  });
  expect(status).toBe(202);
  const rows = await mesh.db.rows<{ trace: string }>('SELECT trace FROM jobs');
  expect(rows.map(({ trace }) => trace.split('-')[1])).toEqual([traceId, traceId]);
});

test('a moment that lies too far off is refused, so that the answer is about this login', async () => {
  for (const [at, code] of [
    ['2020-01-01T00:00:00Z', 'login.expired'],
    [new Date(Date.now() + 600_000).toISOString(), 'login.bad_time'],
  ])
    expect(await mesh.operator.post('/v1/events/login', { userId: 'alice', at })).toMatchObject({ status: 400, body: { code } });
});

test('a key of a user signs that user in, and nobody else', async () => {
  const alice = await mesh.caller('user:alice');
  expect((await alice.post('/v1/events/login', { userId: 'alice' })).status).toBe(202);
  expect((await alice.post('/v1/events/login', { userId: 'bob' })).status).toBe(403);
});
