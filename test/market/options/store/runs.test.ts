import { afterEach, describe, expect, test } from 'vitest';
import { RANK_COLUMNS, type RankRow, rankOf, rankValues, SORTS } from '../../../../services/market/options/ranking/rank-columns.ts';
import { explainLines } from '../../../../services/market/options/ranking/why.ts';
import { MODES, type Mode } from '../../../../services/market/options/scoring/parts.ts';
import { readIvHistory, storeIvs } from '../../../../services/market/options/store/past.ts';
import { deleteRuns, type NewRun, type RankFilter, readRun, storeRuns } from '../../../../services/market/options/store/runs.ts';
import { databaseOfFile } from '../../../support/database.ts';
import { inventRun, RUN_AT } from '../ranking/invented-run.ts';

const { db } = await databaseOfFile();
afterEach(async () => {
  for (const table of ['option_runs', 'option_current', 'options_ranks', 'iv_history']) await db.run(`DELETE FROM ${table}`);
});

/** MariaDB reads a literal of 16 digits one bit off now and then. */
const rounded = (rank: object): unknown =>
  JSON.parse(JSON.stringify(rank), (_, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(14)) : value));
const publish = (...runs: NewRun[]) => db.transaction((tx) => storeRuns(tx, runs));
const read = (mode: Mode, filter: Partial<RankFilter> = {}) => readRun(db, 'ACME', mode, { limit: 1000, ...filter });

test.each(MODES)('every number of a %s run comes back as it was ranked, and explains itself', async (mode) => {
  const stored = inventRun(mode);
  await publish(stored);
  const page = (await read(mode))!;
  expect(page.run).toMatchObject({ mode, total: stored.ranked.total, eligible: stored.ranked.eligible, reasons: stored.ranked.reasons });
  expect(page.ranks.map(({ run_at: _, user_id: __, ...rank }) => rounded(rank))).toEqual(stored.ranked.ranks.map(rounded));
  expect(page.ranks.map(explainLines)).toEqual(stored.ranked.ranks.map(explainLines));
});

test.each(MODES)('a %s rank explains itself in the same order where the database sorts the keys of JSON, as MySQL does', (mode) => {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1))
        .map(([key, one]) => [key, sorted(one)]),
    );
  };
  for (const rank of inventRun(mode).ranked.ranks) {
    const values = rankValues(rank, 'ACME', null, RUN_AT);
    const row = Object.fromEntries(RANK_COLUMNS.map((name, index) => [name, values[index]])) as RankRow;
    expect(explainLines(rankOf(row, (json) => sorted(JSON.parse(json as string))))).toEqual(explainLines(rank));
  }
});

test('a run takes the place of the one before at once, and other modes and symbols keep theirs', async () => {
  await publish(inventRun('entry', { spot: 1 }), inventRun('monitor', { spot: 2 }), inventRun('entry', { spot: 3, symbol: 'OTHER' }));
  await publish(inventRun('entry', { spot: 4 }));
  expect([
    (await read('entry'))!.run.spot,
    (await read('monitor'))!.run.spot,
    (await readRun(db, 'OTHER', 'entry', { limit: 1 }))!.run.spot,
  ]).toEqual([4, 2, 3]);
  expect((await read('entry'))!.matching).toBe(100);
  expect(await read('exit')).toBeUndefined();
});

test('an older run that ends later does not take the place of a newer one', async () => {
  const older = new Date(RUN_AT.getTime() - 1);
  await publish(inventRun('exit', { spot: 2 }));
  await publish(inventRun('exit', { spot: 1, run_at: older }));
  expect((await read('exit'))!.run.spot).toBe(2);
  // Also where the published run is of a version that did not store its moment.
  await db.run('UPDATE option_current SET run_at = NULL');
  await publish(inventRun('exit', { spot: 3 }));
  expect((await read('exit'))!.run.spot).toBe(3);
});

test('the positions that a run does not rank come back with their owners and reasons', async () => {
  const run = inventRun('exit');
  const leftOut = [{ position: '7', contract: 'ACME1260320C00100000', reason: 'not_quoted', why: 'an adjusted contract' }] as const;
  await publish({ ...run, ranked: { ...run.ranked, leftOut: [...leftOut] }, owners: new Map([['7', 'alice']]) });
  expect((await read('exit'))!.run.left_out).toEqual([{ ...leftOut[0], user: 'alice' }]);
});

test('a run of an earlier version has no such list, no marks, and 0 of the reasons that came later', async () => {
  await publish(inventRun('entry'));
  await db.run('UPDATE option_runs SET left_out = NULL, reasons = \'{"no_bid": 3}\'');
  await db.run('UPDATE options_ranks SET marks = NULL, rho = NULL');
  const { run, ranks } = (await read('entry'))!;
  expect(run).toMatchObject({ left_out: [], reasons: { no_bid: 3, illiquid: 0 } });
  expect(ranks[0]).toMatchObject({ marks: [], rho: null, iv_source: 'own' });
});

test('before its transaction commits nobody sees anything of a run', async () => {
  await publish(inventRun('entry', { spot: 1 }));
  const before = await read('entry');
  await db.transaction(async (tx) => {
    await storeRuns(tx, [inventRun('entry', { spot: 2 })]);
    expect(await tx.rows('SELECT COUNT(*) AS n FROM options_ranks')).toEqual([{ n: 200 }]);
    expect(await read('entry')).toEqual(before);
  });
  expect((await read('entry'))!.run.spot).toBe(2);
});

describe('the list', () => {
  test('is filtered by side, expiration, signal, contract and rank', async () => {
    await publish(inventRun('monitor'));
    const all = (await read('monitor'))!.ranks;
    const expiry = all[0]!.expiration;
    const check = async (filter: Partial<RankFilter>, fits: (rank: (typeof all)[number]) => boolean) => {
      const page = (await read('monitor', filter))!;
      expect(page.ranks).toEqual(all.filter(fits));
      expect(page.matching).toBe(page.ranks.length);
      expect(page.ranks.length).toBeGreaterThan(0);
      expect(page.ranks.length).toBeLessThan(all.length);
    };
    await check({ side: 'put' }, ({ side }) => side === 'put');
    await check({ expiry }, ({ expiration }) => expiration === expiry);
    await check({ signal: 'greeks' }, ({ signals }) => signals.includes('greeks'));
    const middle = all[50]!.composite_rank!;
    await check({ minRank: middle }, ({ composite_rank }) => composite_rank! >= middle);
    await check({ contract: all[3]!.contract }, ({ contract }) => contract === all[3]!.contract);
  });

  test('of positions is filtered by user', async () => {
    await publish(inventRun('exit'));
    const users = new Set((await read('exit', { user: 'bob' }))!.ranks.map(({ user_id }) => user_id));
    expect(users).toEqual(new Set(['bob']));
  });

  test.each(Object.keys(SORTS).filter((name) => !['entry_rank', 'exit_rank'].includes(name)))('sorts by %s, unknown last', async (sort) => {
    await publish(inventRun('monitor'));
    const values = (await read('monitor', { sort }))!.ranks.map((rank) => rank[sort as 'dte'] as number | string | null);
    const known = values.filter((value) => value !== null);
    const sign = SORTS[sort] === 'ASC' ? 1 : -1;
    expect(values).toEqual([...known.toSorted((a, b) => sign * (a < b ? -1 : a > b ? 1 : 0)), ...values.filter((value) => value === null)]);
  });

  test.each(['nonsense', 'run_id', 'exit_rank', 'place; DROP TABLE options_ranks', '__proto__'])(
    'cannot be sorted by %s, and says by what it can',
    async (sort) => {
      await publish(inventRun('entry'));
      await expect(read('entry', { sort })).rejects.toMatchObject({
        name: 'InputError',
        code: 'ranks.unknown_sort',
        message: expect.stringMatching(/choose one of .*entry_rank.*greeks_score/),
      });
    },
  );

  test('goes on page by page in the same run, also when a newer one is published meanwhile', async () => {
    await publish(inventRun('entry', { spot: 1 }));
    const all = (await read('entry'))!.ranks;
    const first = (await read('entry', { limit: 60 }))!;
    await publish(inventRun('entry', { spot: 2 }));
    const second = (await read('entry', { limit: 60, cursor: first.next! }))!;
    expect([...first.ranks, ...second.ranks]).toEqual(all);
    expect(second).toMatchObject({ run: { spot: 1 }, matching: 100, next: null });
  });

  test.each([
    ['made up', 'x', 'ranks.bad_cursor'],
    ['of a run that is gone', '019b0000-0000-7000-8000-000000000009.10', 'ranks.cursor_gone'],
  ])('refuses a cursor that is %s', async (_, cursor, code) => {
    await expect(read('entry', { cursor })).rejects.toMatchObject({ name: 'InputError', code });
  });
});

test('the database itself refuses a mode that is none', async () => {
  await expect(db.run("INSERT INTO option_current (symbol, ranking_mode, run_id) VALUES ('A', 'hold', 'x')")).rejects.toMatchObject({
    errno: expect.any(Number),
  });
  await publish(inventRun('entry'));
  await expect(db.run("UPDATE options_ranks SET ranking_mode = ''")).rejects.toMatchObject({ errno: expect.any(Number) });
});

test('old runs go with their rows; the published one stays, however old', async () => {
  await publish(inventRun('entry', { run_at: new Date('2026-01-01T00:00:00Z') }));
  await publish(inventRun('entry', { run_at: new Date('2026-01-02T00:00:00Z'), spot: 2 }));
  await publish(inventRun('monitor', { run_at: RUN_AT }));
  await publish(inventRun('monitor', { run_at: RUN_AT }));
  const remove = () => db.transaction((tx) => deleteRuns(tx, new Date('2026-02-01T00:00:00Z'), 5));
  expect([await remove(), await remove()]).toEqual([1, 0]);
  expect((await read('entry'))!).toMatchObject({ run: { spot: 2 }, matching: 100 });
  expect(await db.rows('SELECT COUNT(*) AS n FROM options_ranks')).toEqual([{ n: 300 }]);
});

describe('the IV of a day', () => {
  const day = (iv: number, asOf: string, source: 'file' | 'simulated' = 'file') => ({
    symbol: 'ACME',
    date: '2026-02-27',
    iv,
    source,
    asOf: new Date(asOf),
  });
  const stored = async (...rows: ReturnType<typeof day>[]) => {
    for (const row of rows) await db.transaction((tx) => storeIvs(tx, [row]));
    return db.rows('SELECT iv, source FROM iv_history');
  };

  test('is that of the newest chain', async () => {
    expect(await stored(day(0.2, '2026-02-27T15:00:00Z'), day(0.3, '2026-02-27T16:00:00Z'), day(0.4, '2026-02-27T14:00:00Z'))).toEqual([
      { iv: 0.3, source: 'file' },
    ]);
  });

  test('is never made up where a real one is known, and a real one replaces a made-up one', async () => {
    expect(
      await stored(
        day(0.2, '2026-02-27T15:00:00Z', 'simulated'),
        day(0.3, '2026-02-27T14:00:00Z'),
        day(0.4, '2026-02-27T16:00:00Z', 'simulated'),
      ),
    ).toEqual([{ iv: 0.3, source: 'file' }]);
  });

  test('is read oldest first, without today and without the other kind', async () => {
    await db.transaction((tx) =>
      storeIvs(tx, [
        { ...day(0.3, '2026-02-26T21:00:00Z'), date: '2026-02-26' },
        { ...day(0.2, '2026-02-25T21:00:00Z'), date: '2026-02-25' },
        { ...day(0.9, '2026-02-24T21:00:00Z', 'simulated'), date: '2026-02-24' },
        day(0.4, '2026-02-27T15:00:00Z'),
      ]),
    );
    expect(await readIvHistory(db, 'ACME', '2026-02-27', false)).toEqual([
      { date: '2026-02-25', iv: 0.2 },
      { date: '2026-02-26', iv: 0.3 },
    ]);
  });
});
