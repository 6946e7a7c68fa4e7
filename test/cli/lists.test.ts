/** Lists for people and for spreadsheets. The prices are ones that a person can calculate with. */
import { parse } from 'csv-parse/sync';
import { beforeAll, describe, expect, test } from 'vitest';
import { barsThrough, storeSymbol } from '../gateway/routes/market-rows.ts';
import { publishRuns } from '../gateway/routes/ranking-rows.ts';
import { addJob, overDatabase } from './over-database.ts';

const { db, run, json } = await overDatabase();
const AS_OF = new Date('2026-03-03T21:00:00Z');
const csv = async (...args: string[]): Promise<Record<string, string>[]> => parse((await run(...args, '--csv')).stdout, { columns: true });
const lines = (text: string): string[][] => text.split('\n').map((line) => line.trim().split(/ {2,}/));

beforeAll(async () => {
  await storeSymbol(db, 'AAPL', barsThrough('2026-03-03', 300), AS_OF);
  await db.run("UPDATE symbols SET close = 110 WHERE symbol = 'AAPL'");
  await db.run("UPDATE bars SET close = 110, adjusted_close = 110 WHERE symbol = 'AAPL' AND date = '2026-03-03'");
  await db.run("UPDATE bars SET close = 100, adjusted_close = 100 WHERE symbol = 'AAPL' AND date = '2026-03-02'");
  await db.run('INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at) VALUES ?', [
    [
      ['alice', 'AAPL', 10, 55, AS_OF],
      ['alice', 'NEVER', 1, 5, AS_OF],
    ],
  ]);
  await publishRuns(db, ['entry']);
  await addJob(db, { symbol: 'AAPL' });
});

describe('a portfolio', () => {
  test('shows value, change of the day, weight and gain, and the totals of each currency', async () => {
    const { stdout } = await run('portfolio', 'show', 'alice');
    const [titles = [], first = []] = lines(stdout);
    const cell = (title: string) => first[titles.indexOf(title)];
    // 10 × 110; the close before was 100, and they cost 55.
    expect(['VALUE', 'DAY', 'WEIGHT', 'P/L', 'P/L %'].map(cell)).toEqual(['1,100.00', '+10.00 %', '100.0 %', '+550.00', '+100.00 %']);
    expect(stdout).toContain('USD: +100.00 (+10.00 %) since the close before, +550.00 (+100.00 %) since it was bought');
  });

  test('has the same in JSON and as CSV', async () => {
    const { positions, totals } = await json('portfolio', 'show', 'alice');
    expect(positions[0]).toMatchObject({ previous_close: 100, day_change: 100, weight_pct: 100, profit: 550, profit_pct: 100 });
    expect(totals).toMatchObject([{ currency: 'USD', value: 1100, day_change: 100, cost: 550, profit: 550 }]);
    expect(await csv('portfolio', 'show', 'alice')).toMatchObject([
      { symbol: 'AAPL', value: '1100', day_change_pct: '10', profit: '550' },
      { symbol: 'NEVER', value: '', profit: '' },
    ]);
  });
});

test('positions show value and gain by the newest ranking, and their totals', async () => {
  const [rank] = await db.rows<{ contract: string; mid: number }>('SELECT contract, mid FROM options_ranks ORDER BY place LIMIT 1');
  await db.run('INSERT INTO option_positions (user_id, contract, underlying, quantity, entry_price, opened_at) VALUES ?', [
    [
      ['alice', rank!.contract, 'ACME', 2, rank!.mid / 2, AS_OF],
      ['alice', 'AAPL450317C00200000', 'AAPL', 1, 4.5, AS_OF],
    ],
  ]);
  const { positions } = await json('position', 'list', 'alice');
  expect(positions[0].value).toBeCloseTo(rank!.mid * 200, 3);
  expect(positions[0].profit_pct).toBeCloseTo(100, 6);
  expect(positions[1]).toMatchObject({ mid: null, value: null, profit: null });
  expect((await run('position', 'list', 'alice')).stdout).toMatch(
    /\nworth [\d,.]+, \+[\d,.]+ since they were bought; 1 position without a quote\n$/,
  );
  expect(await csv('position', 'list')).toMatchObject([{ user_id: 'alice', contract: rank!.contract, profit_pct: '100' }, { value: '' }]);
});

test('bars come adjusted, or as they were traded', async () => {
  const raw = await csv('bars', 'AAPL', '--limit', '20', '--raw');
  const adjusted = await csv('bars', 'AAPL', '--limit', '20');
  expect([raw.length, raw.at(-1)?.date, raw.at(-1)?.close]).toEqual([20, '2026-03-03', '110']);
  // Before the last ten bars a share was two.
  expect(Number(raw[0]?.close) / Number(adjusted[0]?.close)).toBeCloseTo(2, 6);
  expect((await json('bars', 'AAPL', '--from', '2026-02-26', '--to', '2026-03-02')).bars.map(({ date }: { date: string }) => date)).toEqual(
    ['2026-02-26', '2026-02-27', '2026-03-02'],
  );
  expect(lines((await run('bars', 'AAPL', '--limit', '1')).stdout).slice(0, 2)).toEqual([
    ['DATE', 'OPEN', 'HIGH', 'LOW', 'CLOSE', 'VOLUME'],
    ['2026-03-03', expect.any(String), expect.any(String), expect.any(String), '110.00', '1,000'],
  ]);
});

test('indicators stand by day, in text, JSON and CSV alike', async () => {
  const { dates, indicators } = await json('indicators', 'AAPL', '--limit', '3');
  const rows = await csv('indicators', 'AAPL', '--limit', '3');
  expect(rows.map(({ date, sma20 }) => [date, Number(sma20)])).toEqual(
    dates.map((date: string, index: number) => [date, indicators.sma20[index]]),
  );
  expect(lines((await run('indicators', 'AAPL', '--limit', '3')).stdout)[1]?.[0]).toBe(dates[0]);
});

test('the signals of a symbol come newest first', async () => {
  const { signals, next } = await json('signals', 'AAPL');
  expect([signals.map(({ date }: { date: string }) => date), next]).toEqual([['2026-03-03'], null]);
  expect(await csv('signals', 'AAPL')).toMatchObject([{ date: '2026-03-03', signal: signals[0].signal }]);
  expect((await run('signals', 'AAPL')).stdout).toMatch(/^DATE +SIGNAL +CONFIDENCE/);
  expect((await run('signals', 'NONE')).stdout).toContain('no signals of NONE');
});

test('jobs and ranks as CSV', async () => {
  expect(await csv('jobs')).toMatchObject([{ symbol: 'AAPL', state: expect.any(String) }]);
  const ranks = await csv('ranks', 'ACME', '--mode', 'entry', '--limit', '3');
  expect(ranks.map(({ place }) => place)).toEqual(['1', '2', '3']);
});

test('a list is JSON or CSV, not both', async () => {
  expect(await run('jobs', '--csv', '--json')).toMatchObject({ code: 2, stdout: '' });
});
