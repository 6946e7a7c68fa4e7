import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chainsInFolder } from '../../../../services/market/options/sources/folder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-chains-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const HEADER = 'contract,bid,ask,quoted_at,spot';
function write(name: string, content: string): void {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), content);
}
const chainOf = (symbol: string, spot: number) => `${HEADER}\n${symbol}140621C00645000,1,2,2014-06-06T20:00:00Z,${spot}\n`;
async function spots(symbol = 'AAPL', of = folder): Promise<number[]> {
  const found: number[] = [];
  for await (const { spot } of chainsInFolder(of, symbol, new AbortController().signal)) found.push(spot);
  return found;
}

test('every CSV and JSON file in it and its folders is read, by its path; others are passed over', async () => {
  write('2014/b.csv', chainOf('AAPL', 2));
  write('2014/a.CSV', chainOf('AAPL', 1));
  write('2015/c.json', JSON.stringify([{ contract: 'AAPL140621C00645000', bid: 1, ask: 2, quoted_at: '2014-06-06T20:00:00Z', spot: 3 }]));
  write('notes.txt', 'no chain');
  write('msft.csv', chainOf('MSFT', 9));
  mkdirSync(join(folder, 'old.csv'));
  expect(await spots()).toEqual([1, 2, 3]);
  expect(await spots('MSFT')).toEqual([9]);
  expect(await spots('IBM')).toEqual([]);
});

test('a file that is no chain ends it', async () => {
  write('a.csv', chainOf('AAPL', 1));
  write('b.csv', 'hello\n');
  await expect(spots()).rejects.toMatchObject({ code: 'chain.bad_header', message: expect.stringContaining('b.csv') });
});

test('a folder that is not there is an error that names it', async () => {
  const gone = join(folder, 'gone');
  await expect(spots('AAPL', gone)).rejects.toMatchObject({
    name: 'InputError',
    code: 'chain.unreadable',
    message: expect.stringMatching(`the folder ${gone} cannot be read \\(ENOENT\\)`),
  });
});

test('a Lean folder gives each of its days, oldest first', async () => {
  const universe = (price: number) =>
    [
      '#expiry,strike,right,close,volume,open_interest,implied_volatility,delta,gamma,vega,theta',
      `,,,${price},,,,,,,`,
      '20140621,650,C,3,1,1,0,0,0,0,0',
      '',
    ].join('\n');
  mkdirSync(join(folder, 'equity/usa/daily'), { recursive: true });
  write('option/usa/universes/aapl/20140606.csv', universe(645));
  write('option/usa/universes/aapl/20140605.csv', universe(640));
  write('x.csv', chainOf('AAPL', 1));
  expect(await spots()).toEqual([640, 645]);
  expect(await spots('IBM')).toEqual([]);
});
