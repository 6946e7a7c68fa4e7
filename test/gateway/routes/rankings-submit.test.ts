import { expect, test } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { deleteJobs, numbers } from '../../support/job-rows.ts';
import { gatewayMesh } from '../mesh.ts';
import { withoutRankings } from './ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const PATH = '/v1/rankings';
const post = (body: unknown) => mesh.operator.post(PATH, body);
const jobs = () =>
  mesh.db.rows<{ type: string; symbol: string; state: string; level: number }>(
    'SELECT type, symbol, state, priority DIV 10000 AS level FROM job_states ORDER BY id',
  );
const bySymbol = { symbol: 'AAPL', mode: 'entry' };

/** Does all that can be claimed, as a worker would. */
async function work(): Promise<void> {
  for (;;) {
    const { jobs: claimed } = await claim(mesh.ledger, 'w1', 10);
    if (claimed.length === 0) return;
    await complete(
      mesh.ledger,
      'w1',
      claimed.map((job) => ({ job, result: {} })),
    );
  }
}

test('a ranking is a committed job when its answer comes, after a fetch of the bars, which are missing', async () => {
  const { status, headers, body } = await post({ symbol: 'brk.b', mode: 'entry' });
  expect(status).toBe(202);
  expect(body).toEqual({
    message: 'the entry ranking of BRK.B is queued',
    symbol: 'BRK.B',
    mode: 'entry',
    jobId: expect.any(String),
    state: 'blocked',
    outcome: 'queued',
    priority: 3,
    queuePosition: 1,
    estimatedCompletionSeconds: null,
    statusUrl: `/v1/jobs/${body.jobId}`,
    rankingUrl: '/v1/rankings?symbol=BRK.B&mode=entry',
  });
  expect(headers.get('location')).toBe(body.statusUrl);
  expect(await jobs()).toEqual([
    { type: 'fetch', symbol: 'BRK.B', state: 'ready', level: 3 },
    { type: 'rank', symbol: 'BRK.B', state: 'blocked', level: 3 },
  ]);
  expect((await mesh.operator.get(body.statusUrl)).body).toMatchObject({ type: 'rank', payload: { symbol: 'BRK.B', mode: 'entry' } });
});

test('without a mode it is monitor', async () => {
  expect((await post({ symbol: 'AAPL' })).body.mode).toBe('monitor');
});

test('the same symbol and mode is the same job for five minutes, live and completed; another mode is another job', async () => {
  const first = await post(bySymbol);
  const live = await post(bySymbol);
  expect([first.status, live.status, live.body.jobId]).toEqual([202, 200, first.body.jobId]);
  expect(live.body).toMatchObject({ outcome: 'joined', message: 'the entry ranking of AAPL is being made already' });
  await work();
  const completed = await post(bySymbol);
  expect(completed.status).toBe(200);
  expect(completed.body).toMatchObject({
    jobId: first.body.jobId,
    state: 'completed',
    queuePosition: 0,
    estimatedCompletionSeconds: 0,
    message: 'the entry ranking of AAPL was made a moment ago',
  });
  expect(await jobs(), 'no bars are fetched for what is there').toHaveLength(2);
  const other = await post({ ...bySymbol, mode: 'exit' });
  expect([other.status, other.body.jobId === first.body.jobId]).toEqual([202, false]);
  // Five minutes later.
  await mesh.db.run('UPDATE dedupe_windows SET until = until - INTERVAL 301 SECOND');
  const later = await post(bySymbol);
  expect([later.status, later.body.jobId === first.body.jobId]).toEqual([202, false]);
});

test('two hundred requests at once are one job, and one of them is answered as new', async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, () => post(bySymbol)));
  expect(new Set(answers.map(({ body }) => body.jobId)).size).toBe(1);
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(199);
  expect((await jobs()).map(({ type }) => type)).toEqual(['fetch', 'rank']);
});

test('many symbols are one transaction and answered in their order, each once', async () => {
  await post({ symbol: 'MSFT', mode: 'entry' });
  const { status, body } = await post({ symbols: ['AAPL', 'msft', 'AAPL', 'IBM'], mode: 'entry' });
  expect(status).toBe(202);
  expect(body.refused).toEqual([]);
  expect(body.rankings.map(({ symbol, outcome }: Record<string, unknown>) => [symbol, outcome])).toEqual([
    ['AAPL', 'queued'],
    ['MSFT', 'joined'],
    ['IBM', 'queued'],
  ]);
  expect((await post({ symbols: ['AAPL', 'IBM'], mode: 'entry' })).status).toBe(200);
  expect(await jobs()).toHaveLength(6);
});

test('a priority holds for the ranking and for the bars that it waits for', async () => {
  expect((await post({ symbol: 'AAPL', priority: 7 })).body.priority).toBe(7);
  expect((await jobs()).map(({ type, level }) => [type, level])).toEqual([
    ['fetch', 7],
    ['rank', 7],
  ]);
});

test('the estimate is the fetch before it and its own time, both as measured', async () => {
  await post(bySymbol);
  await work();
  const seconds = { fetch: 4, rank: 2 };
  for (const [type, took] of Object.entries(seconds))
    await mesh.db.run(
      'UPDATE ended e JOIN jobs j ON j.id = e.job_id SET e.started_at = j.enqueued_at, e.ended_at = j.enqueued_at + INTERVAL ? SECOND WHERE j.type = ?',
      [took, type],
    );
  const now = new Date();
  const alive = {
    instance: 'w1',
    service: 'worker',
    session: crypto.randomUUID(),
    capacity: 2,
    running: 0,
    started_at: now,
    heartbeat_at: now,
  };
  await reportInstance(mesh.db, alive);
  // What was measured before is used for a moment.
  let symbols = 0;
  await expect
    .poll(async () => {
      await deleteJobs(mesh.db, "state = 'ready' OR state = 'blocked'");
      return (await post({ symbol: `NEW${++symbols}` })).body.estimatedCompletionSeconds;
    })
    .toBe(6);
});

test('a callback is called for the ranking, not for its fetch', async () => {
  const { body } = await post({ ...bySymbol, callback_url: 'https://example.com/hook' });
  expect((await mesh.operator.get(`${body.statusUrl}/callbacks`)).body.callbacks).toMatchObject([
    { url: 'https://example.com/hook', state: 'pending' },
  ]);
  expect(await mesh.db.rows('SELECT job_id FROM callbacks')).toEqual([{ job_id: idToBytes(body.jobId) }]);
  expect(await post({ ...bySymbol, callback_url: 'http://127.0.0.1/hook' })).toMatchObject({
    status: 422,
    body: { code: 'callback.private_address' },
  });
});

test('a full queue refuses: some of many symbols are named in the answer, all of them is 503', async () => {
  const { maxJobs } = mesh.ledger.queues.foreground;
  await mesh.db.run(
    `INSERT INTO ready (queue, priority, job_id, type, due_at)
       SELECT 'foreground', 15000, UNHEX(LPAD(HEX(seq), 32, '0')), 'fetch', NOW() + INTERVAL 1 HOUR FROM ${numbers(1, maxJobs - 2)}`,
  );
  // The gateway's own count may be a moment old: what it let in goes, and it is asked again.
  await expect
    .poll(async () => {
      await deleteJobs(mesh.db, 'symbol IS NOT NULL');
      const { status, body } = await post({ symbols: ['AAPL', 'IBM'] });
      return [status, body.rankings?.length, body.refused];
    })
    .toEqual([expect.toBeOneOf([200, 202]), 1, [{ symbol: 'IBM', code: 'queue.full', reason: expect.stringContaining(String(maxJobs)) }]]);
  const none = await post({ symbol: 'IBM' });
  expect(none).toMatchObject({ status: 503, body: { code: 'queue.full' } });
  expect(none.headers.get('retry-after')).toBe('10');
});

test('POST /v1/jobs takes rankings too, and joins the same job', async () => {
  const { body } = await post(bySymbol);
  const { body: same } = await mesh.operator.post('/v1/jobs', { type: 'rank', ...bySymbol });
  expect(same.jobs.find(({ type }: { type: string }) => type === 'rank')).toMatchObject({ id: body.jobId, outcome: 'joined' });
});

test.each([
  ['an unknown field', { symbol: 'AAPL', colour: 'red' }, 'colour'],
  ['an unknown mode', { symbol: 'AAPL', mode: 'buy' }, 'mode'],
  ['a symbol that is none', { symbol: 'A B' }, 'symbol'],
  ['a symbol that is none among many', { symbols: ['A', '??'] }, 'symbols.1'],
  ['no symbols', { symbols: [] }, 'symbols'],
  ['priority 0', { symbol: 'AAPL', priority: 0 }, 'priority'],
  ['priority 11', { symbol: 'AAPL', priority: 11 }, 'priority'],
  ['priority 2.5', { symbol: 'AAPL', priority: 2.5 }, 'priority'],
  ['a callback that is no URL', { symbol: 'AAPL', callback_url: 'here' }, 'callback_url'],
])('%s is 400 and named', async (_, body, field) => {
  expect(await post(body)).toMatchObject({ status: 400, body: { errors: [{ in: 'body', field }] } });
  expect(await jobs()).toEqual([]);
});

test.each([[{}], [{ symbol: 'A', symbols: ['B'] }]])('%j is 400: one of symbol and symbols', async (body) => {
  expect(await post(body)).toMatchObject({
    status: 400,
    body: { code: 'ranking.nothing', detail: expect.stringContaining('"symbols"') },
  });
});

test('it needs the scope jobs, or that of the user who waits for it', async () => {
  const reader = await mesh.caller('read');
  const alice = await mesh.caller('user:alice');
  expect((await mesh.anonymous.post(PATH, bySymbol)).status).toBe(401);
  expect((await reader.post(PATH, bySymbol)).status).toBe(403);
  expect((await alice.post(PATH, bySymbol)).status).toBe(403);
  const { status, body } = await alice.post(PATH, { ...bySymbol, user: 'alice' });
  expect(status).toBe(202);
  expect((await alice.get(body.statusUrl)).body.subscribers).toEqual(['alice']);
});
