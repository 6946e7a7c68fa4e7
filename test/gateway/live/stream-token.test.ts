import { expect, onTestFinished, test } from 'vitest';
import { withoutSecrets } from '../../../services/platform/log/secrets.ts';
import { type Caller, callerWith, gatewayMesh } from '../mesh.ts';
import { listen } from './event-source.ts';

const mesh = gatewayMesh();
const NO_KEY = { key: '' };
const url = (path: string) => `${mesh.gateway.url}${path}`;
const tokenOf = async (caller: Caller): Promise<string> => (await caller.post('/v1/events/token')).body.token;

/** As an EventSource asks: without any header of its own. */
async function statusOf(path: string): Promise<number> {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  return (await fetch(url(path), { signal: stop.signal })).status;
}

async function keyOf(...scopes: string[]): Promise<{ id: string; caller: Caller }> {
  const { body } = await mesh.operator.post('/v1/keys', { name: 'browser', scopes });
  return { id: body.id, caller: callerWith(() => mesh.gateway.url, body.key) };
}

test('a token opens the live stream and the stream of a job without a header, again and again', async () => {
  const alice = await mesh.caller('user:alice');
  const { body } = await alice.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user: 'alice', analyse: false });
  const token = await tokenOf(alice);
  expect(await statusOf(`/v1/jobs/${body.jobs[0].id}/events?token=${token}`)).toBe(200);
  for (const _ of [1, 2]) expect(await statusOf(`/v1/events?types=data&token=${token}`)).toBe(200);
});

test('a token lasts for gateway.events.token_seconds', async () => {
  const before = Date.now();
  const { headers, body } = await mesh.operator.post('/v1/events/token');
  // The default is 60 s.
  expect(Date.parse(body.expires_at) - before).toBeGreaterThanOrEqual(60_000);
  expect(Date.parse(body.expires_at) - Date.now()).toBeLessThanOrEqual(60_000);
  expect(headers.get('cache-control')).toBe('no-store');
});

test('a token opens nothing but streams, in no place', async () => {
  const token = await tokenOf(mesh.operator);
  for (const path of ['/v1/jobs', '/v1/stats', '/v1/keys', '/v1/audit']) expect(await statusOf(`${path}?token=${token}`)).toBe(401);
  for (const text of [token, `token ${token}`]) {
    const bearer = callerWith(() => mesh.gateway.url, text);
    for (const path of ['/v1/stats', '/v1/events']) expect((await bearer.get(path)).status).toBe(401);
  }
});

test('an expired token and one that nobody made are refused', async () => {
  const token = await tokenOf(mesh.operator);
  await mesh.db.run("UPDATE stream_tokens SET expires_at = '2020-01-01'");
  for (const wrong of [token, 'smt_nobody', '']) expect(await statusOf(`/v1/events?token=${wrong}`)).toBe(401);
});

test('a stream with a token shows what its key may see', async () => {
  const alice = await mesh.caller('user:alice');
  const source = await listen(url(`/v1/events?token=${await tokenOf(alice)}`), NO_KEY, { authorization: '' });
  for (const user of ['bob', 'alice'])
    await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: user.toUpperCase(), user, analyse: false });
  await expect.poll(() => source.of('job').map(({ symbol }) => symbol)).toEqual(['ALICE']);
});

test('a token of a revoked key opens nothing', async () => {
  const { id, caller } = await keyOf('read');
  const token = await tokenOf(caller);
  await mesh.operator.post(`/v1/keys/${id}/revoke`);
  expect(await statusOf(`/v1/events?token=${token}`)).toBe(401);
});

test('when its key is revoked an open stream ends, and another goes on', async () => {
  const { id, caller } = await keyOf('read');
  const [ended, kept] = [await listen(url('/v1/events'), caller), await listen(url('/v1/events'), mesh.operator)];
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  const job = await listen(url(`/v1/jobs/${body.jobs[0].id}/events`), caller);
  await mesh.operator.post(`/v1/keys/${id}/revoke`);
  await Promise.all([ended.ended, job.ended]);
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'MSFT', analyse: false });
  await expect.poll(() => kept.of('job').map(({ symbol }) => symbol)).toContain('MSFT');
});

test('when its key expires an open stream ends', async () => {
  const { id, caller } = await keyOf('read');
  const source = await listen(url('/v1/events'), caller);
  await mesh.db.run("UPDATE api_keys SET expires_at = '2020-01-01' WHERE id = ?", [id]);
  await source.ended;
});

test('a key that only signs users in gets no token', async () => {
  expect((await (await mesh.caller('login')).post('/v1/events/token')).status).toBe(403);
});

test('a stream has no answer without a body', async () => {
  const head = await fetch(url('/v1/events'), { method: 'HEAD', headers: { authorization: `Bearer ${mesh.operator.key}` } });
  expect(head.status).toBe(404);
});

test('a token is stored as its hash, and blanked where a log line names its address', async () => {
  const token = await tokenOf(mesh.operator);
  expect(JSON.stringify(await mesh.db.rows('SELECT HEX(hash) AS hash, key_id FROM stream_tokens'))).not.toContain(token);
  expect(withoutSecrets(`{"msg":"GET /v1/events?types=job&token=${token}"}`)).not.toContain(token);
});
