/** The quotas of a key and of a user over HTTP. */
import { beforeEach, expect, test, vi } from 'vitest';
import { createEnqueuer } from '../../../services/ledger/enqueue/enqueuer.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { type Answer, type Caller, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({
  'gateway.quotas.jobs_per_key': 4,
  'gateway.quotas.jobs_per_user': 2,
  'gateway.quotas.callbacks_per_job': 2,
  'gateway.quotas.callbacks_per_hour': 5,
  'queue.priority_queues.foreground.max_jobs': 10,
});
let app: Caller;
beforeEach(async () => {
  // A key for each test: its numbers begin at zero.
  app = await mesh.caller('jobs');
});
const fetches = (...symbols: string[]) => symbols.map((symbol) => ({ type: 'fetch', symbol, analyse: false }));
const numbered = (letter: string, count: number) => fetches(...Array.from({ length: count }, (_, number) => `${letter}${number}`));
const post = (caller: Caller, jobs: object[]): Promise<Answer> => caller.post('/v1/jobs', { jobs });
const outcome = ({ status, body }: Answer) => [status, body.jobs?.length, body.refused?.map(({ code }: { code: string }) => code)];

test('of many jobs those within the quota are taken and the others refused each, as by a full queue', async () => {
  expect(outcome(await post(app, numbered('A', 6)))).toEqual([202, 4, ['quota.jobs', 'quota.jobs']]);
});

test('when all are over the quota the answer is 429 with the quota and a time, and another key may still ask', async () => {
  await post(app, numbered('A', 4));
  const refused = await post(app, numbered('B', 1));
  expect(refused).toMatchObject({
    status: 429,
    body: { code: 'quota.jobs', quota: 'gateway.quotas.jobs_per_key', detail: expect.stringContaining(`key ${app.id} has 4 jobs waiting`) },
  });
  expect(refused.headers.get('retry-after')).toBe('10');
  expect(refused.headers.get('content-type')).toContain('application/problem+json');
  expect((await post(await mesh.caller('jobs'), numbered('C', 4))).status).toBe(202);
});

test('a user has a quota of its own, whichever keys ask in its name', async () => {
  const jobs = (user: string, letter: string, count: number) => numbered(letter, count).map((job) => ({ ...job, user }));
  expect(outcome(await post(app, jobs('quinn', 'A', 1)))).toEqual([202, 1, []]);
  const own = await mesh.caller('user:quinn');
  expect(outcome(await post(own, jobs('quinn', 'B', 2)))).toEqual([202, 1, ['quota.jobs']]);
  expect(await post(own, jobs('quinn', 'C', 1))).toMatchObject({ status: 429, body: { quota: 'gateway.quotas.jobs_per_user' } });
});

test('a claimed and a cancelled job free their places', async () => {
  const { body } = await post(app, numbered('A', 4));
  await claim(mesh.ledger, 'w1', 1);
  const waiting = (await mesh.operator.get('/v1/jobs?state=ready')).body.jobs;
  await mesh.operator.post(`/v1/jobs/${waiting[0].id}/cancel`);
  await vi.waitFor(async () => expect(outcome(await post(app, numbered('B', 2)))).toEqual([202, 2, []]), {
    timeout: 10_000,
    interval: 100,
  });
  expect(body.jobs).toHaveLength(4);
});

test('a job that a user has left for others takes no place of that user and of the key', async () => {
  const [quinn, rosa] = await Promise.all([mesh.caller('user:quinn'), mesh.caller('user:rosa')]);
  for (const [caller, user] of [[quinn, 'quinn'] as const, [rosa, 'rosa'] as const])
    await post(
      caller,
      numbered('A', 2).map((job) => ({ ...job, user })),
    );
  const [{ id }] = (await quinn.get('/v1/jobs')).body.jobs;
  expect((await quinn.post(`/v1/jobs/${id}/cancel`)).body.outcome).toBe('left');
  const left = await mesh.db.rows('SELECT asker FROM job_askers WHERE job_id = ? ORDER BY asker', [idToBytes(id)]);
  expect(left).toEqual([{ asker: `key:${rosa.id}` }, { asker: 'user:rosa' }]);
});

test('an admin key has quotas too', async () => {
  expect(outcome(await post(await mesh.caller('admin'), numbered('A', 5)))).toEqual([202, 4, ['quota.jobs']]);
});

test('rankings are taken with the fetches that they need, or not at all', async () => {
  const { status, body } = await app.post('/v1/rankings', { symbols: ['AAPL', 'MSFT', 'NVDA'], mode: 'entry' });
  expect([status, body.rankings.map(({ symbol }: { symbol: string }) => symbol)]).toEqual([202, ['AAPL', 'MSFT']]);
  expect(body.refused).toMatchObject([{ symbol: 'NVDA', code: 'quota.jobs' }]);
  expect(await mesh.db.rows("SELECT symbol FROM job_states WHERE symbol = 'NVDA'")).toEqual([]);
});

test('other keys cannot fill the room of logins', async () => {
  for (const letter of ['A', 'B', 'C']) await post(await mesh.caller('jobs'), numbered(letter, 4));
  expect(await mesh.db.rows("SELECT COUNT(*) AS jobs FROM job_states WHERE queue = 'foreground'")).toEqual([{ jobs: 10 }]);
  const login = { ...{ type: 'fetch', symbol: 'AAPL', payload: { symbol: 'AAPL' }, level: 1, score: 0.5, why: {} } };
  const enqueuer = createEnqueuer(mesh.ledger);
  expect(await enqueuer.enqueue({ ...login, triggeredBy: 'user_login', whenFull: 'next_queue' })).toMatchObject({
    queue: 'foreground',
    demoted: false,
  });
});

test('a job takes a few callbacks of a key, the same one again without an end, and those of other keys', async () => {
  const ask = (caller: Caller, path: string) =>
    caller.post('/v1/jobs', { ...fetches('AAPL')[0], callback_url: `https://example.com/${path}` });
  for (const path of ['a', 'b', 'a']) expect((await ask(app, path)).status).toBe(202);
  expect(await ask(app, 'c')).toMatchObject({ status: 429, body: { code: 'quota.callbacks', quota: 'gateway.quotas.callbacks_per_job' } });
  expect((await ask(await mesh.caller('jobs'), 'c')).status).toBe(202);
  expect(await mesh.db.rows('SELECT COUNT(*) AS callbacks FROM callbacks')).toEqual([{ callbacks: 3 }]);
});

test('a key asks for so many callbacks within an hour, and a refused request uses none of them', async () => {
  const ask = (path: string, ...symbols: string[]) =>
    app.post('/v1/jobs', { jobs: fetches(...symbols).map((job) => ({ ...job, callback_url: `https://example.com/${path}` })) });
  expect((await ask('one', 'A', 'B', 'C')).status).toBe(202);
  const refused = await ask('other', 'A', 'B', 'C');
  expect(refused).toMatchObject({ status: 429, body: { code: 'quota.callbacks', quota: 'gateway.quotas.callbacks_per_hour' } });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_500);
  expect((await ask('other', 'A', 'B')).status).toBe(202);
  expect((await ask('third', 'C')).status).toBe(429);
});
