import { expect, test } from 'vitest';
import { setJobs } from '../../support/job-rows.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const hold = (user: string, symbols: readonly string[]) =>
  mesh.operator.put(`/v1/users/${user}/portfolio`, { positions: symbols.map((symbol, index) => ({ symbol, quantity: index })) });
const login = (user: string) => mesh.operator.post('/v1/events/login', { userId: user });
const logins = async (user: string, query = '') => (await mesh.operator.get(`/v1/users/${user}/logins${query}`)).body.logins;

/** Ends the open jobs as a worker does, so many seconds after now. */
const end = (state: string, where: string, seconds: number) =>
  setJobs(mesh.db, { state, started_at: new Date(), ended_at: new Date(Date.now() + seconds * 1000) }, where);

test('users are listed with what they hold and their last login, a page at a time', async () => {
  await hold('alice', ['AAPL', 'MSFT', 'IBM']);
  await hold('bob', ['AAPL']);
  await login('bob');
  await login('zoe');
  const { body } = await mesh.operator.get('/v1/users?limit=2');
  expect(body.next).toBe('bob');
  expect(body.users).toMatchObject([
    { user: 'alice', held: 2, watched: 1, prices: { fresh: 0, outdated: 0, stale: 0, missing: 3 }, last_login: null },
    { user: 'bob', held: 0, watched: 1, last_login: { total: 1, queued: 1, fresh: 0, fresh_at: null } },
  ]);
  const rest = (await mesh.operator.get('/v1/users?limit=2&cursor=bob')).body;
  expect([rest.users.map(({ user }: { user: string }) => user), rest.next]).toEqual([['zoe'], null]);
});

test('a login is fresh when the last of its jobs has completed', async () => {
  await hold('alice', ['AAPL', 'MSFT']);
  await login('alice');
  const [open] = await logins('alice');
  expect(open).toMatchObject({ total: 2, queued: 2, open_jobs: 4, failed_jobs: 0, fresh_at: null });
  expect(open.decisions.map(({ symbol, outcome }: { symbol: string; outcome: string }) => [symbol, outcome])).toEqual([
    ['AAPL', 'queued'],
    ['MSFT', 'queued'],
  ]);
  expect(open.decisions[0].jobs).toMatchObject([
    { type: 'fetch', state: 'ready', joined: false },
    { type: 'analysis', state: 'blocked' },
  ]);
  await end('completed', "type = 'fetch'", 3);
  expect((await logins('alice'))[0]).toMatchObject({ open_jobs: 2, fresh_at: null });
  await end('completed', "type = 'analysis'", 7);
  const [done] = await logins('alice');
  expect(done).toMatchObject({ open_jobs: 0, failed_jobs: 0 });
  expect(Math.abs(done.seconds_to_fresh - 7)).toBeLessThan(5);
});

test('a login with a failed job is not fresh, and says which', async () => {
  await hold('alice', ['AAPL']);
  await login('alice');
  await end('failed', "type = 'fetch'", 1);
  await end('completed', "type = 'analysis'", 1);
  const [one] = await logins('alice');
  expect(one).toMatchObject({
    open_jobs: 0,
    failed_jobs: 1,
    fresh_at: null,
    decisions: [{ jobs: [{ state: 'failed' }, { state: 'completed' }] }],
  });
});

test('the newest login comes first, and a key of a user sees those of that user without the score of others', async () => {
  await hold('alice', ['AAPL']);
  await hold('bob', ['AAPL']);
  await login('bob');
  await login('alice');
  await login('alice');
  const own = await (await mesh.caller('user:alice')).get('/v1/users/alice/logins?limit=5');
  expect(own.body.logins).toHaveLength(2);
  expect(own.body.logins[0].at > own.body.logins[1].at).toBe(true);
  expect(own.body.logins[0].decisions[0]).toMatchObject({
    outcome: 'joined',
    jobs: [
      { joined: true, score: null },
      { joined: true, score: null },
    ],
  });
  expect((await (await mesh.caller('user:bob')).get('/v1/users/alice/logins')).status).toBe(403);
});
