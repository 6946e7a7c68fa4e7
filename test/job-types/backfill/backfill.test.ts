import { expect, test } from 'vitest';
import { backfillHandler } from '../../../services/job-types/backfill/handler.ts';
import { fetchHandler } from '../../../services/job-types/fetch/handler.ts';
import { readNewestBars } from '../../../services/market/bars/read.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { stub, weekdays, workshopOfFile } from '../../worker/workshop.ts';

const clock = new ManualClock('2026-03-10T15:00:00Z');
// A first fetch alone would bring ten days.
const shop = await workshopOfFile({ 'stock_jobs.data_fetch.history_days': 10 }, clock);

// weekdays() gives all weekdays: 49 from 2026-01-01 to the clock's day, 27 of them from 2026-02-02 on.
test.each([
  ['a backfill', 'backfill', { from: '2026-02-02', to: '2026-02-27' }],
  ['a fetch with a range, as an earlier version enqueued it,', 'fetch', { range: { from: '2026-02-02', to: '2026-02-27' } }],
])('%s stores the bars from its first day on, up to the newest', async (_, type, payload) => {
  const source = stub('yahoo_finance', weekdays('2026-01-01', 49), clock);
  const [id] = await shop.enqueue({ type, symbol: 'AAA', payload: { symbol: 'AAA', ...payload } });
  shop.worker([fetchHandler, backfillHandler], { sources: [source] });
  await shop.reaches(id!, 'completed');
  const bars = (await readNewestBars(shop.db, ['AAA'], 1_000)).get('AAA')!.map(({ date }) => date);
  expect([bars.at(0), bars.at(-1), bars.length]).toEqual(['2026-02-02', '2026-03-10', 27]);
});
