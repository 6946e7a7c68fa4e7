import { expect, test, vi } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete, fail } from '../../../services/ledger/run/complete.ts';
import { openItems, recordItems } from '../../../services/ledger/run/items.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { deleteJobs, numbers, setJobs } from '../../support/job-rows.ts';
import { type Answer, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const fetchOf = (symbol: string, more: object = {}) => ({ type: 'fetch', symbol, analyse: false, ...more });
const post = async (body: unknown): Promise<Answer['body']> => {
  const answer = await mesh.operator.post('/v1/jobs', body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(202);
  return answer.body;
};
const rows = async () => (await mesh.db.rows<{ jobs: number }>('SELECT COUNT(*) AS jobs FROM job_states'))[0]?.jobs;

test('a fetch is a committed row when its answer comes, and its analysis waits for it', async () => {
  const { jobs, refused } = await post({ type: 'fetch', symbol: 'brk.b' });
  expect(refused).toEqual([]);
  expect(jobs).toMatchObject([
    { type: 'fetch', symbol: 'BRK.B', state: 'ready', outcome: 'queued', queue: 'foreground', priority: 3, position: 0, request: 0 },
    { type: 'analysis', symbol: 'BRK.B', state: 'blocked', outcome: 'queued', request: 0 },
  ]);
  expect(await rows()).toBe(2);
  expect((await mesh.operator.get(jobs[0].status_url)).body).toMatchObject({
    id: jobs[0].id,
    payload: { symbol: 'BRK.B' },
    triggered_by: 'user_request',
  });
});

test('BRK.B, BRK-B and BRK/B are one job', async () => {
  const { jobs } = await post({ jobs: ['BRK.B', 'BRK-B', 'brk/b'].map((symbol) => fetchOf(symbol)) });
  expect(new Set(jobs.map(({ id }: { id: string }) => id)).size).toBe(1);
  expect(await rows()).toBe(1);
});

test('the workers are called to the commit of a job', async () => {
  const calls = vi.fn();
  const doorbell = mesh.connect('worker').onDoorbell('work', calls);
  await doorbell.ready;
  await mesh.operator.post('/v1/jobs', fetchOf('AAPL'));
  await vi.waitFor(() => expect(calls).toHaveBeenCalledOnce());
  await doorbell.close();
});

test('one job alone has its Location', async () => {
  const { headers, body } = await mesh.operator.post('/v1/jobs', fetchOf('AAPL'));
  expect(headers.get('location')).toBe(`/v1/jobs/${body.jobs[0].id}`);
});

test('many requests are one transaction, and every job says which of them it is for', async () => {
  const { jobs } = await post({
    jobs: [
      fetchOf('AAPL'),
      { type: 'analysis', symbol: 'AAPL' },
      fetchOf('MSFT', { priority: 9 }),
      fetchOf('IBM', { from: '2026-01-02', to: '2026-01-31' }),
      { type: 'backfill', symbol: 'SPY', from: '2026-01-02' },
    ],
  });
  expect(
    jobs.map(({ type, symbol, priority, request, state }: Record<string, unknown>) => [type, symbol, priority, request, state]),
  ).toEqual([
    ['fetch', 'AAPL', 3, 0, 'ready'],
    ['analysis', 'AAPL', 3, 1, 'blocked'],
    ['fetch', 'MSFT', 9, 2, 'ready'],
    ['backfill', 'IBM', 5, 3, 'ready'],
    ['backfill', 'SPY', 5, 4, 'ready'],
  ]);
});

test('two hundred requests for the same work at once are one job', async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, () => post(fetchOf('AAPL'))));
  expect(new Set(answers.map(({ jobs }) => jobs[0].id)).size).toBe(1);
  expect(answers.filter(({ jobs }) => jobs[0].outcome === 'queued')).toHaveLength(1);
  expect(await rows()).toBe(1);
});

test('a portfolio is fetched in batches, an unknown one is 404', async () => {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: ['A', 'B', 'C'].map((symbol) => ({ symbol, quantity: 1 })) });
  const { jobs } = await post({ type: 'batch_fetch', portfolio: 'alice', analyse: false });
  expect(jobs).toMatchObject([{ type: 'batch_fetch', symbol: null }]);
  const detail = (await mesh.operator.get(`/v1/jobs/${jobs[0].id}`)).body;
  expect(detail).toMatchObject({ payload: { symbols: ['A', 'B', 'C'] }, subscribers: ['alice'] });
  expect(await mesh.operator.post('/v1/jobs', { type: 'batch_fetch', portfolio: 'nobody' })).toMatchObject({
    status: 404,
    body: { code: 'user.unknown' },
  });
  expect(await mesh.operator.post('/v1/jobs', { type: 'batch_fetch' })).toMatchObject({
    status: 400,
    body: { code: 'batch_fetch.nothing' },
  });
});

test('a range that ends before it begins is refused, and nothing of the call is enqueued', async () => {
  const answer = await mesh.operator.post('/v1/jobs', {
    jobs: [fetchOf('AAPL'), fetchOf('IBM', { from: '2026-02-01', to: '2026-01-01' })],
  });
  expect(answer).toMatchObject({ status: 400, body: { code: 'backfill.bad_range' } });
  expect(await rows()).toBe(0);
});

test('position and estimate are those of the claim order: jobs ahead × median ÷ live slots', async () => {
  const now = Date.now();
  // Three completed fetches of 2, 4 and 60 seconds: half of them took 4 s at most.
  const measured = await post({ jobs: ['X', 'Y', 'Z'].map((symbol) => fetchOf(symbol)) });
  const taken = (await claim(mesh.ledger, 'w1', 3)).jobs;
  await complete(
    mesh.ledger,
    'w1',
    taken.map((job) => ({ job })),
  );
  for (const [index, { id }] of measured.jobs.entries())
    await setJobs(
      mesh.db,
      { started_at: new Date(now - 60_000), ended_at: new Date(now - 60_000 + [2_000, 4_000, 60_000][index]!) },
      'id = ?',
      [idToBytes(id)],
    );
  await reportInstance(mesh.db, {
    instance: 'w1',
    service: 'worker',
    session: crypto.randomUUID(),
    capacity: 2,
    running: 0,
    started_at: new Date(),
    heartbeat_at: new Date(),
  });

  await post({ jobs: Array.from({ length: 6 }, (_, index) => fetchOf(`LATER${index}`, { priority: 5 })) });
  await post({ jobs: Array.from({ length: 3 }, (_, index) => fetchOf(`SOON${index}`, { priority: 1 })) });
  // What was measured is used again for a moment.
  await vi.waitFor(
    async () => {
      const { jobs } = await post(fetchOf('MINE'));
      expect(jobs[0]).toMatchObject({ position: 3, estimated_start_seconds: 6, estimated_completion_seconds: 10 });
    },
    { timeout: 10_000 },
  );
  const { jobs } = await post({ jobs: [fetchOf('MINE2'), fetchOf('MINE3')] });
  expect(jobs.map(({ position }: { position: number }) => position)).toEqual([4, 5]);
  expect((await mesh.operator.get(`/v1/jobs/${jobs[1].id}`)).body).toMatchObject({ position: 5, eta_seconds: 14 });
});

test('a full queue refuses with the limit named: some of a call are told, all of it is 503', async () => {
  const full = mesh.ledger.queues.foreground;
  await mesh.db.run(
    `INSERT INTO ready (queue, priority, job_id, type, due_at)
       SELECT 'foreground', 15000, UNHEX(LPAD(HEX(seq), 32, '0')), 'fetch', NOW() + INTERVAL 1 HOUR FROM ${numbers(1, full.maxJobs - 1)}`,
  );
  // The gateway's own count may be a moment old: what it let in goes, and it is asked again.
  const { refused } = await vi.waitFor(
    async () => {
      await deleteJobs(mesh.db, 'symbol IS NOT NULL');
      const answer = await post({ jobs: [fetchOf('AAPL'), fetchOf('MSFT'), fetchOf('IBM')] });
      expect(answer.jobs).toHaveLength(1);
      return answer;
    },
    { timeout: 15_000 },
  );
  expect(refused).toMatchObject([
    { request: 1, type: 'fetch', symbol: 'MSFT', code: 'queue.full' },
    { request: 2, symbol: 'IBM' },
  ]);
  const none = await mesh.operator.post('/v1/jobs', fetchOf('GOOG'));
  expect(none).toMatchObject({ status: 503, body: { code: 'queue.full', detail: expect.stringContaining(`holds ${full.maxJobs}`) } });
  expect(none.headers.get('retry-after')).toBe('10');
});

test('a list is read page by page, the newest first, and every filter holds', async () => {
  const symbols = ['A', 'B', 'C', 'D', 'E'];
  const { jobs } = await post({ jobs: symbols.map((symbol, index) => fetchOf(symbol, { user: index % 2 === 0 ? 'alice' : 'bob' })) });
  const ids = jobs.map(({ id }: { id: string }) => id).reverse();
  const list = async (query: string) => (await mesh.operator.get(`/v1/jobs?${query}`)).body;
  const seen: string[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const page: Answer['body'] = await list(`limit=2${next === '' ? '' : `&cursor=${next}`}`);
    seen.push(...page.jobs.map(({ id }: { id: string }) => id));
    next = page.next;
  }
  expect(seen).toEqual(ids);
  const symbolsOf = async (query: string) => (await list(query)).jobs.map(({ symbol }: { symbol: string }) => symbol);
  expect(await symbolsOf('symbol=c')).toEqual(['C']);
  expect(await symbolsOf('user=bob')).toEqual(['D', 'B']);
  expect(await symbolsOf('queue=background_fetch')).toEqual([]);
  expect(await symbolsOf('type=analysis')).toEqual([]);
  await claim(mesh.ledger, 'w1', 1);
  expect(await symbolsOf('state=running')).toEqual(['A']);
});

test('a job of many items counts what became of them, and its items are read page by page', async () => {
  const { jobs } = await post({ type: 'batch_fetch', symbols: ['A', 'B', 'C', 'D'], analyse: false });
  const { id } = jobs[0];
  await openItems(mesh.ledger, id, ['A', 'B', 'C', 'D']);
  await mesh.db.transaction((tx) =>
    recordItems(tx, mesh.ledger, id, [
      { key: 'A', state: 'done', rows: 7 },
      { key: 'B', state: 'failed', reason: 'no source knows "B"' },
      { key: 'C', state: 'no_data' },
    ]),
  );
  const { body } = await mesh.operator.get(`/v1/jobs/${id}`);
  expect(body.progress).toEqual({ completed: 1, skipped: 0, no_data: 1, failed: 1, not_entitled: 0, not_yet: 0, total: 4, percentage: 75 });
  const first = (await mesh.operator.get(`/v1/jobs/${id}/items?limit=3`)).body;
  expect(first.items.map(({ key, state }: Record<string, unknown>) => [key, state])).toEqual([
    ['A', 'done'],
    ['B', 'failed'],
    ['C', 'no_data'],
  ]);
  const rest = (await mesh.operator.get(`/v1/jobs/${id}/items?limit=3&cursor=${first.next}`)).body;
  expect(rest).toMatchObject({ items: [{ key: 'D', state: 'pending' }], next: null });
  expect((await mesh.operator.get(`/v1/jobs/${id}/items?state=failed`)).body.items).toMatchObject([
    { key: 'B', reason: 'no source knows "B"' },
  ]);
});

test('the path of earlier clients gives the job in their terms', async () => {
  const { jobs } = await post(fetchOf('XQZW'));
  const [job] = (await claim(mesh.ledger, 'w1', 1)).jobs;
  await fail(mesh.ledger, 'w1', [{ job: job!, error: new PermanentError('symbol.unknown', 'no source knows "XQZW"') }]);
  expect((await mesh.operator.get(`/jobs/${jobs[0].id}`)).body).toEqual({
    job_id: jobs[0].id,
    status: 'failed',
    progress: { completed: 0, skipped: 0, no_data: 0, failed: 1, not_entitled: 0, not_yet: 0, total: 1, percentage: 100 },
    eta_seconds: 0,
    created_at: expect.stringMatching(/^\d{4}-.*Z$/),
    updated_at: expect.stringMatching(/^\d{4}-.*Z$/),
    error_message: 'no source knows "XQZW"',
  });
});

test('a job was changed last when it ended, began or was asked for, and what completed with errors is broken', async () => {
  const { jobs } = await post({ jobs: [fetchOf('WAITS'), fetchOf('RUNS'), fetchOf('ENDED'), fetchOf('PARTLY')] });
  const times = [new Date('2026-03-03T16:00:00Z'), new Date('2026-03-03T16:01:00Z'), new Date('2026-03-03T16:02:00Z')] as const;
  await setJobs(mesh.db, { enqueued_at: times[0] });
  await setJobs(mesh.db, { state: 'running', started_at: times[1] }, "symbol <> 'WAITS'");
  await setJobs(mesh.db, { state: 'completed', ended_at: times[2] }, "symbol = 'ENDED'");
  await setJobs(mesh.db, { state: 'completed_with_errors', ended_at: times[2] }, "symbol = 'PARTLY'");
  const seen = [];
  for (const { id } of jobs) {
    const { body } = await mesh.operator.get(`/jobs/${id}`);
    const { completed, failed, percentage } = body.progress;
    seen.push([
      body.created_at === times[0].toISOString(),
      times.findIndex((at) => at.toISOString() === body.updated_at),
      completed,
      failed,
      percentage,
    ]);
  }
  expect(seen).toEqual([
    [true, 0, 0, 0, 0],
    [true, 1, 0, 0, 0],
    [true, 2, 1, 0, 100],
    [true, 2, 0, 1, 100],
  ]);
});

test('a backfill without a last day ends today', async () => {
  const before = new Date().toISOString().slice(0, 10);
  const { jobs } = await post({
    jobs: [
      { type: 'backfill', symbol: 'IBM', from: '2026-01-02' },
      { type: 'fetch', symbol: 'SPY', from: '2026-01-02' },
    ],
  });
  const after = new Date().toISOString().slice(0, 10);
  for (const [index, { id }] of jobs.entries()) {
    const { type, payload } = (await mesh.operator.get(`/v1/jobs/${id}`)).body;
    expect([type, payload]).toEqual([
      'backfill',
      { symbol: ['IBM', 'SPY'][index], from: '2026-01-02', to: expect.toBeOneOf([before, after]) },
    ]);
  }
  expect(await mesh.operator.post('/v1/jobs', fetchOf('SPY', { to: '2026-01-02' }))).toMatchObject({
    status: 400,
    body: { code: 'backfill.bad_range', detail: 'a range that ends on 2026-01-02 needs "from", its first day' },
  });
});

test('symbols or a portfolio are fetched in a batch, not both; without analyses where these are not wanted', async () => {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'BP.L', quantity: 1 }] });
  await mesh.db.run("INSERT INTO symbols (symbol, currency) VALUES ('BP.L', 'GBp')");
  expect(await mesh.operator.post('/v1/jobs', { type: 'batch_fetch', symbols: ['A'], portfolio: 'alice' })).toMatchObject({ status: 400 });
  const { jobs } = await post({ type: 'batch_fetch', portfolio: 'alice' });
  // The rate of the currency is fetched and analysed with what needs it.
  expect((await mesh.operator.get(`/v1/jobs/${jobs[0].id}`)).body.payload).toEqual({ symbols: ['BP.L', 'GBPUSD=X'] });
  expect(jobs.map(({ type, symbol }: Record<string, unknown>) => `${type} ${symbol}`)).toEqual([
    'batch_fetch null',
    'analysis BP.L',
    'analysis GBPUSD=X',
  ]);
});

test('of requests that a full queue refuses no callback is kept', async () => {
  const full = mesh.ledger.queues.background_analysis.maxJobs;
  await mesh.db.run(
    `INSERT INTO ready (queue, priority, job_id, type, due_at)
       SELECT 'background_analysis', 75000, UNHEX(LPAD(HEX(seq), 32, '0')), 'fetch', NOW() + INTERVAL 1 HOUR FROM ${numbers(1, full)}`,
  );
  const callback_url = 'https://example.com/hook';
  const answer = await vi.waitFor(
    async () => {
      await deleteJobs(mesh.db, 'symbol IS NOT NULL');
      await mesh.db.run('DELETE FROM callbacks');
      const asked = await post({ jobs: [fetchOf('A', { callback_url }), fetchOf('B', { callback_url, priority: 8 })] });
      expect(asked.refused).toHaveLength(1);
      return asked;
    },
    { timeout: 15_000 },
  );
  expect(answer.refused).toMatchObject([{ request: 1, symbol: 'B', code: 'queue.full' }]);
  expect(await mesh.db.rows('SELECT job_id FROM callbacks')).toEqual([{ job_id: idToBytes(answer.jobs[0].id) }]);
});

test('a job is cancelled once, retried with new attempts, and a live one needs no retry', async () => {
  const { jobs } = await post({ type: 'fetch', symbol: 'AAPL' });
  const [fetching, analysis] = jobs.map(({ id }: { id: string }) => id);
  const cancelled = await mesh.operator.post(`/v1/jobs/${fetching}/cancel`);
  expect(cancelled.body.changes).toMatchObject([{ id: fetching, state: 'cancelled', reason: 'cancelled by hand' }, { id: analysis }]);
  expect(await mesh.operator.post(`/v1/jobs/${fetching}/cancel`)).toMatchObject({ status: 409, body: { code: 'job.ended' } });
  expect((await mesh.operator.post(`/v1/jobs/${fetching}/retry`)).body.changes).toMatchObject([{ id: fetching, state: 'ready' }]);
  expect(await mesh.operator.post(`/v1/jobs/${fetching}/retry`)).toMatchObject({ status: 409, body: { code: 'job.live' } });
});

test('the worker of a cancelled job is told', async () => {
  const worker = mesh.connect('worker');
  const controls: unknown[] = [];
  await worker.subscribe('control', { params: { instance: 'w9' } }, ({ body }) => void controls.push(body)).ready;
  const { jobs } = await post(fetchOf('AAPL'));
  await claim(mesh.ledger, 'w9', 1);
  await mesh.operator.post(`/v1/jobs/${jobs[0].id}/cancel`);
  await expect.poll(() => controls).toMatchObject([{ action: 'cancel', job_id: jobs[0].id }]);
});

test('failed jobs of a filter start again', async () => {
  await post({ jobs: [fetchOf('A'), fetchOf('B')] });
  const { jobs } = await claim(mesh.ledger, 'w1', 2);
  await fail(
    mesh.ledger,
    'w1',
    jobs.map((job) => ({ job, error: new PermanentError('x', 'broken') })),
  );
  expect((await mesh.operator.post('/v1/jobs/redrive', { symbol: 'a' })).body).toEqual({
    redriven: [jobs[0]!.id],
    superseded: [],
    more: false,
  });
  expect((await mesh.operator.post('/v1/jobs/redrive', {})).body.redriven).toEqual([jobs[1]!.id]);
});

test('new jobs ring on the broker', async () => {
  const monitor = mesh.connect('monitor');
  const heard: string[] = [];
  await monitor.subscribe('job', {}, ({ body }) => void heard.push(`${body.type} ${body.symbol}`)).ready;
  await post({ type: 'fetch', symbol: 'AAPL' });
  await expect.poll(() => heard.toSorted()).toEqual(['analysis AAPL', 'fetch AAPL']);
});
