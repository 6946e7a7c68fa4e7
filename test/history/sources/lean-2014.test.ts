import { execFileSync, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { leanHistory } from '../../../services/history/sources/lean/lean.ts';
import { describeWithData, sharedData } from '../../support/shared-data.ts';
import { dataset, fetched, objectsOf } from './objects.ts';
import { type Row, rowsOf } from './rows.ts';

const source = () => leanHistory({ path: sharedData('lean') });
const hasUnzip = spawnSync('unzip', ['-v']).status === 0;

/** Every line of a zip of options with its contract, by Info-ZIP: `contract day` → the text after the date. `unzip -c` prints a name before each file. */
function unzipped(kind: string): Map<string, string> {
  const text = execFileSync('unzip', ['-c', sharedData(`lean/option/usa/daily/aapl_2014_${kind}_american.zip`)], {
    maxBuffer: 2 ** 28,
    encoding: 'utf8',
  });
  const rows = new Map<string, string>();
  let contract = '';
  for (const line of text.split('\n')) {
    const name = /_(call|put)_(\d+)_(\d{4})(\d\d)(\d\d)\.csv/.exec(line);
    if (name !== null) contract = `${name[3]}-${name[4]}-${name[5]} ${Number(name[2]) / 10_000} ${name[1] === 'call' ? 'C' : 'P'}`;
    const day = /^(\d{4})(\d\d)(\d\d) 00:00,(.*?)\s*$/.exec(line);
    if (day !== null) rows.set(`${contract} ${day[1]}-${day[2]}-${day[3]}`, day[4]!);
  }
  return rows;
}

const keyOf = (row: Row) => `${String(row.expiration).slice(0, 10)} ${row.strike} ${row.right} ${String(row.trade_date).slice(0, 10)}`;
/** An empty side of a quote is nobody's price: 0. */
const dollars = (text: string | undefined) => (text === undefined ? null : Number(text) / 10_000);
const count = (text: string | undefined) => (text === undefined ? null : Number(text));

describeWithData('lean', 'AAPL of 2014 from a real Lean folder', () => {
  test.skipIf(!hasUnzip)('options at the end of the day: every day and contract is as unzip prints it (needs unzip)', async () => {
    const plan = objectsOf(dataset('option', 'eod'), 'AAPL', '2014-01-01', '2014-12-31');
    expect(plan).toHaveLength(12);
    const rows: Row[] = [];
    for (const planned of plan) rows.push(...(await rowsOf((await fetched(source(), planned)).files)));

    const [trades, quotes, interests] = ['trade', 'quote', 'openinterest'].map(unzipped) as [
      Map<string, string>,
      Map<string, string>,
      Map<string, string>,
    ];
    const expected = [...new Set([...trades.keys(), ...quotes.keys(), ...interests.keys()])].sort().map((key) => {
      const [open, high, low, close, volume] = trades.get(key)?.split(',') ?? [];
      const [, , , bid, bidSize, , , , ask, askSize] = quotes.get(key)?.split(',') ?? [];
      return {
        key,
        ...{ open: dollars(open), high: dollars(high), low: dollars(low), close: dollars(close), volume: count(volume) },
        ...{ bid: dollars(bid), bid_size: count(bidSize), ask: dollars(ask), ask_size: count(askSize) },
        open_interest: count(interests.get(key)),
      };
    });
    const found = rows
      .map((row) => ({
        key: keyOf(row),
        ...{ open: row.open, high: row.high, low: row.low, close: row.close, volume: row.volume },
        ...{ bid: row.bid, bid_size: row.bid_size, ask: row.ask, ask_size: row.ask_size },
        open_interest: row.open_interest,
      }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    expect(found.length).toBe(expected.length);
    expect(found.filter((row, index) => JSON.stringify(row) !== JSON.stringify(expected[index])).slice(0, 3)).toEqual([]);
    expect(new Set(rows.map(({ symbol }) => symbol))).toEqual(new Set(['AAPL']));
  });

  test.skipIf(!hasUnzip)('the stock at the end of the day: raw prices, every day of the zip (needs unzip)', async () => {
    const [planned] = objectsOf(dataset('stock', 'eod'), 'AAPL', '2014-01-01', '2014-12-31');
    const { files, version } = await fetched(source(), planned!);
    const lines = execFileSync('unzip', ['-p', sharedData('lean/equity/usa/daily/aapl.zip')], { encoding: 'utf8' })
      .split(/\r?\n/)
      .filter((line) => line.startsWith('2014'));
    const expected = lines.map((line) => {
      const [stamp, ...numbers] = line.split(',');
      const [open, high, low, close] = numbers.map((text) => Number(text) / 10_000);
      return { day: stamp!.slice(0, 8), open, high, low, close, volume: Number(numbers[4]) };
    });
    const found = (await rowsOf(files, ['trade_date'])).map(({ trade_date, open, high, low, close, volume }) => ({
      day: String(trade_date).slice(0, 10).replaceAll('-', ''),
      ...{ open, high, low, close, volume },
    }));
    expect(found).toHaveLength(252);
    expect(found).toEqual(expected);
    // The close of the Friday before the split of 7 for 1 is as it was traded (Apple: 645.57 dollars).
    expect(found.find(({ day }) => day === '20140606')?.close).toBe(645.57);
    expect(version).toMatch(/raw prices/);
  });

  test('a month without rows is no data, with the zips that were read', async () => {
    const [planned] = objectsOf(dataset('option', 'eod'), 'AAPL', '2014-01-02');
    const { files, requests } = await fetched(source(), planned!);
    expect(files).toEqual([]);
    expect(requests.map(({ url, status }) => [url, status])).toEqual([
      ['option/usa/daily/aapl_2014_trade_american.zip', 200],
      ['option/usa/daily/aapl_2014_quote_american.zip', 200],
      ['option/usa/daily/aapl_2014_openinterest_american.zip', 200],
    ]);
  });
});
