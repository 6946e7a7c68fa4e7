/** The edges of what each source is asked for and of what its answers mean. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { alphaVantageSource } from '../../../services/market/sources/alpha-vantage.ts';
import { leanSource } from '../../../services/market/sources/lean.ts';
import type { MarketSource } from '../../../services/market/sources/source.ts';
import { yahooSource } from '../../../services/market/sources/yahoo.ts';
import { EpochSeconds } from '../../../services/market/sources/yahoo-client.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { zipOf } from './zip.ts';

const signal = new AbortController().signal;
const EVER = { from: '1990-01-01' };
const seconds = (moment: string) => Date.parse(moment) / 1000;

describe('Alpha Vantage', () => {
  const NOW = '2024-05-10T12:00:00Z';
  const day = (changes: Record<string, string> = {}) => ({
    ...{ '1. open': '10', '2. high': '10', '3. low': '10', '4. close': '10', '5. adjusted close': '10' },
    ...{ '6. volume': '5', '7. dividend amount': '0.0', '8. split coefficient': '1.0', ...changes },
  });
  const series = (days: Record<string, object> = { '2024-05-09': day() }, refreshed = '2024-05-09') => ({
    'Meta Data': { '3. Last Refreshed': refreshed, '5. Time Zone': 'US/Eastern' },
    'Time Series (Daily)': days,
  });
  const asked: URL[] = [];
  const source = (answer: unknown, status = 200) =>
    alphaVantageSource({
      apiKey: 'k',
      clock: new ManualClock(NOW),
      fetch: async (url) => {
        asked.push(new URL(String(url)));
        return Response.json(answer, { status });
      },
    });
  beforeEach(() => {
    asked.length = 0;
  });

  // A compact answer has 100 sessions: at least 139 days, of which 135 are relied upon. 135 days before 2024-05-10 is 2023-12-27.
  test.each([
    ['2023-12-27', 'compact'],
    ['2023-12-26', 'full'],
  ])('from %s the answer is asked for as %s', async (from, size) => {
    await source(series()).bars('AAPL', { from }, signal);
    expect(asked[0]?.searchParams.get('outputsize')).toBe(size);
    expect(asked[0]?.host).toBe('www.alphavantage.co');
  });

  test.each([
    ['2024-05-10 09:00:00', NOW],
    ['2024-05-09 16:00:00', '2024-05-09T20:00:00Z'],
    ['2024-05-09', NOW],
  ])('refreshed at %s it is as of %s, and never of the future', async (refreshed, asOf) => {
    expect((await source(series(undefined, refreshed)).bars('AAPL', EVER, signal)).asOf.toString()).toBe(
      Temporal.Instant.from(asOf).toString(),
    );
  });

  test.each([
    ['before', { from: '2024-05-03', to: '2024-05-06' }, ['2024-05-03', '2024-05-06']],
    ['without an end', { from: '2024-05-06' }, ['2024-05-06', '2024-05-07']],
  ])('days of a range %s are those from its first to its last, whatever their order', async (_, range, dates) => {
    const days = Object.fromEntries(['2024-05-07', '2024-05-02', '2024-05-06', '2024-05-03'].map((date) => [date, day()]));
    expect((await source(series(days)).bars('AAPL', range, signal)).bars.map(({ date }) => date)).toEqual(dates);
  });

  test('another text of the service is a refusal of this symbol, which may pass', async () => {
    const saying = source({ Information: `Something else.${'x'.repeat(500)}` }).bars('AAPL', EVER, signal);
    await expect(saying).rejects.toMatchObject({
      name: 'TransientError',
      code: 'source.refused',
      message: expect.stringMatching(/^alpha_vantage: AAPL: Something else\.x{285}$/),
    });
  });

  test('its note comes before its other texts', async () => {
    const saying = source({ Note: 'calls per minute', Information: 'premium', 'Error Message': 'Invalid API call' }).bars(
      'AAPL',
      EVER,
      signal,
    );
    await expect(saying).rejects.toMatchObject({ code: 'source.rate_limited', message: 'alpha_vantage: calls per minute' });
    await expect(source({ Information: 'premium', 'Error Message': 'Invalid API call' }).bars('AAPL', EVER, signal)).rejects.toMatchObject({
      code: 'source.denied',
    });
  });

  test('an unknown symbol is named with what the service said', async () => {
    await expect(source({ 'Error Message': 'Invalid API call.' }).bars('AAPL', EVER, signal)).rejects.toThrow(
      'alpha_vantage: unknown symbol AAPL (Invalid API call.)',
    );
  });

  test('what is no series is named by its first fault, of which 300 characters are kept', async () => {
    const error = (await source({ 'Meta Data': 'x'.repeat(900) })
      .bars('AAPL', EVER, signal)
      .catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toMatch(/^alpha_vantage: the answer for AAPL is not a daily series: /);
    expect(error.message.length).toBeLessThanOrEqual('alpha_vantage: the answer for AAPL is not a daily series: '.length + 300);
  });

  test('a dividend of a day without a split, and one on the first day of the answer, are as they are given', async () => {
    const days = {
      '2024-05-08': day({ '7. dividend amount': '0.5', '8. split coefficient': '2.0' }),
      '2024-05-09': day({ '7. dividend amount': '0.25' }),
    };
    expect((await source(series(days)).bars('AAPL', EVER, signal)).actions).toEqual([
      { date: '2024-05-08', kind: 'split', value: 2 },
      { date: '2024-05-08', kind: 'dividend', value: 0.5 },
      { date: '2024-05-09', kind: 'dividend', value: 0.25 },
    ]);
  });
});

describe('Yahoo', () => {
  const NOW = '2024-05-10T12:00:00Z';
  interface Given {
    rows?: [at: number | null, price: number | null][];
    meta?: object;
    events?: object;
    quote?: object;
    adjusted?: unknown;
  }
  const source = ({ rows = [[seconds('2024-05-09T13:30:00Z'), 10]], meta = {}, events, quote = {}, adjusted }: Given, now = NOW) => {
    const prices = rows.map(([, price]) => price);
    const chart = {
      meta: { currency: 'USD', exchangeTimezoneName: 'America/New_York', ...meta },
      timestamp: rows.map(([at]) => at),
      indicators: {
        quote: [{ open: prices, high: prices, low: prices, close: prices, volume: rows.map(() => 100), ...quote }],
        adjclose: adjusted === undefined ? [{ adjclose: prices }] : adjusted,
      },
      ...(events !== undefined && { events }),
    };
    return yahooSource({ clock: new ManualClock(now), fetch: async () => Response.json({ chart: { result: [chart], error: null } }) });
  };
  const bars = async (given: Given, range: { from: string; to?: string } = EVER) => (await source(given).bars('X', range, signal)).bars;

  test('both ends of a range are inclusive, for bars and events', async () => {
    const at = ['2024-05-06', '2024-05-07', '2024-05-08', '2024-05-09'].map((date) => seconds(`${date}T13:30:00Z`));
    const events = { dividends: Object.fromEntries(at.map((date, index) => [index, { date, amount: 1 }])) };
    const answer = await source({ rows: at.map((date) => [date, 10]), events }).bars('X', { from: '2024-05-07', to: '2024-05-08' }, signal);
    expect(answer.bars.map(({ date }) => date)).toEqual(['2024-05-07', '2024-05-08']);
    expect(answer.actions.map(({ date }) => date)).toEqual(['2024-05-07', '2024-05-08']);
  });

  test('on the day of a split the price is of new shares; the day before it of old ones', async () => {
    const rows: Given['rows'] = [
      [seconds('2024-05-08T13:30:00Z'), 10],
      [seconds('2024-05-09T13:30:00Z'), 10],
    ];
    const events = { splits: { a: { date: seconds('2024-05-09T13:30:00Z'), numerator: 2, denominator: 1 } } };
    expect((await bars({ rows, events })).map(({ close, volume }) => [close, volume])).toEqual([
      [20, 50],
      [10, 100],
    ]);
  });

  test('a row that lacks any of its prices is none, one without a volume has none', async () => {
    const whole = { open: [1, 1], high: [1, 1], low: [1, 1], close: [1, 1], volume: [100, null] };
    const rows: Given['rows'] = [
      [seconds('2024-05-08T13:30:00Z'), 1],
      [seconds('2024-05-09T13:30:00Z'), 1],
    ];
    expect((await bars({ rows, quote: whole })).map(({ volume }) => volume)).toEqual([100, 0]);
    for (const column of ['open', 'high', 'low', 'close'])
      expect(
        (await bars({ rows, quote: { ...whole, [column]: [1, null] } })).map(({ date }) => date),
        column,
      ).toEqual(['2024-05-08']);
  });

  test.each(['open', 'high', 'low', 'close', 'volume'])('a column %s of another length is malformed', async (column) => {
    await expect(bars({ quote: { [column]: [1, 2] } })).rejects.toMatchObject({
      code: 'source.malformed',
      message: expect.stringContaining('its columns do not have 1 rows each'),
    });
  });

  test('without adjusted closes the closes stand for them', async () => {
    expect(await bars({ adjusted: [{}] })).toMatchObject([{ close: 10, adjustedClose: 10 }]);
  });

  test('rows come in the order of their days, whatever the order of the answer', async () => {
    const rows: Given['rows'] = ['2024-05-09', '2024-05-07', '2024-05-08'].map((date) => [seconds(`${date}T13:30:00Z`), 10]);
    expect((await bars({ rows })).map(({ date }) => date)).toEqual(['2024-05-07', '2024-05-08', '2024-05-09']);
  });

  test.each([
    ['1899-12-31T23:59:59Z', false],
    ['1900-01-02T15:00:00Z', true],
    ['2099-12-31T15:00:00Z', true],
    ['2100-01-01T00:00:00Z', false],
  ])('a row of %s has a date: %s', async (at, dated) => {
    const answer = await source({ rows: [[seconds(at), 10]] }).bars('X', { from: '1800-01-01' }, signal);
    expect([answer.bars.length, answer.leftOut?.[0]?.reason]).toEqual(dated ? [1, undefined] : [0, 'row 1 has no date']);
  });

  // A session from 13:30 to 20:00; the feed may be 20 minutes late.
  const session = { currentTradingPeriod: { regular: { start: seconds('2024-05-10T13:30:00Z'), end: seconds('2024-05-10T20:00:00Z') } } };
  test.each([
    ['before the session', '2024-05-10T13:29:59Z', '2024-05-10T13:00:00Z', '2024-05-10T13:29:59Z'],
    ['at its start', '2024-05-10T13:30:00Z', '2024-05-10T13:00:00Z', '2024-05-10T13:00:00Z'],
    ['as long as the feed may be late', '2024-05-10T20:19:59Z', '2024-05-10T19:59:00Z', '2024-05-10T19:59:00Z'],
    ['after that', '2024-05-10T20:20:00Z', '2024-05-10T19:59:00Z', '2024-05-10T20:20:00Z'],
    ['of a trade in the future', '2024-05-10T15:00:00Z', '2024-05-10T15:01:00Z', '2024-05-10T15:00:00Z'],
    ['of no trade', '2024-05-10T15:00:00Z', null, '2024-05-10T15:00:00Z'],
  ])('%s: at %s, with a last trade of %s, it is as of %s', async (_, now, trade, asOf) => {
    const meta = { ...session, regularMarketTime: trade === null ? null : seconds(trade) };
    expect((await source({ meta }, now).bars('X', EVER, signal)).asOf.toString()).toBe(Temporal.Instant.from(asOf).toString());
  });

  test('without a session it is as of the last trade', async () => {
    expect((await source({ meta: { regularMarketTime: seconds('2024-05-09T20:00:00Z') } }).bars('X', EVER, signal)).asOf.toString()).toBe(
      '2024-05-09T20:00:00Z',
    );
  });

  test('a page in place of an answer is quoted with its first 120 characters', async () => {
    const page = yahooSource({ clock: new ManualClock(NOW), fetch: async () => new Response(`  ${'x'.repeat(500)}`, { status: 404 }) });
    await expect(page.bars('X', EVER, signal)).rejects.toThrow(/^yahoo_finance: X refused with HTTP 404: HTTP 404: x{118}$/);
  });

  test('a moment is seconds, or a date that the library has made of them', () => {
    expect([EpochSeconds.parse(1_715_000_000), EpochSeconds.parse(new Date(1_715_000_000_000))]).toEqual([1_715_000_000, 1_715_000_000]);
  });

  test('no currency is none', async () => {
    expect((await source({ meta: { currency: null } }).bars('X', EVER, signal)).currency).toBeUndefined();
  });
});

describe('a Lean folder', () => {
  const path = mkdtempSync(join(tmpdir(), 'stockmesh-limits-'));
  afterAll(() => rmSync(path, { recursive: true }));
  const file = (name: string) => join(path, 'equity/usa', name);
  for (const folder of ['daily', 'factor_files', 'map_files']) mkdirSync(file(folder), { recursive: true });
  const day = (date: string) => `${date} 00:00,123400,125600,120000,124500,700`;
  const read = (days: string[], { now = '2026-01-05T12:00:00Z', end = '\n', range = EVER as { from: string; to?: string } } = {}) => {
    writeFileSync(file('daily/abc.zip'), zipOf('abc.csv', days.join('\n') + end));
    return leanSource({ path, clock: new ManualClock(now) }).bars('ABC', range, signal);
  };

  test('prices are in ten-thousandths of a dollar, volume in shares', async () => {
    expect((await read([day('20200102')])).bars).toMatchObject([{ open: 12.34, high: 12.56, low: 12, close: 12.45, volume: 700 }]);
  });

  test('lines may end as on Windows, and the last without a line end', async () => {
    expect((await read([`${day('20200102')}\r`, day('20200103')], { end: '' })).bars.map(({ date }) => date)).toEqual([
      '2020-01-02',
      '2020-01-03',
    ]);
  });

  test('a bar of today before the close is as of now, one of yesterday as of its close', async () => {
    expect((await read([day('20200102')], { now: '2020-01-02T18:00:00Z' })).asOf.toString()).toBe('2020-01-02T18:00:00Z');
    expect((await read([day('20200102')], { now: '2020-01-02T21:00:01Z' })).asOf.toString()).toBe('2020-01-02T21:00:00Z');
  });

  test('a range has both of its ends, and may have no end', async () => {
    const days = ['20200102', '20200103', '20200106', '20200107'].map(day);
    const dates = async (range: { from: string; to?: string }) => (await read(days, { range })).bars.map(({ date }) => date);
    expect(await dates({ from: '2020-01-03', to: '2020-01-06' })).toEqual(['2020-01-03', '2020-01-06']);
    expect(await dates({ from: '2020-01-06' })).toEqual(['2020-01-06', '2020-01-07']);
  });

  // 2 January 2020 was a Thursday.
  test.each([
    ['a day with a bar within a week', '20200102', ['20200102', '20200109'], '2020-01-09'],
    ['after a longer hole the next day', '20200102', ['20200102', '20200110'], '2020-01-03'],
    ['after a Friday the Monday', '20200103', ['20200103'], '2020-01-06'],
    ['after a Saturday the Monday', '20200104', ['20200103'], '2020-01-06'],
    ['after a Sunday the Monday', '20200105', ['20200103'], '2020-01-06'],
  ])('an event is on the session after its row: %s', async (_, row, days, date) => {
    writeFileSync(file('factor_files/abc.csv'), `${row},1,0.5,100\n20501231,1,1,0\n`);
    expect((await read(days.map(day))).actions).toEqual([{ date, kind: 'split', value: 2 }]);
    rmSync(file('factor_files/abc.csv'));
  });
});

test.each<[string, () => MarketSource]>([
  ['Alpha Vantage', () => alphaVantageSource({ apiKey: 'k', clock: new ManualClock('2026-01-05T12:00:00Z'), fetch: unasked })],
  ['Yahoo', () => yahooSource({ clock: new ManualClock('2026-01-05T12:00:00Z'), fetch: unasked })],
  ['a Lean folder', () => leanSource({ path: emptyFolder(), clock: new ManualClock('2026-01-05T12:00:00Z') })],
])('%s is not asked for what was cancelled before', async (_, source) => {
  await expect(source().bars('AAPL', EVER, AbortSignal.abort(new Error('cancelled')))).rejects.toThrow('cancelled');
});

async function unasked(): Promise<never> {
  throw new Error('asked');
}

function emptyFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'stockmesh-limits-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  mkdirSync(join(path, 'equity/usa/daily'), { recursive: true });
  return path;
}
