import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { importPortfolioCsv } from '../../../services/market/portfolios/import.ts';
import { MOST_LISTED, previewPortfolioCsv } from '../../../services/market/portfolios/preview.ts';
import { databaseOfFile } from '../../support/database.ts';

const { db } = await databaseOfFile();
const folder = mkdtempSync(join(tmpdir(), 'preview-'));
const now = new Date('2026-03-02T10:00:00Z');
const HEADER = 'user,symbol,quantity,cost';
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => db.run('DELETE FROM holdings'));

function fileOf(...lines: string[]): string {
  const path = join(folder, `${crypto.randomUUID()}.csv`);
  writeFileSync(path, [HEADER, ...lines].join('\n'));
  return path;
}
const importing = (...lines: string[]) => importPortfolioCsv(db, fileOf(...lines), { now });
const preview = (...lines: string[]) => previewPortfolioCsv(db, fileOf(...lines), {});
const all = () => db.rows('SELECT * FROM holdings ORDER BY user_id, symbol');

test('what is added, changed, removed and unchanged is told for each user, and nothing is written', async () => {
  await importing('alice,AAPL,10,100', 'alice,MSFT,5,50', 'alice,IBM,1,', 'bob,SPY,1,1', 'carol,QQQ,1,1');
  const before = await all();
  expect(await preview('alice,AAPL,10.0,100.00', 'alice,MSFT,7,50', 'alice,NVDA,2,3', 'bob,SPY,,1', 'dave,SPY,1,1')).toEqual({
    users: 3,
    added: 2,
    changed: 2,
    removed: 1,
    unchanged: 1,
    byUser: [
      { user: 'alice', added: 1, changed: 1, removed: 1, unchanged: 1 },
      { user: 'bob', added: 0, changed: 1, removed: 0, unchanged: 0 },
      { user: 'dave', added: 1, changed: 0, removed: 0, unchanged: 0 },
    ],
    changes: [
      { user: 'alice', symbol: 'MSFT', change: 'changed', from: { quantity: 5, cost: 50 }, to: { quantity: 7, cost: 50 } },
      { user: 'alice', symbol: 'NVDA', change: 'added', from: null, to: { quantity: 2, cost: 3 } },
      { user: 'bob', symbol: 'SPY', change: 'changed', from: { quantity: 1, cost: 1 }, to: { quantity: 0, cost: 1 } },
      { user: 'dave', symbol: 'SPY', change: 'added', from: null, to: { quantity: 1, cost: 1 } },
      { user: 'alice', symbol: 'IBM', change: 'removed', from: { quantity: 1, cost: null }, to: null },
    ],
  });
  expect(await all()).toEqual(before);
});

test('after the import nothing would change, to the last digit', async () => {
  const lines = ['alice,SHIBX,1000000,0.0000051600000001', 'alice,ETH-USD,0.000000000000000001,3000.1', 'alice,BIG,1234567890123456,1'];
  await importing(...lines);
  expect(await preview(...lines)).toMatchObject({ added: 0, changed: 0, removed: 0, unchanged: 3, changes: [] });
});

test('a user whose lines are far apart in the file is one user', async () => {
  await importing('alice,AAPL,1,1', 'alice,ZZZ,1,1');
  const others = Array.from({ length: 2_500 }, (_, index) => `user${index},SPY,1,1`);
  const found = await preview('alice,AAPL,1,1', ...others, 'alice,IBM,1,1');
  expect(found.byUser[0]).toEqual({ user: 'alice', added: 1, changed: 0, removed: 1, unchanged: 1 });
  expect(found).toMatchObject({ users: 2_501, added: 2_501, removed: 1, unchanged: 1 });
  expect([found.byUser.length, found.changes.length]).toEqual([MOST_LISTED, MOST_LISTED]);
});

test('a file that would be refused is refused', async () => {
  await expect(preview('alice,AAPL,x,1')).rejects.toMatchObject({ code: 'portfolio.bad_line' });
});

test('standard input is read too, and how much was read is told', async () => {
  const read: number[] = [];
  const source = Readable.from([`${HEADER}\nerin,AA`, 'PL,1,2\n']);
  expect(await previewPortfolioCsv(db, source, { onRead: (positions) => void read.push(positions) })).toMatchObject({ users: 1, added: 1 });
  expect(read).toEqual([1]);
});
