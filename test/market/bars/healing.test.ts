/** A source that changes what it said earlier: the stored history follows, by the ordinary fetch. */
import { beforeEach, describe, expect, test } from 'vitest';
import { analysisHandler } from '../../../services/job-types/analysis/handler.ts';
import { fetchHandler } from '../../../services/job-types/fetch/handler.ts';
import type { Bar } from '../../../services/market/bars/bars.ts';
import { readActions, readBars, readSymbols } from '../../../services/market/bars/read.ts';
import { yahooSource } from '../../../services/market/sources/yahoo.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { type JobRow, type Stub, stub, weekdays, workshopOfFile } from '../../worker/workshop.ts';

const EVER = { from: '0000-01-01' };
const NOW = '2026-03-10T22:00:00Z';
const clock = new ManualClock(NOW);
const shop = await workshopOfFile({}, clock);
let source: Stub;

beforeEach(async () => {
  clock.set(NOW);
  source = stub('yahoo_finance', weekdays('2025-01-01', 300), clock);
});

async function run(type: 'fetch' | 'analysis', sources: Parameters<typeof shop.worker>[1] = { sources: [source] }): Promise<JobRow> {
  const [id] = await shop.enqueue({ type, symbol: 'AAA', payload: { symbol: 'AAA' } });
  const worker = shop.worker([fetchHandler, analysisHandler], sources);
  await shop.reaches(id!, 'completed');
  await worker.drain(0);
  clock.advance({ minutes: 10 });
  return shop.job(id!);
}
const stored = () => readBars(shop.db, 'AAA', EVER);
const state = async () => (await readSymbols(shop.db, ['AAA'])).get('AAA');
const asks = () => source.asked.map(({ from }) => from);
/** The bars with one of them changed; negative days count from the newest. */
const changed = (day: number, change: Partial<Bar>): Bar[] =>
  (source.has as Bar[]).with(day, { ...(source.has as Bar[]).at(day)!, ...change });

describe('a change within the last week makes the whole history be fetched again at once', () => {
  test.each<[string, Partial<Bar>]>([
    ['a repaired close', { close: 390, adjustedClose: 390 }],
    ['a repaired high', { high: 500 }],
    ['a changed adjusted close', { adjustedClose: 200 }],
  ])('%s', async (_, change) => {
    await run('fetch');
    // Another repair, far before the overlap, which only the whole history shows.
    source.has = changed(5, { open: 1.5, low: 1 });
    source.has = changed(-3, change);
    const { result } = await run('fetch');
    expect(asks()).toEqual(['2024-03-10', '2026-02-17', '2024-03-10']);
    expect(result).toMatchObject({ replaced: true, replaced_because: expect.stringContaining('2026-02-20') });
    expect(await stored()).toEqual(source.has);
  });

  test('a volume that is counted again is written, and nothing more is asked for', async () => {
    await run('fetch');
    source.has = changed(-3, { volume: 5 });
    expect((await run('fetch')).result).toMatchObject({ replaced: false, written: 1 });
    expect(await stored()).toEqual(source.has);
  });

  test.each([
    ['a split', { date: '2026-02-20', kind: 'split' as const, value: 1.0027 }, 'the split of 2026-02-20 is new'],
    ['a dividend', { date: '2026-02-20', kind: 'dividend' as const, value: 0.5 }, 'the dividend of 2026-02-20 is new'],
  ])('%s that was not listed before', async (_, action, because) => {
    await run('fetch');
    source.actions = [action];
    expect((await run('fetch')).result).toMatchObject({ replaced: true, replaced_because: because });
    expect(await readActions(shop.db, 'AAA', EVER)).toEqual([action]);
    expect((await run('fetch')).result).toMatchObject({ replaced: false, written: 0 });
  });

  test('a dividend whose amount was corrected', async () => {
    source.actions = [{ date: '2026-02-20', kind: 'dividend', value: 0.5 }];
    await run('fetch');
    source.actions = [{ date: '2026-02-20', kind: 'dividend', value: 0.55 }];
    expect((await run('fetch')).result).toMatchObject({ replaced_because: 'the dividend of 2026-02-20 has changed from 0.5 to 0.55' });
    expect(await readActions(shop.db, 'AAA', EVER)).toEqual(source.actions);
  });
});

describe('once a day all stored bars are compared', () => {
  test('a repaired bar of last year is found on the next day, and one request is enough', async () => {
    await run('fetch');
    source.has = changed(5, { close: 1.25, low: 1, adjustedClose: 1.25 });
    await run('fetch');
    expect(await stored()).not.toEqual(source.has);
    clock.advance({ hours: 24 });
    expect((await run('fetch')).result).toMatchObject({ replaced: true, replaced_because: expect.stringContaining('2025-01-08') });
    expect(asks()).toEqual(['2024-03-10', '2026-02-17', '2024-03-11']);
    expect(await stored()).toEqual(source.has);
  });

  test('an unchanged history is written nowhere, and the next fetch asks for a week again', async () => {
    await run('fetch');
    clock.advance({ hours: 24 });
    expect((await run('fetch')).result).toMatchObject({ replaced: false, written: 0 });
    await run('fetch');
    expect(asks()).toEqual(['2024-03-10', '2024-03-11', '2026-02-17']);
  });

  test('a dividend that the source has withdrawn is deleted', async () => {
    source.actions = [{ date: '2025-06-02', kind: 'dividend', value: 0.5 }];
    await run('fetch');
    source.actions = [];
    clock.advance({ hours: 24 });
    expect((await run('fetch')).result).toMatchObject({ replaced_because: "the dividend of 2025-06-02 is no longer among the source's" });
    expect(await readActions(shop.db, 'AAA', EVER)).toEqual([]);
  });

  test('a bar of an earlier version with a price of 0 is replaced by the next fetch, and the analysis works again', async () => {
    await run('fetch');
    await shop.db.run("UPDATE bars SET close = 0, adjusted_close = 0 WHERE symbol = 'AAA' AND date = '2025-06-02'");
    await shop.db.run("UPDATE symbols SET history_checked_at = NULL WHERE symbol = 'AAA'");
    expect((await run('fetch')).result).toMatchObject({
      replaced: true,
      replaced_because: expect.stringContaining('close 0 is not a price'),
    });
    expect(await stored()).toEqual(source.has);
    expect((await run('analysis')).result).toMatchObject({ signal: 'buy' });
  });
});

describe('a split that the source has not restated', () => {
  const at = (date: string) => Date.parse(`${date}T14:30:00Z`) / 1000;
  const days = weekdays('2025-12-01', 72).map(({ date }) => date);
  const EX_DATE = '2026-02-10';

  /** Yahoo's answer with a split 1:10 on 10 February; `priceOf` gives the scaled price of a day. */
  function yahoo(priceOf: (date: string) => number) {
    const prices = days.map(priceOf);
    const chart = {
      meta: { currency: 'USD', symbol: 'AAA', exchangeTimezoneName: 'America/New_York' },
      timestamp: days.map(at),
      indicators: {
        quote: [{ open: prices, high: prices, low: prices, close: prices, volume: days.map((_, index) => 100_000 + index) }],
        adjclose: [{ adjclose: prices }],
      },
      events: { splits: { x: { date: at(EX_DATE), numerator: 1, denominator: 10, splitRatio: '1:10' } } },
    };
    return { sources: [yahooSource({ clock, fetch: async () => Response.json({ chart: { result: [chart], error: null } }) })] };
  }
  /** As in the recorded answer: 10 before the split, but for one day, and 100 from it on. */
  const unrestated = yahoo((date) => (date >= EX_DATE || date === '2025-12-17' ? 100 : 10));
  const restated = yahoo(() => 100);

  test('is flagged on the symbol and named in the result, and gives no signal and no volatility of a crash', async () => {
    const { result } = await run('fetch', unrestated);
    const because = `the source has not restated the prices before the 1-for-10 split of ${EX_DATE}: there is no signal until it has`;
    expect(result).toMatchObject({ warnings: [because] });
    expect(await state()).toMatchObject({ unrestatedSplit: EX_DATE });
    expect((await run('analysis', unrestated)).result).toMatchObject({
      signal: 'hold',
      confidence: 0,
      bars: 21,
      warnings: [`the source has not restated the prices before the split of ${EX_DATE}: there is no signal until it has`],
    });
    expect(await state()).toMatchObject({ volatility: 0 });
  });

  test('is healed by the next fetch after the source has restated it: prices, flag and signal', async () => {
    await run('fetch', unrestated);
    await run('analysis', unrestated);
    const { result } = await run('fetch', restated);
    expect(result).toMatchObject({ replaced: true, warnings: [] });
    expect(await state()).toMatchObject({ unrestatedSplit: null, analysedAt: null });
    // Raw prices: 100 scaled for 1:10 were 10 before the split.
    expect((await stored()).map(({ close, adjustedClose }) => [close, adjustedClose])).toEqual(
      days.map((date) => [date < EX_DATE ? 10 : 100, 100]),
    );
    expect((await run('analysis', restated)).result).toMatchObject({ bars: 72, warnings: [] });
  });

  test('a year ago does not touch a signal from this year, and is compared once a day', async () => {
    const ofYears = weekdays('2024-03-11', 500);
    source.has = ofYears.map((bar): Bar => (bar.date < '2024-06-03' ? { ...bar, adjustedClose: bar.close / 10 } : bar));
    source.actions = [{ date: '2024-06-03', kind: 'split', value: 0.1 }];
    await run('fetch');
    expect(await state()).toMatchObject({ unrestatedSplit: '2024-06-03' });
    expect((await run('analysis')).result).toMatchObject({ signal: 'buy', warnings: [] });
    await run('fetch');
    expect(asks()).toEqual(['2024-03-10', '2026-01-30']);
  });

  test('while it is not restated every fetch compares the whole history', async () => {
    source.has = days.map((date): Bar => {
      const price = date < EX_DATE ? 10 : 100;
      return { date, open: price, high: price, low: price, close: price, adjustedClose: price, volume: 1 };
    });
    source.actions = [{ date: EX_DATE, kind: 'split', value: 0.1 }];
    await run('fetch');
    expect((await run('fetch')).result).toMatchObject({ replaced: false, written: 0, warnings: [expect.stringContaining('1-for-10')] });
    expect(asks()).toEqual(['2024-03-10', '2024-03-10']);
  });
});
