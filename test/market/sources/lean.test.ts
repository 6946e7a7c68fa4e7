import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { leanSource } from '../../../services/market/sources/lean.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { describeWithData, sharedData } from '../../support/shared-data.ts';
import { zipOf } from './zip.ts';

const real = sharedData('lean');
const clock = new ManualClock('2026-01-05T12:00:00Z');
const signal = new AbortController().signal;
const EVER = { from: '1990-01-01' };

function canUnzip(): boolean {
  try {
    execFileSync('unzip', ['-v']);
    return true;
  } catch {
    return false;
  }
}

describeWithData('lean', 'a real Lean folder', () => {
  const lean = () => leanSource({ path: real, clock });

  // The first day is the map file's: today's holder of the ticker. QQQ was called QQQQ from 2004-12-01 to 2011-03-22, and the folder has no qqqq.zip.
  test.skipIf(!canUnzip()).each([
    ['AAPL', '1998-01-02', 5849],
    ['SPY', '1998-01-02', 5849],
    ['IBM', '1998-01-02', 5849],
    ['BAC', '1998-10-01', 5661],
    ['GOOG', '2014-04-03', 1761],
    ['QQQ', '1999-03-10', 3964],
    ['AIG', '1998-01-02', 5849],
    ['EEM', '2003-04-11', 4523],
    ['IWM', '2000-05-26', 5244],
    ['WM', '2009-08-05', 2934],
  ])('%s: every bar since %s is what `unzip -p` shows', async (symbol, first, count) => {
    const text = execFileSync('unzip', ['-p', join(real, 'equity/usa/daily', `${symbol.toLowerCase()}.zip`)], { encoding: 'utf8' });
    const expected = text
      .trim()
      .split(/\r?\n/)
      .map((line) => line.split(','))
      .map(([day = '', ...numbers]) => [`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6, 8)}`, ...numbers.map(Number)])
      .filter(([date = '']) => date >= first);
    const { bars } = await lean().bars(symbol, EVER, signal);
    expect(
      bars.map((bar) => [bar.date, ...[bar.open, bar.high, bar.low, bar.close].map((price) => Math.round(price * 10_000)), bar.volume]),
    ).toEqual(expected);
    expect(bars).toHaveLength(count);
    expect(bars.every(({ open }) => open === Number(open.toFixed(4)))).toBe(true);
  });

  test('the reference prices of the factor file are the raw closes of the bars that are kept', async () => {
    // An independent witness that the kept bars are the security's: Bank of America, 1998-12-01 and 2021-03-03, from bac.csv.
    const { bars } = await lean().bars('BAC', EVER, signal);
    const closeOn = (date: string) => bars.find((bar) => bar.date === date)?.close;
    expect([closeOn('1998-12-01'), closeOn('2021-03-03')]).toEqual([65.06, 36.42]);
  });

  test('adjusted close = raw × price factor × split factor of the first row that is not before the day', async () => {
    const { bars } = await lean().bars('AAPL', { from: '2020-08-28', to: '2021-02-05' }, signal);
    const adjusted = (date: string) => bars.find((bar) => bar.date === date)?.adjustedClose;
    // By hand from aapl.csv (20200828 0.9967882 0.25, 20201105 0.9967882 1, 20210204 0.9985079 1) and the raw closes.
    expect(adjusted('2020-08-28')).toBeCloseTo(499.23 * 0.9967882 * 0.25, 10);
    expect(adjusted('2020-08-31')).toBeCloseTo(129.04 * 0.9967882, 10);
    expect(adjusted('2021-02-04')).toBeCloseTo(137.39 * 0.9985079, 10);
    expect(adjusted('2021-02-05')).toBe(bars.find(({ date }) => date === '2021-02-05')?.close);
  });

  test('the splits of AAPL and AIG are those that the companies made', async () => {
    const splits = async (symbol: string) =>
      (await lean().bars(symbol, EVER, signal)).actions.filter(({ kind }) => kind === 'split').map(({ date, value }) => [date, value]);
    expect(await splits('AAPL')).toEqual([
      ['2000-06-21', 2],
      ['2005-02-28', 2],
      ['2014-06-09', 7],
      ['2020-08-31', 4],
    ]);
    expect(await splits('AIG')).toEqual([
      ['1998-08-03', 1.5],
      ['1999-08-02', 1.25],
      ['2000-07-31', 1.5],
      ['2009-07-01', 0.05],
    ]);
  });

  test('the dividends of IBM and AAPL are those that the companies paid, within a twentieth of a cent', async () => {
    const dividends = async (symbol: string, from: string, to: string) => (await lean().bars(symbol, { from, to }, signal)).actions;
    const near = (value: number) => expect.closeTo(value, 3);
    expect(await dividends('IBM', '2020-05-01', '2020-12-31')).toEqual([
      { date: '2020-05-07', kind: 'dividend', value: near(1.63) },
      { date: '2020-08-07', kind: 'dividend', value: near(1.63) },
      { date: '2020-11-09', kind: 'dividend', value: near(1.63) },
    ]);
    expect(await dividends('AAPL', '2020-09-01', '2021-03-31')).toEqual([
      { date: '2020-11-06', kind: 'dividend', value: near(0.205) },
      { date: '2021-02-05', kind: 'dividend', value: near(0.205) },
    ]);
  });

  test('both ends of a range are inclusive, and the data is as of the close of the newest bar there is', async () => {
    const { bars, asOf, source, timeZone, currency } = await lean().bars('spy', { from: '2001-09-10', to: '2001-09-17' }, signal);
    expect(bars.map(({ date }) => date)).toEqual(['2001-09-10', '2001-09-17']);
    // 2021-03-31, 16:00 in New York, summer time.
    expect(asOf.toString()).toBe('2021-03-31T20:00:00Z');
    expect({ source, timeZone, currency }).toEqual({ source: 'lean', timeZone: 'America/New_York', currency: 'USD' });
  });
});

describe('a Lean folder', () => {
  let path: string;
  const file = (name: string) => join(path, 'equity/usa', name);
  const writeDays = (ticker: string, ...days: string[]) =>
    writeFileSync(file(`daily/${ticker}.zip`), zipOf(`${ticker}.csv`, `${days.join('\n')}\n`));
  const day = (date: string, close = 10) => `${date} 00:00,${close}0000,${close}0000,${close}0000,${close}0000,100`;
  const bars = (symbol: string, range = EVER) => leanSource({ path, clock }).bars(symbol, range, signal);

  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'stockmesh-lean-'));
    for (const folder of ['daily', 'factor_files', 'map_files']) mkdirSync(file(folder), { recursive: true });
  });
  afterEach(() => rmSync(path, { recursive: true, force: true }));

  test('without map and factor files all bars count, unadjusted', async () => {
    writeDays('abc', day('20200102'), day('20200103', 11));
    expect((await bars('ABC')).bars).toEqual([
      { date: '2020-01-02', open: 10, high: 10, low: 10, close: 10, adjustedClose: 10, volume: 100 },
      { date: '2020-01-03', open: 11, high: 11, low: 11, close: 11, adjustedClose: 11, volume: 100 },
    ]);
  });

  test("days under an older ticker come from that ticker's file, and another company's days under today's ticker are left out", async () => {
    writeFileSync(file('map_files/new.csv'), '20200102,old,N\n20200103,old,N\n20501231,new,N\n');
    writeDays('old', day('20200102', 10), day('20200103', 11), day('20200106', 99));
    writeDays('new', day('20200103', 98), day('20200106', 12), day('20200107', 13));
    expect((await bars('NEW')).bars.map(({ date, close }) => [date, close])).toEqual([
      ['2020-01-02', 10],
      ['2020-01-03', 11],
      ['2020-01-06', 12],
      ['2020-01-07', 13],
    ]);
  });

  test('a delisted security ends on its last day, whoever took the ticker afterwards', async () => {
    writeFileSync(file('map_files/gone.csv'), '20200102,gone\n20200106,gone\n');
    writeDays('gone', day('20200101'), day('20200102'), day('20200106'), day('20200107'));
    const { bars: kept, asOf } = await bars('GONE');
    expect(kept.map(({ date }) => date)).toEqual(['2020-01-02', '2020-01-06']);
    expect(asOf.toString()).toBe('2020-01-06T21:00:00Z');
  });

  test('an action in a long hole of the data is dated on the next weekday', async () => {
    writeFileSync(file('factor_files/abc.csv'), '20200103,0.9,1,100\n20501231,1,1,0\n');
    writeDays('abc', day('20200102'), day('20220103'));
    // 2020-01-03 was a Friday.
    expect((await bars('ABC')).actions).toEqual([{ date: '2020-01-06', kind: 'dividend', value: 10 }]);
  });

  test('days whose factor has overflowed are left out', async () => {
    writeFileSync(file('factor_files/abc.csv'), '20200102,1,1.6e+6,1\n20501231,1,1,0\n');
    writeDays('abc', day('20200102'), day('20200103'));
    expect((await bars('ABC')).bars.map(({ date }) => date)).toEqual(['2020-01-03']);
  });

  test('an unknown symbol is permanent and names it', async () => {
    await expect(bars('NOSUCH')).rejects.toMatchObject({
      name: 'PermanentError',
      code: 'source.unknown_symbol',
      message: expect.stringContaining('NOSUCH'),
    });
  });

  test('a folder that vanishes later is transient: no symbol is declared unknown for it', async () => {
    writeDays('abc', day('20200102'));
    const source = leanSource({ path, clock });
    rmSync(path, { recursive: true });
    await expect(source.bars('ABC', EVER, signal)).rejects.toMatchObject({ name: 'TransientError', code: 'source.unavailable' });
  });

  test('a path that is no Lean folder is a configuration error that names it', () => {
    expect(() => leanSource({ path: '/no/such/folder', clock })).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'source.lean_path', message: expect.stringContaining('"/no/such/folder"') }),
    );
  });

  test.each([
    ['a word for a price', [day('20200102'), '20200103 00:00,abc,1,1,1,1'], 2],
    ['a missing column', ['20200102 00:00,1,1,1,1'], 1],
    ['a date out of order', [day('20200103'), day('20200102')], 2],
    ['a date given twice', [day('20200102'), day('20200103'), day('20200103')], 3],
  ])('%s in a day file is malformed, by file and line', async (_, days, line) => {
    writeDays('abc', ...days);
    await expect(bars('ABC')).rejects.toMatchObject({
      name: 'TransientError',
      code: 'source.malformed',
      message: expect.stringContaining(`daily/abc.zip:${line}: expected`),
    });
  });

  test('a broken line in a map file is malformed, by file and line', async () => {
    writeFileSync(file('map_files/abc.csv'), '20200102,abc,N\nsoon,abc\n');
    writeDays('abc', day('20200102'));
    await expect(bars('ABC')).rejects.toMatchObject({
      code: 'source.malformed',
      message: expect.stringContaining('map_files/abc.csv:2: expected'),
    });
  });

  test.each([
    ['that is not a zip', 'hello'],
    ['cut in half', zipOf('abc.csv', 'x'.repeat(500)).subarray(0, 300)],
    ['without a CSV', zipOf('readme.txt', 'hello')],
  ])('a file %s is malformed and names the file', async (_, content) => {
    writeFileSync(file('daily/abc.zip'), content);
    await expect(bars('ABC')).rejects.toMatchObject({
      name: 'TransientError',
      code: 'source.malformed',
      message: expect.stringContaining('daily/abc.zip'),
    });
  });

  test("an abort while a file is being read rejects with the caller's reason", async () => {
    writeDays('abc', day('20200102'));
    const controller = new AbortController();
    const answered = leanSource({ path, clock }).bars('ABC', EVER, controller.signal);
    controller.abort(new Error('cancelled by hand'));
    await expect(answered).rejects.toThrow('cancelled by hand');
  });

  test('no symbol leads out of the folder', async () => {
    await expect(bars('../../secret')).rejects.toMatchObject({ code: 'symbol.invalid' });
  });
});
