import { describe, expect, test } from 'vitest';
import type { Bar } from '../../../services/market/bars/bars.ts';
import { readActions, readBars, readNewestBars, readNewestPrices, readStored, readSymbols } from '../../../services/market/bars/read.ts';
import {
  beginBars,
  type StoredAnalysis,
  storeActions,
  storeAnalyses,
  storeBars,
  storeChecks,
} from '../../../services/market/bars/store.ts';
import { EXPLAIN } from '../../support/database.ts';
import { bar, check, EVER, emptyBars, MORNING, NOON } from './rows.ts';

const { db, write } = await emptyBars();
const state = async (symbol = 'AAA') => (await readSymbols(db, [symbol])).get(symbol);
const bars = (symbol = 'AAA') => readBars(db, symbol, EVER);

describe('bars', () => {
  test('written twice are there once', async () => {
    const rows = [bar({ date: '2026-03-09' }), bar()];
    await write((tx) => storeBars(tx, rows));
    const before = await db.rows('SELECT * FROM bars');
    await write((tx) => storeBars(tx, rows));
    expect(await db.rows('SELECT * FROM bars')).toEqual(before);
    expect(before).toHaveLength(2);
  });

  test('a live bar is replaced by the next one of its day', async () => {
    await write((tx) => storeBars(tx, [bar()]));
    const later = bar({ high: 13, close: 12.5, adjustedClose: 12.5, volume: 250, asOf: NOON });
    await write((tx) => storeBars(tx, [later]));
    expect(await bars()).toEqual([{ date: '2026-03-10', open: 10, high: 13, low: 9, close: 12.5, adjustedClose: 12.5, volume: 250 }]);
  });

  test('older data never replaces newer, in no column', async () => {
    await write((tx) => storeBars(tx, [bar({ asOf: NOON })]));
    const before = await db.rows('SELECT * FROM bars');
    await write((tx) =>
      storeBars(tx, [bar({ open: 1, high: 2, low: 1, close: 1, adjustedClose: 1, volume: 1, source: 'lean', asOf: MORNING })]),
    );
    expect(await db.rows('SELECT * FROM bars')).toEqual(before);
  });

  test('more than one statement holds are all written', async () => {
    const many = Array.from({ length: 1201 }, (_, day) =>
      bar({ date: Temporal.PlainDate.from('2020-01-01').add({ days: day }).toString(), volume: day }),
    );
    await write((tx) => storeBars(tx, many));
    expect((await bars()).map(({ volume }) => volume)).toEqual(many.map(({ volume }) => volume));
  });

  test('prices of four decimals, as a Lean folder has them, come back exactly', async () => {
    // Every last digit, from a hundredth of a cent to Berkshire Hathaway.
    const prices = Array.from({ length: 2000 }, (_, at) => (at * 7_919 + 1) / 10_000).concat([0.0001, 718_750.25, 99_999_999.9999]);
    const days = prices.map((close, day) =>
      bar({ date: Temporal.PlainDate.from('2000-01-01').add({ days: day }).toString(), open: close, high: close, low: close, close }),
    );
    await write((tx) => storeBars(tx, days));
    const stored = await bars();
    for (const column of ['open', 'high', 'low', 'close'] as const) expect(stored.map((one) => one[column])).toEqual(prices);
  });

  test('an adjusted close keeps 14 decimals, a volume of ten billion its fraction', async () => {
    await write((tx) => storeBars(tx, [bar({ adjustedClose: 0.09876543210987, volume: 10_000_000_000.1234 })]));
    expect(await db.rows('SELECT adjusted_close, volume FROM bars')).toEqual([
      { adjusted_close: 0.09876543210987, volume: 10000000000.1234 },
    ]);
  });

  test('a range has both of its ends', async () => {
    await write((tx) =>
      storeBars(
        tx,
        ['2026-03-05', '2026-03-06', '2026-03-09', '2026-03-10'].map((date) => bar({ date })),
      ),
    );
    const dates = async (from: string, to?: string) => (await readBars(db, 'AAA', { from, to })).map(({ date }) => date);
    expect(await dates('2026-03-06', '2026-03-09')).toEqual(['2026-03-06', '2026-03-09']);
    expect(await dates('2026-03-09')).toEqual(['2026-03-09', '2026-03-10']);
  });
});

describe('newest bars', () => {
  test('of many symbols are read at once, each counted back from its own newest one, ascending', async () => {
    const days = ['2026-03-02', '2026-03-03', '2026-03-09', '2026-03-10'];
    await write(async (tx) => {
      await storeBars(
        tx,
        [...days.map((date) => bar({ date })), ...days.slice(0, 2).map((date) => bar({ symbol: 'BBB', date }))].reverse(),
      );
      await storeChecks(tx, [check(), check({ symbol: 'BBB', newestBar: '2026-03-03' })]);
    });
    const found = await readNewestBars(db, ['BBB', 'NONE', 'AAA'], 7);
    expect([...found].map(([symbol, rows]) => [symbol, rows.map(({ date }) => date)])).toEqual([
      ['BBB', ['2026-03-02', '2026-03-03']],
      ['NONE', []],
      ['AAA', ['2026-03-03', '2026-03-09', '2026-03-10']],
    ]);
  });

  test('as prices are the same bars without open and volume', async () => {
    await write(async (tx) => {
      await storeBars(tx, [bar({ date: '2026-03-09', adjustedClose: 5.5 }), bar()]);
      await storeChecks(tx, [check()]);
    });
    const whole = (await readNewestBars(db, ['AAA'], 30)).get('AAA')!;
    const prices = (await readNewestPrices(db, ['AAA'], 30)).get('AAA');
    expect(prices).toEqual(whole.map(({ open: _, volume: __, ...price }: Bar) => price));
    expect(prices).toHaveLength(2);
  });

  test.each([
    ['bars', readNewestBars],
    ['prices', readNewestPrices],
  ])('are read by ranges of the primary key, and no older ones with them: %s', async (_, read) => {
    const plans: { key: string; type: string; rows: string; Extra: string }[] = [];
    const explaining = {
      run: db.run,
      async rows<T>(sql: string, params?: readonly unknown[]): Promise<T[]> {
        if (sql.includes('FROM bars')) plans.push(...(await db.rows<(typeof plans)[number]>(`${EXPLAIN} ${sql}`, params)));
        return db.rows(sql, params);
      },
    };
    const days = Array.from({ length: 60 }, (_, at) => Temporal.PlainDate.from('2026-03-10').subtract({ days: at }).toString());
    await write(async (tx) => {
      await storeBars(
        tx,
        days.flatMap((date) => [bar({ date }), bar({ date, symbol: 'BBB' })]),
      );
      await storeChecks(tx, [check(), check({ symbol: 'BBB' })]);
    });
    const bars = await read(explaining, ['AAA', 'BBB'], 7);
    expect([...bars.values()].map((one) => one.length)).toEqual([8, 8]);
    expect(plans).toMatchObject([{ key: 'PRIMARY', type: 'range' }]);
    expect(Number(plans[0]?.rows)).toBeLessThan(30);
    expect(plans.map(({ Extra }) => Extra).join()).not.toMatch(/temporary|filesort/);
  });
});

describe('splits and dividends', () => {
  const action = (value: number, asOf: Date) => ({
    symbol: 'AAA',
    date: '2026-03-10',
    kind: 'dividend' as const,
    value,
    source: 'yahoo_finance' as const,
    asOf,
  });

  test('of one day stand side by side, and come back as they were', async () => {
    await write((tx) => storeActions(tx, [action(0.205, MORNING), { ...action(4, MORNING), kind: 'split' }]));
    expect(await readActions(db, 'AAA', EVER)).toEqual([
      { date: '2026-03-10', kind: 'split', value: 4 },
      { date: '2026-03-10', kind: 'dividend', value: 0.205 },
    ]);
  });

  test('are corrected by newer data and not by older', async () => {
    await write((tx) => storeActions(tx, [action(0.2, MORNING)]));
    await write((tx) => storeActions(tx, [action(0.3, NOON)]));
    await write((tx) => storeActions(tx, [action(0.2, MORNING)]));
    expect(await readActions(db, 'AAA', EVER)).toEqual([{ date: '2026-03-10', kind: 'dividend', value: 0.3 }]);
  });
});

describe('the row of a symbol', () => {
  test('holds what a check found', async () => {
    await write((tx) => storeChecks(tx, [check()]));
    expect(await state()).toMatchObject({ ...check(), analysedAt: null, volatility: null });
  });

  test('never goes back to an older newest bar, but remembers the check', async () => {
    await write((tx) => storeChecks(tx, [check({ asOf: NOON })]));
    await write((tx) => storeChecks(tx, [check({ newestBar: '2026-03-09', close: 1, source: 'lean', checkedAt: NOON })]));
    expect(await state()).toMatchObject({ newestBar: '2026-03-10', close: 11, source: 'yahoo_finance', asOf: NOON, checkedAt: NOON });
  });

  test('never takes older data of the same bar', async () => {
    await write((tx) => storeChecks(tx, [check({ asOf: NOON, close: 12, checkedAt: NOON })]));
    await write((tx) => storeChecks(tx, [check({ asOf: MORNING, close: 11, source: 'lean' })]));
    expect(await state()).toMatchObject({ close: 12, asOf: NOON, source: 'yahoo_finance', checkedAt: NOON });
  });

  test('keeps its bar, currency and zone when an answer has none', async () => {
    await write((tx) => storeChecks(tx, [check()]));
    await write((tx) =>
      storeChecks(tx, [check({ newestBar: null, asOf: null, close: null, currency: null, timeZone: null, checkedAt: NOON })]),
    );
    expect(await state()).toMatchObject({ ...check(), checkedAt: NOON });
  });

  test('gets its first bar after checks that found none', async () => {
    await write((tx) => storeChecks(tx, [check({ newestBar: null, asOf: null, close: null })]));
    await write((tx) => storeChecks(tx, [check()]));
    expect(await state()).toMatchObject(check());
  });

  test('what is stored is given again as it was true', async () => {
    await write(async (tx) => {
      await storeBars(tx, [bar()]);
      await storeChecks(tx, [check()]);
    });
    expect(await readStored(db, 'AAA', EVER)).toMatchObject({
      asOf: Temporal.Instant.from('2026-03-10T14:00:00Z'),
      currency: 'USD',
      bars: [{ close: 11 }],
    });
    expect(await readStored(db, 'NONE', EVER)).toBeUndefined();
  });
});

describe('before bars are written', () => {
  const plan = (symbol: string, simulated: boolean, replaces = false) => ({ symbol, simulated, replaces });
  const stored = (source: 'simulated' | 'yahoo_finance') =>
    write(async (tx) => {
      await storeBars(tx, [bar({ source })]);
      await storeActions(tx, [{ symbol: 'AAA', date: '2026-03-10', kind: 'split', value: 2, source, asOf: MORNING }]);
      await storeChecks(tx, [check({ source })]);
    });

  test('what is to be replaced goes, and with it the newest bar that it was', async () => {
    await stored('yahoo_finance');
    await write((tx) => beginBars(tx, [plan('AAA', false, true)]));
    expect([await bars(), await readActions(db, 'AAA', EVER)]).toEqual([[], []]);
    expect(await state()).toMatchObject({ newestBar: null, asOf: null, close: null, source: null, checkedAt: MORNING });
  });

  test.each([
    ['made-up ones to real ones', 'yahoo_finance', [plan('AAA', true)]],
    ['made-up ones in place of real ones', 'yahoo_finance', [plan('AAA', true, true)]],
    ['real ones to made-up ones', 'simulated', [plan('AAA', false)]],
    ['both at once', 'simulated', [plan('AAA', true), plan('AAA', false, true)]],
  ] as const)('%s are refused', async (_, source, plans) => {
    await stored(source);
    await expect(write((tx) => beginBars(tx, plans))).rejects.toMatchObject({ name: 'TransientError', code: 'bars.mixed' });
    expect(await bars()).toHaveLength(1);
  });

  test('writers of the same symbols in opposite orders wait for each other and meet no deadlock', async () => {
    const symbols = Array.from({ length: 20 }, (_, at) => `S${at}`);
    const writer = (order: string[], asOf: Date) =>
      write(async (tx) => {
        await beginBars(
          tx,
          order.map((symbol) => plan(symbol, false)),
        );
        for (const symbol of order) await storeBars(tx, [bar({ symbol, asOf })]);
        await storeChecks(
          tx,
          order.map((symbol) => check({ symbol, asOf })),
        );
      });
    const both = Array.from({ length: 12 }, (_, at) =>
      writer(at % 2 === 0 ? symbols : symbols.toReversed(), new Date(MORNING.getTime() + at)),
    );
    await Promise.all(both);
    expect(db.retries).toEqual(new Map());
  });
});

describe('analyses', () => {
  const values = { sma20: 10.5, volatility20: 0.25 } as StoredAnalysis['values'];
  const analysis = (changes: Partial<StoredAnalysis> = {}): StoredAnalysis => ({
    symbol: 'AAA',
    date: '2026-03-10',
    signal: 'buy',
    confidence: 0.75,
    score: 0.8,
    reasons: [{ indicator: 'trend', observation: 'SMA 50 above', points: 20, weight: 20 }],
    values,
    computedAt: MORNING,
    barsUsed: 250,
    asOf: MORNING,
    ...changes,
  });

  test('of one day are there once, the newest', async () => {
    await write((tx) => storeAnalyses(tx, [analysis()]));
    await write((tx) => storeAnalyses(tx, [analysis({ signal: 'sell', confidence: 0.5, computedAt: NOON })]));
    const rows = await db.rows<{ indicators: string }>(
      'SELECT symbol, date, computed_at, bars_used, `signal`, confidence, CAST(indicators AS CHAR) AS indicators FROM analyses',
    );
    expect(rows.map((row) => ({ ...row, indicators: JSON.parse(row.indicators) }))).toEqual([
      { symbol: 'AAA', date: '2026-03-10', computed_at: NOON, bars_used: 250, signal: 'sell', confidence: 0.5, indicators: values },
    ]);
  });

  test('are known to the row of their symbol, which keeps its bars', async () => {
    await write((tx) => storeChecks(tx, [check()]));
    await write((tx) => storeAnalyses(tx, [analysis()]));
    expect(await state()).toMatchObject({
      ...check(),
      analysedAt: MORNING,
      analysedBar: '2026-03-10',
      analysedAsOf: MORNING,
      volatility: 0.25,
    });
  });
});
