/** What a ranking depends on beside its chain: positions, bars that may be missing, and the days before it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchHandler } from '../../../services/job-types/fetch/handler.ts';
import { rankType } from '../../../services/job-types/rank/definition.ts';
import { rankHandler } from '../../../services/job-types/rank/handler.ts';
import { rankingRequests, rankRequests } from '../../../services/job-types/rank/request.ts';
import { readRankState } from '../../../services/job-types/rank/state.ts';
import { enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { usCalendar } from '../../../services/market/calendar/calendar.ts';
import type { Chain } from '../../../services/market/options/chain/chain.ts';
import type { Mode } from '../../../services/market/options/scoring/parts.ts';
import { chainsOf } from '../../../services/market/options/sources/configured.ts';
import { simulatedChains } from '../../../services/market/options/sources/simulated.ts';
import { addPositions } from '../../../services/market/options/store/positions.ts';
import { readRun } from '../../../services/market/options/store/runs.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { silent } from '../../broker/peers.ts';
import { stub } from '../../worker/workshop.ts';
import { NOW, rankFixture } from './fixture.ts';

const fixture = rankFixture();

/** A chain as if a file had given it, at a moment. */
async function chainAt(moment: string, symbol = 'AAPL'): Promise<Chain> {
  const chain = await simulatedChains({ seed: 1, clock: new ManualClock(moment), contracts: 200 }).chain(symbol, AbortSignal.timeout(5000));
  return { ...chain, source: 'file' };
}
const ranking = () => {
  const source = { name: 'file', chain: (symbol: string) => chainAt(fixture.clock.now().toString(), symbol) } as const;
  return rankHandler({
    sql: fixture.shop.db,
    chains: chainsOf([source], { config: fixture.shop.config, clock: fixture.clock, log: silent }),
  });
};
const origin = () => ({ cause: 'user_request', rules: fixture.shop.config.jobs.priority_rules }) as const;
const published = async (symbol: string, mode: Mode) => (await readRun(fixture.shop.db, symbol, mode, { limit: 1000 }))!;

async function asked(requests: readonly JobRequest[]) {
  const answers = await enqueue(fixture.shop.ledger, requests);
  return answers.map((answer) => ({ id: (answer as { id: string }).id, outcome: answer.outcome }));
}
/** Rankings as they are asked for everywhere; their bars are left out. */
async function ask(...modes: Mode[]) {
  const requests = await rankingRequests(['AAPL'], modes, {
    config: fixture.shop.config,
    clock: fixture.clock,
    db: fixture.shop.db,
    origin: origin(),
  });
  return asked(requests.filter(({ type }) => type === 'rank'));
}

describe('two exit rankings within five minutes', () => {
  const hold = (contract: string) =>
    fixture.shop.db.transaction((tx) => addPositions(tx, 'alice', [{ contract, quantity: 1, entry_price: 5 }], new Date(NOW)));

  test('a position that is added or removed between them is in the second one, and other modes are joined', async () => {
    const [one, other] = (await chainAt(NOW)).contracts as [string, string];
    fixture.shop.worker([ranking()]);
    await hold(one);
    for (const { id } of await ask('exit', 'monitor')) await fixture.shop.reaches(id, 'completed');
    expect((await published('AAPL', 'exit')).run.total).toBe(1);
    expect((await ask('exit', 'monitor')).map(({ outcome }) => outcome)).toEqual(['joined', 'joined']);

    await hold(other);
    const added = await ask('exit', 'monitor');
    expect(added.map(({ outcome }) => outcome)).toEqual(['queued', 'joined']);
    await fixture.shop.reaches(added[0]!.id, 'completed');
    expect((await published('AAPL', 'exit')).run.total).toBe(2);
    expect(await readRankState(fixture.shop.db, 'AAPL', 'exit')).toMatchObject({ state: 'done', job: { id: added[0]!.id } });

    await fixture.shop.db.run('DELETE FROM option_positions');
    const removed = await ask('exit', 'monitor');
    expect(removed.map(({ outcome }) => outcome)).toEqual(['queued', 'joined']);
    await fixture.shop.reaches(removed[0]!.id, 'completed');
    expect((await published('AAPL', 'exit')).run.total).toBe(0);
  });
});

test('a symbol whose bars no source has is ranked all the same, with a neutral trend', async () => {
  const requests = rankRequests(['TWX'], ['entry'], origin(), { windowSeconds: 300, stale: new Set(['TWX']) });
  const [fetch, rank] = await asked(requests);
  const unknown = stub('lean', new PermanentError('source.unknown_symbol', 'lean: unknown symbol TWX'), fixture.clock);
  fixture.shop.worker([fetchHandler, ranking()], { sources: [unknown] });
  await fixture.shop.reaches(fetch!.id, 'failed');
  await fixture.shop.reaches(rank!.id, 'completed');
  expect((await published('TWX', 'entry')).run.trend).toBe('neutral');
});

describe('a folder of past chains', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stockmesh-past-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const seed = (...symbols: string[]) => {
    const { prepare } = rankType.cli.requests(symbols, { mode: ['monitor'], backfill: folder });
    return prepare!({ config: fixture.shop.config, db: fixture.shop.db, signal: AbortSignal.timeout(60_000) });
  };
  /** Writes the chain of a moment as a file of the source `file`. */
  async function writeChain(path: string, moment: string): Promise<void> {
    const { contracts, bid, ask: asks, volume, openInterest, spot } = await chainAt(moment);
    const lines = contracts.map((contract, i) => `${contract},${bid[i]},${asks[i]},${volume[i]},${openInterest[i]},${moment},${spot}`);
    writeFileSync(join(folder, path), ['contract,bid,ask,volume,open_interest,quoted_at,spot', ...lines, ''].join('\n'));
  }
  /** The last `count` sessions before today, oldest first. */
  const sessions = (count: number) => usCalendar.tradingDays('2026-01-02', '2026-03-09').slice(-count);

  test('gives the first ranking IV rank, percentile and the past of each contract', async () => {
    mkdirSync(join(folder, '2026'));
    for (const date of sessions(22)) await writeChain(`2026/${date}.csv`, `${date}T20:30:00Z`);
    expect(await seed('AAPL')).toEqual(['AAPL: 22 days of contracts and 22 volatilities from 2026-02-05 to 2026-03-09']);
    fixture.shop.worker([ranking()]);
    const [job] = await ask('monitor');
    await fixture.shop.reaches(job!.id, 'completed');
    const { run, ranks } = await published('AAPL', 'monitor');
    expect([run.iv_rank, run.iv_percentile]).toEqual([expect.any(Number), expect.any(Number)]);
    expect(
      ranks.filter(({ price_momentum_score, oi_growth_score }) => price_momentum_score !== null && oi_growth_score !== null).length,
    ).toBeGreaterThan(50);
    expect(Math.max(...ranks.map(({ data_quality }) => data_quality))).toBe(1);
  });

  test('is stored once, however often it is given, and ends the window of the rankings without it', async () => {
    fixture.shop.worker([ranking()]);
    const [before] = await ask('monitor');
    await fixture.shop.reaches(before!.id, 'completed');
    for (const date of sessions(2)) await writeChain(`${date}.csv`, `${date}T20:30:00Z`);
    await seed('AAPL');
    await seed('AAPL');
    const rows = await fixture.shop.db.rows<{ date: string }>("SELECT date FROM chain_days WHERE source = 'file' ORDER BY date");
    expect(rows.map(({ date }) => date)).toEqual([...sessions(2), '2026-03-10']);
    expect((await ask('monitor')).map(({ outcome }) => outcome)).toEqual(['queued']);
  });

  test('with one bad file stores nothing, and names the file', async () => {
    for (const date of sessions(2)) await writeChain(`${date}.csv`, `${date}T20:30:00Z`);
    writeFileSync(join(folder, 'z.csv'), 'contract,bid\nAAPL,1\n');
    await expect(seed('AAPL')).rejects.toMatchObject({
      name: 'InputError',
      code: 'chain.bad_header',
      message: expect.stringContaining('z.csv'),
    });
    expect(await fixture.shop.db.rows('SELECT 1 FROM chain_days')).toEqual([]);
  });

  test('without a chain of the symbol, or that is not there, is refused with the way out', async () => {
    await expect(seed('AAPL')).rejects.toMatchObject({
      code: 'backfill.no_chain',
      message: expect.stringMatching(/has no option chain of AAPL; give a folder/),
    });
    rmSync(folder, { recursive: true });
    await expect(seed('AAPL')).rejects.toMatchObject({ code: 'chain.unreadable', message: expect.stringContaining(folder) });
  });
});
