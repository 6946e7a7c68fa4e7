import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { yahooSource } from '../../../services/market/sources/yahoo.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { describeWithData, sharedData } from '../../support/shared-data.ts';

const signal = new AbortController().signal;
/** The recordings were made around this moment, before New York opened. */
const NOW = '2025-02-20T12:00:00Z';
const EVER = { from: '1990-01-01' };

interface Chart {
  meta: Record<string, unknown>;
  timestamp?: number[];
  events?: Record<string, Record<string, unknown>>;
  indicators: { quote: Record<string, (number | null)[]>[]; adjclose?: { adjclose: (number | null)[] }[] };
}

function recording(file: string): { status: number; chart: Chart } {
  const { status, body } = JSON.parse(readFileSync(sharedData(`yahoo/${file}`), 'utf8'));
  return { status, chart: body.chart.result[0] };
}

/** A source that gets `respond`'s answers instead of the network's, and the URLs that it asked for. */
function replay(respond: (init: RequestInit | undefined) => Response | Promise<Response>, now = NOW, timeoutMs?: number) {
  const asked: URL[] = [];
  const source = yahooSource({
    clock: new ManualClock(now),
    fetch: async (url, init) => {
      asked.push(new URL(String(url)));
      return respond(init);
    },
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
  return { source, asked };
}

function answer(chart: unknown, status = 200): Response {
  return Response.json({ chart: { result: [chart], error: null } }, { status });
}

function replayFile(file: string, change: (chart: Chart) => void = () => {}, now?: string) {
  const { status, chart } = recording(file);
  change(chart);
  return replay(() => answer(chart, status), now).source;
}

/** A chart of one symbol in New York: rows of [UTC moment, close, adjusted close]. */
function chartOf(rows: [string, number | null, number | null][], meta: Record<string, unknown> = {}): Chart {
  const column = (value: (row: [string, number | null, number | null]) => number | null) => rows.map(value);
  const prices = column(([, close]) => close);
  return {
    meta: { currency: 'USD', exchangeTimezoneName: 'America/New_York', ...meta },
    timestamp: rows.map(([at]) => Date.parse(at) / 1000),
    indicators: {
      quote: [{ open: prices, high: prices, low: prices, close: prices, volume: rows.map(() => 1200) }],
      adjclose: [{ adjclose: column(([, , adjusted]) => adjusted) }],
    },
  };
}

describeWithData('yahoo', 'recorded answers of Yahoo', () => {
  test('AAPL from its split day on: every close is the raw close of an independent feed', async () => {
    const { bars, source, currency, timeZone } = await replayFile('chart-AAPL-2020-08-31-to-2020-11-07.json').bars('AAPL', EVER, signal);
    expect({ source, currency, timeZone, count: bars.length }).toEqual({
      source: 'yahoo_finance',
      currency: 'USD',
      timeZone: 'America/New_York',
      count: 49,
    });
    // Raw closes of a Lean data folder's aapl.zip, ÷ 10,000: 2020-08-31 to -09-04 and 2020-11-06.
    expect(bars.slice(0, 5).map(({ date, close }) => [date, close])).toEqual([
      ['2020-08-31', 129.04],
      ['2020-09-01', 134.18],
      ['2020-09-02', 131.4],
      ['2020-09-03', 120.88],
      ['2020-09-04', 120.96],
    ]);
    expect(bars.at(-1)).toMatchObject({ date: '2020-11-06', close: 118.69 });
  });

  test('AAPL: the 4:1 split of 2020-08-31 and the dividend of 0.205 dollars of 2020-11-06', async () => {
    // Apple's investor relations: four-for-one from 2020-08-31; $0.205 declared 2020-10-29, ex-date 2020-11-06.
    const { actions } = await replayFile('chart-AAPL-2020-08-31-to-2020-11-07.json').bars('AAPL', EVER, signal);
    expect(actions).toEqual([
      { date: '2020-08-31', kind: 'split', value: 4 },
      { date: '2020-11-06', kind: 'dividend', value: 0.205 },
    ]);
  });

  test('AAPL before its split is what was traded that day: prices × 4, volume ÷ 4', async () => {
    const { events } = recording('chart-AAPL-2020-08-31-to-2020-11-07.json').chart;
    const source = replayFile('chart-AAPL-2020-01-01-to-2020-01-03.json', (chart) => {
      chart.events = events ?? {};
    });
    // High, low and close of 2020-01-02 in a Lean data folder's raw aapl.zip: 300.60, 295.19, 300.35 (its open, 296.27, is another feed's first trade).
    const { bars } = await source.bars('AAPL', EVER, signal);
    expect(bars).toEqual([
      {
        date: '2020-01-02',
        open: 296.24,
        high: 300.6,
        low: 295.19,
        close: 300.35,
        adjustedClose: expect.closeTo(72.71607, 5),
        volume: 33_870_100,
      },
    ]);
  });

  test('NVDA, split twice since: closes as they were traded on both sides of the first split', async () => {
    const source = replayFile('historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json', (chart) => {
      // What the recording lacks because it was not asked up to now: ten for one on 2024-06-10.
      const at = Date.parse('2024-06-10T13:30:00Z') / 1000;
      chart.events = { splits: { ...chart.events?.splits, [at]: { date: at, numerator: 10, denominator: 1, splitRatio: '10:1' } } };
    });
    const { bars, actions } = await source.bars('NVDA', { from: '2021-07-19', to: '2021-07-20' }, signal);
    // Nasdaq's official closes: $751.19 on 2021-07-19, $186.12 on 2021-07-20.
    expect(bars.map(({ date, close, volume }) => ({ date, close, volume }))).toEqual([
      { date: '2021-07-19', close: 751.19, volume: 18_726_500 },
      { date: '2021-07-20', close: 186.12, volume: 43_468_700 },
    ]);
    expect(actions).toEqual([{ date: '2021-07-20', kind: 'split', value: 4 }]);
  });

  test('NVDA, split 4:1 and 10:1 since: all its 1,008 prices are those that were traded, to the cent or its tenth', async () => {
    const source = replayFile('historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json', (chart) => {
      const at = Date.parse('2024-06-10T13:30:00Z') / 1000;
      chart.events = { splits: { ...chart.events?.splits, [at]: { date: at, numerator: 10, denominator: 1 } } };
    });
    const { bars } = await source.bars('NVDA', EVER, signal);
    const prices = bars.flatMap(({ open, high, low, close }) => [open, high, low, close]);
    // Yahoo's own feed has tenths of a cent at most; a multiple of a rounded quotient has more decimals.
    expect(prices).toHaveLength(1008);
    expect(prices.filter((price) => price !== Number(price.toFixed(3)))).toEqual([]);
  });

  test('MSFT: the four dividends of a year, on their ex-dates', async () => {
    const { actions, bars } = await replayFile('historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json').bars(
      'MSFT',
      EVER,
      signal,
    );
    // Microsoft's investor relations, dividend history of 2021.
    expect(actions).toEqual([
      { date: '2021-02-17', kind: 'dividend', value: 0.56 },
      { date: '2021-05-19', kind: 'dividend', value: 0.56 },
      { date: '2021-08-18', kind: 'dividend', value: 0.56 },
      { date: '2021-11-17', kind: 'dividend', value: 0.62 },
    ]);
    expect(bars).toHaveLength(252);
  });

  test.each([
    ['chart-AZT.OL-2020-01-01-to-2020-01-03.json', 'Europe/Oslo', ['2020-01-02']],
    ['chart-ORSTED.CO-2020-01-01-to-2020-01-03.json', 'Europe/Copenhagen', ['2020-01-02']],
    ['chart-WSU.DE-2023-08-04-to-2023-08-09.json', 'Europe/Berlin', ['2023-08-04', '2023-08-07', '2023-08-08']],
    ['chart-BTC-USD-2020-01-01-to-2020-01-03.json', 'UTC', ['2020-01-01', '2020-01-02', '2020-01-03']],
    ['chart-EURUSD=X-2020-01-01-to-2020-01-03.json', 'Europe/London', ['2020-01-01', '2020-01-02', '2020-01-03']],
    ['chart-0P000071W8.TO-2020-01-01-to-2020-01-03.json', 'America/Toronto', ['2020-01-02']],
    ['chart-GC=F-2020-01-01-to-2020-01-03.json', 'America/New_York', ['2020-01-02']],
  ])('%s: sessions are dated in %s', async (file, timeZone, dates) => {
    const symbol = /^chart-(.+?)-20/.exec(file)?.[1] ?? '';
    const found = await replayFile(file).bars(symbol, EVER, signal);
    expect({ timeZone: found.timeZone, dates: found.bars.map(({ date }) => date) }).toEqual({ timeZone, dates });
  });

  test('an answer without rows is an answer without bars', async () => {
    const { bars } = await replayFile('chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m.json').bars(
      'AAPL',
      EVER,
      signal,
    );
    expect(bars).toEqual([]);
  });

  test.each(['chart-notimestamp-weird-quote.fake.json', 'chart-notimestamp-quotes-length.fake.json'])(
    '%s: prices without times are malformed',
    async (file) => {
      await expect(replayFile(file).bars('AAPL', EVER, signal)).rejects.toMatchObject({ name: 'TransientError', code: 'source.malformed' });
    },
  );

  test('a field of the answer that nobody reads may be missing, another may be new', async () => {
    const source = replayFile('chart-AAPL-2020-01-01-to-2020-01-03.json', ({ meta }) => {
      delete meta.validRanges;
      meta.priceHint = 'two';
      meta.brandNew = { anything: 1 };
    });
    expect((await source.bars('AAPL', EVER, signal)).bars).toHaveLength(1);
  });

  test('a missing time zone is malformed: the dates would be a guess', async () => {
    const source = replayFile('chart-AAPL-2020-01-01-to-2020-01-03.json', ({ meta }) => {
      delete meta.exchangeTimezoneName;
    });
    await expect(source.bars('AAPL', EVER, signal)).rejects.toMatchObject({
      code: 'source.malformed',
      message: expect.stringContaining('exchangeTimezoneName'),
    });
  });

  test('between sessions the data is true now, during one as of the last trade that Yahoo has', async () => {
    const asOf = async (file: string, now: string) => (await replayFile(file, () => {}, now).bars('X', EVER, signal)).asOf.toString();
    // AAPL: last trade 2025-02-19T21:00:01Z, next session 2025-02-20 14:30 to 21:00 UTC. AZT.OL: last trade 11:31:59Z within a session that ends 15:20 UTC.
    const aapl = 'chart-AAPL-2020-01-01-to-2020-01-03.json';
    expect(await asOf(aapl, '2025-02-20T12:00:00Z')).toBe('2025-02-20T12:00:00Z');
    expect(await asOf(aapl, '2025-02-20T15:00:00Z')).toBe('2025-02-19T21:00:01Z');
    const azt = 'chart-AZT.OL-2020-01-01-to-2020-01-03.json';
    expect(await asOf(azt, '2025-02-20T12:00:00Z')).toBe('2025-02-20T11:31:59Z');
    expect(await asOf(azt, '2025-02-20T15:39:59Z')).toBe('2025-02-20T11:31:59Z');
    expect(await asOf(azt, '2025-02-20T15:40:00Z')).toBe('2025-02-20T15:40:00Z');
  });
});

describe('bars', () => {
  test('rows without a price are dropped', async () => {
    const chart = chartOf([
      ['2024-05-01T13:30:00Z', 10, 10],
      ['2024-05-02T13:30:00Z', null, null],
      ['2024-05-03T13:30:00Z', 12, null],
      ['2024-05-06T13:30:00Z', 13, 13],
    ]);
    const { bars } = await replay(() => answer(chart)).source.bars('X', EVER, signal);
    expect(bars.map(({ date, close }) => [date, close])).toEqual([
      ['2024-05-01', 10],
      ['2024-05-06', 13],
    ]);
  });

  test('a date given twice is one bar, the later row', async () => {
    const chart = chartOf([
      ['2024-05-01T13:30:00Z', 10, 10],
      ['2024-05-02T13:30:00Z', 11, 11],
      ['2024-05-02T17:45:12Z', 12, 12],
    ]);
    const { bars } = await replay(() => answer(chart)).source.bars('X', EVER, signal);
    expect(bars.map(({ date, close }) => [date, close])).toEqual([
      ['2024-05-01', 10],
      ['2024-05-02', 12],
    ]);
  });

  test('midnight in London during summer time is the same day, although it is 23:00 UTC of the day before', async () => {
    const chart = chartOf([['2024-07-01T23:00:00Z', 1.07, 1.07]], { exchangeTimezoneName: 'Europe/London' });
    const { bars } = await replay(() => answer(chart)).source.bars('EURUSD=X', EVER, signal);
    expect(bars.map(({ date }) => date)).toEqual(['2024-07-02']);
  });

  test('a dividend is given in dollars of its day, and its share of a later split undone', async () => {
    const chart = chartOf([['2014-05-08T13:30:00Z', 21, 18]]);
    const at = (moment: string) => Date.parse(moment) / 1000;
    chart.events = {
      dividends: { a: { date: at('2014-05-08T13:30:00Z'), amount: 0.1175 } },
      splits: {
        a: { date: at('2014-06-09T13:30:00Z'), numerator: 7, denominator: 1 },
        b: { date: at('2020-08-31T13:30:00Z'), numerator: 4, denominator: 1 },
      },
    };
    // Apple's investor relations: $3.29 a share, ex-date 2014-05-08; 3.29 ÷ 28 = 0.1175.
    const { bars, actions } = await replay(() => answer(chart)).source.bars('AAPL', { from: '2014-05-01', to: '2014-05-31' }, signal);
    expect(actions).toEqual([{ date: '2014-05-08', kind: 'dividend', value: 3.29 }]);
    expect(bars).toMatchObject([{ close: 588, adjustedClose: 18, volume: 43 }]);
  });

  test.each([
    ['5:1 and 3:1', 15],
    ['7:1 and 4:1', 28],
    ['one for ten', 0.1],
    ['1.0027:1', 1.0027],
  ])('a price that Yahoo gives as a float of its quotient by %s is the traded decimal', async (_, ratio) => {
    const cents = Array.from({ length: 2000 }, (__, i) => 100 + i * 37);
    const rows = cents.map((cent, i): [string, number, number] => {
      const day = Temporal.PlainDate.from('2010-01-01').add({ days: i });
      return [`${day}T14:30:00Z`, Math.fround(cent / 100 / ratio), Math.fround(cent / 100 / ratio)];
    });
    const chart = chartOf(rows);
    chart.events = { splits: { a: { date: Date.parse('2020-08-31T13:30:00Z') / 1000, numerator: ratio, denominator: 1 } } };
    const { bars } = await replay(() => answer(chart)).source.bars('TSLA', EVER, signal);
    expect(bars.map(({ close }) => close)).toEqual(cents.map((cent) => cent / 100));
  });

  test('columns of unequal length are malformed', async () => {
    const chart = chartOf([['2024-05-01T13:30:00Z', 10, 10]]);
    chart.indicators.quote[0]?.close?.push(11);
    await expect(replay(() => answer(chart)).source.bars('X', EVER, signal)).rejects.toMatchObject({ code: 'source.malformed' });
  });
});

describe('the question', () => {
  test('runs from a day before the range up to now, whatever its end', async () => {
    const { source, asked } = replay(() => answer(chartOf([])));
    await source.bars('brk.b', { from: '2024-05-02', to: '2024-05-03' }, signal);
    expect(asked.map(({ host, pathname }) => host + pathname)).toEqual(['query2.finance.yahoo.com/v8/finance/chart/BRK-B']);
    const question = asked[0]?.searchParams;
    expect(Number(question?.get('period1'))).toBe(Date.parse('2024-05-01T00:00:00Z') / 1000);
    expect(Number(question?.get('period2'))).toBe(Date.parse(NOW) / 1000);
  });

  test('a range in the future is still asked, so that an unknown symbol is found out', async () => {
    const { source, asked } = replay(() => answer(chartOf([])));
    await source.bars('X', { from: '2099-01-01' }, signal);
    expect(Number(asked[0]?.searchParams.get('period1'))).toBeLessThan(Date.parse(NOW) / 1000);
  });
});

describe('errors', () => {
  const refusal = (status: number, code: string, description: string) => () =>
    Response.json({ chart: { result: null, error: { code, description } } }, { status });

  afterEach(() => vi.restoreAllMocks());

  test('Yahoo not knowing the symbol is permanent and names it', async () => {
    const { source } = replay(refusal(404, 'Not Found', 'No data found, symbol may be delisted'));
    await expect(source.bars('NOSUCH', EVER, signal)).rejects.toMatchObject({
      name: 'PermanentError',
      code: 'source.unknown_symbol',
      message: 'yahoo_finance: unknown symbol NOSUCH (No data found, symbol may be delisted)',
    });
  });

  test("a 404 that is not Yahoo's own says nothing about the symbol", async () => {
    const { source } = replay(() => new Response('<html>no such host</html>', { status: 404 }));
    await expect(source.bars('AAPL', EVER, signal)).rejects.toMatchObject({ name: 'TransientError', code: 'source.refused' });
  });

  test('no data in the range of a known symbol is an empty answer', async () => {
    const { source } = replay(refusal(400, 'Bad Request', "Data doesn't exist for startDate = 1577836800, endDate = 1578009600"));
    expect(await source.bars('AAPL', EVER, signal)).toMatchObject({ bars: [], actions: [] });
  });

  test.each([
    ['17', 17_000],
    ['Thu, 20 Feb 2025 12:01:30 GMT', 90_000],
  ])('429 with Retry-After %s is transient and says when to come again', async (header, retryAfterMs) => {
    const { source } = replay(() => new Response('Too Many Requests\r\n', { status: 429, headers: { 'retry-after': header } }));
    await expect(source.bars('AAPL', EVER, signal)).rejects.toMatchObject({
      name: 'TransientError',
      code: 'source.rate_limited',
      retryAfterMs,
    });
  });

  test.each<[string, () => Response, string]>([
    ['500', () => new Response('oops', { status: 500 }), 'source.unavailable'],
    ['a body that is not JSON', () => new Response('<html>consent</html>'), 'source.malformed'],
    ['JSON of another kind', () => Response.json({ quoteResponse: {} }), 'source.malformed'],
    ['an empty result', () => Response.json({ chart: { result: null, error: null } }), 'source.malformed'],
    ['an unknown time zone', () => answer(chartOf([], { exchangeTimezoneName: 'Mars/Olympus' })), 'source.malformed'],
    [
      'a lost connection',
      () => {
        throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') });
      },
      'source.network',
    ],
  ])('%s is transient, and nothing is printed', async (_, respond, code) => {
    const printed = (['log', 'info', 'warn', 'error', 'dir', 'debug'] as const).map((method) => vi.spyOn(console, method));
    await expect(replay(respond).source.bars('AAPL', EVER, signal)).rejects.toMatchObject({ name: 'TransientError', code });
    expect(printed.flatMap((spy) => spy.mock.calls)).toEqual([]);
  });

  const never = (init: RequestInit | undefined) =>
    new Promise<Response>((_, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)));

  test('no answer within the time-out is source.timeout', async () => {
    await expect(replay(never, NOW, 20).source.bars('AAPL', EVER, signal)).rejects.toMatchObject({
      name: 'TransientError',
      code: 'source.timeout',
    });
  });

  test("an abort reaches the request and rejects with the caller's reason", async () => {
    const controller = new AbortController();
    const { source, asked } = replay(never, NOW, 600_000);
    const answered = source.bars('AAPL', EVER, controller.signal);
    await expect.poll(() => asked).toHaveLength(1);
    controller.abort(new Error('cancelled by hand'));
    await expect(answered).rejects.toThrow('cancelled by hand');
  });

  test('twenty requests that hang do not hold up the next', async () => {
    const controller = new AbortController();
    let requests = 0;
    const { source } = replay((init) => (++requests <= 20 ? never(init) : answer(chartOf([]))), NOW, 600_000);
    const hanging = Array.from({ length: 20 }, () => source.bars('AAPL', EVER, controller.signal).catch(() => 'aborted'));
    await source.bars('MSFT', EVER, signal);
    controller.abort();
    expect(new Set(await Promise.all(hanging))).toEqual(new Set(['aborted']));
  });
});
