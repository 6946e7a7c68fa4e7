import { afterEach, describe, expect, test } from 'vitest';
import { encodeChainDay, HISTORY_SESSIONS, sessionBefore } from '../../../../services/market/options/chain/history.ts';
import {
  readChainDays,
  readIvHistory,
  type StoredChainDay,
  storeChainDays,
  storeIvs,
} from '../../../../services/market/options/store/past.ts';
import { databaseOfFile } from '../../../support/database.ts';

const { db } = await databaseOfFile();
afterEach(async () => {
  for (const table of ['chain_days', 'iv_history']) await db.run(`DELETE FROM ${table}`);
});

const TODAY = '2026-03-02';

/** A day of one contract, told apart by its mid. */
function day(date: string, mid: number, changes: Partial<StoredChainDay> = {}): StoredChainDay {
  const column = (value: number) => Float64Array.of(value);
  const one = { date, key: column(1), mid: column(mid), iv: column(0.2), volume: column(1), openInterest: column(1) };
  return { symbol: 'ACME', source: 'file', asOf: new Date(`${date}T21:00:00Z`), date, contracts: 1, data: encodeChainDay(one), ...changes };
}
const store = (...rows: StoredChainDay[]) => db.transaction((tx) => storeChainDays(tx, rows));
const mids = async (simulated = false, symbol = 'ACME') => (await readChainDays(db, symbol, TODAY, simulated)).map(({ mid }) => mid[0]);

describe('the days before a ranking', () => {
  test('are the twenty sessions before it, oldest first, without its own', async () => {
    const dates = Array.from({ length: HISTORY_SESSIONS + 2 }, (_, ago) => sessionBefore(TODAY, ago));
    await store(...dates.map((date, ago) => day(date, ago)));
    expect(await mids()).toEqual(Array.from({ length: 20 }, (_, i) => 20 - i));
  });

  test('are those of the symbol and of its kind: made up or real', async () => {
    await store(
      day('2026-02-24', 1),
      day('2026-02-25', 2, { source: 'simulated' }),
      day('2026-02-26', 3, { symbol: 'OTHER' }),
      day('2026-02-27', 4),
    );
    expect([await mids(), await mids(true), await mids(false, 'OTHER')]).toEqual([[1, 4], [2], [3]]);
  });
});

describe('the contracts of a day', () => {
  const DATE = '2026-02-27';
  const at = (hour: number, changes: Partial<StoredChainDay> = {}) =>
    day(DATE, hour, { asOf: new Date(`${DATE}T${hour}:00:00Z`), ...changes });
  const kept = async () => db.rows('SELECT symbol, HOUR(as_of) AS hour, contracts, source FROM chain_days ORDER BY symbol');

  test('are those of the newest chain, in one batch as in several', async () => {
    await store(at(16, { contracts: 2 }), at(18, { contracts: 3 }), at(17, { contracts: 4 }));
    expect([await mids(), await kept()]).toEqual([[18], [{ symbol: 'ACME', hour: 18, contracts: 3, source: 'file' }]]);
    await store(at(15));
    expect(await mids()).toEqual([18]);
    await store(at(18, { contracts: 5 }));
    expect(await kept()).toEqual([{ symbol: 'ACME', hour: 18, contracts: 5, source: 'file' }]);
  });

  test('of several symbols stand beside each other', async () => {
    await store(at(16), at(17, { symbol: 'OTHER' }));
    expect(await kept()).toMatchObject([
      { symbol: 'ACME', hour: 16 },
      { symbol: 'OTHER', hour: 17 },
    ]);
  });

  test('are never made up where real ones are known; real ones replace made-up ones, however old', async () => {
    await store(at(18, { source: 'simulated' }));
    await store(at(15));
    expect(await kept()).toMatchObject([{ hour: 15, source: 'file' }]);
    await store(at(20, { source: 'simulated' }));
    expect(await kept()).toMatchObject([{ hour: 15, source: 'file' }]);
  });
});

describe('the IV history', () => {
  const ivAt = (date: string, symbol = 'ACME') => ({ symbol, date, iv: 0.3, source: 'file' as const, asOf: new Date(`${date}T21:00:00Z`) });

  test('goes back over a year of sessions, and is that of the symbol alone', async () => {
    // 251 sessions before 2026-03-02, and the same day of another symbol.
    await db.transaction((tx) => storeIvs(tx, [ivAt(sessionBefore(TODAY, 251)), ivAt('2026-02-27', 'OTHER')]));
    expect(await readIvHistory(db, 'ACME', TODAY, false)).toEqual([{ date: '2025-02-28', iv: 0.3 }]);
  });

  test('takes nothing where there is nothing', async () => {
    await db.transaction((tx) => storeIvs(tx, []));
    expect(await readIvHistory(db, 'ACME', TODAY, false)).toEqual([]);
  });
});
