/** What callers of the gateway get while the database is away: 503 with `Retry-After`, in time, and never "a defect". */
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { OUTAGES_BY_NUMBER } from '../../../services/platform/database/outage.ts';
import { type DatabaseProxy, startDatabaseProxy } from '../../support/database-proxy.ts';
import { gatewayMesh } from '../mesh.ts';

let proxy: DatabaseProxy;
const mesh = gatewayMesh({}, async (direct) => {
  proxy = await startDatabaseProxy(inject('databaseServer'));
  return { ...direct, socketPath: undefined, host: proxy.host, port: proxy.port, statementSeconds: 3, acquireSeconds: 3 };
});
afterAll(() => proxy.close());

const answerOf = ({ status, body, headers }: { status: number; body: { code?: string }; headers: Headers }) => [
  status,
  body.code,
  headers.get('retry-after'),
];
const AWAY = [503, 'database.unavailable', '2'];
const NUMBERS = [...OUTAGES_BY_NUMBER.keys()];
const each = <T>(outcome: T) => new Map(NUMBERS.map((errno) => [errno, outcome]));

test.each<[string, RegExp, () => ReturnType<typeof mesh.operator.get>]>([
  ['a request that reads', /FROM job_states/, () => mesh.operator.get('/v1/jobs')],
  ['a request for work', /INSERT INTO (jobs|live_keys)/, () => mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL' })],
])('%s that meets an error of the list is 503, and says when to come again', async (_, statement, ask) => {
  const outcomes = new Map<number, unknown>();
  for (const errno of NUMBERS) {
    proxy.refuse(errno, statement);
    outcomes.set(errno, answerOf(await ask()));
  }
  expect(outcomes).toEqual(each(AWAY));
});

test('a login that meets an error of the list is 503, and no login is lost or counted twice', async () => {
  const outcomes = new Map<number, unknown>();
  for (const errno of NUMBERS) {
    const login = { userId: `user ${errno}`, at: new Date().toISOString() };
    proxy.refuse(errno, /INSERT INTO user_portfolio_priority/);
    const [status] = answerOf(await mesh.operator.post('/v1/events/login', login));
    outcomes.set(errno, [status, (await mesh.operator.post('/v1/events/login', login)).status]);
  }
  expect(outcomes).toEqual(each([503, 202]));
  expect(await mesh.db.rows('SELECT COUNT(*) AS n, MAX(activity) AS most FROM logins')).toEqual([{ n: NUMBERS.length, most: 1 }]);
});

describe('a server that takes no writes', () => {
  afterEach(() => proxy.clear());

  test('answers requests that read, with a key that was not used for a while', async () => {
    const caller = await mesh.caller('read');
    proxy.refuse(1290, /INSERT|UPDATE|DELETE/, Number.POSITIVE_INFINITY);
    expect((await caller.get('/v1/jobs')).status).toBe(200);
  });

  test('refuses a login with 503 and the time to come again', async () => {
    proxy.refuse(1290, /INSERT|UPDATE|DELETE/, Number.POSITIVE_INFINITY);
    expect(answerOf(await mesh.operator.post('/v1/events/login', { userId: 'alice' }))).toEqual([503, 'database.unavailable', '2']);
  });

  test('is not ready', async () => {
    proxy.refuse(1290, /write_probes/, Number.POSITIVE_INFINITY);
    await expect.poll(async () => (await mesh.anonymous.get('/readyz')).body).toMatchObject({ status: 'unavailable', database: false });
  });
});

describe('a server that answers nothing', () => {
  beforeAll(async () => void (await mesh.operator.get('/v1/jobs')));
  afterEach(() => proxy.flow());

  test('is not ready, and requests under way are 503', async () => {
    proxy.stall();
    const underWay = Promise.all([mesh.operator.get('/v1/jobs'), mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL' })]);
    expect((await mesh.anonymous.get('/readyz')).body).toMatchObject({ status: 'unavailable', database: false });
    for (const answer of await underWay) expect(answerOf(answer)).toEqual(AWAY);
  });

  test('leaves nobody without an answer when the gateway stops', async () => {
    const { url } = mesh.gateway;
    const key = mesh.operator.key;
    await expect.poll(async () => (await mesh.operator.get('/v1/jobs')).status).toBe(200);
    proxy.stall();
    const underWay = fetch(`${url}/v1/jobs`, { headers: { authorization: `Bearer ${key}` } });
    await expect.poll(async () => (await mesh.anonymous.get('/healthz')).status).toBe(200);
    const drained = mesh.gateway.drain();
    mesh.db.giveUp();
    expect((await underWay).status).toBe(503);
    await drained;
  });
});
