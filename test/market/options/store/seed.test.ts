import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { valueOption } from '../../../../services/market/options/pricing/pricing.ts';
import { readChainDays, readIvHistory } from '../../../../services/market/options/store/past.ts';
import { seedPast } from '../../../../services/market/options/store/seed.ts';
import { databaseOfFile } from '../../../support/database.ts';
import { configWith } from '../../../worker/workshop.ts';

const { db } = await databaseOfFile();
const config = configWith({});
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-seed-'));
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  for (const table of ['chain_days', 'iv_history', 'dedupe_windows']) await db.run(`DELETE FROM ${table}`);
});

/** A chain of AAPL at 25 % or at the volatility given, of that moment; without quotes it has no volatility. */
function write(name: string, moment: string, { iv = 0.25, quoted = true, volume = 10 } = {}): void {
  const years = (Date.parse('2026-04-17T20:00:00Z') - Date.parse(moment)) / (365 * 86_400_000);
  const lines = [90, 95, 100, 105, 110].flatMap((strike) =>
    ['C', 'P'].map((side) => {
      const { price } = valueOption(100, strike, years, config.ranking.rules.risk_free_rate, 0, iv, side === 'P');
      const [bid, ask] = quoted ? [price.toFixed(6), (price + 0.0001).toFixed(6)] : ['', ''];
      return `AAPL260417${side}00${String(strike * 1000).padStart(6, '0')},${bid},${ask},${volume},${moment},100`;
    }),
  );
  writeFileSync(join(folder, name), ['contract,bid,ask,volume,quoted_at,spot', ...lines, ''].join('\n'));
}
const seed = (symbol = 'AAPL') => seedPast(db, config, symbol, folder, AbortSignal.timeout(30_000));
const ivs = () => readIvHistory(db, 'AAPL', '2026-03-10', false);

test('each day has one volatility and its contracts, and what was stored is said', async () => {
  write('b.csv', '2026-03-05T20:30:00Z', { iv: 0.3 });
  write('a.csv', '2026-03-06T20:30:00Z');
  expect(await seed()).toEqual({ symbol: 'AAPL', days: 2, ivs: 2, from: '2026-03-05', to: '2026-03-06' });
  expect(await ivs()).toEqual([
    { date: '2026-03-05', iv: expect.closeTo(0.3, 3) },
    { date: '2026-03-06', iv: expect.closeTo(0.25, 3) },
  ]);
  const days = await readChainDays(db, 'AAPL', '2026-03-10', false);
  expect(days.map(({ date, key }) => [date, key.length])).toEqual([
    ['2026-03-05', 10],
    ['2026-03-06', 10],
  ]);
});

test.each([
  ['first', 'a.csv', 'b.csv'],
  ['last', 'b.csv', 'a.csv'],
])('of two chains of one day the later counts, read %s', async (_, later, earlier) => {
  write(later, '2026-03-06T20:30:00Z', { iv: 0.3, volume: 2 });
  write(earlier, '2026-03-06T15:00:00Z', { iv: 0.2, volume: 1 });
  expect(await seed()).toMatchObject({ days: 1, ivs: 1 });
  expect(await ivs()).toEqual([{ date: '2026-03-06', iv: expect.closeTo(0.3, 3) }]);
  const [day] = await readChainDays(db, 'AAPL', '2026-03-10', false);
  expect(new Set(day!.volume)).toEqual(new Set([2]));
});

test('a day without a volatility is a day of contracts alone', async () => {
  write('a.csv', '2026-03-06T20:30:00Z', { quoted: false });
  expect(await seed()).toMatchObject({ days: 1, ivs: 0 });
  expect(await ivs()).toEqual([]);
  expect(await readChainDays(db, 'AAPL', '2026-03-10', false)).toHaveLength(1);
});

test('the rankings of the symbol stand for no request any more, those of others and its fetches do', async () => {
  const keys = ['rank:AAPL:entry', 'rank:AAPL:exit:0123', 'rank:AAPLX:entry', 'rank:AAP:entry', 'fetch:AAPL:bars'];
  for (const key of keys)
    await db.run('INSERT INTO dedupe_windows (dedupe_key, job_id, until) VALUES (?, UNHEX(LEFT(SHA2(?, 256), 32)), NOW(3))', [key, key]);
  write('a.csv', '2026-03-06T20:30:00Z');
  await seed();
  const left = await db.rows<{ dedupe_key: string }>('SELECT dedupe_key FROM dedupe_windows');
  expect(left.map(({ dedupe_key }) => dedupe_key).toSorted()).toEqual(keys.slice(2).toSorted());
});

test('a folder without a chain of the symbol names both', async () => {
  write('a.csv', '2026-03-06T20:30:00Z');
  await expect(seed('MSFT')).rejects.toMatchObject({
    code: 'backfill.no_chain',
    message: expect.stringMatching(`^${folder} has no option chain of MSFT; give a folder of chain files`),
  });
});
