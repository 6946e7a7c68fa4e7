import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { readHoldings } from '../../../services/market/portfolios/holdings.ts';
import { type ImportOptions, importOnce, importPortfolioCsv } from '../../../services/market/portfolios/import.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { InputError } from '../../../services/platform/errors.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

let database: TestDatabase;
let db: Database;
const folder = mkdtempSync(join(tmpdir(), 'portfolio-'));
const now = new Date('2026-03-02T10:00:00Z');

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.options);
});
afterAll(async () => {
  await db.close();
  await database.drop();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  await db.run('DELETE FROM holdings');
  await db.run('DELETE FROM imports');
});

function fileOf(...lines: string[]): string {
  const path = join(folder, `${crypto.randomUUID()}.csv`);
  writeFileSync(path, lines.join('\n'));
  return path;
}
const HEADER = 'user,symbol,quantity,cost';
const importing = (lines: string[], options: Partial<ImportOptions> = {}) =>
  importPortfolioCsv(db, fileOf(...lines), { now, name: 'p.csv', ...options });
const holdingsOf = async (...users: string[]) => Object.fromEntries(await readHoldings(db, users));
const all = () => db.rows('SELECT user_id, symbol FROM holdings ORDER BY user_id, symbol');

async function refusal(work: Promise<unknown>): Promise<{ code: string; lines: string[] }> {
  const error: unknown = await work.then(
    () => new Error('it was accepted'),
    (cause: unknown) => cause,
  );
  if (!(error instanceof InputError)) throw error;
  return { code: error.code, lines: error.message.split('\n') };
}

test('the holdings of many users are read with one statement', async () => {
  await importing([HEADER, 'alice,AAPL,120,41.20', 'alice,GOOG,,', 'bob,BRK.B,0.5,']);
  const counted = { ...db };
  const statements = vi.spyOn(counted, 'rows');
  expect(Object.fromEntries(await readHoldings(counted, ['alice', 'bob', 'nobody']))).toEqual({
    alice: [
      { symbol: 'AAPL', quantity: 120, cost: 41.2 },
      { symbol: 'GOOG', quantity: 0, cost: null },
    ],
    bob: [{ symbol: 'BRK.B', quantity: 0.5, cost: null }],
  });
  expect(statements).toHaveBeenCalledTimes(1);
});

describe('an import', () => {
  test('counts what is held and what is only watched', async () => {
    expect(await importing([HEADER, 'alice,AAPL,120,41.20', 'alice,GOOG,,', 'bob,SPY,0,', 'bob,IBM,-5,10'])).toEqual({
      users: 2,
      held: 2,
      watched: 2,
    });
  });

  test('replaces the portfolios of the users it names and leaves the others', async () => {
    await importing([HEADER, 'alice,AAPL,1,1', 'alice,SPY,1,1', 'bob,IBM,1,1']);
    await importing([HEADER, 'alice,QQQ,2,2']);
    expect(await all()).toEqual([
      { user_id: 'alice', symbol: 'QQQ' },
      { user_id: 'bob', symbol: 'IBM' },
    ]);
  });

  test('of one user needs no column for that user', async () => {
    await importing(['symbol,quantity,cost', 'AAPL,1,2'], { user: 'carol' });
    expect(await holdingsOf('carol')).toEqual({ carol: [{ symbol: 'AAPL', quantity: 1, cost: 2 }] });
  });

  test('takes columns in any order and by their other names, other columns, semicolons and a byte order mark', async () => {
    await importing(['\ufeffTicker;Average Cost;Exchange;Shares;Account', ' aapl ;41.2;NMS;3;dave']);
    expect(await holdingsOf('dave')).toEqual({ dave: [{ symbol: 'AAPL', quantity: 3, cost: 41.2 }] });
  });

  test('reads a stream, and leaves no temporary file behind', async () => {
    const temporary = mkdtempSync(join(folder, 'tmp-'));
    vi.stubEnv('TMPDIR', temporary);
    onTestFinished(() => void vi.unstubAllEnvs());
    await importPortfolioCsv(db, Readable.from([`${HEADER}\nerin,AA`, 'PL,1,2\n']), { now });
    expect(await holdingsOf('erin')).toEqual({ erin: [{ symbol: 'AAPL', quantity: 1, cost: 2 }] });
    expect(await readdir(temporary)).toEqual([]);
  });

  test('of more lines than a batch holds stores every one', async () => {
    const lines = Array.from({ length: 2_500 }, (_, index) => `user${index % 50},S${String(index).padStart(4, '0')},1,2`);
    expect(await importing([HEADER, ...lines])).toEqual({ users: 50, held: 2_500, watched: 0 });
    expect(await db.rows('SELECT COUNT(*) AS count, COUNT(DISTINCT user_id) AS users FROM holdings')).toEqual([
      { count: 2_500, users: 50 },
    ]);
  });

  test('that meets a deadlock is written again from its start', async () => {
    let tries = 0;
    const failingOnce: Database = {
      ...db,
      transaction: (work) =>
        db.transaction(async (tx) => {
          const result = await work(tx);
          // 1213 as the server gives it, after all rows were written.
          if (++tries === 1) throw Object.assign(new Error('Deadlock found'), { errno: 1213 });
          return result;
        }),
    };
    await importPortfolioCsv(failingOnce, Readable.from([`${HEADER}\nalice,AAPL,1,2\n`]), { now });
    expect(tries).toBe(2);
    expect(await all()).toEqual([{ user_id: 'alice', symbol: 'AAPL' }]);
  });
});

test('a user has at most a thousand positions, whatever else the file holds', async () => {
  const lines = (user: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${user},S${String(index).padStart(6, '0')},1,2`);
  expect(await importing([HEADER, ...lines('alice', 1_000), ...lines('bob', 3)])).toEqual({ users: 2, held: 1_003, watched: 0 });
  expect(await refusal(importing([HEADER, ...lines('bob', 1), ...lines('alice', 100_000)]))).toEqual({
    code: 'portfolio.bad_line',
    lines: [
      'p.csv:1003: user "alice" has more than 1000 positions, and no user has more; leave some out, or spread them over several users',
      'Nothing was imported.',
    ],
  });
});

describe('a broken line', () => {
  test('is named with file, line, value and the way out, with all others, and nothing is imported', async () => {
    await importing([HEADER, 'alice,IBM,1,1']);
    const { code, lines } = await refusal(
      importing([
        HEADER,
        'alice,AAPL,1,2',
        'alice,EUR/USD,1,2',
        'alice,SPY,"1,234.5",2',
        '',
        'alice,QQQ,1,-3',
        ',GOOG,1,2',
        'alice,WM,1',
        `alice,EEM,${'9'.repeat(17)},1`,
      ]),
    );
    expect(code).toBe('portfolio.bad_line');
    expect(lines).toEqual([
      'p.csv:3: symbol "EUR/USD" contains "/", which stands only before the letter of a share class (BRK/B); a symbol is 1 to 32 letters, digits or . - = ^ _ & such as BRK.B or EURUSD=X',
      'p.csv:4: quantity "1,234.5" has a sign between the thousands; write 1234.5',
      'p.csv:6: cost "-3" is negative; write what one share cost',
      'p.csv:7: names no user; fill in the column, or give --user',
      'p.csv:8: has 3 fields, "alice,WM,1", and the header 4; put a field that holds "," in quotes',
      'p.csv:9: quantity "99999999999999999" is too large; at most 16 digits before the point',
      'Nothing was imported.',
    ]);
    expect(await all()).toEqual([{ user_id: 'alice', symbol: 'IBM' }]);
  });

  test('after more lines than a batch holds takes back the batches before it', async () => {
    const lines = Array.from({ length: 1_500 }, (_, index) => `user${index % 2},S${String(index).padStart(4, '0')},1,2`);
    await refusal(importing([HEADER, ...lines, 'alice,SPY,x,1']));
    expect(await all()).toEqual([]);
  });

  test('that repeats a symbol of a user names both lines', async () => {
    const { lines } = await refusal(importing([HEADER, 'alice,AAPL,1,2', 'bob,AAPL,1,2', 'alice,aapl,3,4']));
    expect(lines[0]).toBe('p.csv:4: AAPL of user "alice" is in line 2 already; merge the two lines');
    expect(lines).toHaveLength(2);
  });

  test('of another user than the one that is imported is refused', async () => {
    const { lines } = await refusal(importing([HEADER, 'bob,AAPL,1,2'], { user: 'alice' }));
    expect(lines[0]).toBe('p.csv:2: is of user "bob"; the file is imported for "alice": leave --user out, or this line');
  });

  test('with a stray quote is named', async () => {
    const { code, lines } = await refusal(importing([HEADER, 'alice,AA"PL,1,2']));
    expect(code).toBe('portfolio.bad_line');
    expect(lines[0]).toMatch(/^p\.csv:2: Invalid Opening Quote.*close each one$/);
  });

  test('is one of at most twenty that are named; the others are counted', async () => {
    const { lines } = await refusal(importing([HEADER, ...Array.from({ length: 25 }, () => 'alice,,1,2')]));
    expect(lines).toHaveLength(22);
    expect(lines.slice(-2)).toEqual(['and 5 more', 'Nothing was imported.']);
  });
});

describe('a file', () => {
  test('whose header lacks a column is refused with the header that is needed', async () => {
    expect(await refusal(importing(['user,symbol,quantitiy,cost', 'alice,AAPL,1,2']))).toEqual({
      code: 'portfolio.bad_header',
      lines: [
        'p.csv:1: the header lacks the column quantity; found "user", "symbol", "quantitiy", "cost"; it must be user,symbol,quantity,cost',
      ],
    });
  });

  test('without any user says how to name one', async () => {
    expect((await refusal(importing(['symbol,quantity,cost', 'AAPL,1,2']))).lines[0]).toContain(
      'lacks the column user, or name the user of all lines (--user)',
    );
  });

  test('that has a column by two names is refused', async () => {
    expect((await refusal(importing(['user,symbol,ticker,quantity,cost', 'a,b,c,1,2']))).lines[0]).toContain(
      'has the column symbol twice, as "symbol" and "ticker"',
    );
  });

  test('that is empty is refused', async () => {
    expect(await refusal(importing(['']))).toEqual({
      code: 'portfolio.bad_header',
      lines: ['p.csv:1: the header is empty; it must be user,symbol,quantity,cost'],
    });
  });

  test('that does not exist is named', async () => {
    const missing = join(folder, 'missing.csv');
    expect(await refusal(importPortfolioCsv(db, missing, { now }))).toEqual({
      code: 'portfolio.unreadable',
      lines: [expect.stringContaining(`${missing} cannot be read: ENOENT`)],
    });
    expect((await refusal(importOnce(db, missing, now))).code).toBe('portfolio.unreadable');
  });
});

describe('a source that is imported once', () => {
  test('does not undo what was changed since, until its content changes', async () => {
    const path = fileOf(HEADER, 'alice,AAPL,1,2');
    expect(await importOnce(db, path, now)).toEqual({ users: 1, held: 1, watched: 0 });
    await importing([HEADER, 'alice,SPY,1,2']);
    expect(await importOnce(db, path, now)).toBeUndefined();
    expect(await all()).toEqual([{ user_id: 'alice', symbol: 'SPY' }]);
    writeFileSync(path, `${HEADER}\nalice,IBM,1,2`);
    expect(await importOnce(db, path, now)).toEqual({ users: 1, held: 1, watched: 0 });
    expect(await all()).toEqual([{ user_id: 'alice', symbol: 'IBM' }]);
  });

  test('is imported by one of two that start together', async () => {
    const path = fileOf(HEADER, 'alice,AAPL,1,2');
    const imported = await Promise.all([importOnce(db, path, now), importOnce(db, path, now)]);
    expect(imported.filter((one) => one !== undefined)).toHaveLength(1);
    expect(await db.rows('SELECT users, positions, source FROM imports')).toEqual([{ users: 1, positions: 1, source: path }]);
  });

  test('that is broken is imported when it has been repaired', async () => {
    const path = fileOf(HEADER, 'alice,AAPL,x,2');
    expect((await refusal(importOnce(db, path, now))).lines[0]).toContain(`${path}:2: quantity "x"`);
    writeFileSync(path, `${HEADER}\nalice,AAPL,1,2`);
    expect(await importOnce(db, path, now)).toEqual({ users: 1, held: 1, watched: 0 });
  });
});
