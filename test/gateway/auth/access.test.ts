import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { createKey, findKey, listKeys, revokeKey, storeKey } from '../../../services/gateway/auth/keys.ts';
import { hashOfKey, newApiKey } from '../../../services/platform/machine/api-key.ts';
import { callerWith, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();

test('the gateway is alive and ready without a key', async () => {
  expect(await mesh.anonymous.get('/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  expect(await mesh.anonymous.get('/readyz')).toMatchObject({
    status: 200,
    // The gateway of these tests runs on a clock that nobody measured.
    body: { status: 'ok', database: true, broker: true, subscriptions: true, clock_offset_s: null },
  });
});

test('without a key everything else is 401, with a problem that says how to get one', async () => {
  const { status, headers, body } = await mesh.anonymous.get('/v1/jobs');
  expect(status).toBe(401);
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(headers.get('www-authenticate')).toMatch(/^Bearer/);
  expect(body).toMatchObject({
    code: 'access.no_key',
    status: 401,
    title: 'Unauthorized',
    instance: '/v1/jobs',
    type: 'urn:stockmesh:problem:access.no_key',
  });
});

test('the OpenAPI document and its pages need no key, and name every route and what a problem is', async () => {
  const { status, body } = await mesh.anonymous.get('/openapi.json');
  expect(status, JSON.stringify(body)).toBe(200);
  expect(Object.keys(body.paths)).toEqual(
    expect.arrayContaining([
      '/v1/jobs',
      '/v1/jobs/{id}',
      '/v1/events',
      '/v1/events/login',
      '/v1/symbols/{symbol}/bars',
      '/jobs/{id}',
      '/v1/users/{id}/portfolio',
    ]),
  );
  expect(body.components.schemas).toHaveProperty('Problem');
  expect([body.security, body.paths['/healthz'].get.security]).toEqual([[{ key: [] }, { session: [] }], []]);
  expect((await mesh.anonymous.get('/docs/')).status).toBe(200);
});

test('a key that is not known is 401, and one that is revoked within a second', async () => {
  expect(await callerWith(() => mesh.gateway.url, 'smk_unknown').get('/v1/jobs')).toMatchObject({
    status: 401,
    body: { code: 'access.bad_key' },
  });
  const caller = await mesh.caller('read');
  expect((await caller.get('/v1/jobs')).status).toBe(200);
  await revokeKey(mesh.db, hashOfKey(caller.key).subarray(0, 8).toString('hex'), new Date());
  await expect.poll(() => caller.get('/v1/jobs')).toMatchObject({ status: 401, body: { code: 'access.bad_key' } });
});

test('a key does what its scopes say, and a refusal names those that it has and the one that it needs', async () => {
  const reader = await mesh.caller('read');
  const worker = await mesh.caller('jobs');
  const job = { type: 'fetch', symbol: 'AAPL', analyse: false };
  const refused = await reader.post('/v1/jobs', job);
  expect(refused).toMatchObject({ status: 403, body: { code: 'access.missing_scope' } });
  expect(refused.body.detail).toMatch(/has the scopes read; this needs "jobs"/);
  expect((await worker.post('/v1/jobs', job)).status).toBe(202);
  expect((await worker.get('/v1/stats')).status).toBe(403);
  expect((await reader.get('/v1/stats')).status).toBe(200);
  expect((await reader.post('/v1/auto-fetch', { enabled: false })).status).toBe(403);
  expect((await worker.post('/v1/auto-fetch', { enabled: false })).status).toBe(403);
});

test("a key of a user sees the jobs and the portfolio of that user, and nobody else's", async () => {
  const alice = await mesh.caller('user:alice');
  const asked = await alice.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user: 'alice', analyse: false });
  const others = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'MSFT', user: 'bob', analyse: false });
  const [{ id: own }] = asked.body.jobs;
  const [{ id: foreign }] = others.body.jobs;
  expect((await alice.get('/v1/jobs')).body.jobs.map(({ id }: { id: string }) => id)).toEqual([own]);
  expect((await alice.get(`/v1/jobs/${own}`)).status).toBe(200);
  for (const path of [`/v1/jobs/${foreign}`, `/v1/jobs/${foreign}/items`, `/v1/jobs/${foreign}/events`])
    expect(await alice.get(path)).toMatchObject({ status: 404, body: { code: 'job.unknown' } });
  expect((await alice.post(`/v1/jobs/${foreign}/cancel`)).status).toBe(404);
  expect((await alice.get('/v1/jobs?user=bob')).status).toBe(403);
  expect((await alice.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL' })).status).toBe(403);
  expect((await alice.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL' }] })).status).toBe(200);
  expect((await alice.get('/v1/users/alice/portfolio')).status).toBe(200);
  expect((await alice.get('/v1/users/bob/portfolio')).status).toBe(403);
  expect((await alice.put('/v1/users/bob/portfolio', { positions: [] })).status).toBe(403);
});

test('other subscribers of a shared job are not shown to a user', async () => {
  const alice = await mesh.caller('user:alice');
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user: 'bob', analyse: false });
  const { body } = await alice.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user: 'alice', analyse: false });
  expect(body.jobs[0].outcome).toBe('joined');
  expect((await alice.get(`/v1/jobs/${body.jobs[0].id}`)).body.subscribers).toEqual(['alice']);
  expect((await mesh.operator.get(`/v1/jobs/${body.jobs[0].id}`)).body.subscribers).toEqual(['alice', 'bob']);
});

test('a key is stored as its hash: no table holds it', async () => {
  const { id, key } = await createKey(mesh.db, { name: 'someone', scopes: ['read'] }, new Date());
  const [row] = await mesh.db.rows<{ hash: Buffer }>('SELECT * FROM api_keys WHERE id = ?', [id]);
  expect(JSON.stringify(row)).not.toContain(key.slice(4));
  // FIPS 180-4, by node's own implementation.
  expect(row?.hash).toEqual(createHash('sha256').update(key).digest());
  expect(Buffer.from(key.slice(4), 'base64url')).toHaveLength(32);
  expect((await findKey(mesh.db, key, new Date()))?.name).toBe('someone');
});

test('the use of a key is noted to the minute', async () => {
  const { id, key } = await createKey(mesh.db, { name: 'used', scopes: ['read'] }, new Date());
  const used = async () => (await listKeys(mesh.db)).find((one) => one.id === id)?.last_used_at?.toISOString();
  await findKey(mesh.db, key, new Date('2026-03-03T10:00:00Z'));
  await findKey(mesh.db, key, new Date('2026-03-03T10:00:59Z'));
  expect(await used()).toBe('2026-03-03T10:00:00.000Z');
  await findKey(mesh.db, key, new Date('2026-03-03T10:01:00Z'));
  expect(await used()).toBe('2026-03-03T10:01:00.000Z');
});

test('a scope that does not exist is refused with those that do', async () => {
  await expect(createKey(mesh.db, { name: 'x', scopes: ['write'] }, new Date())).rejects.toMatchObject({
    code: 'key.bad_scope',
    message: expect.stringMatching(/"write"; choose from read .*, jobs .*, admin .*, user:<id>/),
  });
  await expect(createKey(mesh.db, { name: 'x', scopes: [] }, new Date())).rejects.toMatchObject({ code: 'key.bad_scope' });
});

test('a key that was refused works as soon as it is made', async () => {
  const key = newApiKey();
  const caller = callerWith(() => mesh.gateway.url, key);
  expect((await caller.get('/v1/jobs')).status).toBe(401);
  await storeKey(mesh.db, key, { name: 'late', scopes: ['read'] }, new Date());
  expect((await caller.get('/v1/jobs')).status).toBe(200);
});

test('a name that two keys in force have does not say which to revoke', async () => {
  for (const _ of [1, 2]) await createKey(mesh.db, { name: 'twin', scopes: ['read'] }, new Date());
  await expect(revokeKey(mesh.db, 'twin', new Date())).rejects.toMatchObject({ code: 'key.ambiguous' });
  await expect(revokeKey(mesh.db, 'nobody', new Date())).rejects.toMatchObject({ code: 'key.unknown' });
});
