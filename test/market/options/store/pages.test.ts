/** What is stored of a run and read of it in parts. */
import { afterEach, describe, expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import type { Mode } from '../../../../services/market/options/scoring/parts.ts';
import { deleteRuns, type NewRun, type RankFilter, readRanks, readRun, storeRuns } from '../../../../services/market/options/store/runs.ts';
import { databaseOfFile } from '../../../support/database.ts';
import { inventMany } from '../chain/invented-chain.ts';
import { inventRun, RUN_AT } from '../ranking/invented-run.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

const { db } = await databaseOfFile();
afterEach(async () => {
  for (const table of ['option_runs', 'option_current', 'options_ranks']) await db.run(`DELETE FROM ${table}`);
});

const publish = (...runs: NewRun[]) => db.transaction((tx) => storeRuns(tx, runs));
const read = (mode: Mode, filter: Partial<RankFilter> = {}) => readRun(db, 'ACME', mode, { limit: 1000, ...filter });

test('a run of more rows than one statement takes comes back whole', async () => {
  const rules = { ...DEFAULT_RULES, top_n: 450 };
  const ranked = rankChain(inventMany(900, { mode: 'entry', rules }));
  expect(ranked.ranks).toHaveLength(450);
  await publish(inventRun('entry', { ranked }));
  const { ranks, matching, next } = (await read('entry'))!;
  expect(ranks.map(({ place, contract }) => [place, contract])).toEqual(ranked.ranks.map(({ place, contract }) => [place, contract]));
  expect([matching, next]).toEqual([450, null]);
});

test('what is said of a run comes back as it was said', async () => {
  const gaps = [{ expiry: '2026-03-20', reason: 'listed without contracts' }];
  await publish(inventRun('monitor', { gaps, atm_iv: null, iv_rank: null, iv_percentile: 12.5, trend: 'bearish', source: 'lean' }));
  const { run, ranks } = (await read('monitor'))!;
  expect(run).toMatchObject({
    ...{
      symbol: 'ACME',
      mode: 'monitor',
      gaps,
      atm_iv: null,
      iv_rank: null,
      iv_percentile: 12.5,
      trend: 'bearish',
      source: 'lean',
      spot: 100,
    },
    ...{ run_at: RUN_AT, as_of: RUN_AT, job_id: '019b0000-0000-7000-8000-000000000001', left_out: [] },
    run_id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  });
  expect(ranks[0]).toMatchObject({ run_at: RUN_AT, user_id: null, position: null, underlying: 'ACME' });
});

test('each number of a rank is stored once: by itself or among the other blocks', async () => {
  await publish(inventRun('monitor'));
  const rows = await db.rows<{ names: string }>('SELECT CAST(JSON_KEYS(blocks) AS CHAR) AS names FROM options_ranks LIMIT 1');
  const names: string[] = JSON.parse(rows[0]!.names);
  for (const own of ['spread_score', 'iv_rank', 'iv_percentile', 'iv_discount_score']) expect(names).not.toContain(own);
  expect(names).toEqual(expect.arrayContaining(['spread_pct', 'gamma_score', 'liquidity_confidence', 'theta_penalty']));
});

describe('pages', () => {
  test('end where the rows end: a page that ends with the last row has no next one', async () => {
    await publish(inventRun('entry'));
    const first = (await read('entry', { limit: 50 }))!;
    const second = (await read('entry', { limit: 50, cursor: first.next! }))!;
    expect([first.matching, second.matching, second.next]).toEqual([100, 100, null]);
    expect([...first.ranks, ...second.ranks].map(({ place }) => place)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  test('are counted in the rows that pass the filters, in the order that is asked for', async () => {
    await publish(inventRun('monitor'));
    const all = (await read('monitor', { side: 'put', sort: 'strike' }))!;
    const first = (await read('monitor', { side: 'put', sort: 'strike', limit: 5 }))!;
    const second = (await read('monitor', { side: 'put', sort: 'strike', limit: 5, cursor: first.next! }))!;
    expect([...first.ranks, ...second.ranks]).toEqual(all.ranks.slice(0, 10));
    expect([first.matching, first.next]).toEqual([all.matching, `${first.run.run_id}.5`]);
  });

  test('of equal values the better rank comes first', async () => {
    await publish(inventRun('monitor'));
    const { ranks } = (await read('monitor', { sort: 'dte' }))!;
    const places = Map.groupBy(ranks, ({ dte }) => dte);
    expect(places.size).toBeLessThan(ranks.length);
    for (const group of places.values())
      expect(group.map(({ place }) => place)).toEqual(group.map(({ place }) => place).toSorted((a, b) => a - b));
  });

  test('are read by their own symbol and mode: a cursor of another run is none of theirs', async () => {
    await publish(inventRun('entry'), inventRun('monitor'), inventRun('entry', { symbol: 'OTHER' }));
    const { next } = (await read('entry', { limit: 5 }))!;
    await expect(read('monitor', { cursor: next! })).rejects.toMatchObject({ code: 'ranks.cursor_gone' });
    await expect(readRun(db, 'OTHER', 'entry', { limit: 5, cursor: next! })).rejects.toMatchObject({
      code: 'ranks.cursor_gone',
      message: `the run of the cursor "${next}" is deleted; start again without a cursor`,
    });
  });

  test('lack what was deleted since they were found', async () => {
    await publish(inventRun('entry'));
    const { run } = (await read('entry', { limit: 1 }))!;
    await db.run('DELETE FROM options_ranks WHERE place = 2');
    expect((await readRanks(db, run, [3, 2, 1])).map(({ place }) => place)).toEqual([3, 1]);
  });

  test('of no places are no question', async () => {
    expect(await readRanks(db, { run_id: '019b0000-0000-7000-8000-000000000009' }, [])).toEqual([]);
  });
});

describe('filters', () => {
  test.each(['entry', 'exit'] as const)('the lowest rank is that of the mode’s own: %s', async (mode) => {
    await publish(inventRun(mode));
    const all = (await read(mode))!.ranks;
    const own = mode === 'entry' ? ('entry_rank' as const) : ('exit_rank' as const);
    const minRank = all[10]![own]!;
    const found = (await read(mode, { minRank }))!.ranks;
    expect(found.map((rank) => rank[own]! >= minRank)).toEqual(found.map(() => true));
    expect(found).toHaveLength(all.filter((rank) => rank[own]! >= minRank).length);
  });

  test('several at once must all fit', async () => {
    await publish(inventRun('monitor'));
    const all = (await read('monitor'))!.ranks;
    const fits = all.filter(({ side, signals }) => side === 'call' && signals.includes('greeks'));
    expect((await read('monitor', { side: 'call', signal: 'greeks' }))!.ranks).toEqual(fits);
  });

  test('a signal that is none is refused with those that are, before anything is read', async () => {
    await expect(read('entry', { signal: 'sell' as 'buy' })).rejects.toMatchObject({
      code: 'ranks.unknown_signal',
      message: 'there is no signal "sell"; choose one of discount, runner, greeks, take_profit, stop_loss, buy, close',
    });
  });

  test('the mode’s own rank can be sorted by, and the other modes’ are not offered', async () => {
    await publish(inventRun('entry'));
    const places = (await read('entry', { sort: 'entry_rank' }))!.ranks.map(({ place }) => place);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    const message = await read('monitor', { sort: 'nonsense' }).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(message).toMatch(/^a monitor ranking cannot be sorted by "nonsense"; choose one of composite_rank, /);
    expect(message).not.toMatch(/entry_rank|exit_rank/);
  });
});

test('the oldest runs are deleted first, so many at a time, and those of the very moment stay', async () => {
  const days = ['2026-01-03', '2026-01-01', '2026-01-04', '2026-01-02', '2026-01-05'];
  for (const [i, day] of days.entries()) await publish(inventRun('entry', { run_at: new Date(`${day}T00:00:00Z`), spot: i }));
  const remove = (limit: number) => db.transaction((tx) => deleteRuns(tx, new Date('2026-01-04T00:00:00Z'), limit));
  const left = async () =>
    (await db.rows<{ day: number }>('SELECT DAY(run_at) AS day FROM option_runs ORDER BY run_at')).map(({ day }) => day);
  expect(await remove(1)).toBe(1);
  expect(await left()).toEqual([2, 3, 4, 5]);
  expect(await remove(5)).toBe(2);
  expect(await left()).toEqual([4, 5]);
  expect(await db.rows('SELECT COUNT(*) AS n FROM options_ranks')).toEqual([{ n: 200 }]);
  expect(await remove(5)).toBe(0);
});

test('a position that is not ranked and whose owner is unknown has none', async () => {
  const run = inventRun('exit');
  const one = { position: '7', contract: 'ACME260320C00100000', reason: 'no_bid', why: 'nobody bids for it' } as const;
  await publish({ ...run, ranked: { ...run.ranked, leftOut: [one] }, owners: undefined });
  const page = (await read('exit'))!;
  expect(page.run.left_out).toEqual([{ ...one, user: null }]);
  expect(new Set(page.ranks.map(({ user_id }) => user_id))).toEqual(new Set([null]));
});
