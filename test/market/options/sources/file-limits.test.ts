/** The edges of what a chain file may hold, and how a file that breaks them is told. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileChains } from '../../../../services/market/options/sources/file.ts';

const signal = new AbortController().signal;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-chain-limits-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const FIELDS = {
  contract: 'AAPL140621C00645000',
  bid: '9.8',
  ask: '9.95',
  volume: '1200',
  open_interest: '5400',
  iv: '0.22',
  delta: '0.51',
  gamma: '0.0099',
  theta: '-0.31',
  vega: '0.52',
  quoted_at: '2014-06-06T16:00:00-04:00',
  spot: '645.57',
};
const PARTS = {
  underlying: 'AAPL',
  expiry: '2014-06-21',
  side: 'C',
  strike: '645',
  bid: '1',
  ask: '2',
  quoted_at: FIELDS.quoted_at,
  spot: '600',
};

function written(content: string, name = 'chain.csv'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
const csv = (fields: object, ...more: string[]) =>
  written([Object.keys(fields).join(','), Object.values(fields).join(','), ...more, ''].join('\n'));
const chain = (path: string, symbol = 'AAPL') => fileChains(path).chain(symbol, signal);
const refused = (path: string, symbol?: string): Promise<Error & { code: string }> =>
  chain(path, symbol).then(
    () => expect.unreachable(),
    (error) => error,
  );

describe('a number', () => {
  test.each([
    ['bid', '0', '10000000', '10000001'],
    ['ask', '0', '1e7', '1.1e7'],
    ['volume', '0', '1000000000000', '1000000000001'],
    ['open_interest', '0', '1e12', '1.1e12'],
    ['iv', '0.0001', '100', '100.1'],
    ['delta', '-1', '1', '1.001'],
    ['gamma', '0', '1000000', '1000001'],
    ['theta', '-10000000', '10000000', '10000001'],
    ['vega', '0', '10000000', '10000001'],
  ])('of %s may be %s and %s, not %s', async (column, least, most, over) => {
    const name = column === 'open_interest' ? 'openInterest' : (column as 'bid');
    for (const value of [least, most]) expect((await chain(csv({ ...FIELDS, [column]: value })))[name][0]).toBe(Number(value));
    const { code, message } = await refused(csv({ ...FIELDS, [column]: over }));
    expect([code, message]).toEqual(['chain.bad_row', expect.stringMatching(/; write it like 12\.5, or leave it empty$/)]);
  });

  test.each([
    ['theta', '-10000001'],
    ['delta', '-1.001'],
  ])('of %s may not be %s', async (column, value) =>
    expect((await refused(csv({ ...FIELDS, [column]: value }))).code).toBe('chain.bad_row'),
  );

  test.each(['+9.8', '9.', '.5', '98e-1', '9.8E0'])('may be written %s', async (bid) => {
    expect((await chain(csv({ ...FIELDS, bid }))).bid[0]).toBe(Number(bid));
  });

  test.each([
    ['strike', '99999.999', '100000'],
    ['spot', '9999999.9', '10000000'],
  ])('of %s may be %s, not %s', async (column, most, over) => {
    expect((await chain(csv({ ...PARTS, [column]: most }))).contracts).toHaveLength(1);
    expect((await refused(csv({ ...PARTS, [column]: over }))).message).toContain(`:2: ${column}: "${over}" is not `);
  });
});

test('a strike and an underlying of cents are read', async () => {
  const { strike, spot } = await chain(csv({ ...PARTS, strike: '0.5', spot: '0.45' }));
  expect([strike[0], spot]).toEqual([0.5, 0.45]);
});

test.each([
  ['C', 0],
  ['Call', 0],
  ['p', 1],
  ['PUT', 1],
])('a side written %s is read', async (side, isPut) => expect([...(await chain(csv({ ...PARTS, side }))).isPut]).toEqual([isPut]));

test('an expiry of another century has no symbol, and the row says so', async () => {
  expect((await refused(csv({ ...PARTS, expiry: '1999-06-18' }))).message).toMatch(
    /:2: strike: has no OCC symbol: it must be a multiple of 0\.001, and the expiry in this century$/,
  );
});

describe('a file', () => {
  const content = `${Object.keys(FIELDS).join(',')}\n${Object.values(FIELDS).join(',')}\n`;

  test('may begin with a byte order mark, have empty lines and spaces around its fields, and headings as people write them', async () => {
    const heading = Object.keys(FIELDS).join(' , ').replace('open_interest', 'Open-Interest').replace('quoted_at', 'QUOTED  AT');
    const text = `\uFEFF\n${heading}\n\n${Object.values(FIELDS).join(' , ')}\n\n`;
    expect(await chain(written(text))).toMatchObject({
      contracts: [FIELDS.contract],
      bid: Float64Array.of(9.8),
      openInterest: Float64Array.of(5400),
    });
    expect((await chain(written(`\uFEFF${content.replaceAll(',', ';')}`))).contracts).toEqual([FIELDS.contract]);
  });

  test('is JSON by its ending, in capitals too', async () => {
    expect((await chain(written(JSON.stringify([FIELDS]), 'CHAIN.JSON'))).contracts).toEqual([FIELDS.contract]);
  });

  test('whose quotes do not close is named with the line', async () => {
    const { code, message } = await refused(written(`${content}"AAPL`));
    expect(code).toBe('chain.bad_row');
    expect(message).toMatch(/chain\.csv:[34]: Quote/);
  });

  test('is asked for one symbol and read for it, whatever stands before its own rows', async () => {
    const path = csv(
      FIELDS,
      Object.values({ ...FIELDS, contract: 'MSFT140621C00040000', spot: '41', quoted_at: '2014-06-09T16:00:00-04:00' }).join(','),
    );
    expect(await chain(path)).toMatchObject({ spot: 645.57, contracts: [FIELDS.contract] });
    expect(await chain(path, 'MSFT')).toMatchObject({ spot: 41 });
  });

  test('of a folder that cannot be read is an error, not an unknown symbol; CSV goes before JSON', async () => {
    mkdirSync(join(folder, 'AAPL.csv'));
    written(JSON.stringify([FIELDS]), 'AAPL.json');
    expect(await refused(folder)).toMatchObject({ code: 'chain.unreadable', message: expect.stringMatching(/AAPL\.csv cannot be read: /) });
  });

  test('is not read for somebody who has gone', async () => {
    const gone = new AbortController();
    gone.abort(new Error('cancelled by hand'));
    await expect(fileChains(csv(FIELDS)).chain('AAPL', gone.signal)).rejects.toThrow('cancelled by hand');
    await expect(fileChains(join(folder, 'none.csv')).chain('AAPL', gone.signal)).rejects.toThrow('cancelled by hand');
  });

  test('of JSON lacks the columns that none of its rows has, and has those that one of them has', async () => {
    const { bid: _, ...without } = FIELDS;
    expect((await refused(written(JSON.stringify([without]), 'a.json'))).message).toContain('lacks bid');
    const other = { ...FIELDS, contract: 'AAPL140621P00645000', colour: 'red' };
    expect((await refused(written(JSON.stringify([FIELDS, other]), 'a.json'))).message).toContain('has "colour"');
  });
});

describe('what is wrong is told in full', () => {
  const bad = (count: number) =>
    Array.from({ length: count }, (_, i) => `AAPL140621C00${String(i).padStart(6, '1')},x,1,2014-06-06T20:00:00Z,645`);
  const HEADER = 'contract,bid,ask,quoted_at,spot';

  test('twenty bad rows are all named, of more the rest is counted', async () => {
    const messageOf = async (count: number) => (await refused(written([HEADER, ...bad(count)].join('\n')))).message.split('\n');
    expect(await messageOf(20)).toEqual(
      Array.from({ length: 20 }, (_, i) => expect.stringMatching(`chain.csv:${i + 2}: bid: "x" is not a price`)),
    );
    expect((await messageOf(22)).slice(19)).toEqual([expect.stringContaining('chain.csv:21: '), 'and 2 more']);
  });

  test('a number that may be two is one fault, and not another of its column', async () => {
    const path = written(`contract;bid;ask;quoted_at;spot\nAAPL140621C00645000;1,200;2;2014-06-06T20:00:00Z;645\n`);
    expect((await refused(path)).message).toBe(`${path}:2: bid: "1,200" may be 1200 or 1.200; write 1200, or 1,2000`);
  });

  test('so are lines of too few fields, with the way out', async () => {
    const messageOf = async (count: number) =>
      (await refused(written([HEADER, ...Array.from({ length: count }, () => 'AAPL140621C00645000,1')].join('\n')))).message.split('\n');
    expect((await messageOf(20)).slice(19)).toEqual([
      expect.stringMatching(/chain\.csv:21: 2 fields, the header has 5$/),
      expect.stringMatching(/^Write numbers like 1200\.5/),
    ]);
    expect((await messageOf(23)).slice(20)).toEqual(['and 3 more', expect.stringMatching(/^Write numbers/)]);
  });

  test('a header that lacks one column and has another that is none names both, and the columns there are', async () => {
    const { code, message } = await refused(written(`${HEADER.replace('bid', 'bit')}\n`));
    expect(code).toBe('chain.bad_header');
    expect(message).toMatch(
      /:1: the header lacks bid and has "bit"; the columns are contract \(or underlying, expiry, side, strike\), bid, ask, volume, .*, quoted_at, spot$/,
    );
  });

  test('an empty field that is needed says what it needs', async () => {
    expect((await refused(csv({ ...FIELDS, quoted_at: '' }))).message).toMatch(
      /quoted_at: is empty; it needs a moment such as 2014-06-06T16:00/,
    );
    expect((await refused(csv({ ...FIELDS, contract: 'AAPL' }))).message).toMatch(
      /contract: "AAPL" is not an OCC symbol such as AAPL140621C/,
    );
  });
});

test.each([
  ['expiry', '2014-02-30', 'is not a date'],
  ['side', 'long', 'is not C, call, P or put'],
  ['strike', '-5', 'is not a strike'],
  ['strike', '10.00005', 'multiple of 0.001'],
  ['underlying', '../x', 'is not a symbol'],
])('a row by its parts with the %s "%s" is named with file, line and column', async (column, value, fault) => {
  const path = csv({ ...PARTS, [column]: value });
  const { code, message } = await refused(path);
  expect([code, message]).toEqual(['chain.bad_row', expect.stringContaining(fault)]);
  expect(message).toContain(`${path}:2: ${column}`);
});
