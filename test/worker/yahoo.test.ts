/** Recorded answers of Yahoo's HTTP API, given to yahoo-finance2 in place of the network, through a real fetch job into a real database. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fetchHandler } from '../../services/job-types/fetch/handler.ts';
import { readActions, readBars } from '../../services/market/bars/read.ts';
import { yahooSource } from '../../services/market/sources/yahoo.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { describeWithData, sharedData } from '../support/shared-data.ts';
import { type JobRow, workshopOfFile } from './workshop.ts';

const EVER = { from: '1990-01-01' };
/** The recordings were made around this moment, before New York opened. */
const clock = new ManualClock('2025-02-20T12:00:00Z');

interface Chart {
  meta: { exchangeTimezoneName: string };
  timestamp: number[];
  indicators: {
    quote: [Record<'open' | 'high' | 'low' | 'close' | 'volume', (number | null)[]>];
    adjclose: [{ adjclose: (number | null)[] }];
  };
}

function recording(file: string): { status: number; body: { chart: { result: [Chart] } } } {
  return JSON.parse(readFileSync(sharedData(`yahoo/${file}`), 'utf8'));
}

const shop = await workshopOfFile({}, clock);

/** Runs one fetch job whose request is answered with this. */
async function fetchOver(symbol: string, body: unknown, status = 200): Promise<JobRow> {
  const [id] = await shop.enqueue({ symbol, payload: { symbol, range: EVER } });
  const worker = shop.worker([fetchHandler], { sources: [yahooSource({ clock, fetch: async () => Response.json(body, { status }) })] });
  await expect.poll(async () => (await shop.job(id!)).state, { interval: 5 }).not.toMatch(/ready|running/);
  await worker.drain(0);
  return shop.job(id!);
}

describeWithData('yahoo', 'recorded answers', () => {
  test('a year of MSFT: every bar is what Yahoo said, and its four dividends', async () => {
    const { body } = recording('historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json');
    expect((await fetchOver('MSFT', body)).result).toMatchObject({
      source: 'yahoo_finance',
      bars: 252,
      written: 252,
      through: '2022-01-28',
    });
    const { timestamp, indicators } = body.chart.result[0];
    const [quote] = indicators.quote;
    const bars = await readBars(shop.db, 'MSFT', EVER);
    const inNewYork = new Intl.DateTimeFormat('en-CA', { timeZone: 'America/New_York' });
    expect(bars.map(({ date }) => date)).toEqual(timestamp.map((seconds) => inNewYork.format(seconds * 1000)));
    // Yahoo writes 32-bit floats out as doubles: what is stored is another way to write the same float.
    const floats = (column: 'open' | 'high' | 'low' | 'close') => bars.map((bar) => Math.fround(bar[column]));
    for (const column of ['open', 'high', 'low', 'close'] as const) expect(floats(column)).toEqual(quote[column]);
    expect(bars.map(({ adjustedClose }) => Math.fround(adjustedClose))).toEqual(indicators.adjclose[0].adjclose);
    expect(bars.map(({ volume }) => volume)).toEqual(quote.volume);
    // Microsoft's investor relations, dividend history of 2021.
    expect(await readActions(shop.db, 'MSFT', EVER)).toEqual([
      { date: '2021-02-17', kind: 'dividend', value: 0.56 },
      { date: '2021-05-19', kind: 'dividend', value: 0.56 },
      { date: '2021-08-18', kind: 'dividend', value: 0.56 },
      { date: '2021-11-17', kind: 'dividend', value: 0.62 },
    ]);
  });

  test('AAPL over its split: the split beside the bars as they were traded', async () => {
    const { body } = recording('chart-AAPL-2020-08-31-to-2020-11-07.json');
    await fetchOver('AAPL', body);
    // Apple's investor relations: four for one from 2020-08-31, $0.205 with the ex-date 2020-11-06.
    expect(await readActions(shop.db, 'AAPL', EVER)).toEqual([
      { date: '2020-08-31', kind: 'split', value: 4 },
      { date: '2020-11-06', kind: 'dividend', value: 0.205 },
    ]);
    // Raw closes of a Lean data folder's aapl.zip, ÷ 10,000.
    const bars = await readBars(shop.db, 'AAPL', EVER);
    expect([bars.length, bars[0]!.close, bars[1]!.close, bars.at(-1)!.close]).toEqual([49, 129.04, 134.18, 118.69]);
  });

  test('NVDA before its split is stored as it was traded that day', async () => {
    const { body } = recording('historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json');
    await fetchOver('NVDA', body);
    const bars = new Map((await readBars(shop.db, 'NVDA', EVER)).map((bar) => [bar.date, bar]));
    // Nasdaq's official closes were $751.19 and $186.12; the recording, made after the ten for one of 2024, has a tenth of them.
    expect(bars.get('2021-07-19')!.close).toBeCloseTo(75.119, 6);
    expect(bars.get('2021-07-20')!.close).toBeCloseTo(18.612, 6);
    expect(await readActions(shop.db, 'NVDA', EVER)).toEqual([{ date: '2021-07-20', kind: 'split', value: 4 }]);
  });

  test('days with missing values are left out, the others stored', async () => {
    const { body } = recording('historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json');
    const { quote, adjclose } = body.chart.result[0].indicators;
    quote[0].close[10] = null;
    quote[0].open[20] = null;
    adjclose[0].adjclose[30] = null;
    quote[0].volume[40] = null;
    await fetchOver('MSFT', body);
    const bars = await readBars(shop.db, 'MSFT', EVER);
    expect(bars).toHaveLength(249);
    expect(bars.filter(({ volume }) => volume === 0)).toHaveLength(1);
  });

  test.each([
    ['AZT.OL', 'chart-AZT.OL-2020-01-01-to-2020-01-03.json', 'Europe/Oslo', ['2020-01-02'], 'NOK'],
    ['WSU.DE', 'chart-WSU.DE-2023-08-04-to-2023-08-09.json', 'Europe/Berlin', ['2023-08-04', '2023-08-07', '2023-08-08'], 'EUR'],
    ['EURUSD=X', 'chart-EURUSD=X-2020-01-01-to-2020-01-03.json', 'Europe/London', ['2020-01-01', '2020-01-02', '2020-01-03'], 'USD'],
  ])('%s: its sessions are dated in its own zone, which is stored with its currency', async (symbol, file, timeZone, dates, currency) => {
    await fetchOver(symbol, recording(file).body);
    expect((await readBars(shop.db, symbol, EVER)).map(({ date }) => date)).toEqual(dates);
    expect(await shop.db.rows('SELECT symbol, time_zone, currency FROM symbols')).toEqual([{ symbol, time_zone: timeZone, currency }]);
  });

  test('the same answer again writes nothing', async () => {
    const { body } = recording('chart-AAPL-2020-08-31-to-2020-11-07.json');
    await fetchOver('AAPL', body);
    expect((await fetchOver('AAPL', body)).result).toMatchObject({ bars: 49, written: 0, replaced: false });
  });
});

test('an unknown symbol fails its job at once, and the reason names it', async () => {
  // What Yahoo answers with HTTP 404 for a symbol that it does not have.
  const body = { chart: { result: null, error: { code: 'Not Found', description: 'No data found, symbol may be delisted' } } };
  const job = await fetchOver('NOPE', body, 404);
  expect(job).toMatchObject({
    state: 'failed',
    attempt: 1,
    code: 'source.unknown_symbol',
    reason: 'no source knows NOPE (asked: yahoo_finance); check its spelling',
  });
  expect(await shop.db.rows('SELECT symbol, newest_bar, checked_at FROM symbols')).toEqual([
    { symbol: 'NOPE', newest_bar: null, checked_at: null },
  ]);
  expect(await shop.db.rows('SELECT symbol, what, times, code FROM symbol_failures')).toEqual([
    { symbol: 'NOPE', what: 'bars', times: 1, code: 'source.unknown_symbol' },
  ]);
});
