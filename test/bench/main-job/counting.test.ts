import { expect, test } from 'vitest';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { databaseOfFile } from '../../support/database.ts';
import { takeLogins } from './logins.ts';
import { mariadbMarket } from './market-mariadb.ts';
import type { Application } from './peer.ts';
import { countLost } from './section.ts';
import { symbolWork } from './symbol-work.ts';
import { countWrites, NOTE_WRITES_MARIADB, readStale, readWrites } from './writes.ts';

const { database } = await databaseOfFile();

/** An application whose test says what becomes fresh. */
function application(stale: Record<string, string[]>, onEnqueue: (symbols: readonly string[]) => void = () => {}) {
  let fresh: (symbol: string) => void = () => {};
  const app: Application = {
    onFresh(listener) {
      fresh = listener;
    },
    stale: async (user) => stale[user] ?? [],
    enqueue: async (symbols) => onEnqueue(symbols),
    close: async () => {},
  };
  return { app, fresh: (symbol: string) => fresh(symbol) };
}

test('a symbol that is written again is counted as done twice, in the database', async () => {
  const root = openDatabase({ ...database.root, maxConnections: 2 });
  for (const statement of NOTE_WRITES_MARIADB) await root.run(statement);
  await root.run(
    "INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('ann', 'QAA', 1, NOW(3)), ('ann', 'QAB', 1, NOW(3))",
  );
  const market = mariadbMarket(database.options, '1990-01-01', 4);
  const work = symbolWork(market.reader);

  expect(await market.stale('ann')).toEqual(['QAA', 'QAB']);
  await market.store(await work('QAA'));
  await market.store(await work('QAB'));
  expect(await readWrites(root.rows)).toEqual({ symbols: 2, twice: 0 });
  expect(await market.stale('ann')).toEqual([]);
  await market.store(await work('QAB'));

  expect(await readWrites(root.rows)).toEqual({ symbols: 2, twice: 1 });
  expect(await readStale(root.rows, '9999-01-01')).toBe(2);
  await market.close();
  await root.close();
});

test('of bars and analysis the one that was written more often counts', () => {
  expect(
    countWrites([
      { bars: '1', analyses: '3' },
      { bars: 2, analyses: 1 },
      { bars: 0, analyses: 1 },
    ]),
  ).toEqual({ symbols: 2, twice: 3 });
});

test('a login is fresh when the last of its symbols is, and lost when one never is', async () => {
  const { app, fresh } = application({ ann: ['A', 'B'], ben: ['B', 'C'], cas: [] }, (symbols) => {
    for (const symbol of symbols) if (symbol !== 'C') fresh(symbol);
  });

  const { times } = await takeLogins(app, { users: ['ann', 'ben', 'cas'], waitMs: 1 });

  expect(times.map((ms) => ms !== null)).toEqual([true, false, true]);
});

test('a symbol that is written while a login reads is not enqueued for it', async () => {
  const enqueued: string[] = [];
  const { app, fresh } = application({}, (symbols) => {
    enqueued.push(...symbols);
    for (const symbol of symbols) fresh(symbol);
  });
  app.stale = async () => {
    fresh('A');
    return ['A', 'B'];
  };

  const { times } = await takeLogins(app, { users: ['ann'], waitMs: 10_000 });

  expect(enqueued).toEqual(['B']);
  expect(times[0]).not.toBeNull();
});

test('the moment to kill a worker comes once, when so many symbols are fresh', async () => {
  const calls: number[] = [];
  let told = 0;
  const { app, fresh } = application({ ann: ['A', 'B', 'C'] }, (symbols) => {
    for (const symbol of symbols) {
      told++;
      fresh(symbol);
    }
  });

  await takeLogins(app, { users: ['ann'], waitMs: 10_000, midway: { symbols: 2, call: () => calls.push(told) } });

  expect(calls).toEqual([2]);
});

test('a late login is one after 10 s or never, a lost one is never fresh', () => {
  expect(countLost({ times: [1, 9_999, 10_001, null, null] })).toEqual({ logins: 5, late: 3, lost: 2, lastMs: 10_001 });
});
