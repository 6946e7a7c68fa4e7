import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import type { SourceName } from '../../../services/market/bars/bars.ts';
import { type BudgetWindow, countRequest, sourceBudget } from '../../../services/market/sources/budget.ts';
import { ManualClock, systemClock } from '../../../services/platform/clock.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { startDatabaseProxy } from '../../support/database-proxy.ts';

const signal = new AbortController().signal;

let database: TestDatabase;
let db: Database;
let other: Database;

beforeAll(async () => {
  database = await testDatabase();
  // As two workers would have it.
  db = openDatabase(database.options);
  other = openDatabase(database.options);
});
afterAll(async () => {
  await Promise.all([db.close(), other.close()]);
  await database.drop();
});
beforeEach(() => db.run('DELETE FROM source_budget'));
afterEach(() => vi.restoreAllMocks());

const budget = (options: Partial<Parameters<typeof sourceBudget>[0]> = {}) =>
  sourceBudget({ db, clock: systemClock, perMinute: { yahoo_finance: 3, alpha_vantage: 3 }, maxWaitMs: 0, ...options });

async function spend(take: ReturnType<typeof budget>, times: number, source: SourceName = 'yahoo_finance'): Promise<string[]> {
  const outcomes = Array.from({ length: times }, () =>
    take(source, signal).then(
      () => 'ok',
      (error: { code: string }) => error.code,
    ),
  );
  return (await Promise.all(outcomes)).sort();
}

const times = (count: number, value: string) => Array.from({ length: count }, () => value);

describe('the shared budget', () => {
  test('gives its tokens and then says when there will be more', async () => {
    const take = budget();
    expect(await spend(take, 3)).toEqual(times(3, 'ok'));
    const error = await take('yahoo_finance', signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: 'TransientError',
      code: 'source.budget_used_up',
      message: expect.stringMatching(/^yahoo_finance: the budget of 3 requests per 60 s/),
    });
    const wait = (error as { retryAfterMs: number }).retryAfterMs;
    expect(wait).toBeGreaterThan(50_000);
    expect(wait).toBeLessThanOrEqual(60_000);
  });

  test('is one for all workers, counted exactly under concurrency', async () => {
    const perMinute = { yahoo_finance: 20 };
    const outcomes = await Promise.all([spend(budget({ perMinute }), 25), spend(budget({ perMinute, db: other }), 25)]);
    expect(outcomes.flat().sort()).toEqual([...times(20, 'ok'), ...times(30, 'source.budget_used_up')]);
  });

  test('is another for each source', async () => {
    const take = budget();
    expect(await spend(take, 4)).toEqual([...times(3, 'ok'), 'source.budget_used_up']);
    expect(await spend(take, 3, 'alpha_vantage')).toEqual(times(3, 'ok'));
  });

  test('refills: a call waits for the next window when that is near enough', async () => {
    const take = budget({ windowSeconds: 1, maxWaitMs: 5_000 });
    const started = performance.now();
    expect(await spend(take, 7)).toEqual(times(7, 'ok'));
    // Seven tokens of three a second: two more windows.
    expect(performance.now() - started).toBeGreaterThan(1_000);
  });

  test("a wait ends with the caller's abort", async () => {
    const take = budget({ windowSeconds: 30, maxWaitMs: 60_000 });
    await spend(take, 3);
    const controller = new AbortController();
    const waiting = take('yahoo_finance', controller.signal);
    controller.abort(new Error('cancelled by hand'));
    await expect(waiting).rejects.toThrow('cancelled by hand');
  });
});

describe('what it costs', () => {
  test('a source without a limit never asks the database', async () => {
    const asked = vi.spyOn(db, 'transaction');
    const take = budget();
    for (const source of ['lean', 'simulated', 'cached'] as const) expect(await spend(take, 1_000, source)).toEqual(times(1_000, 'ok'));
    expect(asked).not.toHaveBeenCalled();
  });

  test('a window that is known to be used up is refused without the database', async () => {
    const take = budget();
    await spend(take, 3);
    const asked = vi.spyOn(db, 'transaction');
    expect(await spend(take, 1_000)).toEqual(times(1_000, 'source.budget_used_up'));
    expect(asked).not.toHaveBeenCalled();
  });
});

describe('the window is by the shared clock', () => {
  const clock = () => new ManualClock('2026-06-02T14:00:00Z');

  test('it ends for all at the same moment', async () => {
    const [one, two] = [clock(), clock()];
    await spend(budget({ clock: one }), 3);
    two.advance({ seconds: 60 });
    expect(await spend(budget({ clock: two, db: other }), 4)).toEqual([...times(3, 'ok'), 'source.budget_used_up']);
  });

  test('of two requests at the same moment the one that read its clock first begins no window anew', async () => {
    const later = clock();
    later.advance({ milliseconds: 5 });
    expect(await spend(budget({ clock: later }), 3)).toEqual(times(3, 'ok'));
    expect(await spend(budget({ clock: clock(), db: other }), 1)).toEqual(['source.budget_used_up']);
  });

  test('one that was begun by a clock far ahead does not close the source', async () => {
    const ahead = clock();
    ahead.advance({ seconds: 600 });
    await spend(budget({ clock: ahead }), 4);
    expect(await spend(budget({ clock: clock(), db: other }), 3)).toEqual(times(3, 'ok'));
  });
});

test('is taken over the connections of a service, whose limits and outages are theirs', async () => {
  const proxy = await startDatabaseProxy(inject('databaseServer'));
  const db = openDatabase({ ...database.options, socketPath: undefined, host: proxy.host, port: proxy.port, statementSeconds: 0.5 });
  const take = budget({ db });
  expect(await spend(take, 4)).toEqual([...times(3, 'ok'), 'source.budget_used_up']);
  const another = budget({ db, perMinute: { yahoo_finance: 100 } });
  proxy.refuse(1290, /INSERT INTO source_budget/);
  expect(await spend(another, 1)).toEqual(['database.unavailable']);
  expect(await spend(another, 1)).toEqual(['ok']);
  proxy.stall();
  expect(await spend(another, 1)).toEqual(['database.unavailable']);
  await db.close();
  await proxy.close();
});

test('a database that cannot be asked is transient, and says so', async () => {
  const empty = await testDatabase({ migrated: false });
  const bare = openDatabase(empty.options);
  await expect(budget({ db: bare })('yahoo_finance', signal)).rejects.toMatchObject({
    name: 'TransientError',
    code: 'source.budget_unavailable',
    message: expect.stringContaining('source_budget'),
  });
  await bare.close();
  await empty.drop();
});

test('the statement that counts in the database and the rule of the simulation open, fill and close the same windows, also when a clock jumps', async () => {
  const clock = new ManualClock('2026-03-02T15:00:00Z');
  const take = budget({ clock, perMinute: { yahoo_finance: 1_000 } });
  // Seconds forward: within a window, its last moment, past it, two windows, an hour back and forth.
  const steps = [0, 0, 1, 30, 28, 1, 0, 61, 60, 59, 1, 120, 121, -1, -3_600, 0, 30, 3_600, 10, -30, -90, 200, 60];
  let window: BudgetWindow | undefined;
  for (const seconds of steps) {
    clock.advance({ seconds });
    window = countRequest(window, clock.now().epochMilliseconds, 60_000);
    await take('yahoo_finance', signal);
    const [stored] = await db.rows('SELECT points, expire FROM source_budget');
    expect(stored).toEqual(window);
  }
});
