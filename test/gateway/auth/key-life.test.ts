import { expect, test } from 'vitest';
import { createKey, findKey, keyFinder, rotateKey } from '../../../services/gateway/auth/keys.ts';
import { hashOfKey } from '../../../services/platform/machine/api-key.ts';
import { type Answer, callerWith, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const START = new Date('2026-03-03T10:00:00Z');
const later = (seconds: number) => new Date(START.getTime() + seconds * 1000);
const withKey = (key: string) => callerWith(() => mesh.gateway.url, key);

async function make(body: object): Promise<Answer['body']> {
  const answer = await mesh.operator.post('/v1/keys', body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body;
}

const listed = async (id: string) => (await mesh.operator.get('/v1/keys')).body.keys.find((one: { id: string }) => one.id === id);

test('a key works until it expires, and not from that moment on, also where it is remembered', async () => {
  let now = START;
  const find = keyFinder(mesh.db, () => now);
  const { key } = await createKey(mesh.db, { name: 'short', scopes: ['read'], expires_at: later(60) }, START);
  now = later(59.999);
  expect(await find(key)).toMatchObject({ name: 'short' });
  now = later(60);
  expect(await find(key)).toBeUndefined();
});

test('an end that is over is refused', async () => {
  const answer = await mesh.operator.post('/v1/keys', { name: 'x', scopes: ['read'], expires_at: '2020-01-01T00:00:00Z' });
  expect(answer).toMatchObject({ status: 400, body: { code: 'key.bad_expiry' } });
});

test('a rotated key has a new secret, and the old one for the overlap', async () => {
  const { id, key: old } = await createKey(mesh.db, { name: 'rotated', scopes: ['read'] }, START);
  const { key } = await rotateKey(mesh.db, id, { overlapSeconds: 60 }, START);
  expect(key).not.toBe(old);
  expect(await findKey(mesh.db, key, later(3600))).toMatchObject({ id });
  expect(await findKey(mesh.db, old, later(59))).toMatchObject({ id });
  expect(await findKey(mesh.db, old, later(60))).toBeUndefined();
});

test('at the second rotation the first secret ends', async () => {
  const { id, key: first } = await createKey(mesh.db, { name: 'twice', scopes: ['read'] }, START);
  const { key: second } = await rotateKey(mesh.db, id, { overlapSeconds: 600 }, START);
  await rotateKey(mesh.db, id, { overlapSeconds: 600 }, later(1));
  expect(await findKey(mesh.db, first, later(2))).toBeUndefined();
  expect(await findKey(mesh.db, second, later(2))).toMatchObject({ id });
});

test('an expired key is neither found by its old secret nor rotated', async () => {
  const { id, key } = await createKey(mesh.db, { name: 'over', scopes: ['read'], expires_at: later(10) }, START);
  await rotateKey(mesh.db, id, { overlapSeconds: 600 }, START);
  expect(await findKey(mesh.db, key, later(10))).toBeUndefined();
  await expect(rotateKey(mesh.db, id, { overlapSeconds: 0 }, later(10))).rejects.toMatchObject({ code: 'key.unknown' });
});

test('over HTTP a key is made, shown once, and listed without its secret', async () => {
  const { id, key, signing_secret } = await make({ name: 'program', scopes: ['read', 'user:alice '], expires_at: '2099-01-01T00:00:00Z' });
  expect((await withKey(key).get('/v1/stats')).status).toBe(200);
  expect(await listed(id)).toMatchObject({
    ...{ name: 'program', scopes: ['read', 'user:alice'], state: 'in force', expires_at: '2099-01-01T00:00:00.000Z' },
    last_used_at: expect.stringMatching(/Z$/),
  });
  const all = JSON.stringify(await mesh.operator.get('/v1/keys'));
  for (const secret of [key, signing_secret, hashOfKey(key).toString('hex'), hashOfKey(key).toString('base64')])
    expect(all).not.toContain(secret);
});

test('keys come in pages, each key once, the newest first, also those of one moment', async () => {
  for (let i = 0; i < 5; i++) await createKey(mesh.db, { name: `paged ${i}`, scopes: ['read'] }, i < 3 ? START : later(60));
  const all = (await mesh.operator.get('/v1/keys?limit=500')).body;
  const paged: unknown[] = [];
  for (let cursor = ''; ; ) {
    const { keys, next } = (await mesh.operator.get(`/v1/keys?limit=2${cursor}`)).body;
    expect(keys.length).toBeLessThanOrEqual(2);
    paged.push(...keys);
    if (next === null) break;
    cursor = `&cursor=${next}`;
  }
  const ids = (keys: unknown[]) => keys.map((key) => (key as { id: string }).id);
  expect([all.next, ids(paged)]).toEqual([null, ids(all.keys)]);
  const moments = all.keys.map(({ created_at }: { created_at: string }) => created_at);
  expect(moments).toEqual(moments.toSorted().reverse());
});

test.each([
  ['one user', ['user:alice'], /needs "jobs"; a key of users says for whom it asks: "user": "alice"$/],
  ['two users', ['user:alice', 'user:bob'], /a key of users says for which of its 2 users it asks: "user": "alice"$/],
])('a key of %s that names no user is told to name one', async (_, scopes, way) => {
  const caller = withKey((await make({ name: 'of users', scopes })).key);
  for (const [path, body] of [
    ['/v1/jobs', { type: 'fetch', symbol: 'AAPL' }],
    ['/v1/rankings', { symbols: ['AAPL'] }],
  ] as const)
    expect((await caller.post(path, body)).body).toMatchObject({ status: 403, detail: expect.stringMatching(way) });
});

test('over HTTP both secrets of a rotated key work, and without an overlap the old one is refused within a second', async () => {
  const { id, key: first } = await make({ name: 'rotated', scopes: ['read'] });
  const { body, headers } = await mesh.operator.post(`/v1/keys/${id}/rotate`);
  // The default of gateway.keys.rotation_overlap: a day.
  expect(Date.parse(body.old_until) - Date.parse(body.rotated_at)).toBe(86_400_000);
  expect(headers.get('cache-control')).toBe('no-store');
  for (const key of [first, body.key]) expect((await withKey(key).get('/v1/stats')).status).toBe(200);
  await mesh.operator.post(`/v1/keys/${id}/rotate`, { overlap_seconds: 0 });
  await expect.poll(async () => (await withKey(body.key).get('/v1/stats')).status).toBe(401);
});

test('over HTTP a key is revoked, and then neither revoked nor rotated', async () => {
  const { id, key } = await make({ name: 'ended', scopes: ['read'] });
  expect((await mesh.operator.post(`/v1/keys/${id}/revoke`)).body).toMatchObject({ id, state: 'revoked' });
  await expect.poll(async () => (await withKey(key).get('/v1/stats')).status).toBe(401);
  for (const change of ['revoke', 'rotate'])
    expect(await mesh.operator.post(`/v1/keys/${id}/${change}`)).toMatchObject({ status: 404, body: { code: 'key.unknown' } });
});

test('a key keeps its id when it is rotated, so what it asked for stays its own', async () => {
  const { id, key } = await make({ name: 'asker', scopes: ['user:alice'] });
  const callback_url = 'https://example.com/hook';
  const { body } = await withKey(key).post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user: 'alice', callback_url });
  const renewed = withKey((await mesh.operator.post(`/v1/keys/${id}/rotate`)).body.key);
  expect((await renewed.get(`/v1/jobs/${body.jobs[0].id}/callbacks`)).body.callbacks).toMatchObject([{ url: callback_url }]);
});

test('a key that only signs users in gets no answer that it could read from', async () => {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: 1 }] });
  const hook = await mesh.caller('login');
  const answer = await hook.post('/v1/events/login', { userId: 'alice' });
  expect([answer.status, Object.keys(answer.body)]).toEqual([202, ['userId', 'at']]);
  expect((await mesh.operator.get('/v1/jobs?user=alice')).body.jobs).toHaveLength(2);
  expect(await hook.get('/v1/symbols/AAPL')).toMatchObject({ status: 403, body: { code: 'access.missing_scope' } });
});
