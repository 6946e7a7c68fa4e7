import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileChains } from '../../../../services/market/options/sources/file.ts';

const signal = new AbortController().signal;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-chain-file-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function written(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
const csv = (...lines: string[]) => written('chain.csv', `${lines.join('\n')}\n`);
const chain = (path: string, symbol = 'AAPL') => fileChains(path).chain(symbol, signal);

const HEADER = 'contract,bid,ask,volume,open_interest,iv,delta,gamma,theta,vega,quoted_at,spot';
const ROW = 'AAPL140621C00645000,9.8,9.95,1200,5400,0.22,0.51,0.0099,-0.31,0.52,2014-06-06T16:00:00-04:00,645.57';
const WITHOUT_NUMBERS = 'AAPL140719P00650000,17.1,17.25,,,,,,,,2014-06-06T15:59:30-04:00,645.5';

test('a row by OCC symbol, with every number, and one without those that may be missing', async () => {
  const found = await chain(csv(HEADER, ROW, WITHOUT_NUMBERS));
  expect(found).toMatchObject({
    underlying: 'AAPL',
    source: 'file',
    spot: 645.57,
    contracts: ['AAPL140621C00645000', 'AAPL140719P00650000'],
    expirations: ['2014-06-21', '2014-07-19'],
    bid: new Float64Array([9.8, 17.1]),
    ask: new Float64Array([9.95, 17.25]),
    volume: new Float64Array([1200, Number.NaN]),
    openInterest: new Float64Array([5400, Number.NaN]),
    iv: new Float64Array([0.22, Number.NaN]),
    delta: new Float64Array([0.51, Number.NaN]),
    theta: new Float64Array([-0.31, Number.NaN]),
    vega: new Float64Array([0.52, Number.NaN]),
  });
  expect(found.asOf.toString()).toBe('2014-06-06T20:00:00Z');
  expect(found.quotedAt[1]).toBe(Date.parse('2014-06-06T19:59:30Z'));
});

test('a row by its parts, in any order of columns, parted by semicolons; other underlyings are passed over', async () => {
  const path = csv(
    'Spot;Quoted At;Underlying;Side;Expiry;Strike;Bid;Ask',
    '645.57;2014-06-06T20:00:00Z;aapl;put;2014-06-21;645.5;9.8;9.95',
    '190;2014-06-06T20:00:00Z;BRK.B;C;2014-06-21;190;1;2',
  );
  expect((await chain(path)).contracts).toEqual(['AAPL140621P00645500']);
  expect((await chain(path, 'brk.b')).contracts).toEqual(['BRKB140621C00190000']);
});

test('the underlying costs what the row that was quoted last says', async () => {
  expect((await chain(csv(HEADER, WITHOUT_NUMBERS, ROW))).spot).toBe(645.57);
});

test('IV 0 is taken for missing', async () => {
  expect((await chain(csv(HEADER, ROW.replace('0.22', '0')))).iv[0]).toBeNaN();
});

test('JSON with the same columns, numbers as numbers or text', async () => {
  const rows = [
    { contract: 'AAPL140621C00645000', bid: 9.8, ask: '9.95', volume: null, quoted_at: '2014-06-06T20:00:00Z', spot: 645.57 },
    { contract: 'AAPL140621C00650000', bid: 7, ask: 7.1, iv: 0.21, quoted_at: '2014-06-06T20:00:00Z', spot: 645.57 },
  ];
  const found = await chain(written('chain.json', JSON.stringify(rows)));
  expect([...found.ask, ...found.iv]).toEqual([9.95, 7.1, Number.NaN, 0.21]);
});

test('a folder has a file for each underlying, CSV or JSON', async () => {
  written('AAPL.csv', `${HEADER}\n${ROW}\n`);
  written('XYZ.json', JSON.stringify([{ contract: 'XYZ140621C00010000', bid: 1, ask: 2, quoted_at: '2014-06-06T20:00:00Z', spot: 10 }]));
  expect((await chain(folder)).contracts).toEqual(['AAPL140621C00645000']);
  expect((await chain(folder, 'XYZ')).contracts).toEqual(['XYZ140621C00010000']);
  await expect(chain(folder, 'NOSUCH')).rejects.toMatchObject({ name: 'PermanentError', code: 'source.unknown_symbol' });
});

test('a file without the underlying does not know it', async () => {
  await expect(chain(csv(HEADER, ROW), 'MSFT')).rejects.toMatchObject({
    name: 'PermanentError',
    code: 'source.unknown_symbol',
    message: expect.stringContaining('MSFT'),
  });
});

describe('one delimiter a file, that of its header', () => {
  const CONTRACT = 'AAPL261218C00150000';
  const AT = '2026-11-25T16:00:00-05:00';

  test.each([
    ['a comma inside the price of the underlying', 'contract,quoted_at,spot,volume,bid,ask', `${CONTRACT},${AT},1,560,50,8.4,8.5`, 7, 6],
    ['commas in the last columns', 'contract,quoted_at,spot,bid,ask', `${CONTRACT},${AT},156.05,8,45,8,55`, 7, 5],
    ['a field too few', 'contract,quoted_at,spot,bid,ask', `${CONTRACT},${AT},156.05,8`, 4, 5],
  ])('%s is a bad line, named with its number', async (_, header, line, fields, columns) => {
    const path = csv(header, line);
    await expect(chain(path)).rejects.toMatchObject({
      code: 'chain.bad_row',
      message: expect.stringContaining(`${path}:2: ${fields} fields, the header has ${columns}\n`),
    });
  });

  test.each([';', '\t'])('with %j a decimal comma is one', async (delimiter) => {
    const path = csv(
      ['contract', 'bid', 'ask', 'spot', 'delta', 'quoted_at'].join(delimiter),
      [CONTRACT, '8,45', '8,55', '156,05', '-0,125', AT].join(delimiter),
    );
    const found = await chain(path);
    expect([found.bid[0], found.ask[0], found.spot, found.delta[0]]).toEqual([8.45, 8.55, 156.05, -0.125]);
  });

  test.each([
    ['volume', '1,200', '1200 or 1.200'],
    ['bid', '8.450', '8450 or 8.450'],
    ['spot', '156,050', '156050 or 156.050'],
  ])('%s = "%s" is refused: it may be %s', async (column, value, either) => {
    const fields = { contract: CONTRACT, spot: '156', volume: '12', bid: '8', ask: '9', quoted_at: AT };
    const path = csv(Object.keys(fields).join(';'), Object.values({ ...fields, [column]: value }).join(';'));
    await expect(chain(path)).rejects.toMatchObject({
      code: 'chain.bad_row',
      message: expect.stringMatching(new RegExp(`:2: ${column}: "${value}" may be ${RegExp.escape(either)}; write `)),
    });
  });

  test.each(['1.234,56', '1,234.56', '1 234'])('"%s" is no number in any file', async (value) => {
    const path = csv('contract;spot;bid;ask;quoted_at', `${CONTRACT};${value};8;9;${AT}`);
    await expect(chain(path)).rejects.toMatchObject({ code: 'chain.bad_row', message: expect.stringContaining(`:2: spot: "${value}"`) });
  });

  test('in a file of commas a quoted decimal comma is refused', async () => {
    const path = csv('contract,spot,bid,ask,quoted_at', `${CONTRACT},"156,05",8,9,${AT}`);
    await expect(chain(path)).rejects.toMatchObject({ code: 'chain.bad_row', message: expect.stringContaining(':2: spot: "156,05"') });
  });
});

test('the contracts of every root of the underlying are read, and adjusted ones are named', async () => {
  const line = (contract: string) => `${contract},9,9.2,2026-11-25T16:00:00-05:00,156.05`;
  const path = csv(
    'contract,bid,ask,quoted_at,spot',
    line('AAPL261218C00150000'),
    line('AAPL1261218C00150000'),
    line('SPX261218C06000000'),
    line('SPXW261218C06000000'),
  );
  const apple = await chain(path);
  expect(apple.contracts).toEqual(['AAPL261218C00150000']);
  expect(apple.gaps).toEqual([{ contracts: 1, reason: 'the contract is adjusted: it does not deliver shares of the underlying alone' }]);
  expect(await chain(path, '^SPX')).toMatchObject({
    contracts: ['SPX261218C06000000', 'SPXW261218C06000000'],
    expirations: ['2026-12-18', '2026-12-18'],
    roots: ['SPX', 'SPXW'],
  });
});

describe('a bad row is named by file, line and column, and refuses the file', () => {
  const cell = (column: string, value: string) => {
    const cells = ROW.split(',');
    cells[HEADER.split(',').indexOf(column)] = value;
    return cells.join(',');
  };

  test.each([
    ['contract', 'AAPL140631C00645000', 'is not an OCC symbol'],
    ['contract', '', 'is empty'],
    ['bid', 'cheap', '"cheap" is not a price'],
    ['bid', '-1', '"-1" is not a price'],
    ['ask', '0x10', '"0x10" is not a price'],
    ['volume', '1 000', '"1 000" is not a number of contracts'],
    ['iv', '22 %', '"22 %" is not a volatility'],
    ['iv', '-0.1', '"-0.1" is not a volatility'],
    ['delta', '51', '"51" is not a delta'],
    ['quoted_at', '2014-06-06 16:00', 'is not a moment'],
    ['quoted_at', '', 'is empty'],
    ['spot', '0', `is not the underlying's price`],
    ['spot', '', 'is empty'],
  ])('%s = "%s"', async (column, value, fault) => {
    const path = csv(HEADER, WITHOUT_NUMBERS, cell(column, value));
    await expect(chain(path)).rejects.toMatchObject({
      name: 'InputError',
      code: 'chain.bad_row',
      message: expect.stringMatching(new RegExp(`^${RegExp.escape(`${path}:3: ${column}: `)}.*${RegExp.escape(fault)}`)),
    });
  });

  test('every bad row is named, twenty at most', async () => {
    const path = csv(HEADER, ...Array.from({ length: 25 }, () => cell('bid', 'x')));
    const error: Error = await chain(path).then(
      () => expect.unreachable(),
      (thrown) => thrown,
    );
    expect(error.message.split('\n')).toHaveLength(21);
    expect(error.message).toMatch(/and 5 more$/);
  });

  test('a contract that stands there twice', async () => {
    await expect(chain(csv(HEADER, ROW, ROW))).rejects.toMatchObject({
      code: 'chain.bad_row',
      message: expect.stringContaining('chain.csv:3: AAPL140621C00645000 is in :2 already'),
    });
  });

  test('a line with a field too few', async () => {
    await expect(chain(csv(HEADER, ROW, 'AAPL140719P00650000,17.1'))).rejects.toMatchObject({
      code: 'chain.bad_row',
      message: expect.stringContaining(':3: '),
    });
  });

  test('an element of a JSON file, by its index', async () => {
    const good = { contract: 'AAPL140621C00645000', bid: 9.8, ask: 9.95, quoted_at: '2014-06-06T20:00:00Z', spot: 645.57 };
    const { quoted_at: _, ...bad } = { ...good, contract: 'AAPL140621C00650000' };
    const path = written('chain.json', JSON.stringify([good, bad]));
    await expect(chain(path)).rejects.toThrow(`${path}[1]: quoted_at: is empty`);
  });

  test('JSON that is none, or no array', async () => {
    await expect(chain(written('a.json', '[{'))).rejects.toMatchObject({
      code: 'chain.bad_row',
      message: expect.stringContaining('a.json'),
    });
    await expect(chain(written('b.json', '{"contracts":[]}'))).rejects.toMatchObject({
      code: 'chain.bad_row',
      message: expect.stringContaining('array of objects'),
    });
  });
});

describe('the header', () => {
  test.each([
    ['lacks bid', HEADER.replace('bid,', ''), 'lacks bid'],
    ['has an unknown column', HEADER.replace('open_interest', 'open_intrest'), 'has "open_intrest"'],
    ['names neither a contract nor its parts', HEADER.replace('contract,', ''), 'lacks underlying, expiry, side, strike'],
    ['has a column twice', `${HEADER},Bid`, '"bid" is there twice'],
    ['is missing', '', 'lacks'],
  ])('that %s refuses the file', async (_, header, fault) => {
    await expect(chain(csv(header))).rejects.toMatchObject({
      name: 'InputError',
      code: 'chain.bad_header',
      message: expect.stringContaining(fault),
    });
  });
});

describe('the text of a file', () => {
  const TEXT = `${HEADER}\r\n${ROW}\r\n`;
  const bytes = (content: Buffer) => {
    const path = join(folder, 'chain.csv');
    writeFileSync(path, content);
    return path;
  };

  test.each<[string, Buffer]>([
    ['UTF-8 with its mark', Buffer.from(`\ufeff${TEXT}`)],
    ['UTF-16 with its mark', Buffer.from(`\ufeff${TEXT}`, 'utf16le')],
    ['comments above the header', Buffer.from(`# of Friday\n\n${TEXT}`)],
    ['a delimiter above the header', Buffer.from(`sep=;\n${TEXT.replaceAll(',', ';')}`)],
  ])('%s is read', async (_, content) => {
    expect((await chain(bytes(content))).contracts).toEqual(['AAPL140621C00645000']);
  });

  test.each<[string, Buffer, string]>([
    ['Latin-1', Buffer.from(`# caf\u00e9\n${TEXT}`, 'latin1'), ':1: byte 6 is 0xE9, which is not UTF-8 there; save the file as UTF-8'],
    ['UTF-16 without its mark', Buffer.from(TEXT, 'utf16le'), ':1: byte 2 is NUL, which is no text'],
    ['line ends of an old Mac', Buffer.from(TEXT.replaceAll('\r\n', '\r')), ' is a carriage return without a line feed'],
  ])('%s is refused with the place', async (_, content, fault) => {
    const path = bytes(content);
    await expect(chain(path)).rejects.toMatchObject({ code: 'chain.unreadable', message: expect.stringContaining(fault) });
  });

  test('below comments the lines keep their numbers', async () => {
    const path = csv('# of Friday', '', HEADER, ROW.replace('9.8', 'cheap'));
    await expect(chain(path)).rejects.toThrow(`${path}:4: bid: "cheap" is not a price`);
    const lacking = csv('# of Friday', HEADER.replace('bid,', ''));
    await expect(chain(lacking)).rejects.toThrow(`${lacking}:2: `);
  });

  test('a quote that is never closed is refused', async () => {
    const path = csv(HEADER, `"${ROW}`, ...Array.from({ length: 2_000 }, () => ROW));
    await expect(chain(path)).rejects.toMatchObject({ code: 'chain.bad_row', message: expect.stringContaining('close each quote') });
  });

  test('JSON in another encoding is refused with the place', async () => {
    const path = join(folder, 'a.json');
    writeFileSync(path, Buffer.from('[\n"caf\u00e9"]', 'latin1'));
    await expect(chain(path)).rejects.toThrow(`${path}:2: byte 7 is 0xE9, which is not UTF-8 there`);
  });
});

test('a file that is not there is named', async () => {
  await expect(chain(join(folder, 'none.csv'))).rejects.toMatchObject({
    name: 'InputError',
    code: 'chain.unreadable',
    message: expect.stringContaining('none.csv'),
  });
});
