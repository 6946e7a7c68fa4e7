/** What the views of a symbol show, read from the database and judged as at a login. */
import { beforeEach, describe, expect, test } from 'vitest';
import { storeAnalyses, storeBars, storeChecks } from '../../../services/market/bars/store.ts';
import { readHeldFreshness } from '../../../services/market/freshness/held.ts';
import { isSimulated, judgementJson, judgeSymbols, readStale, symbolJson } from '../../../services/market/freshness/symbol-judgement.ts';
import { databaseOfFile } from '../../support/database.ts';

/** Monday 10:30 in New York. */
const NOW = Temporal.Instant.from('2026-11-23T15:30:00Z');
const AS_OF = new Date('2026-11-23T15:29:00Z');
const rules = {
  thresholds: { market_open: 5, market_closed: 60, weekend: 720, default: 30 },
  analysisTtlHours: 6,
  sources: 'yahoo_finance',
};

const { db } = await databaseOfFile();
beforeEach(async () => {
  for (const table of ['symbol_failures', 'symbols', 'bars', 'analyses', 'holdings']) await db.run(`DELETE FROM ${table}`);
});

const bar = { date: '2026-11-23', open: 10, high: 12, low: 9, close: 11, adjustedClose: 10.5, volume: 100 };
type Check = Parameters<typeof storeChecks>[1][number];
const check = (symbol: string, changes: Partial<Check> = {}): Check => ({
  ...{ symbol, newestBar: '2026-11-23', asOf: AS_OF, checkedAt: AS_OF, close: 11, currency: 'USD', timeZone: 'America/New_York' },
  ...{ source: 'yahoo_finance', ...changes },
});
type Analysis = Parameters<typeof storeAnalyses>[1][number];
const analysis = (symbol: string, changes: Partial<Analysis> = {}): Analysis => ({
  ...{ symbol, date: '2026-11-23', signal: 'buy', confidence: 0.75, score: 0.8, computedAt: AS_OF, barsUsed: 250, asOf: AS_OF },
  reasons: [{ indicator: 'trend', observation: 'SMA 50 above', points: 20, weight: 20 }],
  values: { sma20: 10.5, macdSignal: null, volatility20: 0.25 } as unknown as Analysis['values'],
  ...changes,
});
const judge = async (...symbols: string[]) => judgeSymbols(db, symbols, NOW, rules);

describe('judged symbols', () => {
  test('come in the order that was asked for, each with its own state and signal', async () => {
    await db.transaction(async (tx) => {
      await storeChecks(tx, [
        check('AAA'),
        check('BBB', { newestBar: '2026-11-20', asOf: new Date('2026-11-20T21:00:00Z'), checkedAt: new Date('2026-11-20T21:00:00Z') }),
      ]);
      await storeAnalyses(tx, [
        analysis('AAA'),
        analysis('BBB', { date: '2026-11-20', signal: 'sell', computedAt: new Date('2026-11-23T15:00:00Z') }),
      ]);
    });
    const judged = await judge('BBB', 'NONE', 'AAA');
    expect(
      [...judged].map(([symbol, { state, price, analysis: own, signal }]) => [
        symbol,
        state?.symbol,
        price.state,
        own.state,
        signal?.signal,
      ]),
    ).toEqual([
      ['BBB', 'BBB', 'stale', 'outdated', 'sell'],
      ['NONE', undefined, 'missing', 'missing', undefined],
      ['AAA', 'AAA', 'fresh', 'fresh', 'buy'],
    ]);
    expect(judged.get('AAA')?.signal).toEqual({
      date: '2026-11-23',
      computedAt: AS_OF,
      signal: 'buy',
      confidence: 0.75,
      barsUsed: 250,
      indicators: { sma20: 10.5, macdSignal: null, volatility20: 0.25 },
      reasons: [{ indicator: 'trend', observation: 'SMA 50 above', points: 20, weight: 20 }],
    });
  });

  test('have the signal of the newest analysis and none that was made of an older bar', async () => {
    await db.transaction(async (tx) => {
      await storeChecks(tx, [check('AAA')]);
      await storeAnalyses(tx, [analysis('AAA', { date: '2026-11-20', signal: 'sell' })]);
      await storeAnalyses(tx, [analysis('AAA')]);
    });
    expect((await judge('AAA')).get('AAA')?.signal).toMatchObject({ date: '2026-11-23', signal: 'buy' });
  });

  test('have their indicators in the order of their computation, however the database sorts what it stores', async () => {
    const values = { macd: 1, rsi14: 2, sma20: 3, bollingerUpper: 4 } as unknown as Analysis['values'];
    await db.transaction(async (tx) => {
      await storeChecks(tx, [check('AAPL')]);
      await storeAnalyses(tx, [analysis('AAPL', { values })]);
    });
    const [found] = [...(await judge('AAPL')).values()];
    expect(Object.keys(found?.signal?.indicators ?? {})).toEqual(['sma20', 'rsi14', 'macd', 'bollingerUpper']);
  });

  test('have an analysis that is stale by its own hours', async () => {
    await db.transaction(async (tx) => {
      await storeChecks(tx, [check('AAA')]);
      await storeAnalyses(tx, [analysis('AAA', { computedAt: new Date('2026-11-23T09:30:00Z') })]);
    });
    expect((await judge('AAA')).get('AAA')?.analysis).toMatchObject({ state: 'stale', thresholdMinutes: 360 });
  });

  test('of none are none, without a read', async () => {
    expect((await judge()).size).toBe(0);
  });
});

test('stale symbols are those that are due: old ones and those never asked for, not those whose failure is paused', async () => {
  await db.transaction((tx) =>
    storeChecks(tx, [
      check('FRESH'),
      check('OLD', { newestBar: '2026-11-20', asOf: new Date('2026-11-20T21:00:00Z'), checkedAt: new Date('2026-11-20T21:00:00Z') }),
    ]),
  );
  await db.run("INSERT INTO symbols (symbol) VALUES ('DEAD'), ('OTHER')");
  for (const [symbol, sources] of [
    ['DEAD', 'yahoo_finance'],
    ['OTHER', 'lean'],
  ])
    await db.run(
      "INSERT INTO symbol_failures (symbol, what, sources, since, asked_at, again_at, times, code, reason) VALUES (?, 'bars', ?, ?, ?, ?, 1, 'source.unknown_symbol', 'no')",
      [symbol, sources, AS_OF, AS_OF, new Date('2026-11-23T15:34:00Z')],
    );
  expect(await readStale(db, ['FRESH', 'OLD', 'DEAD', 'OTHER', 'NEVER'], NOW, rules)).toEqual(new Set(['OLD', 'OTHER', 'NEVER']));
});

describe('held symbols', () => {
  test('are counted once each by their state, watched ones too, and made-up prices beside it', async () => {
    await db.run(
      `INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('a', 'REAL', 1, NOW()), ('b', 'REAL', 2, NOW()), ('a', 'MADE', 0, NOW()), ('a', 'NEVER', 1, NOW()), ('a', 'OLD', 1, NOW())`,
    );
    await db.transaction((tx) =>
      storeChecks(tx, [
        check('REAL'),
        check('MADE', { source: 'simulated' }),
        check('OLD', { newestBar: '2021-03-31', asOf: new Date('2021-03-31T20:00:00Z') }),
        check('NOBODY'),
      ]),
    );
    const { counts, simulated, judged } = await readHeldFreshness(db, NOW, rules.thresholds);
    expect({ counts, simulated }).toEqual({ counts: { fresh: 2, outdated: 1, stale: 0, missing: 1 }, simulated: 1 });
    expect(judged.map(({ symbol, price }) => [symbol, price.state])).toEqual([
      ['MADE', 'fresh'],
      ['OLD', 'outdated'],
      ['REAL', 'fresh'],
    ]);
  });
});

describe('as JSON', () => {
  test('a judgement has its age to a hundredth of a minute, and null for what is not there', () => {
    const at = (iso: string) => new Date(iso);
    const failure = {
      since: at('2026-11-23T14:00:00Z'),
      askedAt: at('2026-11-23T15:00:00Z'),
      againAt: at('2026-11-23T15:10:00Z'),
      times: 2,
      code: 'c',
      reason: 'r',
    };
    expect(
      judgementJson({
        state: 'stale',
        due: true,
        sessionsBehind: 3,
        ageMinutes: 7.12345,
        thresholdMinutes: 5,
        session: 'open',
        dueAtMs: AS_OF.getTime(),
        failure,
        reason: 'why',
      }),
    ).toEqual({
      state: 'stale',
      sessions_behind: 3,
      age_minutes: 7.12,
      threshold_minutes: 5,
      session: 'open',
      due_at: AS_OF,
      failure: { since: failure.since, last_asked: failure.askedAt, asked_again: failure.againAt, times: 2, code: 'c', reason: 'r' },
      reason: 'why',
    });
    expect(judgementJson({ state: 'missing', due: true, ageMinutes: null, thresholdMinutes: 5, session: 'none', reason: 'why' })).toEqual({
      ...{ state: 'missing', sessions_behind: null, age_minutes: null, threshold_minutes: 5, session: 'none', due_at: null },
      ...{ failure: null, reason: 'why' },
    });
  });

  test('a symbol has all that is stored, under the names of the documents', async () => {
    await db.transaction(async (tx) => {
      await storeBars(tx, [{ ...bar, symbol: 'AAA', source: 'yahoo_finance', asOf: AS_OF }]);
      await storeChecks(tx, [check('AAA', { unrestatedSplit: '2026-11-02' })]);
      await storeAnalyses(tx, [analysis('AAA')]);
    });
    const json = symbolJson('AAA', (await judge('AAA')).get('AAA')!, bar, [{ date: '2026-11-02', kind: 'split', value: 4 }]);
    expect(json).toMatchObject({
      ...{ symbol: 'AAA', currency: 'USD', time_zone: 'America/New_York', source: 'yahoo_finance', simulated: false },
      ...{ as_of: AS_OF, checked_at: AS_OF, unrestated_split: '2026-11-02' },
      bar: { date: '2026-11-23', open: 10, high: 12, low: 9, close: 11, adjusted_close: 10.5, volume: 100 },
      price: { state: 'fresh' },
      analysis: {
        ...{ state: 'fresh', date: '2026-11-23', computed_at: AS_OF, signal: 'buy', confidence: 0.75, bars_used: 250 },
        reasons: [{ indicator: 'trend', observation: 'SMA 50 above', points: 20, weight: 20 }],
        indicators: { sma20: 10.5, macd_signal: null, volatility20: 0.25 },
      },
      actions: [{ date: '2026-11-02', kind: 'split', value: 4 }],
    });
  });

  test('a symbol of which nothing is stored has each key, with null', async () => {
    expect(symbolJson('NONE', (await judge('NONE')).get('NONE')!, undefined, [])).toEqual({
      ...{ symbol: 'NONE', currency: null, time_zone: null, source: null, simulated: false, as_of: null, checked_at: null },
      ...{ unrestated_split: null, bar: null, actions: [] },
      price: expect.objectContaining({ state: 'missing', due_at: null, failure: null }),
      analysis: expect.objectContaining({
        ...{
          state: 'missing',
          date: null,
          computed_at: null,
          signal: null,
          confidence: null,
          bars_used: null,
          reasons: [],
          indicators: null,
        },
      }),
    });
  });

  test('prices are made up when their source is the simulation', () => {
    expect([isSimulated({ source: 'simulated' }), isSimulated({ source: 'lean' }), isSimulated(undefined)]).toEqual([true, false, false]);
  });
});
