/** Portfolio files that no spreadsheet writes: very wide, very long, with the numbers of programs. */
import { describe, expect, test } from 'vitest';
import { HEADER, portfolioFiles } from './csv-fixture.ts';

const { held, refused } = await portfolioFiles();

describe('numbers of programs', () => {
  test.each(['1e400', '1E3', '-Infinity', 'NaN', '0x1F', '1_000', '٣', '３', '½', '1.2.3', '--1', '+-1', '1-'])(
    '%s is no quantity',
    async (text) => {
      expect((await refused(`${HEADER}\npriya,AAPL,${text},1\n`))[0]).toContain(`p.csv:2: quantity "${text}" `);
      expect((await refused(`user;symbol;quantity;cost\npriya;AAPL;${text};1\n`))[0]).toContain(`p.csv:2: quantity "${text}" `);
    },
  );

  test.each(['-0', '+0', '0.000', '-0.0'])('%s is 0, so the symbol is watched', async (text) => {
    const [[, , quantity]] = (await held(`${HEADER}\npriya,AAPL,${text},\n`)) as [[unknown, unknown, number]];
    expect(Object.is(quantity, 0)).toBe(true);
  });
});

describe('a header', () => {
  test('of a hundred thousand columns is refused, and what is shown of it is short', async () => {
    const wide = Array.from({ length: 100_000 }, (_, index) => `c${index}`).join(',');
    const [message] = await refused(`${wide}\n1,2,3\n`);
    expect(message).toMatch(/^p\.csv:1: the header was expected here, found a line of more than 65536 characters; it must be user,symbol/);
    const narrower = await refused(`${wide.slice(0, 60_000)}\n1,2,3\n`);
    expect(narrower[0]).toMatch(/^p\.csv:1: the header lacks the column user, symbol, quantity, cost.*"c19" and \d+ more; it must/);
  });

  test('of a hundred thousand columns with the four among them is read', async () => {
    const blanks = ','.repeat(10_000);
    expect(await held(`${HEADER}${blanks}\npriya,AAPL,4,150${blanks}\n`)).toEqual([['priya', 'AAPL', 4, 150]]);
  });

  test.each(['user,"symbol,quantity,cost', '"user,symbol,quantity,cost', 'user;symbol;quantity;"cost', 'user,"symbol"x,quantity,cost'])(
    'with a quote that encloses no whole name, %s, is named with its line',
    async (line) => {
      expect(await refused(`\n${line}\npriya,AAPL,4,150\n`)).toEqual([
        `p.csv:2: the header has a quote that does not enclose a whole name: ${JSON.stringify(line)}; it must be user,symbol,quantity,cost`,
      ]);
    },
  );

  test('under a title with a quote that is not closed is named where it stands', async () => {
    expect(await refused(`"Positions\n${HEADER}\npriya,AAPL,4,150\n`)).toEqual([
      expect.stringMatching(/^p\.csv:1: .*it stands in line 2: /),
    ]);
  });

  test('that stands twice is named where it stands the second time', async () => {
    expect(await refused(`${HEADER}\npriya,AAPL,4,150\n${HEADER}\npriya,MSFT,4,150\n`)).toEqual([
      'p.csv:3: is the header again; remove the line',
    ]);
  });
});

test('a quote that is never closed is named with the line where it opens, before the whole file is in memory', async () => {
  const rest = 'priya,MSFT,1,1\n'.repeat(200_000);
  expect(await refused(`${HEADER}\npriya,AAPL,4,150\npriya,"IBM,4,150\n${rest}`)).toEqual([
    'p.csv:3: is longer than 65536 characters; if a quote opens there, close it; write "" for a quote inside a quoted field. Nothing below it was read',
  ]);
  const [message] = await refused(`${HEADER}\npriya,AAPL,4,150\n\npriya,"IBM,4,150\npriya,MSFT,1,1\n`);
  expect(message).toMatch(/^p\.csv:4: Quote Not Closed/);
});

test('a line without an end is refused too', async () => {
  expect((await refused(`${HEADER}\npriya,AAPL,4,${'1'.repeat(3_000_000)}\n`))[0]).toMatch(/^p\.csv:2: is longer than 65536 characters/);
  expect((await refused(`${HEADER}${'x'.repeat(3_000_000)}\npriya,AAPL,4,1\n`))[0]).toMatch(/^p\.csv:1: the header /);
});
