import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fetchHandler } from '../../../services/job-types/fetch/handler.ts';
import type { Bar } from '../../../services/market/bars/bars.ts';
import { readActions, readBars, readStored, readSymbols } from '../../../services/market/bars/read.ts';
import { storeAnalyses } from '../../../services/market/bars/store.ts';
import { cachedSource } from '../../../services/market/sources/cached.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { type JobRow, openWorkshop, type Stub, stub, sweep, type Workshop, weekdays } from '../../worker/workshop.ts';

const EVER = { from: '0000-01-01' };
/** A Tuesday, while New York trades. */
const NOW = '2026-03-10T15:00:00Z';

let database: TestDatabase;
let shop: Workshop;
const clock = new ManualClock(NOW);
let dataMessages: Record<string, unknown>[];
const bus = {
  state: 'online' as const,
  publish: async (kind: string, message: object) => {
    if (kind === 'data') dataMessages.push({ ...message });
  },
};

beforeAll(async () => {
  database = await testDatabase();
  shop = openWorkshop(database.options, {}, clock);
});
beforeEach(() => {
  clock.set(NOW);
  dataMessages = [];
});
afterEach(() => sweep(shop.db));
afterAll(async () => {
  await shop.db.close();
  await database.drop();
});

/** Runs one fetch job to its end, over the sources given. */
async function fetch(sources: readonly (Stub | ReturnType<typeof cachedSource>)[], range?: { from: string; to?: string }): Promise<JobRow> {
  const [id] = await shop.enqueue({ symbol: 'AAA', payload: { symbol: 'AAA', ...(range && { range }) } });
  const worker = shop.worker([fetchHandler], { sources, bus });
  await expect.poll(async () => (await shop.job(id!)).state, { interval: 5 }).not.toMatch(/ready|running/);
  await worker.drain(0);
  clock.advance({ minutes: 10 });
  return shop.job(id!);
}

const stored = () => readBars(shop.db, 'AAA', EVER);
const state = async () => (await readSymbols(shop.db, ['AAA'])).get('AAA');
const asOfs = () => shop.db.rows<{ date: string; as_of: Date }>("SELECT date, as_of FROM bars WHERE symbol = 'AAA' ORDER BY date");

describe('what is asked for', () => {
  test('of a symbol without bars: the configured history', async () => {
    const source = stub('yahoo_finance', weekdays('2026-02-02', 20), clock);
    const { result } = await fetch([source]);
    // stock_jobs.data_fetch.history_days: 730 days before 2026-03-10.
    expect(source.asked).toEqual([{ from: '2024-03-10' }]);
    expect(result).toMatchObject({ source: 'yahoo_finance', bars: 20, written: 20, through: '2026-02-27', stale: false, replaced: false });
    expect(await stored()).toEqual(source.has);
  });

  test('of a symbol whose bars all lie before the configured history: everything there is', async () => {
    const source = stub('lean', weekdays('2020-01-06', 20), clock);
    const { result } = await fetch([source]);
    expect(source.asked).toEqual([{ from: '2024-03-10' }, { from: '1900-01-01' }]);
    expect(result).toMatchObject({ source: 'lean', written: 20, through: '2020-01-31' });
  });

  test('of a known symbol: from a week before its newest bar on', async () => {
    const source = stub('yahoo_finance', weekdays('2026-02-02', 20), clock);
    await fetch([source]);
    source.has = weekdays('2026-02-02', 27);
    const { result } = await fetch([source]);
    expect(source.asked[1]).toEqual({ from: '2026-02-20' });
    expect(result).toMatchObject({ bars: 13, written: 7, through: '2026-03-10', replaced: false });
    expect(await stored()).toEqual(source.has);
  });
});

describe('what is written', () => {
  test('nothing the second time, but the check is recorded', async () => {
    const source = stub('yahoo_finance', weekdays('2026-02-02', 20), clock);
    await fetch([source]);
    const before = await state();
    expect((await fetch([source])).result).toMatchObject({ written: 0 });
    expect(await state()).toEqual({ ...before, asOf: new Date('2026-03-10T15:10:00Z'), checkedAt: new Date('2026-03-10T15:10:00Z') });
  });

  test('a live bar replaces itself, and no other bar is touched', async () => {
    const bars = weekdays('2026-02-02', 27);
    const source = stub('yahoo_finance', bars, clock);
    await fetch([source]);
    const live: Bar = { ...bars.at(-1)!, high: 131, close: 130.25, adjustedClose: 130.25, volume: 5000 };
    source.has = [...bars.slice(0, -1), live];
    expect((await fetch([source])).result).toMatchObject({ written: 1, replaced: false });
    expect(await stored()).toEqual(source.has);
    const times = (await asOfs()).map(({ as_of }) => as_of.toISOString());
    expect(times).toEqual([...Array(26).fill('2026-03-10T15:00:00.000Z'), '2026-03-10T15:10:00.000Z']);
    expect(await state()).toMatchObject({ newestBar: '2026-03-10', close: 130.25 });
  });

  test('splits and dividends beside the bars', async () => {
    const source = stub('yahoo_finance', weekdays('2026-02-02', 20), clock);
    source.actions = [
      { date: '2026-02-10', kind: 'dividend', value: 0.82 },
      { date: '2026-02-17', kind: 'split', value: 4 },
    ];
    await fetch([source]);
    expect(await readActions(shop.db, 'AAA', EVER)).toEqual(source.actions);
  });

  test('an answer without bars is a check, and no bar', async () => {
    const source = stub('yahoo_finance', [], clock);
    expect(await fetch([source])).toMatchObject({ state: 'completed', result: { bars: 0, written: 0, through: null } });
    expect(await state()).toMatchObject({ newestBar: null, asOf: null, checkedAt: new Date(NOW), close: null, source: 'yahoo_finance' });
  });

  test('an answer without bars leaves the bars of a known symbol alone', async () => {
    const source = stub('yahoo_finance', weekdays('2026-02-02', 20), clock);
    await fetch([source]);
    const before = await state();
    source.has = [];
    await fetch([source]);
    expect(await stored()).toHaveLength(20);
    expect(await state()).toEqual({ ...before, checkedAt: new Date('2026-03-10T15:10:00Z') });
  });

  test('it says where the data came from', async () => {
    await fetch([stub('yahoo_finance', weekdays('2026-02-02', 20), clock)]);
    expect(dataMessages).toEqual([
      { symbol: 'AAA', kind: 'bars', source: 'yahoo_finance', as_of: '2026-03-10T15:00:00.000Z', rows: 20, through: '2026-02-27' },
    ]);
  });
});

describe('another adjustment', () => {
  test.each([
    ['a dividend', 0.995],
    ['a split', 0.25],
    ['the smallest dividends', 0.9999],
  ])('%s: the whole history is asked for again and replaced', async (_, factor) => {
    const source = stub('yahoo_finance', weekdays('2026-01-01', 40), clock);
    await fetch([source]);
    // The first bar is one that the source no longer knows.
    source.has = weekdays('2026-01-01', 42, { factor }).slice(1);
    expect((await fetch([source])).result).toMatchObject({ replaced: true, bars: 41, written: 41 });
    expect(source.asked.slice(1)).toEqual([{ from: '2026-02-18' }, { from: '2024-03-10' }]);
    expect(await stored()).toEqual(source.has);
  });

  test('history that reaches back further than is configured is replaced as a whole too', async () => {
    const source = stub('yahoo_finance', weekdays('2020-01-01', 1600), clock);
    await fetch([source], { from: '2020-01-01' });
    source.has = weekdays('2020-01-01', 1600, { factor: 0.5 });
    await fetch([source]);
    expect(source.asked.at(-1)).toEqual({ from: '2020-01-01' });
    expect(await stored()).toEqual(source.has);
  });

  test('a live bar whose price has moved is none', async () => {
    const bars = weekdays('2026-02-02', 27, { factor: 0.8 });
    const source = stub('yahoo_finance', bars, clock);
    await fetch([source]);
    source.has = [...bars.slice(0, -1), { ...bars.at(-1)!, close: 140, adjustedClose: 140 * 0.8 }];
    expect((await fetch([source])).result).toMatchObject({ replaced: false, written: 1 });
  });

  test.each([1e-12, 3.2e-7, 5.16e-6, 0.0067123456, 9.8765432e8])(
    'none for a price of %d: the second fetch writes nothing',
    async (price) => {
      const source = stub(
        'yahoo_finance',
        weekdays('2026-02-02', 20).map((bar, day) => {
          const close = price * (1 + day * 1.0000001e-7);
          return { ...bar, open: close, high: close * 1.01, low: close * 0.99, close, adjustedClose: close * 0.9991 };
        }),
        clock,
      );
      await fetch([source]);
      expect((await stored()).map(({ close }) => close.toPrecision(14))).toEqual(
        (source.has as Bar[]).map(({ close }) => close.toPrecision(14)),
      );
      expect((await fetch([source])).result).toMatchObject({ replaced: false, written: 0 });
    },
  );

  test('without the history to replace it by leaves everything as it is, and is tried again', async () => {
    const source = stub('yahoo_finance', weekdays('2026-02-02', 20), clock);
    await fetch([source]);
    const before = await stored();
    const bars = source.bars;
    source.has = weekdays('2026-02-02', 20, { factor: 0.5 });
    source.bars = async (symbol, range, signal) => ({
      ...(await bars(symbol, range, signal)),
      ...(range.from < '2026-01-01' && { bars: [] }),
    });
    expect(await fetch([source])).toMatchObject({ state: 'scheduled' });
    expect(await shop.db.rows('SELECT code FROM job_attempts')).toEqual([{ code: 'fetch.no_history' }]);
    expect(await stored()).toEqual(before);
  });
});

describe('real and made-up bars', () => {
  test('real ones replace all made-up ones, and what was computed from those', async () => {
    const made = stub('simulated', weekdays('2026-02-02', 27), clock);
    await fetch([made]);
    expect(dataMessages[0]).toMatchObject({ source: 'simulated', simulated: true });
    const values = { volatility20: 0.3 } as Parameters<typeof storeAnalyses>[1][number]['values'];
    const analysis = { symbol: 'AAA', date: '2026-03-10', signal: 'buy' as const, confidence: 1, score: 1, reasons: [], values };
    const at = new Date(NOW);
    await shop.db.transaction((tx) => storeAnalyses(tx, [{ ...analysis, computedAt: at, barsUsed: 27, asOf: at }]));

    // The real feed ends earlier than the made-up one did.
    const real = stub('yahoo_finance', weekdays('2026-02-02', 20, { start: 50 }), clock);
    expect((await fetch([real, made])).result).toMatchObject({ source: 'yahoo_finance', replaced: true, simulated: false });
    expect(await stored()).toEqual(real.has);
    expect(await state()).toMatchObject({
      newestBar: '2026-02-27',
      close: 69,
      source: 'yahoo_finance',
      analysedBar: null,
      volatility: null,
    });
    expect(await shop.db.rows('SELECT * FROM analyses')).toEqual([]);
  });

  test('made-up ones never replace real ones: the job waits for a real source', async () => {
    const real = stub('yahoo_finance', weekdays('2026-02-02', 20), clock);
    const made = stub('simulated', weekdays('2026-02-02', 27, { start: 50 }), clock);
    await fetch([real, made]);
    const before = await stored();
    real.has = new TransientError('source.network', 'fetch failed');
    expect(await fetch([real, made])).toMatchObject({ state: 'scheduled' });
    expect(made.asked).toEqual([]);
    expect(await stored()).toEqual(before);
  });

  test('made-up ones that come late are refused when real ones have been stored meanwhile', async () => {
    const made = stub('simulated', weekdays('2026-02-02', 27, { start: 50 }), clock);
    const real = stub('yahoo_finance', weekdays('2026-02-02', 20), clock);
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const slow: Stub = {
      ...made,
      async bars(...question) {
        asked.resolve();
        await answer.promise;
        return made.bars(...question);
      },
    };
    const [late] = await shop.enqueue({ symbol: 'AAA' });
    const worker = shop.worker([fetchHandler], { sources: [slow], overrides: { 'worker.max_concurrent_jobs': 1 } });
    await asked.promise;
    expect(await fetch([real])).toMatchObject({ state: 'completed', result: { source: 'yahoo_finance' } });
    answer.resolve();
    await shop.reaches(late!, 'scheduled');
    await worker.drain(0);
    expect(await shop.db.rows('SELECT code FROM job_attempts')).toEqual([{ code: 'bars.mixed' }]);
    expect(await stored()).toEqual(real.has);
    expect(await state()).toMatchObject({ source: 'yahoo_finance', newestBar: '2026-02-27' });
  });

  test('both for an unknown symbol in one batch: one of them is kept, whole', async () => {
    const ids = await shop.enqueue({ symbol: 'AAA' }, { symbol: 'AAA' });
    const sources = [
      stub('simulated', weekdays('2026-02-02', 20, { start: 50 }), clock),
      stub('yahoo_finance', weekdays('2026-02-02', 20), clock),
    ];
    let turn = 0;
    const either: Stub = { ...sources[0]!, bars: (...question) => sources[turn++ % 2]!.bars(...question) };
    shop.worker([fetchHandler], { sources: [either], overrides: { 'worker.batch.wait': 100 } });
    await expect
      .poll(async () => (await Promise.all(ids.map(shop.job))).map((job) => job.state).toSorted())
      .toEqual(['completed', 'scheduled']);
    expect(await shop.db.rows('SELECT COUNT(DISTINCT source) AS kinds, COUNT(*) AS bars FROM bars')).toEqual([{ kinds: 1, bars: 20 }]);
  });
});

describe('stored data given again', () => {
  const cached = () => cachedSource({ read: (symbol, range) => readStored(shop.db, symbol, range) });

  test('writes nothing and is no check: the symbol stays as stale as it was', async () => {
    const source = stub('yahoo_finance', weekdays('2026-02-02', 20), clock);
    await fetch([source]);
    const before = [await stored(), await state()];
    source.has = new TransientError('source.network', 'fetch failed');
    const { result } = await fetch([source, cached()]);
    expect(result).toMatchObject({ source: 'cached', stale: true, written: 0, simulated: false });
    expect([await stored(), await state()]).toEqual(before);
    expect(dataMessages.at(-1)).toMatchObject({ source: 'cached', stale: true, as_of: '2026-03-10T15:00:00.000Z' });
  });

  test('of made-up bars is marked as made up', async () => {
    await fetch([stub('simulated', weekdays('2026-02-02', 20), clock)]);
    expect((await fetch([cached()])).result).toMatchObject({ stale: true, simulated: true });
    expect(dataMessages.at(-1)).toMatchObject({ source: 'cached', stale: true, simulated: true });
  });
});

describe('history', () => {
  test('before what is stored joins it without a hole, and the second time nothing is written', async () => {
    const source = stub('yahoo_finance', weekdays('2023-01-02', 820), clock);
    await fetch([source]);
    expect((await stored())[0]!.date).toBe('2024-03-11');
    await fetch([source], { from: '2023-01-02', to: '2023-06-30' });
    expect(source.asked.at(-1)).toEqual({ from: '2023-01-02' });
    expect(await stored()).toEqual(source.has);
    expect((await fetch([source], { from: '2023-01-02', to: '2023-06-30' })).result).toMatchObject({ bars: 820, written: 0 });
  });

  test('that was adjusted otherwise replaces all', async () => {
    const source = stub('yahoo_finance', weekdays('2023-01-02', 820), clock);
    await fetch([source]);
    source.has = weekdays('2023-01-02', 820, { factor: 0.5 });
    expect((await fetch([source], { from: '2023-01-02', to: '2023-06-30' })).result).toMatchObject({ replaced: true, written: 820 });
    expect(await stored()).toEqual(source.has);
  });

  test('after what is stored leaves no hole either', async () => {
    const source = stub('yahoo_finance', weekdays('2026-01-01', 20), clock);
    await fetch([source]);
    source.has = weekdays('2026-01-01', 45);
    await fetch([source], { from: '2026-03-02', to: '2026-03-04' });
    expect(await stored()).toEqual(source.has);
  });

  test('of a symbol without bars is no shorter than the configured history', async () => {
    const source = stub('yahoo_finance', weekdays('2025-01-01', 300), clock);
    await fetch([source], { from: '2026-02-02', to: '2026-02-06' });
    expect(source.asked).toEqual([{ from: '2024-03-10' }]);
  });
});
