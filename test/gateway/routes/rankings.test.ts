import { describe, expect, test } from 'vitest';
import { ranking } from '../../../services/gateway/routes/ranking-schemas.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete, fail } from '../../../services/ledger/run/complete.ts';
import { SORTS } from '../../../services/market/options/ranking/rank-columns.ts';
import { explain } from '../../../services/market/options/ranking/why.ts';
import { MODES, RANK_COLUMN } from '../../../services/market/options/scoring/parts.ts';
import { readRun } from '../../../services/market/options/store/runs.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { type Answer, gatewayMesh } from '../mesh.ts';
import { publishRuns, withoutRankings } from './ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const PATH = '/v1/rankings';
const post = (body: unknown) => mesh.operator.post(PATH, body);
const get = (query: string) => mesh.operator.get(`${PATH}?${query}`);
const jobs = () =>
  mesh.db.rows<{ type: string; symbol: string; state: string; level: number }>(
    'SELECT type, symbol, state, priority DIV 10000 AS level FROM jobs ORDER BY id',
  );
const bySymbol = { symbol: 'AAPL', mode: 'entry' };
const rankedBy = (answer: Answer, column: string): (number | string | null)[] =>
  answer.body.ranks.map((rank: Record<string, unknown>) => rank[column]);

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

describe('asking', () => {
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

  test('two hundred requests at once are one job, and one of them is told that it made it', async () => {
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
      await mesh.db.run('UPDATE jobs SET started_at = enqueued_at, ended_at = enqueued_at + INTERVAL ? SECOND WHERE type = ?', [
        took,
        type,
      ]);
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
        await mesh.db.run("DELETE FROM jobs WHERE state = 'ready' OR state = 'blocked'");
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

  test('a full queue refuses: some of many are told, all of it is 503', async () => {
    const { maxJobs } = mesh.ledger.queues.foreground;
    await mesh.db.run(
      `INSERT INTO jobs (id, queue, state, priority, max_attempts, due_at, type, enqueued_at)
         SELECT UNHEX(LPAD(HEX(seq), 32, '0')), 'foreground', 'ready', 15000, 1, NOW() + INTERVAL 1 HOUR, 'fetch', NOW() FROM seq_1_to_${maxJobs - 2}`,
    );
    // The gateway's own count may be a moment old: what it let in goes, and it is asked again.
    await expect
      .poll(async () => {
        await mesh.db.run('DELETE FROM jobs WHERE symbol IS NOT NULL');
        const { status, body } = await post({ symbols: ['AAPL', 'IBM'] });
        return [status, body.rankings?.length, body.refused];
      })
      .toEqual([
        expect.toBeOneOf([200, 202]),
        1,
        [{ symbol: 'IBM', code: 'queue.full', reason: expect.stringContaining(String(maxJobs)) }],
      ]);
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
});

describe('reading', () => {
  test.each(MODES)('a %s run is answered with every stored field of every rank, and nothing that is not documented', async (mode) => {
    await publishRuns(mesh.db);
    const { status, body } = await get(`symbol=acme&mode=${mode}&limit=500`);
    expect(status).toBe(200);
    const stored = (await readRun(mesh.db, 'ACME', mode, { limit: 500 }))!;
    const { run_id: _, ...run } = stored.run;
    expect(body).toMatchObject(JSON.parse(JSON.stringify(run)));
    expect(body.ranks).toEqual(JSON.parse(JSON.stringify(stored.ranks.map((rank) => ({ ...rank, quoted_at: new Date(rank.quoted_at) })))));
    expect(body).toMatchObject({ totalRanks: stored.matching, simulated: false, state: null, next: null, filters: { limit: 500 } });
    expect(ranking.safeParse(body).error).toBeUndefined();
    for (const rank of body.ranks) {
      const own = RANK_COLUMN[mode];
      const sum = Object.entries<number>(rank.weights[own]).reduce((total, [part, weight]) => total + weight * rank[part], 0);
      expect(rank[own]).toBe(Math.round(sum * 1e4 + 1e-6) / 1e4);
      expect(rank).toMatchObject({ missing: expect.any(Array), data_quality: expect.any(Number), composite_rank: expect.any(Number) });
    }
  });

  test('with why=true each rank is explained, by what is stored with it', async () => {
    await publishRuns(mesh.db, ['entry']);
    const { body } = await get('symbol=ACME&mode=entry&limit=3&why=true');
    const stored = (await readRun(mesh.db, 'ACME', 'entry', { limit: 3 }))!;
    expect(body.ranks.map(({ why }: { why: unknown }) => why)).toEqual(stored.ranks.map(explain));
    const [first] = body.ranks;
    expect(first.why.parts.reduce((sum: number, { points }: { points: number }) => sum + points, 0)).toBeCloseTo(first.entry_rank, 4);
    expect(ranking.safeParse(body).error).toBeUndefined();
  });

  test('every filter holds, and the answer repeats it', async () => {
    await publishRuns(mesh.db, ['entry']);
    const all = (await readRun(mesh.db, 'ACME', 'entry', { limit: 500 }))!.ranks;
    const expiry = all[0]!.expiration;
    const least = all[Math.floor(all.length / 2)]!.entry_rank!;
    const asked: [query: string, fits: (rank: (typeof all)[number]) => boolean, filters: object][] = [
      ['side=put', ({ side }) => side === 'put', { side: 'put' }],
      [`expiry=${expiry}`, ({ expiration }) => expiration === expiry, { expiry }],
      ['signal=greeks', ({ signals }) => signals.includes('greeks'), { signal: 'greeks' }],
      [`min_rank=${least}`, ({ entry_rank }) => entry_rank! >= least, { minRank: least }],
      [`contract=${all[3]!.contract}`, ({ contract }) => contract === all[3]!.contract, { contract: all[3]!.contract }],
    ];
    for (const [query, fits, filters] of asked) {
      const answer = await get(`symbol=ACME&mode=entry&limit=500&${query}`);
      const expected = all.filter(fits).map(({ contract }) => contract);
      expect([expected.length > 0, expected.length < all.length], query).toEqual([true, true]);
      expect(rankedBy(answer, 'contract'), query).toEqual(expected);
      expect(answer.body.totalRanks, query).toBe(expected.length);
      expect(answer.body.filters, query).toEqual({ ...filters, limit: 500 });
    }
  });

  test('it is sorted by every column that is offered, what is missing last', async () => {
    await publishRuns(mesh.db, ['entry']);
    for (const [sort, direction] of Object.entries(SORTS).filter(([name]) => name !== 'exit_rank')) {
      const values = rankedBy(await get(`symbol=ACME&mode=entry&limit=500&sort=${sort}`), sort);
      const known = values.filter((value) => value !== null);
      const sign = direction === 'ASC' ? 1 : -1;
      expect(values, sort).toEqual([
        ...known.toSorted((a, b) => sign * (a < b ? -1 : Number(a > b))),
        ...Array(values.length - known.length).fill(null),
      ]);
    }
  });

  test('it is read page by page, each rank once', async () => {
    await publishRuns(mesh.db, ['monitor']);
    const seen: unknown[] = [];
    for (let next = ''; ; ) {
      const answer = await get(`symbol=ACME&limit=30${next}`);
      seen.push(...rankedBy(answer, 'place'));
      if (answer.body.next === null) break;
      next = `&cursor=${answer.body.next}`;
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  test.each([
    ['no symbol', '', 'symbol'],
    ['a symbol that is none', 'symbol=%3F', 'symbol'],
    ['an unknown mode', 'symbol=ACME&mode=buy', 'mode'],
    ['an unknown side', 'symbol=ACME&side=long', 'side'],
    ['a day that is none', 'symbol=ACME&expiry=2026-02-30', 'expiry'],
    ['an unknown signal', 'symbol=ACME&signal=moon', 'signal'],
    ['an unknown sort', 'symbol=ACME&sort=best', 'sort'],
    ['an empty least rank', 'symbol=ACME&min_rank=', 'min_rank'],
    ['a least rank over 100', 'symbol=ACME&min_rank=100.5', 'min_rank'],
    ['limit 0', 'symbol=ACME&limit=0', 'limit'],
    ['limit 501', 'symbol=ACME&limit=501', 'limit'],
    ['a contract that is none', 'symbol=ACME&contract=ACME', 'contract'],
    ['why that is neither', 'symbol=ACME&why=please', 'why'],
    ['an unknown parameter', 'symbol=ACME&strategy=entry', 'strategy'],
    ['a parameter twice', 'symbol=ACME&symbol=AAPL', 'symbol'],
  ])('%s is 400 and named', async (_, query, field) => {
    await publishRuns(mesh.db, ['monitor']);
    expect(await get(query)).toMatchObject({ status: 400, body: { code: 'request.invalid', errors: [{ in: 'query', field }] } });
  });

  test('an unknown sort is answered with those that there are, that of another mode as well', async () => {
    const unknown = (await get('symbol=ACME&sort=best')).body.errors[0].message;
    for (const name of ['composite_rank', 'entry_rank', 'theta', 'open_interest'].filter((one) => one in SORTS))
      expect(unknown).toContain(name);
    expect(await get('symbol=ACME&mode=entry&sort=exit_rank')).toMatchObject({
      status: 400,
      body: { code: 'ranks.unknown_sort', detail: expect.stringContaining('entry_rank') },
    });
  });

  test('a cursor that is none, or of a run that is gone, is 400', async () => {
    await publishRuns(mesh.db, ['monitor']);
    expect(await get('symbol=ACME&cursor=7')).toMatchObject({ status: 400, body: { code: 'ranks.bad_cursor' } });
    const { next } = (await get('symbol=ACME&limit=1')).body;
    await mesh.db.run('DELETE FROM option_runs');
    expect(await get(`symbol=ACME&cursor=${next}`)).toMatchObject({ status: 400, body: { code: 'ranks.cursor_gone' } });
  });

  test('of exit mode a user sees his own positions and no count of others, who may read sees all', async () => {
    await publishRuns(mesh.db);
    const query = `${PATH}?symbol=ACME&mode=exit&limit=500`;
    const alice = await mesh.caller('user:alice');
    const reader = await mesh.caller('read');
    const own = await alice.get(query);
    expect(new Set(rankedBy(own, 'user_id'))).toEqual(new Set(['alice']));
    expect(own.body).toMatchObject({
      total: null,
      eligible: null,
      reasons: null,
      totalRanks: own.body.ranks.length,
      filters: { user: 'alice' },
    });
    expect(ranking.safeParse(own.body).error).toBeUndefined();
    const all = await reader.get(query);
    expect(new Set(rankedBy(all, 'user_id'))).toEqual(new Set(['alice', 'bob']));
    expect(all.body.eligible).toBe(all.body.totalRanks);
    expect(new Set(rankedBy(await reader.get(`${query}&user=bob`), 'user_id'))).toEqual(new Set(['bob']));
    expect((await alice.get(`${query}&user=bob`)).status).toBe(403);
    expect((await (await mesh.caller('jobs')).get(query)).status).toBe(403);
    expect((await alice.get(`${PATH}?symbol=ACME&mode=entry`)).body.ranks).toHaveLength(50);
  });

  test('a user makes no sense where no positions are ranked', async () => {
    expect(await get('symbol=ACME&mode=entry&user=alice')).toMatchObject({
      status: 400,
      body: { code: 'ranks.not_of_users', detail: expect.stringContaining('"user"') },
    });
  });
});

describe('where nothing is ranked', () => {
  const query = 'symbol=AAPL&mode=entry';
  const empty = { run_at: null, totalRanks: 0, ranks: [], next: null };

  test('a symbol that was never asked for is 404', async () => {
    expect(await get(query)).toMatchObject({
      status: 404,
      body: { code: 'symbol.unknown', detail: expect.stringContaining('POST /v1/rankings') },
    });
  });

  test('one that is known otherwise was never ranked', async () => {
    await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
    const { status, body } = await get(query);
    expect([status, body]).toMatchObject([
      200,
      { ...empty, state: { state: 'never', job: null, text: expect.stringContaining('never asked for') } },
    ]);
    expect(ranking.safeParse(body).error).toBeUndefined();
  });

  test('one that is asked for is pending, and its job is named', async () => {
    const { jobId } = (await post(bySymbol)).body;
    const { body } = await get(query);
    expect(body).toMatchObject({ ...empty, state: { state: 'pending', job: { id: jobId, state: 'blocked' } } });
    expect(ranking.safeParse(body).error).toBeUndefined();
  });

  test('one that failed says why, and to others not who asked', async () => {
    const { jobId } = (await post({ ...bySymbol, user: 'bob' })).body;
    const [fetching] = (await claim(mesh.ledger, 'w1', 1)).jobs;
    await complete(mesh.ledger, 'w1', [{ job: fetching!, result: {} }]);
    const [job] = (await claim(mesh.ledger, 'w1', 1)).jobs;
    await fail(mesh.ledger, 'w1', [{ job: job!, error: new PermanentError('chain.empty', 'AAPL has no option contracts') }]);
    const { body } = await get(query);
    expect(body).toMatchObject({
      ...empty,
      state: {
        state: 'failed',
        job: { id: jobId, state: 'failed', reason: 'AAPL has no option contracts', user: 'bob' },
        text: expect.stringContaining('AAPL has no option contracts'),
      },
    });
    const alice = await mesh.caller('user:alice');
    expect((await alice.get(`${PATH}?${query}`)).body.state).toMatchObject({ state: 'failed', job: { user: null } });
  });
});

test('the documentation names every field of a rank with its unit, and every sort', async () => {
  const { paths } = (await mesh.anonymous.get('/openapi.json')).body;
  const { parameters, responses } = paths[PATH].get;
  const sort = parameters.find(({ name }: { name: string }) => name === 'sort');
  expect(sort.schema.enum).toEqual(Object.keys(SORTS));
  const answer = responses['200'].content['application/json'].schema;
  await publishRuns(mesh.db, ['entry']);
  const [rank] = (await get('symbol=ACME&mode=entry&limit=1')).body.ranks;
  const documented = answer.properties.ranks.items.properties;
  expect(
    Object.keys(documented)
      .filter((name) => name !== 'why')
      .sort(),
  ).toEqual(Object.keys(rank).sort());
  expect(documented.theta.description).toContain('Dollars a share and calendar day');
});
