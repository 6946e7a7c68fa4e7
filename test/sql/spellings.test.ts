/** The migration that gives share classes their one spelling. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readHoldings } from '../../services/market/portfolios/holdings.ts';
import { connectionOptions } from '../../services/platform/database/database.ts';
import { migrations } from '../../sql/migrate.ts';
import { databaseOfFile } from '../support/database.ts';

const { db, database } = await databaseOfFile();
const spellings = (await migrations()).find(({ name }) => name === 'spellings');
let connection: mysql.Connection;

beforeAll(async () => {
  connection = await mysql.createConnection({ ...connectionOptions(database.migrate), multipleStatements: true });
});
afterAll(() => connection.end());
beforeEach(async () => {
  for (const table of ['holdings', 'bars', 'analyses', 'symbols']) await db.run(`DELETE FROM ${table}`);
});

const migrate = () => connection.query(spellings!.up);
const hold = (...rows: [user: string, symbol: string, quantity: number, cost: number | null][]) =>
  db.run('INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at) VALUES ?', [
    rows.map((row) => [...row, new Date('2026-01-02T00:00:00Z')]),
  ]);
const held = async (user: string) => (await readHoldings(db, [user])).get(user);

async function store(symbol: string, close: number): Promise<void> {
  await db.run("INSERT INTO symbols (symbol, newest_bar, close) VALUES (?, '2026-01-02', ?)", [symbol, close]);
  await db.run(
    "INSERT INTO bars (symbol, date, open, high, low, close, adjusted_close, volume, source, as_of) VALUES (?, '2026-01-02', 1, 1, 1, ?, 1, 1, 'lean', '2026-01-03')",
    [symbol, close],
  );
}
const closes = () => db.rows('SELECT symbol, CAST(close AS DOUBLE) AS close FROM bars ORDER BY symbol');
const symbols = async () => (await db.rows<{ symbol: string }>('SELECT symbol FROM symbols ORDER BY symbol')).map(({ symbol }) => symbol);

test('BRK-B becomes BRK.B; dashes that are no share class stay', async () => {
  const others = ['BT-A.L', 'BTC-USD', 'BAC-PL', 'MKC-V', 'ABCDEF-B'].sort();
  await hold(['ada', 'BRK-B', 3, 400], ...others.map((symbol): [string, string, number, null] => ['ada', symbol, 1, null]));
  await migrate();
  expect((await held('ada'))?.map(({ symbol }) => symbol)).toEqual(['BRK.B', ...others].sort());
});

test('a user who held both spellings holds their sum at the mean cost', async () => {
  await hold(
    ['ada', 'BRK-B', 1, 400],
    ['ada', 'BRK.B', 3, 300],
    ['bob', 'BRK-B', 0, null],
    ['bob', 'BRK.B', 2, 250],
    ['eve', 'BRK-B', 2, 250],
    ['eve', 'BRK.B', 0, null],
  );
  await migrate();
  expect(await held('ada')).toEqual([{ symbol: 'BRK.B', quantity: 4, cost: 325 }]);
  expect(await held('bob')).toEqual([{ symbol: 'BRK.B', quantity: 2, cost: 250 }]);
  expect(await held('eve')).toEqual([{ symbol: 'BRK.B', quantity: 2, cost: 250 }]);
});

test('bars move to the one spelling; where both have bars, those of BRK.B stay alone', async () => {
  await store('HEI-A', 10);
  await store('BRK-B', 20);
  await store('BRK.B', 21);
  await migrate();
  expect(await closes()).toEqual([
    { symbol: 'BRK.B', close: 21 },
    { symbol: 'HEI.A', close: 10 },
  ]);
  expect(await symbols()).toEqual(['BRK.B', 'HEI.A']);
});

test('a symbol of which nothing was stored gives way to the one with bars', async () => {
  await store('BRK-B', 20);
  await db.run("INSERT INTO symbols (symbol) VALUES ('BRK.B')");
  await migrate();
  expect(await closes()).toEqual([{ symbol: 'BRK.B', close: 20 }]);
  expect(await symbols()).toEqual(['BRK.B']);
});

test('a second run changes nothing', async () => {
  await hold(['ada', 'BRK-B', 1, 400]);
  await migrate();
  await migrate();
  expect(await held('ada')).toEqual([{ symbol: 'BRK.B', quantity: 1, cost: 400 }]);
});
