import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SymbolReader, symbolReader } from '../../../services/market/bars/reader.ts';
import { storeBars, storeChecks } from '../../../services/market/bars/store.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

const SYMBOLS = Array.from({ length: 150 }, (_, at) => `S${at}`);
const asOf = new Date('2026-03-10T14:00:00Z');

let database: TestDatabase;
let db: Database;
let reader: SymbolReader;
let statements: string[];

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.options);
  const days = ['2026-03-02', '2026-03-09', '2026-03-10'];
  const price = { open: 1, high: 1, low: 1, adjustedClose: 1, volume: 1, source: 'lean' as const, asOf };
  await db.transaction(async (tx) => {
    await storeBars(
      tx,
      SYMBOLS.flatMap((symbol, at) => days.map((date) => ({ ...price, symbol, date, close: at }))),
    );
    const check = { newestBar: '2026-03-10', asOf, checkedAt: asOf, close: 1, currency: null, timeZone: null, source: 'lean' as const };
    await storeChecks(
      tx,
      SYMBOLS.map((symbol) => ({ ...check, symbol })),
    );
  });
});
beforeEach(() => {
  statements = [];
  reader = symbolReader({
    run: db.run,
    rows(sql, params) {
      statements.push(sql);
      return db.rows(sql, params);
    },
  });
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

/** The newest days of all, and then the bars of all. */
const STATEMENTS_FOR_BARS = 2;

test('reads of one turn of the event loop are one read, and each gets its own answer', async () => {
  const bars = await Promise.all(SYMBOLS.slice(0, 50).map((symbol) => reader.newestBars(symbol, 7)));
  expect(statements).toHaveLength(STATEMENTS_FOR_BARS);
  expect(bars.map((one) => one.map(({ date, close }) => [date, close]))).toEqual(
    SYMBOLS.slice(0, 50).map((_, at) => [
      ['2026-03-09', at],
      ['2026-03-10', at],
    ]),
  );
});

test('states and bars are a read each, and so are different spans', async () => {
  await Promise.all([
    reader.state('S1'),
    reader.newestBars('S1', 7),
    reader.newestBars('S2', 7),
    reader.newestBars('S1', 30),
    reader.state('S2'),
  ]);
  expect(statements).toHaveLength(1 + 2 * STATEMENTS_FOR_BARS);
});

test.each([
  [100, 1],
  [101, 2],
])('%i symbols are read by %i statements', async (count, reads) => {
  await Promise.all(SYMBOLS.slice(0, count).map((symbol) => reader.state(symbol)));
  expect(statements).toHaveLength(reads);
});

test('one statement asks for a hundred symbols at most', async () => {
  const states = await Promise.all(SYMBOLS.map((symbol) => reader.state(symbol)));
  expect(statements).toHaveLength(2);
  expect(states.map((state) => state?.symbol)).toEqual(SYMBOLS);
});

test('a symbol asked for twice in a turn is read once and answered twice', async () => {
  const [a, b] = await Promise.all([reader.state('S1'), reader.state('S1')]);
  expect([statements.length, a?.symbol, b?.symbol]).toEqual([1, 'S1', 'S1']);
});

test('a read of a later turn does not get an earlier answer', async () => {
  await reader.state('NEW');
  await db.run("INSERT INTO symbols (symbol) VALUES ('NEW')");
  expect((await reader.state('NEW'))?.symbol).toBe('NEW');
  expect(statements).toHaveLength(2);
});

test('of a symbol that was never fetched there is nothing', async () => {
  expect(
    await Promise.all([
      reader.state('NONE'),
      reader.newestBars('NONE', 7),
      reader.pricesSince('NONE', '2026-03-03'),
      reader.oldestBar('NONE'),
    ]),
  ).toEqual([undefined, [], [], undefined]);
});

test('bars from a day on are one read for all symbols, whatever their days, and each gets its own', async () => {
  const bars = await Promise.all([
    reader.barsSince('S1', '2026-03-09'),
    reader.barsSince('S2', '2026-03-10'),
    reader.barsSince('S1', '2026-03-02'),
    reader.barsSince('NONE', '2026-03-02'),
  ]);
  expect(statements).toHaveLength(1);
  expect(bars.map((one) => one.map(({ date, close }) => [date, close]))).toEqual([
    [
      ['2026-03-09', 1],
      ['2026-03-10', 1],
    ],
    [['2026-03-10', 2]],
    [
      ['2026-03-02', 1],
      ['2026-03-09', 1],
      ['2026-03-10', 1],
    ],
    [],
  ]);
});

test('prices are what the indicators need of the same bars', async () => {
  expect(await reader.pricesSince('S7', '2026-03-10')).toEqual([{ date: '2026-03-10', high: 1, low: 1, close: 7, adjustedClose: 1 }]);
  expect(statements).toHaveLength(1);
});

test('the oldest bar is known, and so are those of a range', async () => {
  expect(await reader.oldestBar('S3')).toBe('2026-03-02');
  expect((await reader.bars('S3', { from: '2026-03-02', to: '2026-03-09' })).map(({ date }) => date)).toEqual(['2026-03-02', '2026-03-09']);
});

test('an error reaches everybody who waits for the statement, and the next one is asked again', async () => {
  let failures = 1;
  const failing = symbolReader({
    run: db.run,
    rows: (sql, params) => (failures-- > 0 ? Promise.reject(new Error('gone')) : db.rows(sql, params)),
  });
  expect((await Promise.allSettled([failing.state('S1'), failing.state('S2')])).map(({ status }) => status)).toEqual([
    'rejected',
    'rejected',
  ]);
  expect((await failing.state('S1'))?.symbol).toBe('S1');
});
