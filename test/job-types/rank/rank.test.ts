import { describe, expect, test } from 'vitest';
import { fetchHandler } from '../../../services/job-types/fetch/handler.ts';
import { rankHandler } from '../../../services/job-types/rank/handler.ts';
import { rankRequests } from '../../../services/job-types/rank/request.ts';
import { enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import type { Chain } from '../../../services/market/options/chain/chain.ts';
import { MODES, type Mode } from '../../../services/market/options/scoring/parts.ts';
import { chainsOf } from '../../../services/market/options/sources/configured.ts';
import { leanChains } from '../../../services/market/options/sources/lean.ts';
import { simulatedChains } from '../../../services/market/options/sources/simulated.ts';
import type { ChainSource } from '../../../services/market/options/sources/source.ts';
import { addPositions } from '../../../services/market/options/store/positions.ts';
import { readRun } from '../../../services/market/options/store/runs.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { InputError, PermanentError, TransientError } from '../../../services/platform/errors.ts';
import { silent } from '../../broker/peers.ts';
import { setJobs } from '../../support/job-rows.ts';
import { hasSharedData, sharedData } from '../../support/shared-data.ts';
import { stub, weekdays } from '../../worker/workshop.ts';
import { NOW, rankFixture } from './fixture.ts';

const fixture = rankFixture();

/** A source that gives what the test says; made-up chains by default. */
function chainSource(give: (symbol: string, signal: AbortSignal) => Promise<Chain> | Chain, name: ChainSource['name'] = 'yahoo_finance') {
  const source = {
    name,
    asked: 0,
    async chain(symbol: string, signal: AbortSignal) {
      source.asked++;
      return give(symbol, signal);
    },
  };
  return source;
}
const invented = (contracts = 200) => simulatedChains({ seed: 1, clock: fixture.clock, contracts });
/** The same as if somebody had quoted it. */
const quoted = async (symbol: string, signal: AbortSignal): Promise<Chain> => ({
  ...(await invented().chain(symbol, signal)),
  source: 'yahoo_finance',
});

const ranking = (...sources: ChainSource[]) =>
  rankHandler({ sql: fixture.shop.db, chains: chainsOf(sources, { config: fixture.shop.config, clock: fixture.clock, log: silent }) });
const request = (symbol: string, ...modes: Mode[]) =>
  enqueue(
    fixture.shop.ledger,
    rankRequests(
      [symbol],
      modes,
      { cause: 'user_request', rules: fixture.shop.config.jobs.priority_rules },
      { windowSeconds: 300, stale: new Set() },
    ),
  );
async function idsOf(answers: ReturnType<typeof request>): Promise<string[]> {
  return (await answers).map((answer) => (answer.outcome === 'refused' ? answer.reason : answer.id));
}
const published = (symbol: string, mode: Mode) => readRun(fixture.shop.db, symbol, mode, { limit: 1000 });
const count = async (table: string) => (await fixture.shop.db.rows<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`))[0]!.n;
const bus = () => {
  const told: Record<string, unknown>[] = [];
  return {
    told,
    state: 'online' as const,
    publish: async (kind: string, message: object) => void (kind === 'data' && told.push({ ...message })),
  };
};

test('a ranking is published with the end of its job: the best hundred, the day of the chain, its IV, and a message', async () => {
  const [id] = await idsOf(request('AAPL', 'entry'));
  const wire = bus();
  fixture.shop.worker([ranking(chainSource(quoted))], { bus: wire });
  const { result } = await fixture.shop.reaches(id!, 'completed');
  const page = (await published('AAPL', 'entry'))!;
  expect(page.run).toMatchObject({
    symbol: 'AAPL',
    mode: 'entry',
    source: 'yahoo_finance',
    run_at: new Date(NOW),
    job_id: id,
    trend: 'neutral',
  });
  expect(page.run.eligible + Object.values(page.run.reasons).reduce((sum, n) => sum + n, 0)).toBe(page.run.total);
  expect(page.ranks).toHaveLength(100);
  expect(page.ranks.map(({ place }) => place)).toEqual(page.ranks.map((_, i) => i + 1));
  for (const rank of page.ranks) {
    const sum = Object.entries(rank.weights.entry_rank!).reduce(
      (total, [part, weight]) => total + weight * (rank[part as 'greeks_score'] ?? 0),
      0,
    );
    expect(Math.round(sum * 1e4 + 1e-6) / 1e4).toBe(rank.entry_rank);
  }
  expect(result).toMatchObject({ mode: 'entry', kept: 100, eligible: page.run.eligible, best: page.ranks[0]!.contract, simulated: false });
  expect(await fixture.shop.db.rows('SELECT symbol, date, iv FROM iv_history')).toEqual([
    { symbol: 'AAPL', date: '2026-03-10', iv: page.run.atm_iv },
  ]);
  expect(await fixture.shop.db.rows('SELECT date, contracts FROM chain_days')).toEqual([{ date: '2026-03-10', contracts: page.run.total }]);
  await expect
    .poll(() => wire.told)
    .toEqual([{ symbol: 'AAPL', kind: 'ranks', source: 'yahoo_finance', as_of: '2026-03-10T15:00:00.000Z', rows: 100 }]);
});

test('a made-up chain is marked as such, and its past is never that of a real one', async () => {
  const [first] = await idsOf(request('AAPL', 'monitor'));
  const wire = bus();
  fixture.shop.worker([ranking(invented())], { bus: wire });
  expect((await fixture.shop.reaches(first!, 'completed')).result).toMatchObject({ source: 'simulated', simulated: true });
  await expect.poll(() => wire.told).toEqual([expect.objectContaining({ kind: 'ranks', simulated: true })]);
  expect(await fixture.shop.db.rows('SELECT source FROM chain_days')).toEqual([{ source: 'simulated' }]);
});

test('an open request for the same symbol and mode is the same job, for five minutes also after it has ended', async () => {
  const [first] = await idsOf(request('AAPL', 'entry'));
  expect(await idsOf(request('AAPL', 'entry'))).toEqual([first]);
  fixture.shop.worker([ranking(chainSource(quoted))]);
  await fixture.shop.reaches(first!, 'completed');
  fixture.clock.advance({ seconds: 299 });
  expect(await idsOf(request('AAPL', 'entry', 'exit'))).toEqual([first, expect.not.stringMatching(first!)]);
  fixture.clock.advance({ seconds: 2 });
  expect(await idsOf(request('AAPL', 'entry'))).not.toEqual([first]);
});

describe('a source that does not answer as it should', () => {
  const failing = async (error: Error, state: 'scheduled' | 'failed' = 'failed') => {
    await fixture.shop.worker([ranking(chainSource(quoted))]).drain(0);
    const [id] = await idsOf(request('AAPL', 'entry'));
    const source = chainSource(() => {
      throw error;
    });
    fixture.shop.worker([ranking(source)]);
    const job = await fixture.shop.reaches(id!, state);
    expect(await count('options_ranks')).toBe(0);
    expect(await published('AAPL', 'entry')).toBeUndefined();
    return { job, source };
  };

  test.each([
    ['429', new TransientError('source.rate_limited', 'yahoo_finance: HTTP 429')],
    ['500', new TransientError('source.unavailable', 'yahoo_finance: HTTP 500')],
    ['garbage', new TransientError('source.malformed', 'yahoo_finance: no option contract of AAPL can be read')],
  ])('%s is tried again, with the reason, and nothing is published', async (_, error) => {
    const { job } = await failing(error, 'scheduled');
    const [attempt] = await fixture.shop.db.rows<{ outcome: string; reason: string }>('SELECT outcome, reason FROM job_attempts');
    expect(attempt).toEqual({ outcome: 'retried', reason: expect.stringContaining(error.message) });
    expect(job.attempt).toBe(1);
  });

  test.each([
    ['an unknown symbol', new PermanentError('source.unknown_symbol', 'yahoo_finance: unknown symbol'), 'source.unknown_symbol'],
    ['a chain without contracts', new PermanentError('chain.empty', 'yahoo_finance: AAPL has no option contracts'), 'source.all_failed'],
    ['a file with a bad row', new InputError('chain.bad_row', 'chain.csv:3: bid: "x" is not a price'), 'chain.bad_row'],
  ])('%s fails the job at once, with the reason', async (_, error, code) => {
    const { job } = await failing(error);
    expect(job).toMatchObject({ attempt: 1, code });
    if (code !== 'source.unknown_symbol') expect(job.reason).toContain(error.message);
  });

  test('what was published before stays until a run succeeds', async () => {
    const [first] = await idsOf(request('AAPL', 'entry'));
    const worker = fixture.shop.worker([ranking(chainSource(quoted))]);
    await fixture.shop.reaches(first!, 'completed');
    await worker.drain(0);
    const before = await published('AAPL', 'entry');
    fixture.clock.advance({ seconds: 301 });
    const [second] = await idsOf(request('AAPL', 'entry'));
    fixture.shop.worker([ranking(chainSource(() => Promise.reject(new PermanentError('source.unknown_symbol', 'gone'))))]);
    await fixture.shop.reaches(second!, 'failed');
    expect(await published('AAPL', 'entry')).toEqual(before);
  });

  test('the next one is asked', async () => {
    const [id] = await idsOf(request('AAPL', 'entry'));
    const down = chainSource(() => {
      throw new TransientError('source.unavailable', 'file: HTTP 503');
    }, 'file');
    fixture.shop.worker([ranking(down, chainSource(quoted))]);
    const { result } = await fixture.shop.reaches(id!, 'completed');
    expect(result).toMatchObject({
      source: 'yahoo_finance',
      attempts: [
        { source: 'file', ok: false },
        { source: 'yahoo_finance', ok: true },
      ],
    });
  });

  test('with one expiration missing it is asked again, and at last ranked without it, which job and run say', async () => {
    const gaps = [{ expiry: '2026-03-20', reason: 'listed without contracts' }];
    const source = chainSource(async (symbol, signal) => ({ ...(await quoted(symbol, signal)), gaps }));
    const [id] = await idsOf(request('AAPL', 'entry'));
    await setJobs(fixture.shop.db, { max_attempts: 2 });
    fixture.shop.worker([ranking(source)]);
    await fixture.shop.reaches(id!, 'scheduled');
    expect(await published('AAPL', 'entry')).toBeUndefined();
    await setJobs(fixture.shop.db, { state: 'ready' });
    const job = await fixture.shop.reaches(id!, 'completed_with_errors');
    expect(job.reason).toBe('the chain lacks 2026-03-20 (listed without contracts)');
    expect((await published('AAPL', 'entry'))!.run.gaps).toEqual(gaps);
    expect(source.asked).toBe(2);
  });
});

test('contracts that a chain lacks are told, and are no error: no retry brings them', async () => {
  const gaps = [{ contracts: 3, reason: 'a quote that cannot be read' }];
  const source = chainSource(async (symbol, signal) => ({ ...(await quoted(symbol, signal)), gaps }));
  const [id] = await idsOf(request('AAPL', 'exit'));
  fixture.shop.worker([ranking(source)]);
  const { result } = await fixture.shop.reaches(id!, 'completed');
  expect(result).toMatchObject({ gaps, as_of: '2026-03-10T15:00:00.000Z', total: 0, kept: 0, simulated: false });
  expect(result).not.toHaveProperty('best');
  expect(source.asked).toBe(1);
});

test('a worker that goes away between the chain and its publication leaves nothing, and the next one does the job', async () => {
  const [id] = await idsOf(request('AAPL', 'entry'));
  const reached = Promise.withResolvers<void>();
  const stuck = chainSource(async (symbol, signal) => {
    const chain = await quoted(symbol, signal);
    reached.resolve();
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    return chain;
  });
  const first = fixture.shop.worker([ranking(stuck)], { id: 'first' });
  await reached.promise;
  await first.drain(0);
  expect(await count('options_ranks')).toBe(0);
  expect(await count('chain_days')).toBe(0);
  expect(await published('AAPL', 'entry')).toBeUndefined();
  fixture.shop.worker([ranking(chainSource(quoted))], { id: 'second' });
  expect(await fixture.shop.reaches(id!, 'completed')).toMatchObject({ worker: 'second' });
  expect((await published('AAPL', 'entry'))!.ranks).toHaveLength(100);
});

test('a run whose rows cannot be written is not published', async () => {
  const [id] = await idsOf(request('AAPL', 'entry'));
  const tooLong = chainSource(async (symbol, signal) => {
    const chain = await quoted(symbol, signal);
    return { ...chain, contracts: chain.contracts.map((contract) => `${contract}0123456789`) };
  });
  fixture.shop.worker([ranking(tooLong)]);
  await fixture.shop.reaches(id!, 'scheduled');
  expect(await Promise.all(['option_runs', 'options_ranks', 'option_current', 'chain_days', 'iv_history'].map(count))).toEqual([
    0, 0, 0, 0, 0,
  ]);
});

test.each(['iv_history', 'chain_days'])('a run whose rows of %s cannot be written is not published either', async (table) => {
  const schema = openDatabase(fixture.database.migrate);
  await schema.run(`ALTER TABLE ${table} ADD CONSTRAINT no_rows CHECK (symbol = 'NONE')`);
  try {
    const [id] = await idsOf(request('AAPL', 'entry'));
    fixture.shop.worker([ranking(chainSource(quoted))]);
    await fixture.shop.reaches(id!, 'scheduled');
    expect(await Promise.all(['option_runs', 'option_current', table].map(count))).toEqual([0, 0, 0]);
  } finally {
    await schema.run(`ALTER TABLE ${table} DROP CONSTRAINT no_rows`);
    await schema.close();
  }
});

describe('exit mode', () => {
  test('without positions completes with an empty run that says so', async () => {
    const [id] = await idsOf(request('AAPL', 'exit'));
    fixture.shop.worker([ranking(chainSource(quoted))]);
    expect((await fixture.shop.reaches(id!, 'completed')).result).toMatchObject({
      total: 0,
      note: 'no user holds an option of AAPL, so there is nothing to rank',
    });
    expect(await published('AAPL', 'exit')).toMatchObject({ run: { total: 0, eligible: 0 }, ranks: [] });
  });

  test('ranks the positions of all users, more than are kept of contracts, each with its owner', async () => {
    const chain = await invented().chain('AAPL', AbortSignal.timeout(5000));
    const liquid = chain.contracts.filter((_, i) => chain.bid[i]! > 1);
    const held = (user: string) =>
      fixture.shop.db.transaction((tx) =>
        addPositions(
          tx,
          user,
          Array.from({ length: 60 }, (_, i) => ({ contract: liquid[i]!, quantity: 1, entry_price: 5 + i })),
          new Date(NOW),
        ),
      );
    await held('alice');
    await held('bob');
    const [id] = await idsOf(request('AAPL', 'exit'));
    fixture.shop.worker([ranking(chainSource(quoted))]);
    await fixture.shop.reaches(id!, 'completed');
    expect(await readRun(fixture.shop.db, 'AAPL', 'exit', { limit: 1000 })).toMatchObject({ matching: 120 });
    const mine = (await readRun(fixture.shop.db, 'AAPL', 'exit', { limit: 1000, user: 'bob' }))!;
    expect(mine.ranks.map(({ user_id }) => user_id)).toEqual(Array(60).fill('bob'));
  });
});

test('twenty days of history bring IV rank and percentile, and what a contract did before', async () => {
  fixture.clock.advance({ hours: 24 * 7 });
  fixture.shop.worker([ranking(chainSource(quoted))]);
  for (let day = 0; day < 21; day++) {
    const [id] = await idsOf(request('AAPL', 'monitor'));
    await fixture.shop.reaches(id!, 'completed');
    fixture.clock.advance({ hours: 24 * (fixture.clock.now().toZonedDateTimeISO('America/New_York').dayOfWeek === 5 ? 3 : 1) });
  }
  const { run, ranks } = (await published('AAPL', 'monitor'))!;
  // Of these 21 weekdays 3 April 2026, Good Friday, had no session: its chain is that of the day before.
  expect(await count('iv_history')).toBe(20);
  expect([run.iv_rank, run.iv_percentile]).toEqual([expect.any(Number), expect.any(Number)]);
  expect(
    ranks.filter(({ price_change_pct, oi_growth_score }) => price_change_pct !== null && oi_growth_score !== null).length,
  ).toBeGreaterThan(50);
  expect(ranks.every(({ missing }) => !missing.includes('iv_rank'))).toBe(true);
});

test('real prices are never ranked with a made-up chain', async () => {
  const bars = stub('yahoo_finance', weekdays('2025-12-01', 72), fixture.clock);
  const [fetched] = await fixture.shop.enqueue({ symbol: 'AAPL', dedupeKey: 'fetch:AAPL:bars' });
  const [id] = await idsOf(request('AAPL', 'entry'));
  fixture.shop.worker([fetchHandler, ranking(invented())], { sources: [bars] });
  await fixture.shop.reaches(fetched!, 'completed');
  expect(await fixture.shop.reaches(id!, 'failed')).toMatchObject({ code: 'chain.only_simulated' });
});

test('the trend is that of the bars up to the day of the chain, whatever came later', async () => {
  // Falling until 2 February, the 46th bar, and rising since.
  const closes = weekdays('2025-12-01', 72).map((bar, i) => {
    const close = 100 + Math.abs(i - 45);
    return { ...bar, open: close, high: close, low: close, close, adjustedClose: close };
  });
  const past = chainSource(async (symbol, signal) => {
    const then = new ManualClock('2026-02-02T20:00:00Z');
    return { ...(await simulatedChains({ seed: 1, clock: then, contracts: 50 }).chain(symbol, signal)), source: 'lean' };
  }, 'lean');
  const [fetched] = await fixture.shop.enqueue({ symbol: 'AAPL', dedupeKey: 'fetch:AAPL:bars' });
  const now = fixture.shop.worker([fetchHandler, ranking(chainSource(quoted))], {
    sources: [stub('yahoo_finance', closes, fixture.clock)],
  });
  await fixture.shop.reaches(fetched!, 'completed');
  const [today] = await idsOf(request('AAPL', 'entry'));
  await fixture.shop.reaches(today!, 'completed');
  await now.drain(0);
  const [then] = await idsOf(request('AAPL', 'monitor'));
  fixture.shop.worker([ranking(past)]);
  await fixture.shop.reaches(then!, 'completed');
  expect((await published('AAPL', 'entry'))!.run.trend).toBe('bullish');
  expect((await published('AAPL', 'monitor'))!.run).toMatchObject({ trend: 'bearish', as_of: new Date('2026-02-02T20:00:00Z') });
});

test.skipIf(!hasSharedData('lean'))(
  'the chain of AAPL in a Lean folder is ranked in all modes, as of its own day (needs ../shared/data/lean)',
  async () => {
    // Quotes are there of this day alone, a Friday before a split; on that of the split nothing has a past. Read once: a busy machine takes seconds for it.
    const chain = await leanChains(sharedData('lean')).chain('AAPL', AbortSignal.timeout(25_000), '2014-06-06');
    const lean: ChainSource = { name: 'lean', chain: async () => chain };
    const contract = 'AAPL140621C00640000';
    await fixture.shop.db.transaction((tx) =>
      addPositions(tx, 'alice', [{ contract, quantity: 2, entry_price: 10, entry_spot: 640, target: 660 }], new Date(NOW)),
    );
    const ids = await idsOf(request('AAPL', ...MODES));
    fixture.shop.worker([ranking(lean)]);
    for (const id of ids) await fixture.shop.reaches(id, 'completed');
    const [monitor, entry, exit] = await Promise.all(MODES.map(async (mode) => (await published('AAPL', mode))!));
    // The close of AAPL on that day was 645.57 (its day file); the third Friday of June 2014 is 15 days away.
    expect(monitor!.run).toMatchObject({ source: 'lean', as_of: new Date('2014-06-06T20:00:00Z'), spot: 645.57 });
    for (const { run, ranks, matching } of [monitor!, entry!]) {
      expect(run.eligible).toBeGreaterThan(run.total / 2);
      expect(matching).toBe(100);
      expect(ranks.every(({ bid, ask, dte }) => bid > 0 && bid <= ask && dte > 0)).toBe(true);
    }
    expect(exit!.run).toMatchObject({ total: 1, eligible: 1 });
    expect(exit!.ranks[0]).toMatchObject({ contract, user_id: 'alice', entry_price: 10, dte: 15 });
  },
);
