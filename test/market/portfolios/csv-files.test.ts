/** Portfolio files as spreadsheets and brokers write them: read right, or refused with the line and the way out; never a wrong number, never another user. */
import { describe, expect, test } from 'vitest';
import { readHoldings } from '../../../services/market/portfolios/holdings.ts';
import { importPortfolioCsv } from '../../../services/market/portfolios/import.ts';
import { readPortfolioCsv } from '../../../services/market/portfolios/portfolio-csv.ts';
import { HEADER, now, portfolioFiles } from './csv-fixture.ts';

const { db, fileOf, held, refused } = await portfolioFiles();

describe('one delimiter a file, from its header', () => {
  test('a semicolon inside a field of a comma file is no delimiter', async () => {
    expect(await refused(`${HEADER}\nmarla,MSFT,7;3,61\n`)).toEqual([
      'p.csv:2: quantity "7;3" is not a number; write it like 1234.5, or leave it empty',
    ]);
  });

  test('a comma inside a field of a semicolon file is text', async () => {
    expect(await held('user;symbol;note;quantity;cost\nmarla;AAPL;bought, then sold;7;150\n')).toEqual([['marla', 'AAPL', 7, 150]]);
  });

  test('tabs too', async () => {
    expect(await held('user\tsymbol\tquantity\tcost\nmarla\tAAPL\t7,5\t150\n')).toEqual([['marla', 'AAPL', 7.5, 150]]);
  });

  test.each([
    ['too many', 'marla,AAPL,5,150,,,', 'p.csv:3: has 7 fields, "marla,AAPL,5,150,,,", and the header 4; remove the last ",,,"'],
    ['too few', 'marla,AAPL,5', 'p.csv:3: has 3 fields, "marla,AAPL,5", and the header 4; put a field that holds "," in quotes'],
  ])('a field %s is a bad line with its number', async (_, line, message) => {
    expect(await refused(`${HEADER}\nmarla,MSFT,1,1\n${line}\n`)).toEqual([message]);
  });

  test('a comma in a column that is not needed shifts no number', async () => {
    expect(await refused('user,symbol,quantity,cost,note\nmarla,AAPL,5,150,bought, then sold\n')).toHaveLength(1);
    expect(await refused('note,user,symbol,quantity,cost\nbought, then sold,marla,AAPL,5,150\n')).toHaveLength(1);
  });

  test('as spreadsheets name it in a first line', async () => {
    expect(await held('sep=;\nuser;symbol;quantity;cost\npriya;AAPL;4;150\n')).toEqual([['priya', 'AAPL', 4, 150]]);
  });

  test('another one there is refused', async () => {
    expect((await refused('sep=|\nuser|symbol|quantity|cost\n'))[0]).toMatch(
      /^p\.csv:1: the header comes after "sep=\|", and fields are separated by/,
    );
  });
});

describe('a decimal comma', () => {
  const number = async (quantity: string, cost = '1') =>
    (await held(`user;symbol;quantity;cost\nmarla;MSFT;${quantity};${cost}\n`))[0]?.slice(2);

  test.each([
    ['12,75', 12.75],
    ['10,5', 10.5],
    ['0,123', 0.123],
    ['1234,567', 1234.567],
    ['1,2345', 1.2345],
    [',5', 0.5],
    ['-3,25', -3.25],
    ['10.5', 10.5],
    ['1.2345', 1.2345],
    ['7', 7],
  ])('%s in a semicolon file is %d', async (text, value) => {
    expect(await number(text)).toEqual([value, 1]);
  });

  test('in both columns', async () => {
    expect(await number('12,75', '88,40')).toEqual([12.75, 88.4]);
  });

  test('that may stand between thousands is refused, with both ways to write it', async () => {
    expect(await refused('user;symbol;quantity;cost\nmarla;MSFT;1;2.500\nmarla;NVDA;3;1.234,50\nmarla;IBM;1,234;1\n')).toEqual([
      'p.csv:2: cost "2.500" may be 2500 or 2.500; write 2500, or 2.5000',
      'p.csv:3: cost "1.234,50" has a sign between the thousands; write 1234.50',
      'p.csv:4: quantity "1,234" may be 1234 or 1.234; write 1234, or 1,2340',
    ]);
  });

  test('in a comma file is refused with the number to write', async () => {
    expect(await refused(`${HEADER}\nmarla,MSFT,"10,5",1\n`)).toEqual([
      'p.csv:2: quantity "10,5" has a decimal comma in a file whose fields are separated by commas; write 10.5',
    ]);
  });
});

describe('a number with signs', () => {
  test.each([
    ['$', 'cost "$" has a currency sign ($); write the number alone, like 1234.5, or leave it empty'],
    ['$150.25', 'cost "$150.25" has a currency sign ($); write 150.25, or leave it empty'],
    ['150 €', 'cost "150 €" has a currency sign (€); write 150, or leave it empty'],
    ['(150.25)', 'cost "(150.25)" is in parentheses, which make it negative; write what one share cost'],
    ['1’000.50', 'cost "1’000.50" has a sign between the thousands; write 1000.50'],
    ["1'000", 'cost "1\'000" has a sign between the thousands; write 1000'],
    ['1,234.50', 'cost "1,234.50" has a sign between the thousands; write 1234.50'],
    ['1 234.50', 'cost "1 234.50" has a sign between the thousands; write 1234.50'],
    ['1\u00a0234', 'cost "1\u00a0234" has a sign between the thousands; write 1234'],
    ['3e-7', 'cost "3e-7" has an exponent; write all its digits, like 0.00000051'],
    ['NaN', 'cost "NaN" is not a number; write it like 1234.5, or leave it empty'],
    ['12%', 'cost "12%" is not a number; write it like 1234.5, or leave it empty'],
    ['.', 'cost "." is not a number; write it like 1234.5, or leave it empty'],
  ])('%s is refused with the cure', async (cost, message) => {
    expect(await refused(`${HEADER}\npriya,AAPL,4,"${cost}"\n`)).toEqual([`p.csv:2: ${message}`]);
  });
});

test('a quantity in parentheses is refused with the minus sign to write', async () => {
  expect(await refused(`${HEADER}\npriya,AAPL,(4),150\n`)).toEqual([
    'p.csv:2: quantity "(4)" is in parentheses, which make it negative; write it with a minus sign: -4',
  ]);
});

describe('small numbers', () => {
  test('a cost of a fraction of a cent keeps its digits', async () => {
    expect(
      await held(
        `${HEADER}\nolaf,SHIBX,1000000,0.000004\nolaf,NANOX,9000000,0.0000003\nolaf,PICOX,1,0.0000000000012345678\nolaf,ZERG,100,90\n`,
      ),
    ).toEqual([
      ['olaf', 'NANOX', 9_000_000, 3e-7],
      ['olaf', 'PICOX', 1, 1.2345678e-12],
      ['olaf', 'SHIBX', 1_000_000, 4e-6],
      ['olaf', 'ZERG', 100, 90],
    ]);
  });

  test('a quantity in 18 decimals is held and not only watched', async () => {
    expect(await held(`${HEADER}\nolaf,ETH-USD,0.000000000000000001,\n`)).toEqual([['olaf', 'ETH-USD', 1e-18, null]]);
  });

  test('what would be rounded to nothing is refused', async () => {
    expect(await refused(`${HEADER}\nolaf,ETH-USD,0.0000000000000000001,0.000000000000000000001\n`)).toEqual([
      'p.csv:2: quantity "0.0000000000000000001" is too small; 18 decimals are kept',
      'p.csv:2: cost "0.000000000000000000001" is too small; 20 decimals are kept',
    ]);
  });
});

describe('users', () => {
  test("with quotes and backslashes are stored and read back as they are, whatever the server's sql_mode", async () => {
    const content = `${HEADER}\no'brien\\,AAPL,4,150\nplain,MSFT,1,1\n"quo""te",AAPL,1,1\n`;
    const expected = [
      ["o'brien\\", 'AAPL', 4, 150],
      ['plain', 'MSFT', 1, 1],
      ['quo"te', 'AAPL', 1, 1],
    ];
    expect(await held(content)).toEqual(expected);
  });

  test('that would end a literal are text', async () => {
    const user = "x'); DELETE FROM holdings; COMMIT; -- ";
    await held(`${HEADER}\nplain,MSFT,1,1\n`);
    await importPortfolioCsv(db, fileOf(`symbol,quantity,cost\nAAPL,4,150\n`), { now, user: user.trim() });
    expect((await readHoldings(db, ['plain', user.trim()])).size).toBe(2);
  });

  test.each([
    ['a no-break space after it', 'priya\u00a0', 'has the character U+00A0, which looks like a space; write a plain space or none'],
    ['a no-break space before it', '\u00a0priya', '"priya" has a blank before it that is no space; write a plain space or none'],
    ['a zero-width space', 'pri\u200bya', 'has the character U+200B, which cannot be seen; leave it out'],
    ['a byte order mark after it', 'priya\ufeff', 'has the character U+FEFF, which cannot be seen; leave it out'],
    ['a soft hyphen', 'pri\u00adya', 'has the character U+00AD, which cannot be seen; leave it out'],
    ['an override of the direction', 'pri\u202eya', 'has the character U+202E, which cannot be seen; leave it out'],
    ['letters in parts', 'priya\u0301', 'write it in the composed form of Unicode (NFC)'],
  ])('%s is named: it would be another user', async (_, user, fault) => {
    expect((await refused(`${HEADER}\n${user},AAPL,4,150\npriya,AAPL,5,150\n`))[0]).toContain(fault);
  });

  const noted = 'note,symbol,quantity,cost,user';

  test('whose letters stand beside another kind of blank elsewhere in the line are taken', async () => {
    expect(await held(`${noted}\n"say ""priya\u00a0"" AAPL\u00a0Inc",AAPL,4,150,priya\n`)).toEqual([['priya', 'AAPL', 4, 150]]);
  });

  test('behind a space, a blank of another kind is named where the name stands', async () => {
    expect(await refused(`${noted}\npriya AAPL,AAPL,4,150,priya \u00a0\n`)).toEqual([
      'p.csv:2: "priya \u00a0" has the character U+00A0, which looks like a space; write a plain space or none',
    ]);
  });

  test('that differ by case are two', async () => {
    expect(await held(`${HEADER}\nPriya,AAPL,4,150\npriya,AAPL,5,150\n`)).toEqual([
      ['Priya', 'AAPL', 4, 150],
      ['priya', 'AAPL', 5, 150],
    ]);
  });
});

describe('lines that are no positions', () => {
  test('cash is no symbol', async () => {
    expect(await refused(`${HEADER}\npriya,AAPL,4,150\npriya,CASH,1200.50,1\npriya,USD,300,1\n`)).toEqual([
      'p.csv:3: "CASH" looks like cash, which is no symbol: remove the line; for shares of that name, write what one cost',
      'p.csv:4: "USD" looks like cash, which is no symbol: remove the line; for shares of that name, write what one cost',
    ]);
  });

  test('the tickers CASH and USD can be held with their cost, and watched', async () => {
    expect(await held(`${HEADER}\npriya,CASH,10,71.20\npriya,USD,,\n`)).toEqual([
      ['priya', 'CASH', 10, 71.2],
      ['priya', 'USD', 0, null],
    ]);
  });

  test('titles above the header are named, with the line where it stands', async () => {
    const title = 'Positions for account ...417 as of 11/25/2026';
    expect(await refused(`${title}\n\n${HEADER}\npriya,AAPL,4,150\n`)).toEqual([
      `p.csv:1: the header was expected here, found "Positions for account ...417 as of 11/25…"; it stands in line 3: remove the lines above it; it must be ${HEADER}`,
    ]);
  });

  test('totals are named', async () => {
    expect(await refused(`${HEADER}\npriya,AAPL,4,150\npriya,Cash & Cash Investments,,\npriya,Account Total,,600\n`)).toEqual([
      'p.csv:3: "Cash & Cash Investments" is no symbol: cash and totals are not imported; remove the line',
      'p.csv:4: "Account Total" is no symbol: cash and totals are not imported; remove the line',
    ]);
  });

  test.each(['Total', 'TOTALS', 'total:', 'Sub-Total', 'Subtotal', 'Grand Total', 'Cash Balance', 'Net cash', 'Pending Activity'])(
    '%s in the place of the symbol is no symbol',
    async (name) => {
      expect(await refused(`${HEADER}\npriya,AAPL,4,150\npriya,${name},5,600\n`)).toEqual([
        `p.csv:3: "${name}" is no symbol: cash and totals are not imported; remove the line`,
      ]);
    },
  );

  test('a line without a symbol is named', async () => {
    expect(await refused(`${HEADER}\npriya,AAPL,4,150\nTotal,,,600\n`)).toEqual([
      'p.csv:3: names no symbol; fill in the column, or remove the line if it is no position',
    ]);
  });

  test('a footer is named', async () => {
    expect(await refused(`${HEADER}\npriya,AAPL,4,150\n\n"Date downloaded 11/25/2026 4:01 PM"\n`)).toEqual([
      'p.csv:4: has 1 field, "Date downloaded 11/25/2026 4:01 PM", and the header 4; remove the line if it is a title or a footer',
    ]);
  });

  test('comments above the header are skipped, and the lines keep their numbers', async () => {
    expect(await held(`# my holdings\n${HEADER}\npriya,AAPL,4,150\n`)).toEqual([['priya', 'AAPL', 4, 150]]);
    await db.run('DELETE FROM holdings');
    expect((await refused(`# my holdings\n\n${HEADER}\npriya,AAPL,x,150\n`))[0]).toMatch(/^p\.csv:4: quantity "x"/);
  });

  test('a stray quote keeps its line number below comments', async () => {
    expect((await refused(`# my holdings\n${HEADER}\npriya,AA"PL,4,150\n`))[0]).toMatch(/^p\.csv:3: Invalid Opening Quote/);
  });
});

describe('the encoding', () => {
  const text = `${HEADER}\r\nJürgen,AAPL,4,150\r\n`;
  const expected = [['Jürgen', 'AAPL', 4, 150]];
  const swapped = (buffer: Buffer) => Buffer.from(buffer).swap16();

  test.each<[string, Buffer]>([
    ['UTF-8', Buffer.from(text)],
    ['UTF-8 with its mark', Buffer.from(`\ufeff${text}`)],
    ['UTF-8 with its mark twice', Buffer.from(`\ufeff\ufeff${text}`)],
    ['UTF-8 with its mark and a quoted header', Buffer.from(`\ufeff"user","symbol","quantity","cost"\r\nJürgen,AAPL,4,150\r\n`)],
    ['UTF-16 little-endian with its mark', Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16 big-endian with its mark', swapped(Buffer.from(`\ufeff${text}`, 'utf16le'))],
  ])('%s is read', async (_, bytes) => {
    expect(await held(bytes)).toEqual(expected);
  });

  test.each<[string, Buffer, string]>([
    // "user,symbol,quantity,cost\nJ" are 27 bytes.
    [
      'Latin-1',
      Buffer.from(`${HEADER}\nJürgen,AAPL,4,150\n`, 'latin1'),
      'p.csv:2: byte 28 is 0xFC, which is not UTF-8 there; save the file as UTF-8',
    ],
    [
      'UTF-16 without its mark',
      Buffer.from(text, 'utf16le'),
      'p.csv:1: byte 2 is NUL, which is no text; save the file as UTF-8 (UTF-16 needs its byte order mark)',
    ],
    [
      'NUL',
      Buffer.from(`${HEADER}\npri\0ya,AAPL,4,150\n`),
      'p.csv:2: byte 30 is NUL, which is no text; save the file as UTF-8 (UTF-16 needs its byte order mark)',
    ],
    [
      'half a pair in UTF-16',
      Buffer.concat([Buffer.from(`\ufeff${HEADER}\n`, 'utf16le'), Buffer.from([0x00, 0xd8, 0x61, 0x00])]),
      'p.csv:2: byte 55 is 0x00, which is not UTF-16LE there; save the file as UTF-8',
    ],
    [
      'half a character in UTF-16',
      Buffer.concat([Buffer.from(`\ufeff${HEADER}\n`, 'utf16le'), Buffer.from([0x61])]),
      'p.csv:2: byte 55 is 0x61, which is not UTF-16LE there; save the file as UTF-8',
    ],
    [
      'a character that is cut off at the end',
      Buffer.concat([Buffer.from(`${HEADER}\npriya,AAPL,4,150`), Buffer.from([0xe2, 0x82])]),
      'p.csv:2: byte 43 is 0xE2, which is not UTF-8 there; save the file as UTF-8',
    ],
  ])('%s is refused with the place of the byte', async (_, bytes, message) => {
    expect(await refused(bytes)).toEqual([message]);
  });

  test('a carriage return alone is named', async () => {
    expect(await refused(`${HEADER}\rpriya,AAPL,4,150\rpriya,MSFT,1,1\r`)).toEqual([
      'p.csv:1: byte 26 is a carriage return without a line feed; end each line with a line feed, or with both',
    ]);
    expect((await refused(`${HEADER}\r\npriya,AA\rPL,4,150\r\n`))[0]).toMatch(/^p\.csv:2: byte 36 is a carriage return/);
  });

  test('characters and line ends that a piece of the file cuts in two are whole', async () => {
    // Pieces of a file have 64 KiB. Each length of the first line moves the cut by one byte.
    for (let shift = 0; shift < 8; shift++) {
      const lines = Array.from({ length: 6_000 }, (_, index) => `Jür€n📈${index},AAPL,1,1`);
      const path = fileOf(`#${'x'.repeat(shift)}\r\n${HEADER}\r\n${lines.join('\r\n')}`);
      const users: string[] = [];
      for await (const batch of readPortfolioCsv(path, { name: 'p.csv', batchSize: 10_000 })) users.push(...batch.map(({ user }) => user));
      expect(users).toEqual(lines.map((line) => line.split(',')[0]));
    }
  });
});

test('a symbol of a user stands once, in whatever case and spelling', async () => {
  expect(await refused(`${HEADER}\npriya,BRK.B,4,150\npriya,brk-b,1,1\npriya,BRK/B,1,1\n`)).toEqual([
    'p.csv:3: BRK.B of user "priya" is in line 2 already; merge the two lines',
    'p.csv:4: BRK.B of user "priya" is in line 2 already; merge the two lines',
  ]);
});

test('indices, classes of shares and markets are spelled as they are, and a name with a space is named', async () => {
  expect(await refused(`${HEADER}\npriya,M&M.NS,4,3000\npriya,NIFTY 50,1,1\npriya,RDS/A,1,1\npriya,ES=F,1,1\n`)).toEqual([
    expect.stringMatching(/^p\.csv:3: symbol "NIFTY 50" contains a space; a symbol is 1 to 32 letters/),
  ]);
  expect((await held(`${HEADER}\npriya,M&M.NS,4,3000\npriya,RDS/A,1,1\npriya,ES=F,1,1\n`)).map(([, symbol]) => symbol)).toEqual([
    'ES=F',
    'M&M.NS',
    'RDS.A',
  ]);
});

test('twenty holders of a ticker that was renamed are imported like any others', async () => {
  const lines = Array.from({ length: 20 }, (_, index) => `holder${index},FB,10,200\nholder${index},AAPL,10,100`);
  expect(await held(`${HEADER}\n${lines.join('\n')}\n`)).toHaveLength(40);
});
