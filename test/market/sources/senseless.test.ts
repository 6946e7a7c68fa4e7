/** Rows that cannot be true cost themselves and nothing else, whatever source gives them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { leftOutWarning, withoutSenseless } from '../../../services/market/bars/sense.ts';
import { alphaVantageSource } from '../../../services/market/sources/alpha-vantage.ts';
import { leanSource } from '../../../services/market/sources/lean.ts';
import { yahooSource } from '../../../services/market/sources/yahoo.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { zipOf } from './zip.ts';

const signal = new AbortController().signal;
const EVER = { from: '1990-01-01' };
const clock = new ManualClock('2026-11-27T22:00:00Z');
const at = (date: string) => Date.parse(`${date}T14:30:00Z`) / 1000;
/** Five sessions; the third is the one that a test spoils. */
const DAYS = ['2026-10-12', '2026-10-13', '2026-10-14', '2026-10-15', '2026-10-16'];
const SPOILT = DAYS[2]!;

interface Row {
  open: number | null;
  high: number | null;
  low: number | null;
  close: number | null;
  volume: number | null;
  adjclose: number | null;
}

function yahoo(events: object | undefined, spoilt: Partial<Row> = {}, timestamps: (number | null)[] = DAYS.map(at)) {
  const rows = DAYS.map((day, index): Row => {
    const close = 100 + index;
    return { open: close, high: close + 1, low: close - 1, close, volume: 1000, adjclose: close, ...(day === SPOILT && spoilt) };
  });
  const column = (name: keyof Row) => rows.map((row) => row[name]);
  const chart = {
    meta: { currency: 'USD', symbol: 'AAA', exchangeTimezoneName: 'America/New_York' },
    timestamp: timestamps,
    indicators: {
      quote: [{ open: column('open'), high: column('high'), low: column('low'), close: column('close'), volume: column('volume') }],
      adjclose: [{ adjclose: column('adjclose') }],
    },
    ...(events && { events }),
  };
  const source = yahooSource({ clock, fetch: async () => Response.json({ chart: { result: [chart], error: null } }) });
  return source.bars('AAA', EVER, signal);
}

describe('an event of Yahoo that cannot be true is left out and named, and all bars stay as they are', () => {
  const split = (numerator: unknown, denominator: unknown, date: unknown = at(SPOILT)) => ({
    splits: { x: { date, numerator, denominator } },
  });
  const dividend = (amount: unknown, date: unknown = at(SPOILT)) => ({ dividends: { x: { date, amount } } });
  test.each([
    ['a split 0:0', split(0, 0), SPOILT, 'a split of 0:0 is none'],
    ['a split 1:0', split(1, 0), SPOILT, 'a split of 1:0 is none'],
    ['a split 1:1', split(1, 1), SPOILT, 'a split of 1:1 changes nothing'],
    ['a split of a billion for one', split(1e9, 1), SPOILT, 'a split of 1000000000:1 is not between 1:1000 and 1000:1'],
    ['a split of one for 1,001', split(1, 1001), SPOILT, 'a split of 1:1001 is not between 1:1000 and 1000:1'],
    ['a negative split', split(-2, 1), SPOILT, 'a split of -2:1 is none'],
    ['a split without numbers', split(null, 1), SPOILT, 'a split of null:1 is none'],
    ['a split without a date', split(4, 1, null), '', 'a split of 4:1 has no date'],
    ['a split at the moment 0', split(4, 1, 0), '', 'a split of 4:1 has no date'],
    ['a split dated in milliseconds', split(4, 1, at(SPOILT) * 1000), '', 'a split of 4:1 has no date'],
    ['a dividend of null', dividend(null), SPOILT, 'a dividend of null is none'],
    ['a negative dividend', dividend(-0.5), SPOILT, 'a dividend of -0.5 is none'],
    ['a dividend of 0', dividend(0), SPOILT, 'a dividend of 0 is none'],
    ['a dividend without a date', dividend(0.5, null), '', 'a dividend of 0.5 has no date'],
  ])('%s', async (_, events, date, reason) => {
    const { bars, actions, leftOut } = await yahoo(events);
    expect(bars.map(({ close }) => close)).toEqual([100, 101, 102, 103, 104]);
    expect(actions).toEqual([]);
    expect(leftOut).toEqual([{ date, kind: expect.stringMatching(/split|dividend/), reason }]);
  });

  test('a good event beside it is kept', async () => {
    const { actions } = await yahoo({ dividends: { a: { date: at(SPOILT), amount: null }, b: { date: at(DAYS[3]!), amount: 0.25 } } });
    expect(actions).toEqual([{ date: DAYS[3], kind: 'dividend', value: 0.25 }]);
  });

  test('1:1000 and 1000:1 are splits', async () => {
    expect((await yahoo(split(1000, 1))).actions).toMatchObject([{ value: 1000 }]);
    expect((await yahoo(split(1, 1000))).actions).toMatchObject([{ value: 0.001 }]);
  });

  test('events that are null are none', async () => {
    expect((await yahoo({ dividends: null, splits: null })).actions).toEqual([]);
  });
});

describe('a bar of Yahoo that cannot be true is left out and named, and the others stay', () => {
  test.each([
    ['zeros', { open: 0, high: 0, low: 0, close: 0, adjclose: 0 }, 'open 0 is not a price'],
    ['a negative close', { close: -5 }, 'close -5 is not a price'],
    ['an adjusted close of 0', { adjclose: 0 }, 'adjusted close 0 is not a price'],
    ['high below low', { high: 1 }, 'high 1 is below low 101'],
    ['a negative volume', { volume: -10 }, 'volume -10 is not a volume'],
  ])('%s', async (_, spoilt, reason) => {
    const { bars, leftOut } = await yahoo(undefined, spoilt);
    expect(bars.map(({ date }) => date)).toEqual(DAYS.filter((day) => day !== SPOILT));
    expect(leftOut).toEqual([{ date: SPOILT, kind: 'bar', reason }]);
  });

  test('a row without a moment', async () => {
    const { bars, leftOut } = await yahoo(
      undefined,
      {},
      DAYS.map((day) => (day === SPOILT ? null : at(day))),
    );
    expect(bars).toHaveLength(4);
    expect(leftOut).toEqual([{ date: '', kind: 'bar', reason: 'row 3 has no date' }]);
  });

  test('a senseless live row does not replace the good row of its day', async () => {
    const { bars } = await yahoo(undefined, { close: 0 }, [at(DAYS[0]!), at(DAYS[1]!), at(DAYS[1]!) + 60, at(DAYS[3]!), at(DAYS[4]!)]);
    expect(bars.map(({ close }) => close)).toEqual([100, 101, 103, 104]);
  });
});

describe('a Lean folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lean-'));
    for (const name of ['daily', 'factor_files', 'map_files']) mkdirSync(join(folder, 'equity/usa', name), { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const GOOD = ['20261013 00:00,1000000,1010000,990000,1000000,5000', '20261014 00:00,1001000,1011000,991000,1001000,5000'];
  const read = async (days: string[], factors?: string[]) => {
    writeFileSync(join(folder, 'equity/usa/daily/aaa.zip'), zipOf('aaa.csv', `${days.join('\n')}\n`));
    if (factors) writeFileSync(join(folder, 'equity/usa/factor_files/aaa.csv'), `${factors.join('\n')}\n`);
    return leanSource({ path: folder, clock }).bars('AAA', EVER, signal);
  };

  test.each([
    ['zeros', '20261015 00:00,0,0,0,0,1396', 'open 0 is not a price'],
    ['a low of 0', '20261015 00:00,1000000,1010000,0,1000000,10', 'low 0 is not a price'],
    ['high below low', '20261015 00:00,1000000,1,2000000,1000000,10', 'high 0.0001 is below low 200'],
    ['a negative price', '20261015 00:00,-1,1010000,990000,1000000,10', 'open -0.0001 is not a price'],
    ['a negative volume', '20261015 00:00,1000000,1010000,990000,1000000,-10', 'volume -10 is not a volume'],
  ])('without a bar of %s, which is named; the data is as of the bar before it', async (_, spoilt, reason) => {
    const { bars, leftOut, asOf } = await read([...GOOD, spoilt]);
    expect(bars.map(({ close }) => close)).toEqual([100, 100.1]);
    expect(leftOut).toEqual([{ date: '2026-10-15', kind: 'bar', reason }]);
    expect(asOf.toString()).toBe('2026-10-14T20:00:00Z');
  });

  test('a price written with an exponent is a price', async () => {
    expect((await read([...GOOD, '20261015 00:00,3e-3,4e-3,2e-3,3e-3,10'])).bars.at(-1)).toMatchObject({ close: 3e-7, high: 4e-7 });
  });

  test.each([
    ['a split of a billion for one', '20261013,1,0.000000001,100', 'split', 'a split of 1000000000 is not between 1:1000 and 1000:1'],
    ['a split factor of 0', '20261013,1,0,100', 'split', 'a split factor of 0 is none'],
    ['a negative price factor', '20261013,-0.5,1,100', 'dividend', 'a price factor of -0.5 is none'],
    ['a negative dividend', '20261013,1.25,1,100', 'dividend', 'a dividend of -25 is none'],
  ])('%s in a factor file is left out and named, and does not scale the bars before it', async (_, row, kind, reason) => {
    const { bars, actions, leftOut } = await read(GOOD, [row, '20501231,1,1,0']);
    expect(bars.map(({ adjustedClose }) => adjustedClose)).toEqual([100, 100.1].map((price) => expect.closeTo(price, 10)));
    expect(actions).toEqual([]);
    expect(leftOut).toEqual([{ date: '2026-10-13', kind, reason }]);
  });

  test('a good event before a senseless one keeps its scale', async () => {
    // By hand: 2 for one after the 13th; the senseless factor of the 14th is as if it had not been.
    const { bars, actions } = await read(
      [...GOOD, '20261015 00:00,1000000,1010000,990000,1000000,5000'],
      ['20261013,1,0.0000000005,200', '20261014,1,0.000000001,100', '20501231,1,1,0'],
    );
    expect(bars.map(({ adjustedClose }) => adjustedClose)).toEqual([50, 100.1, 100].map((price) => expect.closeTo(price, 10)));
    expect(actions).toEqual([{ date: '2026-10-14', kind: 'split', value: 2 }]);
  });
});

interface AlphaDay {
  close: string;
  adjusted?: string;
  /** The day's other prices. */
  others?: string;
  dividend: string;
  split: string;
}

/** A day as Alpha Vantage gives it. */
const alphaDay = ({ close, adjusted = close, others = close, dividend, split }: AlphaDay) => ({
  ...{ '1. open': others, '2. high': others, '3. low': others, '4. close': close, '5. adjusted close': adjusted },
  ...{ '6. volume': '1000', '7. dividend amount': dividend, '8. split coefficient': split },
});

test('Alpha Vantage: a senseless day and a negative dividend are left out and named', async () => {
  const day = (close: string, dividend = '0.0', split = '1.0') => alphaDay({ close, others: '100.0', dividend, split });
  const answer = {
    'Meta Data': { '3. Last Refreshed': '2026-10-16', '5. Time Zone': 'US/Eastern' },
    'Time Series (Daily)': { '2026-10-14': day('100.0', '-0.5'), '2026-10-15': day('0.0'), '2026-10-16': day('100.0', '0.0', '0.0') },
  };
  const source = alphaVantageSource({ apiKey: 'k', clock, fetch: async () => Response.json(answer) });
  const { bars, actions, leftOut } = await source.bars('AAA', EVER, signal);
  expect([bars.map(({ date }) => date), actions]).toEqual([['2026-10-14', '2026-10-16'], []]);
  expect(leftOut?.map(({ date, reason }) => [date, reason])).toEqual([
    ['2026-10-14', 'a dividend of -0.5 is none'],
    ['2026-10-15', 'close 0 is not a price'],
    ['2026-10-16', 'a split of 0 is none'],
  ]);
});

describe('one unit of a dividend on the ex-date of a split: new shares', () => {
  test('Yahoo: 0.25 dollars beside 5 for one', async () => {
    const { actions } = await yahoo({
      splits: { a: { date: at(SPOILT), numerator: 5, denominator: 1 } },
      dividends: { a: { date: at(DAYS[0]!), amount: 0.3 }, b: { date: at(SPOILT), amount: 0.25 } },
    });
    // The first dividend was paid on old shares: 0.3 × 5.
    expect(actions).toEqual([
      { date: DAYS[0], kind: 'dividend', value: 1.5 },
      { date: SPOILT, kind: 'split', value: 5 },
      { date: SPOILT, kind: 'dividend', value: 0.25 },
    ]);
  });

  test.each([
    ['old', '1.25'],
    ['new', '0.25'],
  ])('Alpha Vantage, which gives it per %s share: its adjusted closes tell', async (_, dividend) => {
    const day = (close: string, adjusted: string, amount: string, split: string) => alphaDay({ close, adjusted, dividend: amount, split });
    // By hand: 500 × 0.2 × (1 − 1.25 ÷ 500) = 99.75.
    const answer = {
      'Meta Data': { '3. Last Refreshed': '2026-10-16', '5. Time Zone': 'US/Eastern' },
      'Time Series (Daily)': { '2026-10-14': day('500.0', '99.75', '0.0', '1.0'), '2026-10-15': day('100.0', '100.0', dividend, '5.0') },
    };
    const source = alphaVantageSource({ apiKey: 'k', clock, fetch: async () => Response.json(answer) });
    expect((await source.bars('AAA', { from: '2026-10-15' }, signal)).actions).toEqual([
      { date: '2026-10-15', kind: 'split', value: 5 },
      { date: '2026-10-15', kind: 'dividend', value: 0.25 },
    ]);
  });

  test('two dividends of one day are their sum', async () => {
    const { actions } = await yahoo({ dividends: { a: { date: at(SPOILT), amount: 0.1 }, b: { date: at(SPOILT) + 1, amount: 0.2 } } });
    expect(actions).toEqual([{ date: SPOILT, kind: 'dividend', value: 0.3 }]);
  });
});

test('two splits of one day are their product', () => {
  const split = (value: number) => ({ date: SPOILT, kind: 'split' as const, value });
  expect(withoutSenseless({ bars: [], actions: [split(2), split(5)] }).actions).toEqual([split(10)]);
});

test('a warning counts what was left out and names the first five', () => {
  const bar = (day: number) => ({ date: `2026-10-0${day}`, kind: 'bar' as const, reason: 'close 0 is not a price' });
  expect(leftOutWarning('lean', [])).toBeUndefined();
  expect(leftOutWarning('lean', [bar(1), { date: '', kind: 'split', reason: 'a split of 4:1 has no date' }])).toBe(
    '1 bar and 1 event of lean left out, because they cannot be true (2026-10-01: close 0 is not a price; without a date: a split of 4:1 has no date)',
  );
  expect(leftOutWarning('lean', [1, 2, 3, 4, 5, 6, 7].map(bar))).toMatch(/^7 bars .*2026-10-05: close 0 is not a price; and 2 more\)$/);
});
