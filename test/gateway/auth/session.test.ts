/** A browser that is signed in, as it asks: with a cookie and without any header of its own making. */
import { expect, test } from 'vitest';
import { createCode } from '../../../services/gateway/auth/sessions.ts';
import { withoutSecrets } from '../../../services/platform/log/secrets.ts';
import { listen } from '../live/event-source.ts';
import { type Caller, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const url = (path: string) => `${mesh.gateway.url}${path}`;
const SAME = { 'sec-fetch-site': 'same-origin' };
const AAPL = { type: 'fetch', symbol: 'AAPL', analyse: false };

interface Browser {
  status: number;
  setCookie: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
  body: any;
  ask(
    method: string,
    path: string,
    headers?: Record<string, string>,
    body?: unknown,
  ): Promise<{ status: number; code: string; text: string }>;
  cookie: string;
}

async function signIn(shown: object, headers: Record<string, string> = SAME): Promise<Browser> {
  const response = await fetch(url('/v1/session'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(shown),
  });
  const setCookie = response.headers.get('set-cookie') ?? '';
  const cookie = setCookie.split(';')[0] as string;
  return {
    ...{ status: response.status, setCookie, cookie, body: await response.json() },
    async ask(method, path, more = SAME, body) {
      const answer = await fetch(url(path), {
        method,
        headers: { cookie, ...more, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, code: text.startsWith('{') ? JSON.parse(text).code : '', text };
    },
  };
}

const withKey = ({ key }: Caller) => signIn({ key });
const codeOf = ({ id }: Caller, seconds = 60) => createCode(mesh.db, id, new Date(Date.now() + seconds * 1000));

test('a key becomes a cookie that no script reads and no other site sends', async () => {
  const { status, setCookie } = await withKey(mesh.operator);
  expect(status).toBe(200);
  // 30 days: gateway.sessions.seconds.
  expect(setCookie).toMatch(/^stockmesh_session=sms_[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/; Max-Age=2592000$/);
});

test('the cookie is the caller that the key is', async () => {
  const alice = await mesh.caller('user:alice');
  const browser = await withKey(alice);
  expect(browser.body).toMatchObject({
    key: { id: alice.id, name: 'user:alice' },
    ...{ scopes: ['user:alice'], may: [], users: ['alice'], zone: 'America/New_York', base_currency: 'USD' },
  });
  const me = JSON.parse((await browser.ask('GET', '/v1/me')).text);
  expect({ ...me, at: '' }).toEqual({ ...browser.body, at: '' });
  expect((await browser.ask('GET', '/v1/jobs?user=alice')).status).toBe(200);
  expect((await browser.ask('GET', '/v1/jobs?user=bob')).code).toBe('access.missing_scope');
  expect((await browser.ask('GET', '/v1/stats')).code).toBe('access.missing_scope');
});

test('the scopes of a key say what they include', async () => {
  const may = async (...scopes: string[]) => (await (await mesh.caller(...scopes)).get('/v1/me')).body.may;
  expect(await may('admin')).toEqual(['read', 'jobs', 'login', 'admin']);
  expect(await may('jobs')).toEqual(['jobs', 'login']);
  expect(await may('read', 'user:alice')).toEqual(['read']);
});

test('an event stream opens with the cookie alone', async () => {
  const { cookie } = await withKey(mesh.operator);
  const source = await listen(url('/v1/events'), { key: '' }, { authorization: '', cookie });
  await mesh.operator.post('/v1/jobs', AAPL);
  await expect.poll(() => source.of('job').map(({ symbol }) => symbol)).toEqual(['AAPL']);
});

test('a code signs in once', async () => {
  const code = await codeOf(mesh.operator);
  const browser = await signIn({ code });
  expect([browser.status, (await browser.ask('GET', '/v1/stats')).status]).toEqual([200, 200]);
  const again = await signIn({ code });
  expect([again.status, again.body.code, again.setCookie]).toEqual([401, 'access.bad_code', '']);
});

test('of two who use a code at once one is signed in', async () => {
  const code = await codeOf(mesh.operator);
  const both = await Promise.all([signIn({ code }), signIn({ code })]);
  expect(both.map(({ status }) => status).toSorted()).toEqual([200, 401]);
});

test('a code that is over, and one of a key that was revoked, sign nobody in', async () => {
  const reader = await mesh.caller('read');
  const late = await codeOf(reader, -1);
  const revoked = await codeOf(reader);
  await mesh.operator.post(`/v1/keys/${reader.id}/revoke`);
  for (const code of [late, revoked, 'smc_nobody']) expect((await signIn({ code })).body.code).toBe('access.bad_code');
});

test('a wrong key signs nobody in, and the audit log notes it', async () => {
  expect((await signIn({ key: 'smk_nobody' })).body.code).toBe('access.bad_key');
  const noted = async () => (await mesh.operator.get('/v1/audit?outcome=refused')).body.rows.map((row: { code: string }) => row.code);
  await expect.poll(noted).toContain('access.bad_key');
});

test('who signs in stands in the audit log, with the key and the address', async () => {
  const reader = await mesh.caller('read');
  await withKey(reader);
  const { rows } = (await mesh.operator.get(`/v1/audit?actor=${reader.id}`)).body;
  expect(rows).toMatchObject([{ action: 'session.open', target: `key:${reader.id}`, name: 'read', address: '127.0.0.1' }]);
});

test('a key that only signs users in opens no session', async () => {
  expect((await withKey(await mesh.caller('login'))).body.code).toBe('access.missing_scope');
});

test('signing out ends the session in all tabs, and takes the cookie away', async () => {
  const browser = await withKey(mesh.operator);
  const stream = await listen(url('/v1/events'), { key: '' }, { authorization: '', cookie: browser.cookie });
  const kept = await withKey(mesh.operator);
  expect((await browser.ask('DELETE', '/v1/session')).text).toBe('{"was_signed_in":true}');
  expect((await browser.ask('GET', '/v1/me')).code).toBe('access.signed_out');
  await stream.ended;
  expect((await kept.ask('GET', '/v1/me')).status).toBe(200);
  const out = await fetch(url('/v1/session'), { method: 'DELETE' });
  expect(out.headers.get('set-cookie')).toMatch(/^stockmesh_session=; .*Max-Age=0/);
});

test('a session ends with its key', async () => {
  const reader = await mesh.caller('read');
  const browser = await withKey(reader);
  await mesh.operator.post(`/v1/keys/${reader.id}/revoke`);
  expect((await browser.ask('GET', '/v1/stats')).code).toBe('access.signed_out');
});

test('a session of an old secret ends when that secret does', async () => {
  const reader = await mesh.caller('read');
  const browser = await withKey(reader);
  await mesh.operator.post(`/v1/keys/${reader.id}/rotate`, { overlap_seconds: 3_600 });
  expect((await browser.ask('GET', '/v1/stats')).status).toBe(200);
  await mesh.operator.post(`/v1/keys/${reader.id}/rotate`, { overlap_seconds: 0 });
  expect((await browser.ask('GET', '/v1/stats')).code).toBe('access.signed_out');
});

test('a session that an old secret has opened ends with that secret', async () => {
  const reader = await mesh.caller('read');
  const { old_until } = (await mesh.operator.post(`/v1/keys/${reader.id}/rotate`, { overlap_seconds: 3_600 })).body;
  expect((await withKey(reader)).body.session_expires_at).toBe(old_until);
});

test('a new secret ends the event streams of the sessions before it', async () => {
  const reader = await mesh.caller('read');
  const { cookie } = await withKey(reader);
  const stream = await listen(url('/v1/events'), { key: '' }, { authorization: '', cookie });
  const { body } = await mesh.operator.post(`/v1/keys/${reader.id}/rotate`, { overlap_seconds: 0 });
  const after = await signIn({ key: body.key });
  await stream.ended;
  expect((await after.ask('GET', '/v1/stats')).status).toBe(200);
});

test('a new secret ends the event streams that the old one has opened, before it was replaced and after that', async () => {
  const reader = await mesh.caller('read');
  const before = await listen(url('/v1/events'), reader);
  await mesh.operator.post(`/v1/keys/${reader.id}/rotate`, { overlap_seconds: 3_600 });
  const after = await listen(url('/v1/events'), reader);
  const { body } = await mesh.operator.post(`/v1/keys/${reader.id}/rotate`, { overlap_seconds: 0 });
  await Promise.all([before.ended, after.ended]);
  const other = await listen(url('/v1/events'), { key: body.key });
  expect(other.status).toBe(200);
});

test('a session is over at its end, and at the end of its key', async () => {
  const browser = await withKey(mesh.operator);
  await mesh.db.run("UPDATE sessions SET expires_at = '2020-01-01'");
  expect((await browser.ask('GET', '/v1/stats')).code).toBe('access.signed_out');
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  const { body } = await mesh.operator.post('/v1/keys', { name: 'an hour', scopes: ['read'], expires_at });
  expect((await signIn({ key: body.key })).body.session_expires_at).toBe(expires_at);
});

test.each<[string, (host: string) => Record<string, string>, boolean]>([
  ['a page of this address', () => SAME, true],
  ['an older browser, from this address', (host) => ({ origin: `http://${host}` }), true],
  ['a page of another port of this host', () => ({ 'sec-fetch-site': 'same-site' }), false],
  ['a page of another host', () => ({ 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }), false],
  ['an older browser, from another host', () => ({ origin: 'https://evil.example' }), false],
  ['a page without an origin', () => ({ origin: 'null' }), false],
  ['nothing that says where from', () => ({}), false],
])('a change with the cookie, from %s', async (_, headersOf, isTaken) => {
  const browser = await withKey(mesh.operator);
  const headers = headersOf(new URL(mesh.gateway.url).host);
  const { status, code } = await browser.ask('POST', '/v1/jobs', headers, AAPL);
  expect([status, code]).toEqual(isTaken ? [202, undefined] : [403, 'access.cross_site']);
  expect(await mesh.db.rows('SELECT 1 FROM jobs')).toHaveLength(isTaken ? 1 : 0);
});

test('a page of another address signs nobody in or out', async () => {
  const other = { 'sec-fetch-site': 'cross-site' };
  expect((await signIn({ key: mesh.operator.key }, other)).body.code).toBe('access.cross_site');
  const browser = await withKey(mesh.operator);
  expect((await browser.ask('DELETE', '/v1/session', other)).code).toBe('access.cross_site');
  expect((await browser.ask('GET', '/v1/me')).status).toBe(200);
});

test('a program sends its key, and a cookie beside it says nothing', async () => {
  const { cookie } = await withKey(mesh.operator);
  const alice = await mesh.caller('user:alice');
  expect((await alice.get('/v1/stats', { cookie })).status).toBe(403);
  expect((await mesh.anonymous.get('/v1/stats', { cookie, authorization: 'Basic x' })).body.code).toBe('access.bad_key');
  expect((await signIn({ key: mesh.operator.key }, {})).status).toBe(200);
});

test('cookies and codes are stored as hashes, and blanked where a log line names them', async () => {
  const code = await codeOf(mesh.operator);
  const { cookie } = await withKey(mesh.operator);
  const secret = cookie.split('=')[1] as string;
  const stored = JSON.stringify(
    await mesh.db.rows('SELECT HEX(hash) AS hash, key_id FROM sessions UNION ALL SELECT HEX(hash), key_id FROM session_codes'),
  );
  for (const one of [secret, code]) expect(stored).not.toContain(one);
  expect(withoutSecrets(JSON.stringify({ headers: { cookie } }))).not.toContain(secret);
});
