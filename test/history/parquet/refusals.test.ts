import { existsSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Conversion } from '../../../services/history/parquet/convert.ts';
import type { Layout } from '../../../services/history/parquet/layout.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { QUOTE_HEADER, QUOTE_LAYOUT } from './quotes.ts';
import { DAY, openWorkshop, quoteCsv } from './workshop.ts';

const shop = openWorkshop();
const signal = new AbortController().signal;
const good = quoteCsv([{}, { right: 'PUT' }, { strike: 195 }]);

/** The code and the message of a conversion that must fail, and leave nothing. */
async function refusal(
  content: string | Buffer | readonly string[],
  overrides: Partial<Conversion> & { layout?: Layout } = {},
): Promise<string> {
  const conversion = shop.conversion(content, overrides);
  const error = await shop.converter.convert(conversion, signal).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(PermanentError);
  expect([existsSync(conversion.out), existsSync(`${conversion.out}.part`)]).toEqual([false, false]);
  const { code, message } = error as PermanentError;
  return `${code}: ${message.replaceAll(`${shop.folder}/`, '')}`;
}

describe('a file that is not what its layout says', () => {
  test('a number that is cut: the last line has no end', async () => {
    expect(await refusal(good.slice(0, -2))).toMatch(/^history\.malformed: source-\d+\.csv:4: is cut: its last line has no end/);
  });

  test('a short line', async () => {
    const lines = good.split('\n');
    lines[2] = lines[2]!.slice(0, lines[2]!.lastIndexOf(','));
    expect(await refusal(lines.join('\n'))).toMatch(
      /^history\.malformed: source-\d+\.csv:3: Expected Number of Columns: 13 Found: 12: "AAPL,2024-01-19,190.000,PUT,.*" \(read as test option quote\)/,
    );
  });

  test('a line with more columns', async () => {
    expect(await refusal(good.replace(/\n$/, ',9\n'))).toMatch(/^history\.malformed: source-\d+\.csv:4: .*Found: 14/);
  });

  test('a value that does not fit', async () => {
    expect(await refusal(quoteCsv([{}, { bid_size: 'many' }]))).toMatch(
      /^history\.malformed: source-\d+\.csv:3: Error when converting column "bid_size"\. Could not convert string "many" to 'INTEGER': "AAPL,.*many.*"/,
    );
  });

  test('the same in a packed file', async () => {
    const packed = shop.file(gzipSync(quoteCsv([{}, { bid: '1.2.3' }])), '.csv.gz');
    expect(await refusal([packed])).toMatch(/^history\.malformed: source-\d+\.csv\.gz:3: Error when converting column "bid"/);
  });

  test('the file is named, of many', async () => {
    const files = [shop.file(good), shop.file(quoteCsv([{ strike: 200, bid: 'x' }])), shop.file(quoteCsv([{ strike: 205 }]))];
    expect(await refusal(files)).toContain(`history.malformed: ${files[1]!.replace(`${shop.folder}/`, '')}:2: `);
  });

  test('a column that is unknown', async () => {
    const csv = good.replaceAll(/$/gm, (_, at: number) => (at === 0 ? '' : at === QUOTE_HEADER.length ? ',mid' : ',1')).replace(/,1$/, '');
    expect(await refusal(csv)).toMatch(
      /^history\.malformed: source-\d+\.csv:1: column "mid" is unknown in the header ".*"; test option quote has symbol, expiration/,
    );
  });

  test('a column that is missing, or there twice, or of another spelling', async () => {
    expect(await refusal(good.replace(',ask_condition', ''))).toContain('column "ask_condition" is missing in the header');
    expect(await refusal(good.replace(',ask_condition', ',bid'))).toContain(
      'column "ask_condition" is missing; column "bid" is there twice',
    );
    expect(await refusal(good.replace(',ask_condition', ',Ask_Condition'))).toContain(
      'column "ask_condition" is missing; column "Ask_Condition" is unknown',
    );
    expect(await refusal(good.replace(',ask_condition', ',constructor'))).toContain('column "constructor" is unknown');
  });

  test('an answer that is no CSV', async () => {
    expect(await refusal('<html><body>Too many requests</body></html>\n')).toMatch(/history\.malformed: .*in the header "<html>/);
    expect(await refusal('')).toMatch(/history\.malformed: .* is empty/);
    expect(await refusal('No data for the specified timeframe')).toMatch(/history\.malformed: .* has no header line: "No data/);
    expect(await refusal(Buffer.from(good.replace('CALL', 'C\xff'), 'latin1'))).toMatch(/history\.malformed: .*:2: /);
  });

  test('a packed file that is cut, damaged, or not packed', async () => {
    const packed = gzipSync(good);
    const damaged = Buffer.from(packed);
    damaged[packed.length - 6]! ^= 1;
    for (const content of [packed.subarray(0, -9), damaged, good])
      expect(await refusal([shop.file(content, '.csv.gz')])).toMatch(/history\.malformed: source-\d+\.csv\.gz/);
  });

  test('an empty line between others, which a reader would pass over in silence', async () => {
    expect(await refusal(good.replace(/\n(?=AAPL,.*PUT)/, '\n\n'))).toMatch(/^history\.malformed: /);
    expect(
      await refusal(good.replace(/\n(?=AAPL,.*PUT)/, '\n\n'), { filter: { maxDte: 30, basePct: 0.1, underlying: { [DAY]: 190 } } }),
    ).toMatch(/^history\.malformed: /);
  });

  test('a layout that selects what is not there, or does not select what must be', async () => {
    const select = { ...QUOTE_LAYOUT.select };
    expect(await refusal(good, { layout: { ...QUOTE_LAYOUT, select: { ...select, mid: 'bid' } } })).toMatch(
      /^history\.layout: test option quote selects mid/,
    );
    expect(await refusal(good, { layout: { ...QUOTE_LAYOUT, select: { ...select, bid: 'no_such_column' } } })).toMatch(
      /^history\.layout: .*no_such_column/,
    );
    delete (select as Partial<typeof select>).bid;
    expect(await refusal(good, { layout: { ...QUOTE_LAYOUT, select } })).toBe('history.layout: test option quote does not select bid');
  });

  test('an expression of a layout reads nothing but the given files', async () => {
    for (const bid of ["(SELECT count(*) FROM read_text('/etc/hostname'))", "(SELECT count(*) FROM 'https://example.com/x.parquet')"])
      await expect(shop.convert(good, { layout: { ...QUOTE_LAYOUT, select: { ...QUOTE_LAYOUT.select, bid } } })).rejects.toThrow(
        /Permission Error/,
      );
  });
});

describe('rows that cannot be', () => {
  const cases: Record<string, [row: Record<string, string | number>, reason: RegExp]> = {
    'a price that is no number': [{ bid: 'NaN' }, /bid is no number \(.*bid NaN/],
    'an endless price': [{ ask: 'inf' }, /ask is no number/],
    'a negative price': [
      { ask: -0.05 },
      /ask is negative \(symbol AAPL, expiration 2024-01-19, strike 190, right C, timestamp 2024-01-02T14:30:00.000Z,.* ask -0.05/,
    ],
    'a negative strike': [{ strike: -1 }, /strike is negative/],
    'no price': [{ bid: '' }, /there is no bid/],
    'no expiration': [{ expiration: '' }, /there is no expiration/],
    'neither call nor put': [{ right: 'BOTH' }, /right is neither C nor P/],
    'a time before the evening before': [
      { timestamp: '2024-01-01T20:14:59.999' },
      /the time is outside of the days that were asked for \(2024-01-02; a day is from 20:15/,
    ],
    'a time after 17:00': [{ timestamp: `${DAY}T17:00:00.001` }, /the time is outside/],
    'another day': [{ timestamp: '2024-01-03T10:00:00' }, /the time is outside .*2024-01-03T15:00:00.000Z/],
    'an endless time': [{ timestamp: 'infinity' }, /the time is outside/],
  };

  test.each(Object.entries(cases))('%s', async (_, [row, reason]) => {
    const refused = await refusal(quoteCsv([{ right: 'PUT' }, row]));
    expect(refused).toMatch(/^history\.bad_rows: a row cannot be: /);
    expect(refused).toMatch(reason);
    // A filter keeps them for the check.
    expect(await refusal(quoteCsv([row]), { filter: { maxDte: 365, basePct: 100, underlying: { [DAY]: 190 } } })).toMatch(
      /^history\.bad_rows/,
    );
  });

  test('the same contract and time twice', async () => {
    expect(await refusal(quoteCsv([{}, { strike: 200 }, { bid: 1 }]))).toMatch(
      /^history\.bad_rows: a row cannot be: the row before it has the same expiration, strike, right, timestamp \(symbol AAPL/,
    );
  });

  test('are counted, and the first one is shown', async () => {
    expect(await refusal(quoteCsv([{ ask: -1, strike: 300 }, { ask: -2 }, { right: 'PUT' }]))).toMatch(
      /^history\.bad_rows: 2 rows cannot be, the first one: .*strike 190.*ask -2/,
    );
  });

  test('a day of end-of-day prices that was not asked for', async () => {
    const layout = {
      name: 'prices',
      header: true,
      columns: { day: 'DATE', close: 'DOUBLE' },
      select: { trade_date: 'day', close: '"close"' },
    };
    const refused = await refusal('day,close\n2024-01-02,1\n2024-01-06,1\n', {
      layout,
      asset: 'stock',
      schema: 'eod',
      interval: '1d',
      days: [DAY],
    });
    expect(refused).toMatch(/trade_date is none of the days that were asked for \(2024-01-02\) \(symbol AAPL, trade_date 2024-01-06/);
  });
});
