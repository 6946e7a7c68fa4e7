/** Prices keep at least eight significant digits from 1e-12 to 1e9, from the source to the screen. */
import { expect, test } from 'vitest';
import { analysisHandler } from '../../../services/job-types/analysis/handler.ts';
import { fetchHandler } from '../../../services/job-types/fetch/handler.ts';
import type { Bar } from '../../../services/market/bars/bars.ts';
import { readActions, readBars, readNewestPrices, readSymbols } from '../../../services/market/bars/read.ts';
import { addHoldings, readHoldings } from '../../../services/market/portfolios/holdings.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { fromJson } from '../../../services/platform/database/database.ts';
import { stub, weekdays, workshopOfFile } from '../../worker/workshop.ts';

const clock = new ManualClock('2026-11-27T22:00:00Z');
const shop = await workshopOfFile({}, clock);
const EXPONENTS = Array.from({ length: 22 }, (_, index) => index - 12);
const eight = (value: number | null | undefined) => value?.toPrecision(8);

test.each(EXPONENTS)('1.2345678e%d is stored, read, analysed and told with eight digits', async (exponent) => {
  const price = Number(`1.2345678e${exponent}`);
  const bars = weekdays('2025-12-01', 255).map((bar): Bar => {
    return { ...bar, open: price, high: price * 1.01, low: price * 0.99, close: price, adjustedClose: price };
  });
  const source = stub('yahoo_finance', bars, clock);
  source.actions = [{ date: '2026-03-03', kind: 'dividend', value: price / 100 }];
  const ids = await shop.enqueue({ symbol: 'AAA', payload: { symbol: 'AAA' } });
  const worker = shop.worker([fetchHandler, analysisHandler], { sources: [source] });
  await shop.reaches(ids[0]!, 'completed');
  const [analysis] = await shop.enqueue({ type: 'analysis', symbol: 'AAA', payload: { symbol: 'AAA' } });
  await shop.reaches(analysis!, 'completed');
  await worker.drain(0);

  const [bar] = await readBars(shop.db, 'AAA', { from: '2026-11-01' });
  expect([bar?.open, bar?.close, bar?.adjustedClose].map(eight)).toEqual(Array(3).fill(eight(price)));
  const prices = (await readNewestPrices(shop.db, ['AAA'], 7)).get('AAA');
  expect([prices?.[0]?.close, prices?.[0]?.adjustedClose].map(eight)).toEqual(Array(2).fill(eight(price)));
  expect(eight((await readSymbols(shop.db, ['AAA'])).get('AAA')?.close)).toBe(eight(price));
  expect(eight((await readActions(shop.db, 'AAA', { from: '2026-01-01' }))[0]?.value)).toBe(eight(price / 100));
  const [row] = await shop.db.rows<{ indicators: unknown }>("SELECT indicators FROM analyses WHERE symbol = 'AAA'");
  const { sma200, ema12 } = fromJson(row!.indicators) as Record<string, number>;
  expect([sma200, ema12].map(eight)).toEqual(Array(2).fill(eight(price)));
});

test.each(EXPONENTS)('a holding of 7.6543219e%d units at a cost of as much a unit is read as it was imported', async (exponent) => {
  const number = `7.6543219e${exponent}`;
  const text = Number(number).toFixed(Math.max(0, 7 - exponent));
  await shop.db.transaction(async (tx) => {
    await tx.run('DELETE FROM holdings');
    await addHoldings(tx, [{ user: 'olaf', symbol: 'SHIBX', quantity: text, cost: text }], new Date());
  });
  const [holding] = (await readHoldings(shop.db, ['olaf'])).get('olaf')!;
  expect([holding?.quantity, holding?.cost].map(eight)).toEqual([eight(Number(number)), eight(Number(number))]);
  await shop.db.run('DELETE FROM holdings');
});
