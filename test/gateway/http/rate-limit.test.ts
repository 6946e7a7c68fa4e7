import { expect, onTestFinished, test, vi } from 'vitest';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({
  'gateway.rate_limit.requests': 5,
  'gateway.rate_limit.user_requests': 6,
  'gateway.rate_limit.anonymous_requests': 3,
  'gateway.rate_limit.window': 600,
  'gateway.trust_proxy': ['127.0.0.1'],
});

test('a key that asks too often gets 429 and when to come again, another key and the health check do not', async () => {
  const busy = await mesh.caller('read');
  const quiet = await mesh.caller('read');
  const statuses: number[] = [];
  for (let request = 0; request < 6; request++) statuses.push((await busy.get('/v1/alerts')).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
  const refused = await busy.get('/v1/alerts');
  expect(refused.headers.get('content-type')).toBe('application/problem+json');
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(500);
  expect(refused.body).toMatchObject({
    code: 'request.too_many',
    status: 429,
    detail: expect.stringContaining('more than 5 requests within 600 s'),
  });
  expect((await quiet.get('/v1/alerts')).status).toBe(200);
  expect((await mesh.anonymous.get('/healthz')).status).toBe(200);
});

test('who shows no valid key is counted by address, and healthy all the same', async () => {
  const statuses: number[] = [];
  for (let request = 0; request < 5; request++) statuses.push((await mesh.anonymous.get('/v1/alerts')).status);
  expect(statuses).toEqual([401, 401, 401, 429, 429]);
  for (let request = 0; request < 5; request++) expect((await mesh.anonymous.get('/healthz')).status).toBe(200);
});

/** A caller behind the trusted proxy. */
const behind = (address: string, key = '') => ({
  get: (path: string) =>
    mesh.anonymous.get(path, { 'x-forwarded-for': address, ...(key === '' ? {} : { authorization: `Bearer ${key}` }) }),
});
const statusesOf = async (times: number, ask: () => Promise<{ status: number }>): Promise<number[]> => {
  const statuses: number[] = [];
  for (let time = 0; time < times; time++) statuses.push((await ask()).status);
  return statuses;
};

/** Counts the queries for keys until the test ends. */
function keyLookUps(): () => number {
  const rows = vi.spyOn(mesh.db, 'rows');
  onTestFinished(() => rows.mockRestore());
  return () => rows.mock.calls.filter(([sql]) => /FROM api_keys/.test(sql)).length;
}

test('callers behind a trusted proxy are counted apart, those of one IPv6 network together', async () => {
  expect(await statusesOf(4, () => behind('192.0.2.1').get('/v1/alerts'))).toEqual([401, 401, 401, 429]);
  expect((await behind('192.0.2.2').get('/v1/alerts')).status).toBe(401);
  let host = 0;
  expect(await statusesOf(4, () => behind(`2001:db8::${++host}`).get('/v1/alerts'))).toEqual([401, 401, 401, 429]);
  expect((await behind('2001:db8:0:1::1').get('/v1/alerts')).status).toBe(401);
});

test('an address that a caller puts before its own changes nothing', async () => {
  let forged = 0;
  expect(await statusesOf(4, () => behind(`198.51.100.${++forged}, 192.0.2.3`).get('/v1/alerts'))).toEqual([401, 401, 401, 429]);
});

test('paths that do not exist are counted', async () => {
  expect(await statusesOf(4, () => behind('192.0.2.4').get('/wp-login.php'))).toEqual([404, 404, 404, 429]);
});

test('keys that nobody knows are counted by address, and over the limit cost no query', async () => {
  const lookUps = keyLookUps();
  let key = 0;
  expect(await statusesOf(8, () => behind('192.0.2.5', `smk_${++key}`).get('/v1/alerts'))).toEqual([
    401, 401, 401, 429, 429, 429, 429, 429,
  ]);
  expect(lookUps()).toBe(3);
});

test('keys that nobody knows and that come at once cost no more queries', async () => {
  const lookUps = keyLookUps();
  await Promise.all(Array.from({ length: 30 }, (_, index) => behind('192.0.2.6', `smk_at_once_${index}`).get('/v1/alerts')));
  expect(lookUps()).toBe(3);
});

test('who guesses keys does not shut out a caller of the same address whose key was used before', async () => {
  const { key } = await mesh.caller('read');
  expect((await behind('192.0.2.7', key).get('/v1/alerts')).status).toBe(200);
  let guess = 0;
  await statusesOf(6, () => behind('192.0.2.7', `smk_guess_${++guess}`).get('/v1/alerts'));
  expect((await behind('192.0.2.7', key).get('/v1/alerts')).status).toBe(200);
});

test('a valid key takes nothing of what its address may ask without one', async () => {
  for (let caller = 0; caller < 5; caller++) {
    const { key } = await mesh.caller('read');
    expect((await behind('192.0.2.8', key).get('/v1/alerts')).status).toBe(200);
  }
});

test('the first requests of a valid key may come at once', async () => {
  const { key } = await mesh.caller('read');
  const answers = await Promise.all(Array.from({ length: 5 }, () => behind('192.0.2.10', key).get('/v1/alerts')));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
});

test('a user is counted with all keys that are only for users, and the refusal names the quota', async () => {
  const withScopes = async (...scopes: string[]) => behind('192.0.2.11', (await mesh.caller(...scopes)).key);
  const [one, two, both] = [await withScopes('user:ada'), await withScopes('user:ada'), await withScopes('user:ada', 'read')];
  expect(await statusesOf(4, () => one.get('/v1/jobs'))).toEqual([200, 200, 200, 200]);
  expect(await statusesOf(3, () => two.get('/v1/jobs'))).toEqual([200, 200, 429]);
  expect((await two.get('/v1/jobs')).body).toMatchObject({
    code: 'request.too_many',
    quota: 'gateway.rate_limit.user_requests',
    detail: expect.stringContaining('more than 6 requests within 600 s from user ada (gateway.rate_limit.user_requests)'),
  });
  expect((await both.get('/v1/jobs')).status).toBe(200);
});

test('readiness is counted by address, apart from requests that need a key', async () => {
  await statusesOf(4, () => behind('192.0.2.9').get('/v1/alerts'));
  expect(await statusesOf(4, () => behind('192.0.2.9').get('/readyz'))).toEqual([200, 200, 200, 429]);
  expect((await behind('192.0.2.9').get('/healthz')).status).toBe(200);
});

test('metrics and documentation are for this machine, and elsewhere for a key that reads', async () => {
  const local = ['/metrics', '/docs/', '/docs/static/swagger-ui.css', '/docs/json', '/openapi.json'];
  const answersOf = async (ask: (path: string, index: number) => Promise<{ status: number }>) =>
    (await Promise.all(local.map(ask))).map(({ status }) => status);
  expect(await answersOf((path, index) => behind(`198.51.100.${100 + index}`).get(path))).toEqual(local.map(() => 401));
  const [reader, worker] = [await mesh.caller('read'), await mesh.caller('jobs')];
  expect(await answersOf((path) => behind('198.51.100.1', reader.key).get(path))).toEqual(local.map(() => 200));
  expect(await answersOf((path) => behind('198.51.100.1', worker.key).get(path))).toEqual(local.map(() => 403));
  expect(await answersOf((path, index) => behind(`127.0.0.${10 + index}`).get(path))).toEqual(local.map(() => 200));
});

test('a proxy that is trusted says whether it encrypts, and so whether the cookie of a session needs that', async () => {
  const { key } = await mesh.caller('read');
  const cookie = async (protocol: string): Promise<string> => {
    const headers = {
      'content-type': 'application/json',
      'x-forwarded-for': `198.51.100.${protocol.length}`,
      'x-forwarded-proto': protocol,
    };
    const response = await fetch(`${mesh.gateway.url}/v1/session`, { method: 'POST', headers, body: JSON.stringify({ key }) });
    return response.headers.get('set-cookie') ?? '';
  };
  expect(await cookie('https')).toMatch(/^stockmesh_session=sms_.*; Secure$/);
  expect(await cookie('http')).toMatch(/^stockmesh_session=sms_(?!.*Secure)/);
});
