import { expect, test } from 'vitest';
import { analysisHandler } from '../../../services/job-types/analysis/handler.ts';
import { fetchHandler } from '../../../services/job-types/fetch/handler.ts';
import { readNewestBars, readSymbols } from '../../../services/market/bars/read.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { stub, weekdays, workshopOfFile } from '../../worker/workshop.ts';

const clock = new ManualClock('2026-03-10T15:00:00Z');
const shop = await workshopOfFile({}, clock);

test('an analysis follows its fetch, on adjusted bars, and says so in the row of its symbol', async () => {
  // Raw closes 100, 101, …; half of each after adjustment.
  const source = stub('yahoo_finance', weekdays('2024-12-02', 331, { factor: 0.5 }), clock);
  const told: unknown[] = [];
  const bus = { state: 'online' as const, publish: async (kind: string, message: object) => void (kind === 'data' && told.push(message)) };
  const [, id] = await shop.enqueue(
    { symbol: 'AAA', dedupeKey: 'fetch:AAA:bars' },
    { type: 'analysis', symbol: 'AAA', after: ['fetch:AAA:bars'] },
  );
  shop.worker([fetchHandler, analysisHandler], { sources: [source], bus });
  const { result } = await shop.reaches(id!, 'completed');
  expect(result).toMatchObject({ symbol: 'AAA', date: '2026-03-09', signal: 'buy' });

  const [row] = await shop.db.rows<{ bars_used: number; indicators: string }>(
    'SELECT bars_used, CAST(indicators AS CHAR) AS indicators FROM analyses',
  );
  // The newest raw closes are 411 to 430: their mean is 420.5, the mean of 381 to 430 is 405.5, of 231 to 430 is 330.5.
  expect(JSON.parse(row!.indicators)).toMatchObject({ close: 215, sma20: 210.25, sma50: 202.75, sma200: 165.25, rsi14: 100 });
  expect(row!.bars_used).toBeGreaterThanOrEqual(250);
  expect((await readSymbols(shop.db, ['AAA'])).get('AAA')).toMatchObject({
    analysedBar: '2026-03-09',
    analysedAsOf: new Date('2026-03-10T15:00:00Z'),
  });
  expect(told.at(-1)).toEqual({
    symbol: 'AAA',
    kind: 'indicators',
    source: 'yahoo_finance',
    as_of: '2026-03-10T15:00:00.000Z',
    rows: row!.bars_used,
    through: '2026-03-09',
  });
});

test('it loads at least as many bars as settle its averages', async () => {
  const source = stub('yahoo_finance', weekdays('2023-01-02', 830), clock);
  const [id] = await shop.enqueue({ symbol: 'AAA' });
  const worker = shop.worker([fetchHandler], { sources: [source] });
  await shop.reaches(id!, 'completed');
  await worker.drain(0);
  const bars = (await readNewestBars(shop.db, ['AAA'], 3650)).get('AAA')!;
  const [analysis] = await shop.enqueue({ type: 'analysis', symbol: 'AAA' });
  shop.worker([analysisHandler]);
  const used = Number((await shop.reaches(analysis!, 'completed')).result!.bars);
  // stock_jobs.analysis.warm_up_bars
  expect(used).toBeGreaterThanOrEqual(250);
  expect(used).toBeLessThan(bars.length);
});

test('of made-up bars it is marked as made up', async () => {
  const told: unknown[] = [];
  const bus = { state: 'online' as const, publish: async (kind: string, message: object) => void (kind === 'data' && told.push(message)) };
  const source = stub('simulated', weekdays('2025-12-01', 60), clock);
  const [, id] = await shop.enqueue(
    { symbol: 'AAA', dedupeKey: 'fetch:AAA:bars' },
    { type: 'analysis', symbol: 'AAA', after: ['fetch:AAA:bars'] },
  );
  shop.worker([fetchHandler, analysisHandler], { sources: [source], bus });
  await shop.reaches(id!, 'completed');
  expect(told).toHaveLength(2);
  expect(told).toEqual([
    expect.objectContaining({ kind: 'bars', simulated: true }),
    expect.objectContaining({ kind: 'indicators', simulated: true }),
  ]);
});

test('without bars it fails at once, and says what gets them', async () => {
  const [id] = await shop.enqueue({ type: 'analysis', symbol: 'NONE' });
  shop.worker([analysisHandler]);
  expect(await shop.reaches(id!, 'failed')).toMatchObject({
    attempt: 1,
    code: 'analysis.no_bars',
    reason: 'NONE has no stored bars to analyse; "npx stockmesh fetch NONE" gets them',
  });
});

test('of a symbol whose source has no bars it does not advise to ask the source again', async () => {
  const [fetched] = await shop.enqueue({ symbol: 'EMPTY' });
  shop.worker([fetchHandler, analysisHandler], { sources: [stub('yahoo_finance', [], clock)] });
  await shop.reaches(fetched!, 'completed');
  const [id] = await shop.enqueue({ type: 'analysis', symbol: 'EMPTY' });
  expect(await shop.reaches(id!, 'failed')).toMatchObject({
    code: 'analysis.no_bars',
    reason: 'EMPTY has no bars to analyse: its source had none that can be true when it was asked at 2026-03-10T15:00:00.000Z',
  });
});

test.each([
  ['prices before a split that was not restated are left out, and the result says so', '2026-02-02', 26, true],
  ['a split before all the prices is no matter', '2025-01-02', 71, false],
])('%s', async (_, split, used, isDoubted) => {
  const source = stub('yahoo_finance', weekdays('2025-12-01', 71), clock);
  const [fetched] = await shop.enqueue({ symbol: 'SPLIT' });
  shop.worker([fetchHandler, analysisHandler], { sources: [source] });
  await shop.reaches(fetched!, 'completed');
  await shop.db.run("UPDATE symbols SET unrestated_split = ? WHERE symbol = 'SPLIT'", [split]);
  const [id] = await shop.enqueue({ type: 'analysis', symbol: 'SPLIT' });
  const { result } = await shop.reaches(id!, 'completed');
  // weekdays() gives all weekdays: from Monday 2 February to Monday 9 March 2026 there are 26.
  expect(result).toMatchObject({ bars: used, warnings: isDoubted ? [expect.stringContaining(split)] : [] });
  if (isDoubted) expect(result).toMatchObject({ signal: 'hold' });
});
