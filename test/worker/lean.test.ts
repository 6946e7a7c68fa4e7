/** Every bar of a real Lean folder through a real worker into a real database, compared with the files themselves, read by `unzip` and a few lines of their own here. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchHandler } from '../../services/job-types/fetch/handler.ts';
import { leanSource } from '../../services/market/sources/lean.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { findProgram } from '../../services/platform/machine/programs.ts';
import { leanFolder } from '../market/reference/lean-bars.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { describeWithData } from '../support/shared-data.ts';
import { openWorkshop, type Workshop } from './workshop.ts';

const SYMBOLS = ['AAPL', 'SPY', 'IBM', 'BAC', 'GOOG', 'QQQ', 'AIG', 'EEM', 'IWM', 'WM'];
const range = { from: '1990-01-01' };

interface Row {
  date: string;
  open: number;
  high: number;
  low: number;
  close: number;
  adjusted_close: number;
  volume: number;
  source: string;
}

const linesOf = (folder: string, ticker: string): string[][] =>
  readFileSync(join(leanFolder, `equity/usa/${folder}/${ticker}.csv`), 'utf8')
    .trim()
    .split(/\r?\n/)
    .map((line) => line.split(','));
const dashed = (day: string): string => `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6, 8)}`;
/** A day file's price is dollars × 10,000: the decimal is put together as text, without any arithmetic in floating point. */
const dollars = (price: string): number => Number(`${BigInt(price) / 10_000n}.${String(BigInt(price) % 10_000n).padStart(4, '0')}`);

/** What the files say: rows of the map file give the ticker's first day and the last one under each name; today's folder holds no file of an older name. */
function expectedRows(symbol: string): (Omit<Row, 'adjusted_close'> & { adjusted: number })[] {
  const ticker = symbol.toLowerCase();
  const spans = linesOf('map_files', ticker);
  const factors = linesOf('factor_files', ticker).map(([day = '', price, split]) => ({ day, factor: Number(price) * Number(split) }));
  const mine = (day: string): boolean =>
    spans.some(([to = '', name], row) => row > 0 && name === ticker && day > lower(spans, row) && day <= to);
  return execFileSync('unzip', ['-p', join(leanFolder, 'equity/usa/daily', `${ticker}.zip`)], { encoding: 'utf8' })
    .trim()
    .split(/\r?\n/)
    .map((line) => line.split(/[ ,]/))
    .filter(([day = '']) => mine(day))
    .map(([day = '', , open = '', high = '', low = '', close = '', volume = '']) => ({
      date: dashed(day),
      open: dollars(open),
      high: dollars(high),
      low: dollars(low),
      close: dollars(close),
      volume: Number(volume),
      source: 'lean',
      adjusted: (Number(close) / 10_000) * factors.find((row) => row.day >= day)!.factor,
    }));
}

/** The day before a span begins: the last one of the name before it; the first row's date is itself the first day. */
function lower(spans: string[][], row: number): string {
  const before = spans[row - 1]![0]!;
  return row === 1 ? String(Number(before) - 1) : before;
}

describeWithData('lean', 'a Lean folder', () => {
  if (findProgram(['unzip']) === undefined) return test.skip('needs unzip', () => undefined);

  let database: TestDatabase;
  let shop: Workshop;
  beforeAll(async () => {
    database = await testDatabase();
    shop = openWorkshop(database.options);
  });
  afterAll(async () => {
    await shop.db.close();
    await database.drop();
  });

  async function fetchAll(): Promise<Record<string, unknown>[]> {
    const ids = await shop.enqueue(...SYMBOLS.map((symbol) => ({ symbol, payload: { symbol, range } })));
    const worker = shop.worker([fetchHandler], { sources: [leanSource({ path: leanFolder, clock: systemClock })] });
    const results: Record<string, unknown>[] = [];
    for (const id of ids) results.push((await shop.reaches(id, 'completed')).result!);
    await worker.drain(0);
    return results;
  }
  const count = async (table: string) => Number((await shop.db.rows<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`))[0]!.n);
  const fingerprint = () => shop.db.rows('CHECKSUM TABLE bars, corporate_actions');

  test('all bars of the ten symbols are fetched', async () => {
    const results = await fetchAll();
    // As many lines as `unzip -p` shows from the first day of each map file on.
    expect(results.map(({ written }) => written)).toEqual([5849, 5849, 5849, 5661, 1761, 3964, 5849, 4523, 5244, 2934]);
    expect(await count('bars')).toBe(47_483);
  });

  test.each(SYMBOLS)('%s: every field of every bar is stored exactly', async (symbol) => {
    const rows = await shop.db.rows<Row>(
      'SELECT date, open, high, low, close, adjusted_close, volume, source FROM bars WHERE symbol = ? ORDER BY date',
      [symbol],
    );
    const expected = expectedRows(symbol);
    expect(rows.map(({ adjusted_close: _, ...row }) => row)).toEqual(expected.map(({ adjusted: _, ...row }) => row));
    // The driver's own parser may be off by one in the last digit of a double.
    const off = rows.map(({ adjusted_close }, at) => Math.abs(adjusted_close / expected[at]!.adjusted - 1));
    expect(Math.max(...off)).toBeLessThan(1e-15);
  });

  test('splits and dividends are stored beside them', async () => {
    const splits = await shop.db.rows("SELECT date, value FROM corporate_actions WHERE symbol = 'AAPL' AND kind = 'split' ORDER BY date");
    // Apple's own investor relations page: 2-for-1 in 2000 and 2005, 7-for-1 in 2014, 4-for-1 in 2020.
    expect(splits).toEqual([
      { date: '2000-06-21', value: 2 },
      { date: '2005-02-28', value: 2 },
      { date: '2014-06-09', value: 7 },
      { date: '2020-08-31', value: 4 },
    ]);
    expect(await shop.db.rows("SELECT value FROM corporate_actions WHERE symbol = 'AAPL' AND date = '2020-02-07'")).toEqual([
      { value: 0.77 },
    ]);
    expect(await shop.db.rows("SELECT newest_bar, close FROM symbols WHERE symbol = 'AAPL'")).toEqual([
      { newest_bar: '2021-03-31', close: expectedRows('AAPL').at(-1)!.close },
    ]);
  });

  test('the second time nothing is written and nothing changes', async () => {
    const before = await fingerprint();
    const results = await fetchAll();
    expect(results.map(({ written, replaced }) => [written, replaced])).toEqual(SYMBOLS.map(() => [0, false]));
    expect(await fingerprint()).toEqual(before);
  });

  test('a refresh without a range changes nothing either', async () => {
    const before = await fingerprint();
    const ids = await shop.enqueue(...SYMBOLS.map((symbol) => ({ symbol })));
    shop.worker([fetchHandler], { sources: [leanSource({ path: leanFolder, clock: systemClock })] });
    for (const id of ids) expect((await shop.reaches(id, 'completed')).result).toMatchObject({ written: 0, replaced: false });
    expect(await fingerprint()).toEqual(before);
  });
});
