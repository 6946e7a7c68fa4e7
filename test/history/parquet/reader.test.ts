import { createHash } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { PassThrough, Writable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { storedColumns } from '../../../services/history/parquet/columns.ts';
import { ask, DAY, openWorkshop, quoteCsv, text } from './workshop.ts';

const shop = openWorkshop();
const { reader } = shop;

const EOD_LAYOUT = {
  name: 'end of day',
  header: true,
  columns: { expiration: 'DATE', strike: 'DOUBLE', day: 'DATE', close: 'DOUBLE', volume: 'BIGINT', last: 'TIMESTAMP' },
  select: {
    expiration: 'expiration',
    strike: 'strike',
    right: "'P'",
    trade_date: 'day',
    close: '"close"',
    volume: 'volume',
    last_trade: 'et("last")',
  },
};
const EOD = { layout: EOD_LAYOUT, schema: 'eod' as const, interval: '1d' as const, days: ['2024-01-02', '2024-01-03', '2024-01-04'] };
const endOfDay = (days: readonly string[]): string =>
  `expiration,strike,day,close,volume,last\n${days.map((day) => `2024-01-19,190,${day},1.5,9007199254740991,${day}T15:59:59.5\n`).join('')}`;

/** Each minute has a price of its own: the bid is the minute. */
const minutes = (strikes: readonly number[], times: readonly string[]): string =>
  quoteCsv(
    strikes.flatMap((strike) => times.map((time) => ({ strike, timestamp: `${DAY}T${time}`, bid: Number(time.slice(3, 5)), ask: 60 }))),
  );

/** A Parquet file that this project did not write. */
async function foreign(select: string): Promise<string> {
  const path = shop.path(`foreign-${Math.random()}.parquet`);
  await ask(`COPY (${select}) TO ${text(path)} (FORMAT parquet)`);
  return path;
}

test('the first rows are plain JSON', async () => {
  const { out } = await shop.converted(endOfDay(EOD.days), EOD);
  const rows = await reader.firstRows(out, 2);
  expect(JSON.parse(JSON.stringify(rows))).toEqual(rows);
  expect(rows[0]).toMatchObject({
    ...{ symbol: 'AAPL', expiration: '2024-01-19', strike: 190, right: 'P', trade_date: '2024-01-02' },
    ...{ close: 1.5, volume: 9007199254740991, last_trade: '2024-01-02T20:59:59.500Z', bid: null, created: null },
  });
  expect(rows).toHaveLength(2);
});

test.each(['quote', 'eod'] as const)('the columns of %s are those of the page of columns, in its order', async (schema) => {
  const { out } = schema === 'quote' ? await shop.converted(quoteCsv([{}])) : await shop.converted(endOfDay([DAY]), EOD);
  expect(await reader.schemaOf(out)).toEqual(storedColumns({ asset: 'option', schema }).map(({ name, type }) => ({ name, type })));
});

describe('verify', () => {
  test('gives what the conversion gave', async () => {
    const { out, rows, bytes, sha256, days } = await shop.converted(
      minutes([1, 2], ['09:30:00', '20:15:00']).replaceAll(`${DAY}T20`, '2024-01-01T20'),
    );
    expect(await reader.verify(out)).toEqual({
      ...{ rows, bytes, sha256, days, isSorted: true, duplicates: 0 },
      ...{ first: '2024-01-02T01:15:00.000Z', last: '2024-01-02T14:30:00.000Z' },
    });
    expect(days).toEqual({ [DAY]: 4 });
  });

  test('of a month, by its days', async () => {
    const { out } = await shop.converted(endOfDay(EOD.days), EOD);
    expect(await reader.verify(out)).toMatchObject({
      days: { '2024-01-02': 1, '2024-01-03': 1, '2024-01-04': 1 },
      first: '2024-01-02',
      last: '2024-01-04',
    });
  });

  test('sees rows out of order and rows that are there twice', async () => {
    const row = (strike: number): string =>
      `SELECT 'AAPL' AS symbol, DATE '2024-01-19' AS expiration, ${strike}::DOUBLE AS strike, 'C' AS "right", TIMESTAMPTZ '2024-01-02 15:00:00Z' AS "timestamp"`;
    const path = await foreign([3, 1, 1, 2].map(row).join(' UNION ALL '));
    expect(await reader.verify(path)).toMatchObject({
      rows: 4,
      isSorted: false,
      duplicates: 1,
      sha256: createHash('sha256').update(readFileSync(path)).digest('hex'),
    });
  });

  test('names a file that is missing, cut, changed or none of ours', async () => {
    const { out: cut } = await shop.converted(quoteCsv([{}]));
    truncateSync(cut, 200);
    const { out: changed } = await shop.converted(minutes([1, 2, 3], ['09:30:00', '09:31:00']));
    const bytes = readFileSync(changed);
    bytes.fill(255, 8, 60);
    writeFileSync(changed, bytes);
    const missing = shop.path('missing.parquet');
    const csv = shop.file('a,b\n1,2\n');
    for (const path of [missing, cut, changed, csv])
      await expect(reader.verify(path)).rejects.toMatchObject({ code: 'history.unreadable', message: expect.stringContaining(path) });
    await expect(reader.verify(await foreign('SELECT 1 AS a'))).rejects.toMatchObject({ code: 'history.unreadable' });
  });
});

describe('a chain at a moment', () => {
  const at = (time: string): Temporal.Instant => Temporal.Instant.from(`${DAY}T${time}Z`);

  test('has the last quote of each contract at or before it', async () => {
    const { out } = await shop.converted(
      minutes([190, 185], ['09:30:00', '09:31:00', '09:45:00']).concat(minutes([200], ['09:40:00']).split('\n')[1]!, '\n'),
    );
    const bids = async (time: string): Promise<unknown[]> =>
      (await reader.chainAt([out], at(time))).map(({ strike, bid }) => [strike, bid]);
    expect(await bids('14:29:59.999')).toEqual([]);
    expect(await bids('14:30:00')).toEqual([
      [185, 30],
      [190, 30],
    ]);
    expect(await bids('14:44:59.999')).toEqual([
      [185, 31],
      [190, 31],
      [200, 40],
    ]);
    expect(await bids('20:00:00')).toEqual([
      [185, 45],
      [190, 45],
      [200, 40],
    ]);
    expect((await reader.chainAt([out], at('20:00:00')))[0]).toMatchObject({
      symbol: 'AAPL',
      right: 'C',
      timestamp: '2024-01-02T14:45:00.000Z',
      ask: 60,
    });
  });

  test('of several files of a day, with a filter', async () => {
    const { out } = await shop.converted(minutes([185, 230], ['09:30:00']));
    const { out: other } = await shop.converted(minutes([190], ['09:30:00']));
    const filter = { maxDte: 30, basePct: 0.05, underlying: { [DAY]: 187 } };
    expect((await reader.chainAt([out, other], at('15:00:00'), filter)).map(({ strike }) => strike)).toEqual([185, 190]);
    await expect(reader.chainAt([out], at('15:00:00'), { ...filter, underlying: { '2024-01-03': 187 } })).rejects.toMatchObject({
      code: 'history.no_underlying',
    });
  });

  test('of end-of-day files, of the day of that moment in New York', async () => {
    const { out } = await shop.converted(endOfDay(EOD.days), EOD);
    const days = async (moment: string): Promise<unknown[]> =>
      (await reader.chainAt([out], Temporal.Instant.from(moment))).map(({ trade_date }) => trade_date);
    expect(await days('2024-01-04T02:00:00Z')).toEqual(['2024-01-03']);
    expect(await days('2024-01-06T15:00:00Z')).toEqual([]);
  });
});

describe('export as CSV', () => {
  test('to a file: the rows with their names, times in UTC, large numbers whole', async () => {
    const { out } = await shop.converted(endOfDay(EOD.days), EOD);
    const csv = shop.path('export.csv');
    expect(await reader.exportCsv([out], { from: '2024-01-03', to: '2024-01-03' }, csv)).toBe(1);
    const [header, row, ...rest] = readFileSync(csv, 'utf8').split('\n');
    expect(header).toBe(
      storedColumns({ asset: 'option', schema: 'eod' })
        .map(({ name }) => name)
        .join(','),
    );
    expect(row).toMatch(/^AAPL,2024-01-19,190\.0,P,2024-01-03,,2024-01-03T20:59:59\.500Z,,,,1\.5,9007199254740991,/);
    expect(rest).toEqual(['']);
  });

  test('to a stream, of several files in their order, with a filter', async () => {
    const { out } = await shop.converted(minutes([185, 230], ['09:30:00']));
    const { out: other } = await shop.converted(minutes([190], ['09:30:00', '16:59:00']));
    const stream = new PassThrough();
    const filter = { maxDte: 30, basePct: 0.05, underlying: { [DAY]: 187 } };
    const [rows, csv] = await Promise.all([reader.exportCsv([other, out], { from: DAY, to: DAY, filter }, stream), textOf(stream)]);
    expect(rows).toBe(3);
    expect(
      csv
        .split('\n')
        .slice(1, -1)
        .map((line) => line.split(',')[2]),
    ).toEqual(['190.0', '190.0', '185.0']);
    expect(await reader.exportCsv([out], { from: '2024-01-03' }, shop.path('none.csv'))).toBe(0);
  });

  test('a file that is broken is an error before the first byte', async () => {
    const { out } = await shop.converted(quoteCsv([{}]));
    let written = 0;
    const stream = new Writable({
      write(_chunk, _encoding, done) {
        written++;
        done();
      },
    });
    await expect(reader.exportCsv([out, shop.path('missing.parquet')], {}, stream)).rejects.toMatchObject({ code: 'history.unreadable' });
    expect([written, stream.destroyed]).toEqual([0, false]);
  });
});
