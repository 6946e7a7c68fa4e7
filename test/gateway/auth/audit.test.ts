import { expect, onTestFinished, test, vi } from 'vitest';
import { createRefusals } from '../../../services/gateway/auth/audit.ts';
import type { Sql } from '../../../services/platform/database/database.ts';
import { silent } from '../../broker/peers.ts';
import { type Answer, callerWith, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'gateway.callbacks.allow_private': true });
const audit = async (query = ''): Promise<Answer['body']['rows']> => (await mesh.operator.get(`/v1/audit${query}`)).body.rows;
const newest = async () => (await audit('?limit=1&outcome=done'))[0];
const fetching = async () => (await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false })).body.jobs[0].id;
const position = { contract: 'AAPL450317C00200000', quantity: 1, entry_price: 4.5 };
const remove = (path: string) =>
  fetch(`${mesh.gateway.url}${path}`, { method: 'DELETE', headers: { authorization: `Bearer ${mesh.operator.key}` } });

test('a change says who, what, when and from where', async () => {
  const id = await fetching();
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  const [{ now }] = (await mesh.db.rows<{ now: Date }>('SELECT UTC_TIMESTAMP(3) AS now')) as [{ now: Date }];
  const row = await newest();
  expect(row).toEqual({
    ...{
      id: expect.stringMatching(/^\d+$/),
      at: expect.stringMatching(/Z$/),
      source: 'http',
      actor: expect.stringMatching(/^[0-9a-f]{16}$/),
    },
    ...{
      name: 'admin',
      address: '127.0.0.1',
      action: 'job.cancel',
      target: `job:${id}`,
      outcome: 'done',
      code: null,
      times: 1,
      details: null,
    },
  });
  expect(Math.abs(Date.parse(row.at) - now.getTime())).toBeLessThan(60_000);
});

test.each<[action: string, target: RegExp | null, details: RegExp | null, change: () => Promise<unknown>]>([
  [
    'job.retry',
    /^job:/,
    null,
    async () => {
      const id = await fetching();
      await mesh.operator.post(`/v1/jobs/${id}/cancel`);
      await mesh.operator.post(`/v1/jobs/${id}/retry`);
    },
  ],
  [
    'job.redrive',
    null,
    /^cancelled fetch AAPL: 1 started again$/,
    async () => {
      await mesh.operator.post(`/v1/jobs/${await fetching()}/cancel`);
      await mesh.operator.post('/v1/jobs/redrive', { state: 'cancelled', type: 'fetch', symbol: 'AAPL' });
    },
  ],
  [
    'portfolio.replace',
    /^user:alice$/,
    /^1 held, 0 watched$/,
    () => mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: 1 }] }),
  ],
  ['positions.replace', /^user:alice$/, /^positions: 1$/, () => mesh.operator.put('/v1/users/alice/positions', { positions: [position] })],
  [
    'position.remove',
    /^position:\d+$/,
    /^of user "alice"$/,
    async () => {
      const { body } = await mesh.operator.put('/v1/users/alice/positions', { positions: [position] });
      await remove(`/v1/users/alice/positions/${body.positions[0].id}`);
    },
  ],
  ['auto_fetch.switch', null, /^off$/, () => mesh.operator.post('/v1/auto-fetch', { enabled: false })],
  [
    'key.create',
    /^key:[0-9a-f]{16}$/,
    /^app: read, user:alice$/,
    () => mesh.operator.post('/v1/keys', { name: 'app', scopes: ['read', 'user:alice'] }),
  ],
  [
    'key.rotate',
    /^key:[0-9a-f]{16}$/,
    /^app: the old secret works for 5 s$/,
    async () => {
      const { body } = await mesh.operator.post('/v1/keys', { name: 'app', scopes: ['read'] });
      await mesh.operator.post(`/v1/keys/${body.id}/rotate`, { overlap_seconds: 5 });
    },
  ],
  [
    'key.revoke',
    /^key:[0-9a-f]{16}$/,
    /^app$/,
    async () => {
      const { body } = await mesh.operator.post('/v1/keys', { name: 'app', scopes: ['read'] });
      await mesh.operator.post(`/v1/keys/${body.id}/revoke`);
    },
  ],
])('%s is recorded', async (action, target, details, change) => {
  await change();
  expect(await newest()).toMatchObject({
    action,
    target: target === null ? null : expect.stringMatching(target),
    details: details === null ? null : expect.stringMatching(details),
  });
});

test('a user who leaves a job is recorded as that', async () => {
  const id = await fetching();
  const alice = await mesh.caller('user:alice');
  await alice.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user: 'alice', analyse: false });
  await alice.post(`/v1/jobs/${id}/cancel`);
  expect(await newest()).toMatchObject({ action: 'job.leave', name: 'user:alice', target: `job:${id}` });
});

test('a change that was not made is not recorded', async () => {
  const id = await fetching();
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  expect(await audit(`?target=job:${id}`)).toHaveLength(1);
});

test('no row holds a key, a token or the address of a webhook', async () => {
  const { body } = await mesh.operator.post('/v1/keys', { name: 'app', scopes: ['user:alice'] });
  const alice = callerWith(() => mesh.gateway.url, body.key);
  const callback_url = 'http://127.0.0.1:9/hook?token=very-secret';
  const job = (await alice.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user: 'alice', callback_url })).body.jobs[0];
  await alice.post(`/v1/jobs/${job.id}/cancel`);
  const { token } = (await alice.post('/v1/events/token')).body;
  await mesh.anonymous.get(`/v1/stats?token=${token}&key=${body.key}`);
  await callerWith(() => mesh.gateway.url, 'smk_very-secret').get('/v1/stats');
  await expect.poll(async () => (await audit('?action=access.refused')).length).toBeGreaterThanOrEqual(2);
  const rows = JSON.stringify(await mesh.db.rows('SELECT * FROM audit_log'));
  for (const secret of [body.key, body.signing_secret, token, 'very-secret', alice.key, mesh.operator.key])
    expect(rows).not.toContain(secret);
});

test('a refusal says the key, the reason and the path without its query', async () => {
  const reader = await mesh.caller('read');
  await reader.post('/v1/auto-fetch', { enabled: true });
  await expect
    .poll(() => audit('?action=access.refused&target=POST%20/v1/auto-fetch'))
    .toMatchObject([{ name: 'read', outcome: 'refused', code: 'access.missing_scope', address: '127.0.0.1', times: 1 }]);
});

test('the log is filtered by action, actor, target and outcome, and read in pages', async () => {
  const id = await fetching();
  for (const change of ['cancel', 'retry', 'cancel']) await mesh.operator.post(`/v1/jobs/${id}/${change}`);
  const of = `target=job:${id}`;
  expect((await audit(`?${of}`)).map(({ action }: { action: string }) => action)).toEqual(['job.cancel', 'job.retry', 'job.cancel']);
  expect(await audit(`?${of}&action=job.retry`)).toHaveLength(1);
  expect(await audit(`?${of}&actor=0000000000000000`)).toEqual([]);
  expect(await audit(`?${of}&outcome=refused`)).toEqual([]);
  expect(await audit(`?${of}&since=2099-01-01T00:00:00Z`)).toEqual([]);
  const first = (await mesh.operator.get(`/v1/audit?${of}&limit=2`)).body;
  expect(first.rows).toHaveLength(2);
  expect(await audit(`?${of}&limit=2&cursor=${first.next}`)).toHaveLength(1);
});

/** Refusals over a database that only counts its statements, in a time that is moved by hand. */
function counted() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const statements: unknown[][][] = [];
  let isAway = false;
  const run: Sql['run'] = async (_, params) => {
    if (isAway) throw new Error('away');
    statements.push(params?.[0] as unknown[][]);
    return { affectedRows: 1 };
  };
  const refusals = createRefusals({ db: { run, rows: async () => [] }, log: silent });
  const note = (address: string) =>
    refusals.note({ source: 'http', actor: null, name: null, address, code: 'access.bad_key', target: 'GET /v1/jobs' });
  /** The number of each row, in the order of the columns: times is the ninth. */
  const times = () => statements.map((rows) => rows.map((row) => row[8]));
  return {
    ...{ refusals, note, times, statements },
    setAway: (away: boolean) => {
      isAway = away;
    },
  };
}

test('ten thousand unknown keys of one address are a statement after a second and one after a minute', async () => {
  const { note, times } = counted();
  for (let tried = 0; tried < 5_000; tried++) note('10.0.0.1');
  await vi.advanceTimersByTimeAsync(1_000);
  expect(times()).toEqual([[5_000]]);
  for (let tried = 0; tried < 5_000; tried++) note('10.0.0.1');
  await vi.advanceTimersByTimeAsync(58_000);
  expect(times()).toEqual([[5_000]]);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(times()).toEqual([[5_000], [5_000]]);
});

test('ten thousand addresses are one statement of a bounded number of rows, and none is left out', async () => {
  const { note, times, statements } = counted();
  for (let address = 0; address < 10_000; address++) note(`10.0.${address >> 8}.${address & 255}`);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(statements).toHaveLength(1);
  expect(statements[0]!.length).toBeLessThanOrEqual(501);
  expect(
    times()
      .flat()
      .reduce((sum, count) => (sum as number) + (count as number), 0),
  ).toBe(10_000);
});

test('refusals while the database is away are written when it is back', async () => {
  const { note, times, setAway } = counted();
  setAway(true);
  note('10.0.0.1');
  await vi.advanceTimersByTimeAsync(2_000);
  setAway(false);
  note('10.0.0.1');
  await vi.advanceTimersByTimeAsync(1_000);
  expect(times()).toEqual([[2]]);
});

test('what is not written yet is written when the gateway stops', async () => {
  const { refusals, note, times } = counted();
  note('10.0.0.1');
  await refusals.close();
  expect(times()).toEqual([[1]]);
});
