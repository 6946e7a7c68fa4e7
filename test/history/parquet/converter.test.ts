import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createConverter } from '../../../services/history/parquet/converter.ts';
import { QUOTE_LAYOUT, quotesText } from './quotes.ts';
import { ask, DAY, openWorkshop, quoteCsv, text } from './workshop.ts';

const shop = openWorkshop();
const signal = new AbortController().signal;
const answer = quotesText({ day: DAY, contracts: 200, rows: 30 });

/** What is in one and not in the other, by DuckDB's own reading of the source: its own time zone arithmetic, every column as text first. */
async function differences(csv: string, parquet: string): Promise<unknown[]> {
  const expected = `SELECT symbol, expiration::DATE, strike::DOUBLE, left("right", 1), (replace("timestamp", 'T', ' ') || ' America/New_York')::TIMESTAMPTZ, bid_size::INTEGER,
    bid_exchange::SMALLINT, bid::DOUBLE, bid_condition::SMALLINT, ask_size::INTEGER, ask_exchange::SMALLINT, ask::DOUBLE, ask_condition::SMALLINT
    FROM read_csv(${text(csv)}, all_varchar = true, header = true)`;
  const stored = `SELECT * FROM read_parquet(${text(parquet)}, hive_partitioning = false)`;
  return ask(`(${expected} EXCEPT ALL ${stored}) UNION ALL (${stored} EXCEPT ALL ${expected})`);
}

describe('a day of quotes', () => {
  test('reads back as it came', async () => {
    const csv = shop.file(answer);
    const { rows, days, quality, bytes, sha256, writer, out } = await shop.converted([csv]);
    expect(await differences(csv, out)).toEqual([]);
    expect({ rows, days, writer }).toEqual({ rows: 6000, days: { [DAY]: 6000 }, writer: 'DuckDB v1.5.6' });
    expect(quality).toMatchObject({ crossed: 0, outsideSession: 0, oddBids: 0 });
    expect(bytes).toBe(statSync(out).size);
    expect(sha256).toBe(createHash('sha256').update(readFileSync(out)).digest('hex'));
    expect(existsSync(`${out}.part`)).toBe(false);
  });

  test('has the types and units of the stored columns', async () => {
    const { out } = await shop.converted(answer);
    const columns = await ask<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM read_parquet(${text(out)})`);
    expect(Object.fromEntries(columns.map(({ column_name, column_type }) => [column_name, column_type]))).toEqual({
      ...{ symbol: 'VARCHAR', expiration: 'DATE', strike: 'DOUBLE', right: 'VARCHAR', timestamp: 'TIMESTAMP WITH TIME ZONE' },
      ...{ bid_size: 'INTEGER', bid_exchange: 'SMALLINT', bid: 'DOUBLE', bid_condition: 'SMALLINT' },
      ...{ ask_size: 'INTEGER', ask_exchange: 'SMALLINT', ask: 'DOUBLE', ask_condition: 'SMALLINT' },
    });
    // By the file's own schema: an instant, in a unit that every reader of Parquet knows.
    const [time] = await ask(`SELECT type, logical_type FROM parquet_schema(${text(out)}) WHERE name = 'timestamp'`);
    expect(time).toMatchObject({ type: 'INT64', logical_type: expect.stringMatching(/isAdjustedToUTC=1.*MICROS/s) });
  });

  test('is compressed with zstd, in groups of 122,880 rows in the order of contract and time', async () => {
    const { out } = await shop.converted(quotesText({ day: DAY, contracts: 400, rows: 390 }));
    const groups = await ask(`SELECT DISTINCT row_group_num_rows, compression FROM parquet_metadata(${text(out)}) ORDER BY 1`);
    expect(groups).toEqual([
      { row_group_num_rows: '33120', compression: 'ZSTD' },
      { row_group_num_rows: '122880', compression: 'ZSTD' },
    ]);
    const [order] = await ask(`SELECT count(*) AS wrong FROM (
      SELECT file_row_number, row_number() OVER (ORDER BY expiration, strike, "right", "timestamp") - 1 AS place FROM read_parquet(${text(out)}, file_row_number = true))
      WHERE file_row_number <> place`);
    expect(order).toEqual({ wrong: '0' });
  });

  test('has the same bytes every time, whatever time zone the process is in', async () => {
    const sums = new Set<string>();
    const before = process.env.TZ;
    try {
      for (const zone of ['UTC', 'UTC', 'Asia/Tokyo', 'America/New_York']) {
        process.env.TZ = zone;
        const converter = createConverter(shop.options);
        sums.add((await converter.convert(shop.conversion(answer), signal)).sha256);
        await converter.close();
      }
    } finally {
      if (before === undefined) delete process.env.TZ;
      else process.env.TZ = before;
    }
    expect([...sums]).toHaveLength(1);
  });
});

describe('what a source may send', () => {
  test('an answer packed by gzip, with the ends of lines of Windows, with quotes around texts, in another order of columns', async () => {
    const { sha256 } = await shop.convert(answer);
    const packed = shop.file(gzipSync(answer), '.csv.gz');
    const windows = answer.replaceAll('\n', '\r\n');
    const inQuotes = answer.replaceAll(/^AAPL/gm, '"AAPL"');
    const turned = answer.replaceAll(/^([^,]*),([^,]*),(.*)$/gm, '$3,$2,$1');
    for (const other of [[packed], windows, inQuotes, turned, `\ufeff${answer}`]) expect((await shop.convert(other)).sha256).toBe(sha256);
  });

  test('the rows of a day in several files of unlike kinds', async () => {
    const [header, ...lines] = answer.trimEnd().split('\n');
    const part = (from: number, to: number): string => `${[header, ...lines.slice(from, to)].join('\n')}\n`;
    const files = [
      shop.file(part(0, 1000)),
      shop.file(part(1000, 3000).replaceAll('\n', '\r\n')),
      shop.file(gzipSync(part(3000, 6000)), '.csv.gz'),
    ];
    expect((await shop.convert(files)).sha256).toBe((await shop.convert(answer)).sha256);
  });

  test('a file without a header', async () => {
    const bare = answer.slice(answer.indexOf('\n') + 1);
    expect((await shop.convert(bare, { layout: { ...QUOTE_LAYOUT, header: false } })).sha256).toBe((await shop.convert(answer)).sha256);
  });

  test('nothing but a header: no rows, and no file', async () => {
    const empty = await shop.converted(quoteCsv([]));
    expect(empty).toMatchObject({ rows: 0, bytes: 0, days: {} });
    expect(existsSync(empty.out)).toBe(false);
    expect(existsSync(`${empty.out}.part`)).toBe(false);
  });

  test('columns that a source does not have are NULL', async () => {
    const layout = {
      name: 'prices only',
      header: true,
      columns: { day: 'DATE', price: 'DOUBLE' },
      select: { trade_date: 'day', close: 'price' },
    };
    const { out } = await shop.converted('day,price\n2024-01-03,186.5\n2024-01-02,185.25\n', {
      ...{ layout, asset: 'stock' as const, schema: 'eod' as const, interval: '1d' as const, days: ['2024-01-02', '2024-01-03'] },
    });
    expect(await ask(`SELECT trade_date, "close", volume, last_trade, bid FROM read_parquet(${text(out)})`)).toEqual([
      { trade_date: '2024-01-02', close: 185.25, volume: null, last_trade: null, bid: null },
      { trade_date: '2024-01-03', close: 186.5, volume: null, last_trade: null, bid: null },
    ]);
  });
});

describe('counted, not refused', () => {
  test('crossed quotes, bids of zero, and times outside of the session', async () => {
    const minutes = ['09:30', '09:31', '16:00', '16:01', '09:29', '16:59'];
    const rows = minutes.map((minute) => ({ timestamp: `${DAY}T${minute}:00` }));
    const { quality } = await shop.convert(quoteCsv([{ ...rows[0], bid: 2 }, { ...rows[1], bid: 0 }, ...rows.slice(2)]));
    expect(quality).toEqual({ crossed: 1, zeroBids: 1, outsideSession: 3, oddBids: 0 });
  });

  // Closed at 13:00. Source: NYSE, hours and calendars, the day after Thanksgiving of 2024.
  test('on a short day the session ends at 13:00', async () => {
    const csv = quoteCsv(['13:00', '13:01'].map((minute) => ({ expiration: '2024-12-20', timestamp: `2024-11-29T${minute}:00` })));
    expect((await shop.convert(csv, { days: ['2024-11-29'] })).quality.outsideSession).toBe(1);
  });

  test('at the end of the day a bid that is more than twice or less than half of the close', async () => {
    const layout = {
      name: 'prices',
      header: true,
      columns: { day: 'DATE', close: 'DOUBLE', bid: 'DOUBLE' },
      select: { trade_date: 'day', close: '"close"', bid: 'bid' },
    };
    const days = ['2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05'];
    const csv = `day,close,bid\n${['185.64,18.534', '10,20.5', '10,20', '10,0'].map((prices, index) => `${days[index]},${prices}\n`).join('')}`;
    const { quality } = await shop.convert(csv, { layout, asset: 'stock', schema: 'eod', interval: '1d', days });
    expect(quality).toEqual({ crossed: 0, zeroBids: 1, outsideSession: 0, oddBids: 2 });
  });
});

describe('time', () => {
  // The opening in UTC around both changes of the clock, worked out by hand: 09:30 is UTC−5 in winter and UTC−4 in summer.
  const OPENINGS = {
    '2024-03-08': '2024-03-08T14:30:00.000Z',
    '2024-03-11': '2024-03-11T13:30:00.000Z',
    '2024-11-01': '2024-11-01T13:30:00.000Z',
    '2024-11-04': '2024-11-04T14:30:00.000Z',
  };

  test.each(Object.entries(OPENINGS))('the opening of %s is %s', async (day, opening) => {
    const { out, days } = await shop.converted(quoteCsv([{ expiration: '2024-12-20', timestamp: `${day}T09:30:00` }]), { days: [day] });
    expect(days).toEqual({ [day]: 1 });
    expect(await shop.reader.firstRows(out, 1)).toMatchObject([{ timestamp: opening }]);
  });

  test('days on both sides of a change in one file', async () => {
    const days = Object.keys(OPENINGS);
    const { out } = await shop.converted(quoteCsv(days.map((day) => ({ expiration: '2024-12-20', timestamp: `${day}T09:30:00` }))), {
      days,
    });
    expect((await shop.reader.firstRows(out, 9)).map(({ timestamp }) => timestamp)).toEqual(Object.values(OPENINGS));
  });

  test('the session of the evening before is of the day after it, across a change of the clock', async () => {
    const csv = quoteCsv(
      [{ timestamp: '2024-03-10T20:15:00' }, { timestamp: '2024-03-11T17:00:00' }].map((row) => ({ ...row, expiration: '2024-03-15' })),
    );
    const { out, days } = await shop.converted(csv, { days: ['2024-03-11'] });
    expect(days).toEqual({ '2024-03-11': 2 });
    expect((await shop.reader.firstRows(out, 9)).map(({ timestamp }) => timestamp)).toEqual([
      '2024-03-11T00:15:00.000Z',
      '2024-03-11T21:00:00.000Z',
    ]);
  });
});

describe('the filter', () => {
  /** `|strike − underlying| ≤ underlying × 0.1 × sqrt(dte)` with 100: 10 for a day, 20 for four days, 30 for nine. */
  const strikes = [69, 70, 80, 89, 90, 110, 111, 120, 131];
  const csv = (expiration: string): string => quoteCsv(strikes.map((strike) => ({ strike, expiration })));
  const filter = { maxDte: 9, basePct: 0.1, underlying: { [DAY]: 100 } };
  const kept = async (expiration: string): Promise<unknown[]> => {
    const { rows, out } = await shop.converted(csv(expiration), { filter });
    return rows === 0 ? [] : (await shop.reader.firstRows(out, 99)).map(({ strike }) => strike);
  };

  test('keeps strikes by the days that are left, of which there is at least one', async () => {
    expect(await kept(DAY)).toEqual([90, 110]);
    expect(await kept('2024-01-03')).toEqual([90, 110]);
    expect(await kept('2024-01-06')).toEqual([80, 89, 90, 110, 111, 120]);
    expect(await kept('2024-01-11')).toEqual([70, 80, 89, 90, 110, 111, 120]);
    expect(await kept('2024-01-12')).toEqual([]);
  });

  test('takes the price of each day', async () => {
    const days = ['2024-01-02', '2024-01-03'];
    const rows = days.map((day) => ({ expiration: '2024-01-04', strike: 120, timestamp: `${day}T10:00:00` }));
    const { days: stored } = await shop.convert(quoteCsv(rows), {
      days,
      filter: { ...filter, underlying: { '2024-01-02': 100, '2024-01-03': 120 } },
    });
    expect(stored).toEqual({ '2024-01-03': 1 });
  });

  test('a day without a price fails the object and says how to get it', async () => {
    await expect(shop.convert(csv(DAY), { filter: { ...filter, underlying: {} } })).rejects.toMatchObject({
      code: 'history.no_underlying',
      message: expect.stringMatching(/AAPL on 2024-01-02.*fetch the prices of AAPL first/),
    });
  });
});

describe('names', () => {
  const ODD = ["it's", '"double"', 'a b', 'é世界', '*', '?', '[x]', 'root=AAPL', "'); DROP TABLE x; --", '$HOME', '%2F', '{a,b}'];

  test('of folders and files may have any character', async () => {
    for (const name of ODD) {
      const folder = join(shop.folder, name);
      mkdirSync(folder, { recursive: true });
      const csv = join(folder, `${name}.csv`);
      writeFileSync(csv, answer);
      const { out } = await shop.converted([csv], { out: join(folder, `${name}.parquet`) });
      expect(await shop.reader.verify(out)).toMatchObject({ rows: 6000, isSorted: true });
    }
  });

  test('of the folder for temporary files may have any character', async () => {
    const converter = createConverter({ ...shop.options, tempFolder: join(shop.folder, ODD.join(' ').replaceAll('/', '')) });
    await expect(converter.convert(shop.conversion(answer), signal)).resolves.toMatchObject({ rows: 6000 });
    await converter.close();
  });

  test('of folders may be links', async () => {
    const links = ['to-store', 'to-temporary'].map((name) => join(shop.folder, name));
    for (const link of links) {
      mkdirSync(`${link}-target`);
      symlinkSync(`${link}-target`, link);
    }
    const converter = createConverter({ ...shop.options, tempFolder: links[1]! });
    const out = join(links[0]!, 'data.parquet');
    await expect(converter.convert(shop.conversion(answer, { out }), signal)).resolves.toMatchObject({ rows: 6000 });
    await converter.close();
    const csv = join(links[0]!, 'data.csv');
    expect(await shop.reader.exportCsv([out], {}, csv)).toBe(6000);
  });

  test('of roots may have any character', async () => {
    for (const root of [...ODD, '^SPX', 'BRK.B']) {
      const { out } = await shop.converted(quoteCsv([{}]), { root });
      expect(await shop.reader.firstRows(out, 1)).toMatchObject([{ symbol: root }]);
    }
  });

  test('of columns may have any character', async () => {
    for (const name of ODD) {
      const layout = { name: 'odd', header: true, columns: { day: 'DATE', [name]: 'DOUBLE' }, select: { trade_date: 'day' } };
      const csv = `day,"${name.replaceAll('"', '""')}"\n${DAY},1\n`;
      await expect(shop.convert(csv, { layout, asset: 'stock', schema: 'eod', interval: '1d' })).resolves.toMatchObject({ rows: 1 });
    }
  });
});
