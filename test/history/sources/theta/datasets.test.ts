/** Both versions give the rows of the test's chain, which is made without the code under test. Rows are read with DuckDB as the layout says. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Dataset, Interval } from '../../../../services/history/dataset.ts';
import { daysOf } from '../../../../services/history/plan.ts';
import { databaseOfFile } from '../../../support/database.ts';
import { fetchObject, objectOf, sourceOf, terminalOf, type Version } from './support/bench.ts';
import { HOURS, REGULAR, testChain } from './support/chain.ts';
import { firstDifference, readRows } from './support/read.ts';

const { db } = await databaseOfFile();
beforeEach(() => db.run('DELETE FROM history_budgets'));

const DAY = '2024-01-03';
const MS: Record<Interval, number> = {
  '1m': 60_000,
  '5m': 300_000,
  '10m': 600_000,
  '15m': 900_000,
  '30m': 1_800_000,
  '1h': 3_600_000,
  '1d': 0,
};

/** What a file of the object must have, without what a version does not know. */
function expected(version: Version, dataset: Dataset, days: readonly string[], chain = testChain()): Record<string, unknown>[] {
  const hours = dataset.asset === 'option' ? HOURS : REGULAR;
  const rows = chain.stored(dataset.asset, days, { schema: dataset.schema, intervalMs: MS[dataset.interval], ...hours });
  return version === 'v2' ? rows.map(({ vwap: _none, ...row }) => row) : rows;
}

describe.each<Version>(['v3', 'v2'])('%s', (version) => {
  test.each<Dataset>([
    { asset: 'option', schema: 'quote', interval: '15m' },
    { asset: 'option', schema: 'quote', interval: '1m' },
    { asset: 'option', schema: 'quote', interval: '1h' },
    { asset: 'option', schema: 'ohlc', interval: '5m' },
    { asset: 'stock', schema: 'quote', interval: '30m' },
    { asset: 'stock', schema: 'ohlc', interval: '1m' },
  ])('a day of $asset $schema at $interval has every row and nothing else', async (dataset) => {
    const terminal = await terminalOf(version);
    const fetched = await fetchObject(sourceOf({ db, url: terminal.url }), objectOf(dataset, DAY));
    expect(fetched.version).toBe(`theta ${version}`);
    expect(firstDifference(await readRows(fetched.files, objectOf(dataset, DAY)), expected(version, dataset, [DAY]))).toBeUndefined();
  });

  test('a month of options at the end of the day has every row of each trading day', async () => {
    const dataset: Dataset = { asset: 'option', schema: 'eod', interval: '1d' };
    const object = objectOf(dataset, '2024-01-03');
    const fetched = await fetchObject(sourceOf({ db, url: (await terminalOf(version)).url }), object);
    const rows = await readRows(fetched.files, object);
    expect(firstDifference(rows, expected(version, dataset, daysOf(object)))).toBeUndefined();
    expect(rows.some(({ last_trade }) => last_trade === null)).toBe(true);
    // As in the vendor's sample: a bid that is a tenth of the close is stored.
    expect(rows.some(({ bid, close }) => Number(close) > 0 && Number(bid) < Number(close) / 2)).toBe(true);
  });

  test('a year of a stock at the end of the day is asked for by months', async () => {
    const dataset: Dataset = { asset: 'stock', schema: 'eod', interval: '1d' };
    const terminal = await terminalOf(version);
    const object = objectOf(dataset, '2024-06-01');
    const source = sourceOf({ db, url: terminal.url });
    const fetched = await fetchObject(source, object);
    expect(firstDifference(await readRows(fetched.files, object), expected(version, dataset, daysOf(object)))).toBeUndefined();
    expect(terminal.requests).toHaveLength(12);
    expect(source.calls(object, daysOf(object))).toBe(12);
    expect(source.calls(object, ['2024-01-02', '2024-01-03', '2024-02-01'])).toBe(2);
  });

  // The vendor has made the reports of days before 2022 several times, and gives all of them.
  test.each(['option', 'stock'] as const)('of several reports of a day of %s the last one counts', async (asset) => {
    const dataset: Dataset = { asset, schema: 'eod', interval: '1d' };
    const chain = testChain({ doubledBefore: '2022-01-01' });
    const object = objectOf(dataset, '2021-12-01');
    const fetched = await fetchObject(sourceOf({ db, url: (await terminalOf(version, { chain })).url }), object);
    expect(firstDifference(await readRows(fetched.files, object), expected(version, dataset, daysOf(object), chain))).toBeUndefined();
  });

  // Clocks change on 2024-03-10 and 2024-11-03: 09:30 in New York is 14:30, 13:30, 13:30, 14:30 UTC.
  test.each([
    ['2024-03-08', '2024-03-08T14:30:00Z'],
    ['2024-03-11', '2024-03-11T13:30:00Z'],
    ['2024-11-01', '2024-11-01T13:30:00Z'],
    ['2024-11-04', '2024-11-04T14:30:00Z'],
  ])('the first quote of %s is at %s', async (day, first) => {
    const object = objectOf({ asset: 'stock', schema: 'quote', interval: '1h' }, day);
    const fetched = await fetchObject(sourceOf({ db, url: (await terminalOf(version)).url }), object);
    expect((await readRows(fetched.files, object))[0]!.timestamp).toBe(first);
  });

  test('the first quote of the day, 0/0, is kept', async () => {
    const object = objectOf({ asset: 'option', schema: 'quote', interval: '1h' }, DAY);
    const fetched = await fetchObject(sourceOf({ db, url: (await terminalOf(version)).url }), object);
    expect((await readRows(fetched.files, object))[0]).toMatchObject({ bid: 0, ask: 0, timestamp: '2024-01-03T14:30:00Z' });
  });

  test('a day without data has no files', async () => {
    const terminal = await terminalOf(version, { chain: testChain({ emptyDays: [DAY] }) });
    for (const schema of ['quote', 'ohlc'] as const) {
      const fetched = await fetchObject(sourceOf({ db, url: terminal.url }), objectOf({ asset: 'option', schema, interval: '1m' }, DAY));
      expect(fetched.files).toEqual([]);
      expect(fetched.requests).toMatchObject([{ status: 472 }]);
    }
  });

  test('an answer with a header and no row is no data', async () => {
    const header =
      version === 'v3' ? 'timestamp,open,high,low,close,volume,count,vwap\r\n' : 'ms_of_day,open,high,low,close,volume,count,date\n';
    const terminal = await terminalOf(version, { faults: [{ body: header }] });
    const fetched = await fetchObject(
      sourceOf({ db, url: terminal.url }),
      objectOf({ asset: 'stock', schema: 'ohlc', interval: '1m' }, DAY),
    );
    expect(fetched.files).toEqual([]);
  });

  test('bars of a stock without a trade all day are stored and called degraded', async () => {
    const object = objectOf({ asset: 'stock', schema: 'ohlc', interval: '1h' }, DAY);
    const header = version === 'v3' ? 'timestamp,open,high,low,close,volume,count,vwap' : 'ms_of_day,open,high,low,close,volume,count,date';
    const row = (hour: number): string =>
      version === 'v3' ? `${DAY}T${hour}:30:00,0,0,0,0,0,0,0` : `${hour * 3_600_000},0,0,0,0,0,0,20240103`;
    const body = `${[header, row(10), row(11)].join('\n')}\n`;
    const terminal = await terminalOf(version, { faults: [{ body }] });
    const source = sourceOf({ db, url: terminal.url });
    const { files, degraded } = await fetchObject(source, object);
    expect(await readRows(files, object)).toHaveLength(2);
    expect(degraded).toMatch(/no bar of the day has a trade/);
    expect((await fetchObject(source, object)).degraded).toBeUndefined();
  });

  test.each([
    ['^SPX', 'SPX', '17:00'],
    ['NQX', 'NQX', '17:00'],
    ['AAPL', 'AAPL', '16:15'],
    ['BRK.B', 'BRKB', '16:15'],
  ])('options of %s are asked for as %s until %s', async (root, symbol, until) => {
    const chain = testChain({ root: symbol, strikes: 1, expirations: 1 });
    const terminal = await terminalOf(version, { chain });
    const dataset: Dataset = { asset: 'option', schema: 'quote', interval: '5m' };
    const object = objectOf(dataset, DAY, { root });
    const rows = await readRows((await fetchObject(sourceOf({ db, url: terminal.url }), object)).files, object);
    expect(new Set(rows.map((row) => row.symbol))).toEqual(new Set([root]));
    const last = Temporal.Instant.from(rows.at(-1)!.timestamp as string).toZonedDateTimeISO('America/New_York');
    expect(last.toPlainTime().toString({ smallestUnit: 'minute' })).toBe(until);
  });
});

describe('what v3 is asked', () => {
  const query = (request: string) => Object.fromEntries(new URLSearchParams(request.split('?')[1]));
  const fetchDay = async (dataset: Dataset, more = {}) => {
    const terminal = await terminalOf('v3', { chain: testChain({ expirations: 8 }) });
    const object = objectOf(dataset, DAY, more);
    const fetched = await fetchObject(sourceOf({ db, url: terminal.url }), object);
    return { terminal, object, fetched };
  };

  test('quotes of options: all expirations of one day, with interval and hours', async () => {
    const { terminal } = await fetchDay({ asset: 'option', schema: 'quote', interval: '15m' });
    expect(terminal.requests.map(query)).toEqual([
      {
        ...{ symbol: 'AAPL', expiration: '*', strike: '*', right: 'both', date: DAY, interval: '15m' },
        ...{ start_time: '09:30:00.000', end_time: '16:15:00.000', format: 'csv' },
      },
    ]);
  });

  test('a filter sends max_dte', async () => {
    const { terminal } = await fetchDay({ asset: 'option', schema: 'quote', interval: '15m' }, { filter: { maxDte: 7, basePct: 0.1 } });
    expect(query(terminal.requests[0]!)).toMatchObject({ max_dte: '7' });
  });

  // Fridays after 2024-01-03: the 5th, 12th, 19th …; within 7 days there is one.
  test('bars of options: one request for each expiration that had contracts on the day and is within max_dte', async () => {
    const { terminal, fetched } = await fetchDay({ asset: 'option', schema: 'ohlc', interval: '1h' });
    expect(terminal.requests.slice(1).map((request) => query(request).expiration)).toEqual(
      ['05', '12', '19', '26'].map((day) => `2024-01-${day}`).concat(['02', '09', '16', '23'].map((day) => `2024-02-${day}`)),
    );
    expect(fetched.files).toHaveLength(8);
    const filtered = await fetchDay({ asset: 'option', schema: 'ohlc', interval: '1h' }, { filter: { maxDte: 7, basePct: 0.1 } });
    expect(filtered.terminal.requests.slice(1).map((request) => query(request).expiration)).toEqual(['2024-01-05']);
    expect(filtered.terminal.requests).toHaveLength(2);
  });

  test('stocks: the prices of all exchanges', async () => {
    const { terminal } = await fetchDay({ asset: 'stock', schema: 'quote', interval: '1m' });
    expect(query(terminal.requests[0]!)).toMatchObject({
      venue: 'utp_cta',
      interval: '1m',
      start_time: '09:30:00.000',
      end_time: '16:00:00.000',
    });
  });

  // Source: the exchange's calendar, 13:00 on the day after Thanksgiving.
  test('a short day ends early', async () => {
    const terminal = await terminalOf('v3');
    await fetchObject(sourceOf({ db, url: terminal.url }), objectOf({ asset: 'stock', schema: 'ohlc', interval: '1m' }, '2024-11-29'));
    expect(query(terminal.requests[0]!)).toMatchObject({ end_time: '13:00:00.000' });
  });

  test('the prices of an index as a stock are refused without a request', async () => {
    const terminal = await terminalOf('v3');
    const object = objectOf({ asset: 'stock', schema: 'quote', interval: '1m' }, DAY, { root: '^SPX' });
    await expect(fetchObject(sourceOf({ db, url: terminal.url }), object)).rejects.toMatchObject({ code: 'theta.no_index' });
    expect(terminal.requests).toEqual([]);
  });
});

describe('answers that are too large', () => {
  // A day of 24 contracts: 41 quotes each at 10 minutes.
  test.each<[Version, Dataset, number]>([
    ['v3', { asset: 'option', schema: 'quote', interval: '10m' }, 100],
    ['v3', { asset: 'option', schema: 'ohlc', interval: '10m' }, 50],
    ['v3', { asset: 'option', schema: 'eod', interval: '1d' }, 5],
    ['v3', { asset: 'stock', schema: 'ohlc', interval: '1m' }, 60],
    ['v3', { asset: 'stock', schema: 'eod', interval: '1d' }, 5],
    ['v2', { asset: 'option', schema: 'quote', interval: '10m' }, 2_000],
    ['v2', { asset: 'option', schema: 'ohlc', interval: '10m' }, 200],
    ['v2', { asset: 'stock', schema: 'ohlc', interval: '1m' }, 60],
  ])('%s %j of more than %i rows is asked for in parts and has every row once', async (version, dataset, mostRows) => {
    const terminal = await terminalOf(version, { mostRows });
    const object = objectOf(dataset, DAY);
    const days = daysOf(object).slice(0, 25);
    const fetched = await fetchObject(sourceOf({ db, url: terminal.url }), object, { days });
    expect(fetched.requests.some(({ status }) => status === 570)).toBe(true);
    expect(firstDifference(await readRows(fetched.files, object), expected(version, dataset, days))).toBeUndefined();
  });

  test('what has no parts fails with the reason', async () => {
    const terminal = await terminalOf('v2', { mostRows: 5 });
    const object = objectOf({ asset: 'option', schema: 'eod', interval: '1d' }, DAY);
    await expect(fetchObject(sourceOf({ db, url: terminal.url }), object)).rejects.toMatchObject({
      code: 'theta.too_large',
      message: expect.stringContaining('(570: "LARGE_REQUEST")'),
    });
  });
});
