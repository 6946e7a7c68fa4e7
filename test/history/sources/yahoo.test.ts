import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { yahooHistory } from '../../../services/history/sources/yahoo/yahoo.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { describeWithData, sharedData } from '../../support/shared-data.ts';
import { dataset, fetched, objectsOf } from './objects.ts';
import { rowsOf } from './rows.ts';

interface Chart {
  meta: Record<string, unknown>;
  timestamp?: number[];
  events?: Record<string, Record<string, unknown>>;
  indicators: { quote: Record<string, (number | null)[]>[] };
}

const EOD = dataset('stock', 'eod');
const yearOf = (root: string, day: string) => objectsOf(EOD, root, day)[0]!;
/** A source that gets one answer to every request, and the names for which the budget was asked. */
function answering(respond: () => Response) {
  const budgeted: string[] = [];
  const source = yahooHistory({
    clock: new ManualClock('2025-02-20T12:00:00Z'),
    timeoutMs: 10_000,
    budget: async (name) => void budgeted.push(name),
    fetch: async () => respond(),
  });
  return { source, budgeted };
}
const chart = (result: unknown) => Response.json({ chart: { result: [result], error: null } });
const recorded = (file: string) => JSON.parse(readFileSync(sharedData(`yahoo/${file}`), 'utf8')).body.chart.result[0] as Chart;

/** Of days in 2024, each at its opening in New York: close and volume. */
const days = (rows: [string, number, number][], meta = {}): Chart => ({
  meta: { currency: 'USD', exchangeTimezoneName: 'America/New_York', ...meta },
  timestamp: rows.map(([day]) => Date.parse(`${day}T14:30:00Z`) / 1000),
  indicators: {
    quote: [
      Object.fromEntries([
        ...['open', 'high', 'low', 'close'].map((name) => [name, rows.map(([, price]) => price)]),
        ['volume', rows.map(([, , volume]) => volume)],
      ]),
    ],
  },
});

describeWithData('yahoo', 'recorded answers', () => {
  test('a year is as it was traded, though it was split twice since', async () => {
    const { source, budgeted } = answering(() => {
      const recording = recorded('historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json');
      // The recording ends in 2022, and a request ends now: ten for one on 2024-06-10.
      const at = Date.parse('2024-06-10T13:30:00Z') / 1000;
      recording.events = { splits: { ...recording.events?.splits, [at]: { date: at, numerator: 10, denominator: 1 } } };
      return chart(recording);
    });
    const { files, requests, version, degraded } = await fetched(source, yearOf('NVDA', '2021-07-19'));
    const rows = await rowsOf(files, ['trade_date']);
    // 2021 had 252 sessions, 19 of them before February.
    expect(rows).toHaveLength(233);
    // Nasdaq's official closes.
    const closes = new Map(rows.map(({ trade_date, close }) => [String(trade_date).slice(0, 10), close]));
    expect([closes.get('2021-07-19'), closes.get('2021-07-20')]).toEqual([751.19, 186.12]);
    expect(rows[0]).toMatchObject({ symbol: 'NVDA', volume: expect.any(Number) });
    expect(budgeted).toEqual(['yahoo_finance']);
    expect(requests).toMatchObject([
      { status: 200, url: expect.stringMatching(/^https:\/\/query2\.finance\.yahoo\.com\/v8\/finance\/chart\/NVDA\?/) },
    ]);
    expect(version).toMatch(/splits undone/);
    // The recording's January of 2022.
    expect(degraded).toBeUndefined();
  });
});

describe('what is worth less than usual', () => {
  test('a bar that cannot be true, a day without a session in New York', async () => {
    const { source } = answering(() =>
      chart(
        days(
          [
            ['2024-01-02', 5, 10],
            ['2024-01-03', -1, 10],
            ['2024-01-06', 7, 10],
          ],
          { currency: 'DKK' },
        ),
      ),
    );
    const { files, degraded, version } = await fetched(source, yearOf('ABC', '2024-01-02'));
    expect((await rowsOf(files)).map(({ close }) => close)).toEqual([5]);
    expect(degraded).toBe(
      '1 bars of days without a session in New York are left out; the bar of 2024-01-03 is left out: open -1 is not a price',
    );
    expect(version).toMatch(/in DKK$/);
  });

  test('a day that was not asked for, as the running one, is left out and no fault', async () => {
    const { source } = answering(() =>
      chart(
        days([
          ['2024-01-02', 5, 10],
          ['2024-01-03', 6, 10],
        ]),
      ),
    );
    const { files, degraded } = await fetched(source, yearOf('ABC', '2024-01-02'), { days: ['2024-01-02'] });
    expect([await rowsOf(files), degraded]).toMatchObject([[{ close: 5 }], undefined]);
  });

  test('a year without bars is no data', async () => {
    const { source } = answering(() => chart(days([])));
    expect((await fetched(source, yearOf('ABC', '2024-01-02'))).files).toEqual([]);
  });
});

test.each([
  [
    'an unknown symbol',
    () => Response.json({ chart: { result: null, error: { code: 'Not Found', description: 'No data found' } } }, { status: 404 }),
    'PermanentError',
    'source.unknown_symbol',
  ],
  ['too many requests', () => new Response('Too Many Requests', { status: 429 }), 'TransientError', 'source.rate_limited'],
  ['a server that is down', () => new Response('', { status: 502 }), 'TransientError', 'source.unavailable'],
  ['a refusal', () => new Response('no', { status: 403 }), 'TransientError', 'source.blocked'],
  ['something else than a chart', () => Response.json({ chart: { result: [{}], error: null } }), 'TransientError', 'source.malformed'],
])('%s is an error and no empty year', async (_, respond, name, code) => {
  await expect(fetched(answering(respond).source, yearOf('ABC', '2024-01-02'))).rejects.toMatchObject({ name, code });
});

test('it refuses all but the end of the day of stocks', () => {
  const { source } = answering(() => new Response());
  expect(source.refuses(EOD)).toBeUndefined();
  expect(source.refuses(dataset('option', 'eod'))).toBe('it has stocks only');
  expect(source.refuses(dataset('stock', 'ohlc'))).toBe('it has prices at the end of the day only');
});
