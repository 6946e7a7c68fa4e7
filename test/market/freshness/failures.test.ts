/** Which failures are stored, how long the pause after each is, and whom it holds up. */
import { beforeEach, describe, expect, test } from 'vitest';
import { readSymbols } from '../../../services/market/bars/read.ts';
import {
  type FailureRow,
  failureOf,
  failureOfAttempts,
  lockSymbols,
  readPaused,
  storeFailures,
} from '../../../services/market/freshness/failures.ts';
import { blameOf, blameOfCodes } from '../../../services/market/sources/failover.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { PermanentError, TransientError } from '../../../services/platform/errors.ts';
import { databaseOfFile } from '../../support/database.ts';
import { configWith } from '../../worker/workshop.ts';

const NOW = '2026-03-10T15:00:00.000Z';
const clock = new ManualClock(NOW);
const config = configWith({
  'stock_jobs.data_fetch.sources': 'yahoo_finance,cached',
  'stock_jobs.data_fetch.failure_pauses.first': 5,
  'stock_jobs.data_fetch.failure_pauses.longest': 30,
});
const { db } = await databaseOfFile();
beforeEach(async () => {
  clock.set(NOW);
  for (const table of ['symbol_failures', 'symbols']) await db.run(`DELETE FROM ${table}`);
});

const failed = (...codes: string[]) =>
  new TransientError('source.all_failed', 'no source has bars of AAA', {
    cause: new AggregateError(codes.map((code) => new TransientError(code, code))),
  });

describe('the blame for a failure', () => {
  test.each<[string, string[], ReturnType<typeof blameOf>]>([
    ['an unknown symbol', ['source.unknown_symbol'], 'symbol'],
    ['an answer that cannot be read, beside an empty cache', ['source.malformed', 'source.cache_empty'], 'symbol'],
    ['a source that is down', ['source.network'], 'none'],
    ['an empty cache alone', ['source.cache_empty'], 'none'],
    ['a source that was not asked', ['source.circuit_open'], 'none'],
    ['a used-up budget', ['source.budget_used_up'], 'none'],
    ['a budget that cannot be read', ['source.budget_unavailable'], 'none'],
    ['unknown to one, while another is down', ['source.unknown_symbol', 'source.timeout'], 'unsure'],
    ['unknown to one, while another was not asked', ['source.unknown_symbol', 'source.circuit_open'], 'unsure'],
    ['unknown to one, while the budget of another is used up', ['source.unknown_symbol', 'source.budget_used_up'], 'unsure'],
    ['unknown to one, while another has no key', ['source.unknown_symbol', 'source.no_key'], 'symbol'],
    ['unknown to one, while another denies the key', ['source.unknown_symbol', 'source.denied'], 'symbol'],
    ['nothing', [], 'none'],
  ])('%s', (_, codes, blame) => {
    expect(blameOfCodes(codes)).toBe(blame);
    expect(blameOf(failed(...codes))).toBe(blame);
  });

  test('is that of the error itself where no list of causes says more', () => {
    expect(blameOf(new PermanentError('source.unknown_symbol', 'unknown'))).toBe('symbol');
    expect(blameOf(new TransientError('source.all_failed', 'without causes'))).toBe('none');
    expect(blameOf(new TransientError('fetch.no_history', 'other', { cause: new AggregateError([]) }))).toBe('none');
    expect(blameOf('text')).toBe('none');
  });
});

describe('the row of a failure', () => {
  test('has the sources, the moment, the reason and the pauses of the configuration', () => {
    expect(failureOf('AAA', new PermanentError('source.unknown_symbol', 'no source knows AAA'), { config, clock })).toEqual({
      symbol: 'AAA',
      what: 'bars',
      sources: 'yahoo_finance,cached',
      askedAt: new Date(NOW),
      code: 'source.unknown_symbol',
      reason: 'no source knows AAA',
      firstPause: 5,
      longestPause: 30,
    });
  });

  test('is none where the symbol is not to blame', () => {
    expect(failureOf('AAA', failed('source.network'), { config, clock })).toBeUndefined();
  });

  test('has a pause that does not grow where a source that may know the symbol was not asked', () => {
    expect(failureOf('AAA', failed('source.malformed', 'source.timeout'), { config, clock })).toMatchObject({
      code: 'source.all_failed',
      firstPause: 5,
      longestPause: 5,
    });
  });

  test('keeps 500 characters of the reason and 64 of the code', () => {
    const row = failureOf('AAA', new PermanentError('source.unknown_symbol', 'x'.repeat(900)), { config, clock });
    expect(row?.reason).toHaveLength(500);
  });

  test('of stored data given again is made of the attempts that failed', () => {
    const attempts = [
      { source: 'yahoo_finance', ok: false, ms: 1, code: 'source.unknown_symbol', reason: 'unknown to Yahoo' },
      { source: 'lean', ok: false, ms: 1, code: 'source.malformed', reason: 'not readable' },
      { source: 'cached', ok: true, ms: 1 },
    ] as const;
    expect(failureOfAttempts('AAA', attempts, { config, clock })).toMatchObject({
      code: 'source.unknown_symbol',
      reason: 'unknown to Yahoo; not readable',
    });
    expect(failureOfAttempts('AAA', attempts.slice(1), { config, clock })).toMatchObject({
      code: 'source.all_failed',
      reason: 'not readable',
    });
    expect(failureOfAttempts('AAA', attempts.slice(2), { config, clock })).toBeUndefined();
  });
});

describe('the pause', () => {
  const row = (changes: Partial<FailureRow> = {}): FailureRow => ({
    ...{ symbol: 'AAA', what: 'bars', sources: 'yahoo_finance,cached', askedAt: new Date(clock.now().epochMilliseconds) },
    ...{ code: 'source.unknown_symbol', reason: 'no source knows AAA', firstPause: 5, longestPause: 30, ...changes },
  });
  const store = (...rows: FailureRow[]) =>
    db.transaction(async (tx) => {
      await lockSymbols(
        tx,
        rows.map(({ symbol }) => symbol),
      );
      await storeFailures(tx, rows);
    });
  const failureNow = async (symbol = 'AAA', sources = 'yahoo_finance,cached') =>
    (await readSymbols(db, [symbol], sources)).get(symbol)?.failure;
  const pause = async () => {
    const { askedAt, againAt, times } = (await failureNow())!;
    return [times, (againAt.getTime() - askedAt.getTime()) / 60_000];
  };

  test('doubles with each failure that comes after the last pause, up to the longest', async () => {
    const seen: unknown[] = [];
    for (const minutes of [0, 5, 10, 20, 30]) {
      clock.advance({ minutes });
      await store(row());
      seen.push(await pause());
    }
    expect(seen).toEqual([
      [1, 5],
      [2, 10],
      [3, 20],
      [4, 30],
      [5, 30],
    ]);
    expect((await failureNow())?.since).toEqual(new Date(NOW));
  });

  test('is the same again after a request by hand inside of it', async () => {
    await store(row());
    clock.advance({ minutes: 4, seconds: 59 });
    await store(row({ reason: 'asked by hand' }));
    expect(await pause()).toEqual([1, 5]);
    expect(await failureNow()).toMatchObject({ since: new Date(NOW), askedAt: new Date('2026-03-10T15:04:59Z'), reason: 'asked by hand' });
  });

  test('begins anew after a success and with another set of sources', async () => {
    await store(row());
    clock.advance({ minutes: 5 });
    await db.run("UPDATE symbols SET checked_at = ? WHERE symbol = 'AAA'", [new Date('2026-03-10T15:04:00Z')]);
    expect(await failureNow()).toBeUndefined();
    await store(row());
    expect(await pause()).toEqual([1, 5]);
    clock.advance({ minutes: 5 });
    await store(row({ sources: 'lean' }));
    expect(await failureNow('AAA', 'lean')).toMatchObject({ times: 1 });
    expect(await failureNow('AAA', 'simulated')).toBeUndefined();
    expect(await failureNow()).toMatchObject({ times: 1 });
  });

  test('is that of each symbol', async () => {
    await store(row(), row({ symbol: 'BBB' }));
    clock.advance({ minutes: 5 });
    await store(row({ symbol: 'BBB' }), row({ symbol: 'CCC' }));
    expect([(await failureNow())?.times, (await failureNow('BBB'))?.times, (await failureNow('CCC'))?.times]).toEqual([1, 2, 1]);
  });

  test('holds up the symbol until its end, in these sources, and not after a later success', async () => {
    await store(row(), row({ symbol: 'BBB' }));
    const paused = (now: string, sources = 'yahoo_finance,cached') => readPaused(db, sources, new Date(now));
    expect(await paused('2026-03-10T15:04:59.999Z')).toEqual(new Set(['AAA', 'BBB']));
    expect(await paused('2026-03-10T15:05:00.000Z')).toEqual(new Set());
    expect(await paused('2026-03-10T15:01:00.000Z', 'lean')).toEqual(new Set());
    await db.run("UPDATE symbols SET checked_at = ? WHERE symbol = 'AAA'", [new Date(NOW)]);
    expect(await paused('2026-03-10T15:01:00.000Z')).toEqual(new Set(['AAA', 'BBB']));
    await db.run("UPDATE symbols SET checked_at = ? WHERE symbol = 'AAA'", [new Date('2026-03-10T15:00:30Z')]);
    expect(await paused('2026-03-10T15:01:00.000Z')).toEqual(new Set(['BBB']));
  });

  test('of none writes nothing', async () => {
    await db.transaction((tx) => storeFailures(tx, []));
    expect(await db.rows('SELECT * FROM symbol_failures')).toEqual([]);
  });
});
