import { beforeEach, expect, test } from 'vitest';
import { rowsOfFailure, storeFetched } from '../../../services/job-types/fetch/output.ts';
import { universeRequests } from '../../../services/job-types/picks-universe/request.ts';
import { isWeeklyDue } from '../../../services/market/research/staleness.ts';
import { staleMembers, universeSymbols } from '../../../services/picks/store/universes.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { databaseOfFile } from '../../support/database.ts';

const { db } = await databaseOfFile();
/** Wednesday after the close: the newest session is of that day. */
const NOW = Temporal.Instant.from('2026-12-02T22:00:00Z');
const clock = new ManualClock(NOW.toString());
const LISTS = [
  { name: 'one', symbols: ['MSFT', 'AAPL'] },
  { name: 'other', symbols: ['AAPL', 'XOM'] },
];
const config = configOf({ 'picks.universe.lists': LISTS });
const few = configOf({ 'picks.universe.lists': LISTS, 'picks.universe.most_fetched': 2 });

beforeEach(async () => {
  for (const table of ['holdings', 'symbols', 'symbol_failures', 'fundamentals']) await db.run(`DELETE FROM ${table}`);
});

const newestBar = (symbol: string, day: string) =>
  db.run(
    "INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, source) VALUES (?, ?, ?, ?, 1, 'USD', 'yahoo_finance')",
    [...[symbol, day], ...[new Date(0), new Date(0)]],
  );
const figures = (symbol: string, at: string) =>
  db.run("INSERT INTO fundamentals (symbol, day, fetched_at, source, data) VALUES (?, ?, ?, 'yahoo_finance', '{}')", [
    ...[symbol, at.slice(0, 10), new Date(at)],
  ]);

test('the universe is all lists, and what anybody holds or watches, each symbol once and sorted', async () => {
  await db.run('INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ?', [
    [
      ['ada', 'NVDA', 5, new Date(0)],
      ['bob', 'NVDA', 1, new Date(0)],
      ['bob', 'AAPL', 0, new Date(0)],
    ],
  ]);
  expect(await universeSymbols(db, config)).toEqual(['AAPL', 'MSFT', 'NVDA', 'XOM']);
  const listed = configOf({ 'picks.universe.lists': LISTS, 'picks.universe.held_and_watched': false });
  expect(await universeSymbols(db, listed)).toEqual(['AAPL', 'MSFT', 'XOM']);
});

test('stale symbols are fetched first those without any data, then the oldest, the index among them, and the fresh ones not', async () => {
  await newestBar('AAPL', '2026-12-02');
  await newestBar('MSFT', '2026-12-01');
  await newestBar('SPY', '2026-11-20');
  await figures('MSFT', '2026-12-02T21:00:00Z');
  await figures('XOM', '2026-11-24T21:00:00Z');
  expect(await staleMembers(db, ['AAPL', 'MSFT', 'XOM'], NOW, config)).toEqual({
    prices: ['XOM', 'SPY', 'MSFT'],
    fundamentals: ['AAPL', 'XOM'],
    left: 0,
  });
});

test('one run fetches no more than most_fetched of each kind, and says how many are left', async () => {
  expect(await staleMembers(db, ['AAPL', 'MSFT', 'XOM'], NOW, few)).toEqual({
    prices: ['AAPL', 'MSFT'],
    fundamentals: ['AAPL', 'MSFT'],
    left: 3,
  });
});

test('a symbol that no source knew lately costs no request', async () => {
  const error = new PermanentError('source.unknown_symbol', 'no source knows XOM');
  await db.transaction((tx) => storeFetched(tx, rowsOfFailure({ symbol: 'XOM' }, error, { config, clock })));
  const { prices, fundamentals } = await staleMembers(db, ['AAPL', 'XOM'], NOW, config);
  expect([prices, fundamentals]).toEqual([['AAPL', 'SPY'], ['AAPL']]);
});

test('the job that sums up the universe runs after all its fetches, and is alone where nothing is stale and it is asked for all the same', async () => {
  const requests = await universeRequests({ db, clock, config });
  const last = requests.at(-1);
  expect(last).toMatchObject({ type: 'picks_universe', payload: { prices: 4, fundamentals: 3, left: 0 } });
  expect(last?.after?.toSorted()).toEqual(
    requests
      .slice(0, -1)
      .map(({ dedupeKey }) => dedupeKey as string)
      .toSorted(),
  );
  for (const symbol of ['AAPL', 'MSFT', 'XOM', 'SPY']) await newestBar(symbol, '2026-12-02');
  for (const symbol of ['AAPL', 'MSFT', 'XOM']) await figures(symbol, NOW.toString());
  expect(await universeRequests({ db, clock, config })).toEqual([]);
  expect((await universeRequests({ db, clock, config }, { always: true })).map(({ type }) => type)).toEqual(['picks_universe']);
});

test('company figures that were fetched all at once are due again spread over the week, and none is older than seven days', () => {
  const symbols = Array.from({ length: 700 }, (_, index) => `S${index}`);
  const dueAfter = (days: number): number => {
    const later = NOW.add({ hours: 24 * days });
    return symbols.filter((symbol) => isWeeklyDue(symbol, NOW, later)).length;
  };
  const counts = Array.from({ length: 8 }, (_, day) => dueAfter(day));
  expect([counts[0], counts[7]]).toEqual([0, 700]);
  // A hundred a day, give or take three standard deviations of a binomial count.
  for (let day = 1; day <= 7; day++) expect(Math.abs((counts[day] as number) - (counts[day - 1] as number) - 100)).toBeLessThan(28);
});
