import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Dataset } from '../../../services/history/dataset.ts';
import { leanHistory } from '../../../services/history/sources/lean/lean.ts';
import { zipOfAll } from '../../market/sources/zip.ts';
import { dataset, fetched, objectsOf } from './objects.ts';
import { rowsOf } from './rows.ts';

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'stockmesh-lean-'));
});
afterEach(() => rmSync(path, { recursive: true, force: true }));

const write = (file: string, content: string | Buffer) => {
  mkdirSync(dirname(join(path, file)), { recursive: true });
  writeFileSync(join(path, file), content);
};
const lines = (...rows: string[]) => rows.join('\n');
const ask = (data: Dataset, root = 'ABC', day = '2020-01-07', signal?: AbortSignal) =>
  fetched(leanHistory({ path }), objectsOf(data, root, day)[0]!, signal === undefined ? {} : { signal });
const stamp = (value: unknown) => String(value).slice(11, 16);

const DAILY = 'option/usa/daily/abc_2020';
const CALL = 'american_call_1000000_20200117.csv';
const PUT = 'american_put_1000000_20200117.csv';

describe('options at the end of the day', () => {
  test('a row for each contract and day that is in one of the three zips', async () => {
    write(`${DAILY}_quote_american.zip`, zipOfAll({ [`abc_quote_${CALL}`]: '20200107 00:00,1,2,3,12500,7,5,6,7,13500,9' }));
    write(
      `${DAILY}_trade_american.zip`,
      zipOfAll({ [`abc_trade_${PUT}`]: '20200107 00:00,100,400,50,200,33\r\n20200203 00:00,1,1,1,1,1' }),
    );
    write(`${DAILY}_openinterest_american.zip`, zipOfAll({ [`abc_openinterest_${CALL}`]: '20200108 00:00,812\n' }));
    const { files, degraded } = await ask(dataset('option', 'eod'));
    const rows = await rowsOf(files, ['right', 'trade_date']);
    const nothing = { open: null, high: null, low: null, close: null, volume: null, bid: null, bid_size: null, ask: null, ask_size: null };
    expect(rows.map((row) => ({ ...row, expiration: 0, trade_date: String(row.trade_date).slice(0, 10) }))).toEqual(
      [
        { right: 'C', trade_date: '2020-01-07', bid: 1.25, bid_size: 7, ask: 1.35, ask_size: 9, open_interest: null },
        { right: 'C', trade_date: '2020-01-08', open_interest: 812 },
        { right: 'P', trade_date: '2020-01-07', open: 0.01, high: 0.04, low: 0.005, close: 0.02, volume: 33, open_interest: null },
      ].map((row) => ({ symbol: 'ABC', expiration: 0, strike: 100, ...nothing, ...row })),
    );
    expect(degraded).toBeUndefined();
  });

  test('european options, of a root with a dot', async () => {
    write(
      'option/usa/daily/brk.b_2020_quote_european.zip',
      zipOfAll({ 'brk.b_quote_european_call_2250000_20200117.csv': '20200107 00:00,1,2,3,100,7,5,6,7,300,9' }),
    );
    const { files, degraded } = await ask(dataset('option', 'eod'), 'BRK.B');
    expect(await rowsOf(files)).toMatchObject([{ symbol: 'BRK.B', strike: 225, bid: 0.01, ask: 0.03, volume: null }]);
    expect(degraded).toBe(
      'no open, high, low, close and volume: there is no trade zip of 2020; no open interest: there is no openinterest zip of 2020',
    );
  });

  test.each([
    [
      'a line that is none',
      { [`abc_quote_${CALL}`]: '20200107 00:00,1,2,3' },
      `abc_2020_quote_american.zip#abc_quote_${CALL}:1: expected "YYYYMMDD 00:00" and 10 numbers`,
    ],
    [
      'the same day twice',
      { [`abc_quote_${CALL}`]: lines('20200107 00:00,1,2,3,4,5,6,7,8,9,1', '20200107 00:00,1,2,3,4,5,6,7,8,9,1') },
      ':2: expected 2020-01-07 once',
    ],
    ['a file that is no contract’s', { 'readme.csv': 'hello' }, 'holds "readme.csv", which is no contract\'s file'],
  ])('fails, and loses nothing in silence: %s', async (_, files, message) => {
    write(`${DAILY}_quote_american.zip`, zipOfAll(files));
    await expect(ask(dataset('option', 'eod'))).rejects.toThrow(message);
  });

  test('a zip that is cut off fails', async () => {
    const zip = zipOfAll({ [`abc_quote_${CALL}`]: '20200107 00:00,1,2,3,4,5,6,7,8,9,1' });
    write(`${DAILY}_quote_american.zip`, zip.subarray(0, zip.length - 30));
    await expect(ask(dataset('option', 'eod'))).rejects.toMatchObject({ code: 'source.malformed' });
  });

  test('a damaged file in a zip fails', async () => {
    const zip = zipOfAll({ [`abc_quote_${CALL}`]: '20200107 00:00,1,2,3,4,5,6,7,8,9,1' });
    zip[zip.indexOf('20200107 00') + 20]! ^= 1;
    write(`${DAILY}_quote_american.zip`, zip);
    await expect(ask(dataset('option', 'eod'))).rejects.toThrow(/is damaged/);
  });
});

describe('what is not there', () => {
  test('a year without zips is no data', async () => {
    write('option/usa/daily/abc_2019_quote_american.zip', zipOfAll({}));
    const { files, requests } = await ask(dataset('option', 'eod'));
    expect(files).toEqual([]);
    expect(requests.map(({ status }) => status)).toEqual([404, 404, 404]);
  });

  test.each([
    ['options', dataset('option', 'eod'), 'option/usa/daily/xyz_2020_quote_american.zip'],
    ['stocks', dataset('stock', 'eod'), 'equity/usa/daily/xyz.zip'],
    ['minutes of options', dataset('option', 'quote'), 'option/usa/minute/xyz/20200107_quote_american.zip'],
    ['minutes of stocks', dataset('stock', 'ohlc'), 'equity/usa/minute/xyz/20200107_trade.zip'],
  ])('a root of which the folder has nothing is unknown: %s', async (_, data, file) => {
    write(file, zipOfAll({}));
    await expect(ask(data)).rejects.toMatchObject({ code: 'source.unknown_symbol' });
  });

  test.each([
    ['options', dataset('option', 'eod')],
    ['stocks', dataset('stock', 'eod')],
    ['minutes of options', dataset('option', 'quote')],
    ['minutes of stocks', dataset('stock', 'ohlc')],
  ])('a folder that is gone is a fault and not an empty answer: %s', async (_, data) => {
    await expect(ask(data)).rejects.toMatchObject({ name: 'TransientError', code: 'source.unavailable' });
  });

  test('a dataset whose folder is missing is refused, with the folder', () => {
    write('equity/usa/daily/abc.zip', zipOfAll({}));
    const source = leanHistory({ path });
    expect(source.refuses(dataset('stock', 'eod'))).toBeUndefined();
    expect(source.refuses(dataset('option', 'quote'))).toBe(`there is no folder ${join(path, 'option/usa/minute')}`);
  });

  test('an abort rethrows its reason', async () => {
    write(`${DAILY}_quote_american.zip`, zipOfAll({ [`abc_quote_${CALL}`]: '20200107 00:00,1,2,3,4,5,6,7,8,9,1' }));
    await expect(ask(dataset('option', 'eod'), 'ABC', '2020-01-07', AbortSignal.abort(new Error('cancelled')))).rejects.toThrow(
      'cancelled',
    );
  });
});

// 34,200,000 ms is 09:30 in New York, 14:30 UTC in January.
const at = (minutesAfterOpening: number) => 34_200_000 + minutesAfterOpening * 60_000;
const quote = (minute: number, bid: number | string, askPrice: number) => `${at(minute)},1,2,3,${bid},7,5,6,7,${askPrice},9`;
const bar = (minute: number, ...numbers: number[]) => `${at(minute)},${numbers.join(',')}`;

describe('minutes', () => {
  const QUOTES = 'option/usa/minute/abc/20200107_quote_american.zip';
  const name = (kind: string) => `20200107_abc_minute_${kind}_${CALL}`;

  test('a quote is stamped with the end of its minute, the moment at which it was current', async () => {
    write(QUOTES, zipOfAll({ [name('quote')]: lines(quote(0, 100, 200), quote(1, '', 300), quote(389, 400, 500)) }));
    const rows = await rowsOf((await ask(dataset('option', 'quote'))).files, ['timestamp']);
    expect(rows.map(({ timestamp, bid, ask: offer }) => [stamp(timestamp), bid, offer])).toEqual([
      ['14:31', 0.01, 0.02],
      // Nobody bids.
      ['14:32', 0, 0.03],
      ['21:00', 0.04, 0.05],
    ]);
    expect(rows[0]).toMatchObject({ symbol: 'ABC', strike: 100, right: 'C', bid_size: 7, ask_size: 9 });
  });

  test('of 15 minutes there is the last quote at their end', async () => {
    write(QUOTES, zipOfAll({ [name('quote')]: lines(quote(0, 100, 200), quote(14, 300, 400), quote(15, 500, 600), quote(31, 700, 800)) }));
    const rows = await rowsOf((await ask(dataset('option', 'quote', '15m'))).files, ['timestamp']);
    expect(rows.map(({ timestamp, bid }) => [stamp(timestamp), bid])).toEqual([
      ['14:45', 0.03],
      ['15:00', 0.05],
      ['15:15', 0.07],
    ]);
  });

  test('hours count from the opening, and the half hour before the close has no quote of 16:30', async () => {
    write(QUOTES, zipOfAll({ [name('quote')]: lines(quote(59, 100, 200), quote(389, 300, 400)) }));
    const rows = await rowsOf((await ask(dataset('option', 'quote', '1h'))).files, ['timestamp']);
    expect(rows.map(({ timestamp }) => stamp(timestamp))).toEqual(['15:30']);
  });

  test('a bar is stamped with its beginning; several minutes are one bar', async () => {
    write(
      'option/usa/minute/abc/20200107_trade_american.zip',
      zipOfAll({ [name('trade')]: lines(bar(0, 200, 300, 100, 250, 5), bar(4, 250, 500, 250, 400, 7), bar(5, 400, 400, 400, 400, 1)) }),
    );
    const rows = await rowsOf((await ask(dataset('option', 'ohlc', '5m'))).files, ['timestamp']);
    expect(rows.map(({ timestamp, ...row }) => [stamp(timestamp), row.open, row.high, row.low, row.close, row.volume])).toEqual([
      ['14:30', 0.02, 0.05, 0.01, 0.04, 12],
      ['14:35', 0.04, 0.04, 0.04, 0.04, 1],
    ]);
  });

  test('a stock’s, with extended hours before the opening, under the ticker of that day', async () => {
    write('equity/usa/map_files/new.csv', '20100104,old\n20200110,old\n20501231,new\n');
    write(
      'equity/usa/minute/old/20200107_trade.zip',
      zipOfAll({
        '20200107_old_minute_trade.csv': lines(
          bar(-61, 10_000, 10_000, 10_000, 10_000, 1),
          bar(-1, 20_000, 20_000, 20_000, 20_000, 2),
          bar(0, 30_000, 30_000, 30_000, 30_000, 3),
        ),
      }),
    );
    const { files, requests } = await ask(dataset('stock', 'ohlc', '1h'), 'NEW');
    expect(
      (await rowsOf(files, ['timestamp'])).map(({ timestamp, symbol, close, volume }) => [stamp(timestamp), symbol, close, volume]),
    ).toEqual([
      ['12:30', 'NEW', 1, 1],
      ['13:30', 'NEW', 2, 2],
      ['14:30', 'NEW', 3, 3],
    ]);
    expect(requests[0]?.url).toBe('equity/usa/minute/old/20200107_trade.zip');
  });

  test('lines out of order fail', async () => {
    write(QUOTES, zipOfAll({ [name('quote')]: lines(quote(5, 100, 200), quote(4, 100, 200)) }));
    await expect(ask(dataset('option', 'quote'))).rejects.toThrow(/:2: expected a later time/);
  });
});
