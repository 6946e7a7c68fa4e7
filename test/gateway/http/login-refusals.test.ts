/** What is heard of logins that are refused over HTTP. */
import { expect, test, vi } from 'vitest';
import { RefusedError, refusalOf } from '../../../services/gateway/http/problems.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import type { Body } from '../../../services/platform/messages.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const metrics = async (): Promise<string> => String((await mesh.anonymous.get('/metrics')).body);
const countOf = async (sample: string): Promise<number> =>
  Number(new RegExp(`^${RegExp.escape(sample)} (\\d+)$`, 'm').exec(await metrics())?.[1] ?? 0);
const [NO_KEY, BAD_KEY] = ['no_key', 'bad_key'].map((code) => `stockmesh_logins_refused_total{reason="access.${code}"}`) as [
  string,
  string,
];

test('each is counted by its reason and told to the monitor, with the key and nothing of what was sent', { timeout: 60_000 }, async () => {
  const told: Body<'refused'>[] = [];
  const monitor = mesh.connect('monitor');
  await monitor.subscribe('refused', {}, ({ body }) => void told.push(body)).ready;
  const alice = await mesh.caller('user:alice');
  const login = '/v1/events/login';
  const refused = [
    [400, 'request.invalid', () => mesh.operator.post(login, { userId: 'alice', at: 'secret' })],
    [400, 'request.invalid_json', () => post(`{"userId":"secret`)],
    [400, 'login.expired', () => mesh.operator.post(login, { userId: 'alice', at: '2020-01-01T00:00:00Z' })],
    [400, 'login.bad_time', () => mesh.operator.post(login, { userId: 'alice', at: '2100-01-01T00:00:00Z' })],
    [403, 'access.missing_scope', () => alice.post(login, { userId: 'bob' })],
    [413, 'request.too_large', () => mesh.operator.post(login, { userId: 'x'.repeat(1_100_000) })],
  ] as const;
  const post = async (body: string) => {
    const headers = { authorization: `Bearer ${mesh.operator.key}`, 'content-type': 'application/json' };
    const { status } = await fetch(`${mesh.gateway.url}${login}`, { method: 'POST', headers, body });
    return { status };
  };
  for (const [status, code, send] of refused) {
    expect([code, (await send()).status]).toEqual([code, status]);
    expect(await countOf(`stockmesh_logins_refused_total{reason="${code}"}`)).toBe(1);
    await vi.waitFor(() => expect(told.map((one) => one.code)).toContain(code), { timeout: 10_000 });
  }
  expect(told).toHaveLength(refused.length);
  expect(told).toContainEqual(
    expect.objectContaining({ source: 'gateway', code: 'access.missing_scope', account: 'user:alice', count: 1 }),
  );
  expect(JSON.stringify(told)).not.toContain('secret');
});

test('one without a key in force is counted and not told: anybody could raise the alert', async () => {
  const told: string[] = [];
  const monitor = mesh.connect('monitor');
  await monitor.subscribe('refused', {}, ({ body }) => void told.push(body.code)).ready;
  const login = '/v1/events/login';
  const before = { none: await countOf(NO_KEY), bad: await countOf(BAD_KEY) };
  expect((await mesh.anonymous.post(login, { userId: 'alice' })).status).toBe(401);
  const headers = { authorization: 'Bearer smk_unknown', 'content-type': 'application/json' };
  expect((await fetch(`${mesh.gateway.url}${login}`, { method: 'POST', headers, body: '{}' })).status).toBe(401);
  expect({ none: await countOf(NO_KEY), bad: await countOf(BAD_KEY) }).toEqual({ none: before.none + 1, bad: before.bad + 1 });
  // Told after them, on the same connection.
  const carol = await mesh.caller('user:carol');
  expect((await carol.post(login, '{"userId":"bob","userId":"bob"}')).status).toBe(400);
  await vi.waitFor(() => expect(told).toContain('request.name_twice'), { timeout: 20_000 });
  expect(told.filter((code) => code.startsWith('access.'))).toEqual([]);
});

test.each([
  new TransientError('login.unanswered', 'the database is slow'),
  new RefusedError(429, 'rate.exceeded', 'later'),
  new Error('a defect'),
])('a login that may come again as it is is no refusal: %s', (error) => {
  expect(refusalOf(error)).toBeUndefined();
});

test('fields that are not known are left out and counted, as over MQTT', async () => {
  const before = await countOf('stockmesh_login_unknown_fields_total');
  const { status } = await mesh.operator.post('/v1/events/login', { v: 1, userId: 'alice', password: 'x', tenant: 7 });
  expect(status).toBe(202);
  expect(await countOf('stockmesh_login_unknown_fields_total')).toBe(before + 2);
});

test('the version of the event is what it says, as over MQTT', async () => {
  expect(await mesh.operator.post('/v1/events/login', { v: 2, userId: 'alice' })).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'v' }] },
  });
});
