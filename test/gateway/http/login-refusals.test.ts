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
    [401, 'access.no_key', () => mesh.anonymous.post(login, { userId: 'alice' })],
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
