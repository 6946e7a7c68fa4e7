/** Two users ask for the same work. What each sees of it is what would be there had that user alone asked. */
import { beforeEach, expect, test } from 'vitest';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { type Caller, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'gateway.callbacks.allow_private': true });
const BOBS_CALLBACK = 'http://127.0.0.1:9/hook?token=of-bob';
const ALICES_CALLBACK = 'http://127.0.0.1:9/hook?token=of-alice';
const fetchOf = (user: string, more: object = {}) => ({ type: 'fetch', symbol: 'AAPL', user, analyse: false, ...more });

let alice: Caller;
let bob: Caller;
beforeEach(async () => {
  [alice, bob] = await Promise.all([mesh.caller('user:alice'), mesh.caller('user:bob')]);
});

/** Bob asks with a callback, urgently; then alice asks for the same. */
async function joined(): Promise<{ id: string; answer: Record<string, unknown> }> {
  await bob.post('/v1/jobs', fetchOf('bob', { priority: 1, callback_url: BOBS_CALLBACK }));
  const { body } = await alice.post('/v1/jobs', fetchOf('alice', { callback_url: ALICES_CALLBACK }));
  expect(body.jobs).toMatchObject([{ outcome: 'joined' }]);
  return { id: body.jobs[0].id, answer: body.jobs[0] };
}

const detailOf = async (caller: Caller, id: string) => (await caller.get(`/v1/jobs/${id}`)).body;

async function finish(result: Record<string, unknown>): Promise<void> {
  const { jobs } = await claim(mesh.ledger, 'w1', 10);
  await complete(
    mesh.ledger,
    'w1',
    jobs.map((job) => ({ job, result })),
  );
}

test('a user sees the own name, and neither the other one nor why that one was as urgent', async () => {
  const { id } = await joined();
  expect(await detailOf(alice, id)).toMatchObject({ user: 'alice', subscribers: ['alice'], why: null, score: null, triggered_by: null });
  expect(await detailOf(bob, id)).toMatchObject({ user: 'bob', subscribers: ['bob'], why: { user: 'bob' }, score: 0.5 });
  expect(await detailOf(mesh.operator, id)).toMatchObject({ user: 'bob', subscribers: ['alice', 'bob'], why: { user: 'bob' } });
});

test('the answer to the request tells place and time, and not the score of another', async () => {
  const { answer } = await joined();
  expect(answer).toMatchObject({ state: 'ready', position: 0, score: null });
});

test('who asked first does not see why another made the job more urgent', async () => {
  await bob.post('/v1/jobs', fetchOf('bob'));
  const { body } = await alice.post('/v1/jobs', fetchOf('alice', { priority: 1 }));
  const { id } = body.jobs[0];
  expect(body.jobs).toMatchObject([{ outcome: 'joined', score: 0.5 }]);
  expect(await detailOf(bob, id)).toMatchObject({ user: 'bob', why: null, score: null });
  expect(await detailOf(alice, id)).toMatchObject({ user: 'alice', why: { user: 'alice' }, score: 0.5 });
});

test('a list shows the same', async () => {
  await joined();
  expect((await alice.get('/v1/jobs')).body.jobs).toMatchObject([{ user: 'alice', score: null }]);
  expect((await bob.get('/v1/jobs')).body.jobs).toMatchObject([{ user: 'bob', score: 0.5 }]);
});

test('each sees the own callback alone, the operator both', async () => {
  const { id } = await joined();
  const urls = async (caller: Caller) =>
    (await caller.get(`/v1/jobs/${id}/callbacks`)).body.callbacks.map(({ url }: { url: string }) => url);
  expect(await urls(alice)).toEqual([ALICES_CALLBACK]);
  expect(await urls(bob)).toEqual([BOBS_CALLBACK]);
  expect(await urls(mesh.operator)).toEqual([BOBS_CALLBACK, ALICES_CALLBACK]);
});

test('no answer about a joined job names the other user or the callback', async () => {
  const { id } = await joined();
  await finish({ bars: 7 });
  for (const path of ['', '/items', '/callbacks', '/events'])
    expect(JSON.stringify(await alice.get(`/v1/jobs/${id}${path}`))).not.toMatch(/bob/);
  for (const path of ['/v1/jobs', `/jobs/${id}`]) expect(JSON.stringify(await alice.get(path))).not.toMatch(/bob/);
});

test('a result that is about the market alone is for all who asked', async () => {
  const { id } = await joined();
  await finish({ bars: 7 });
  expect(await detailOf(alice, id)).toMatchObject({ state: 'completed', result: { bars: 7 } });
});

test('the result of an exit ranking tells a user neither how many positions there are nor which', async () => {
  const ask = (caller: Caller, user: string) => caller.post('/v1/rankings', { symbol: 'AAPL', mode: 'exit', user });
  const { jobId } = (await ask(bob, 'bob')).body;
  expect((await ask(alice, 'alice')).body.jobId).toBe(jobId);
  await finish({});
  await finish({
    mode: 'exit',
    source: 'yahoo_finance',
    total: 3,
    eligible: 2,
    kept: 2,
    reasons: {},
    best: 'AAPL270115C00250000',
    note: 'x',
  });
  for (const caller of [alice, bob]) expect((await detailOf(caller, jobId)).result).toEqual({ mode: 'exit', source: 'yahoo_finance' });
  expect((await detailOf(mesh.operator, jobId)).result).toMatchObject({ total: 3, best: 'AAPL270115C00250000' });
});

test('jobs that a shared job waits for are named to those who wait for them too', async () => {
  const analysis = { type: 'analysis', symbol: 'AAPL' };
  await bob.post('/v1/jobs', { ...fetchOf('bob'), analyse: true });
  const { body } = await alice.post('/v1/jobs', { ...analysis, user: 'alice' });
  expect((await detailOf(alice, body.jobs[0].id)).needs).toEqual([]);
  expect((await detailOf(bob, body.jobs[0].id)).needs).toMatchObject([{ state: 'ready' }]);
});

test('a user who cancels a job that others want only leaves it', async () => {
  const { id } = await joined();
  expect((await alice.post(`/v1/jobs/${id}/cancel`)).body).toEqual({ outcome: 'left', changes: [] });
  expect(await detailOf(bob, id)).toMatchObject({ state: 'ready', user: 'bob' });
  expect((await alice.get(`/v1/jobs/${id}`)).status).toBe(404);
  expect((await mesh.operator.get(`/v1/jobs/${id}/callbacks`)).body.callbacks).toMatchObject([{ url: BOBS_CALLBACK }]);
});

test('a job whose first user has left is of those who stay, and the last one cancels it', async () => {
  const { id } = await joined();
  await bob.post(`/v1/jobs/${id}/cancel`);
  expect(await detailOf(mesh.operator, id)).toMatchObject({ state: 'ready', user: 'alice', subscribers: ['alice'] });
  expect((await alice.post(`/v1/jobs/${id}/cancel`)).body).toMatchObject({ outcome: 'cancelled', changes: [{ id, state: 'cancelled' }] });
});

test.each([
  ['a schedule', () => mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false })],
  ['a receiver', () => mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false, callback_url: BOBS_CALLBACK })],
])('a job that %s wants too is not cancelled by a user', async (_, ask) => {
  await ask();
  const { body } = await alice.post('/v1/jobs', fetchOf('alice'));
  const { id } = body.jobs[0];
  expect((await alice.post(`/v1/jobs/${id}/cancel`)).body.outcome).toBe('left');
  expect((await detailOf(mesh.operator, id)).state).toBe('ready');
});

test('a job that the job of another user needs is not cancelled by a user', async () => {
  const { body } = await alice.post('/v1/jobs', fetchOf('alice'));
  const waiting = (await bob.post('/v1/jobs', { type: 'analysis', symbol: 'AAPL', user: 'bob' })).body.jobs[0];
  expect((await alice.post(`/v1/jobs/${body.jobs[0].id}/cancel`)).body.outcome).toBe('left');
  expect((await detailOf(bob, waiting.id)).state).toBe('blocked');
});

test('why a job was cancelled does not name the key that did', async () => {
  const { id } = await joined();
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  expect(await detailOf(alice, id)).toMatchObject({ state: 'cancelled', reason: 'cancelled by hand' });
});

test('whoever waits for a job may retry it', async () => {
  const { id } = await joined();
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  expect((await alice.post(`/v1/jobs/${id}/retry`)).body.changes).toMatchObject([{ id, state: 'ready' }]);
});

test('a key of several users must say whom it means, and sees the jobs of each', async () => {
  await joined();
  const both = await mesh.caller('user:alice', 'user:carol');
  expect(await both.get('/v1/jobs')).toMatchObject({ status: 400, body: { code: 'request.which_user' } });
  expect((await both.get('/v1/jobs?user=alice')).body.jobs).toMatchObject([{ user: 'alice' }]);
  expect((await both.get('/v1/jobs?user=bob')).status).toBe(403);
});

test.each(['Alice', 'alice%20b', 'ALICE', 'alicé', '%61lice%2F..%2Fbob'])('the portfolio of %s is not that of alice', async (id) => {
  expect(await alice.get(`/v1/users/${id}/portfolio`)).toMatchObject({ status: 403, body: { code: 'access.missing_scope' } });
});
