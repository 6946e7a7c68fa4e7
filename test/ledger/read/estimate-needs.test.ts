import { expect, test } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { createEstimator, jobToEstimate } from '../../../services/ledger/read/estimate.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { setJobs } from '../../support/job-rows.ts';
import { ledgerFixture } from '../fixture.ts';

const on = ledgerFixture();

/** Completed jobs of each type that took so many seconds, and a live worker with two slots. */
async function measured(seconds: Readonly<Record<string, number>>): Promise<void> {
  const at = new Date(on.clock.now().epochMilliseconds);
  for (const [type, took] of Object.entries(seconds)) {
    const [id] = await on.add({ type, symbol: 'DONE', dedupeKey: `${type}:DONE` });
    await setJobs(on.db, { state: 'completed', started_at: new Date(at.getTime() - took * 1000), ended_at: at, due_at: at }, 'id = ?', [
      idToBytes(id!),
    ]);
  }
  const one = { service: 'worker', session: crypto.randomUUID(), capacity: 2, running: 0, started_at: at, heartbeat_at: at } as const;
  await reportInstance(on.db, { instance: 'w1', ...one });
}

const fetchOf = (symbol: string) => ({ symbol, dedupeKey: `fetch:${symbol}` });
const analysisOf = (symbol: string, level = 1) => ({
  type: 'analysis',
  symbol,
  level,
  dedupeKey: `analysis:${symbol}`,
  after: [`fetch:${symbol}`],
});

async function estimate(...requests: Parameters<typeof on.ask>) {
  const answers = (await on.ask(...requests)).flatMap((answer) => (answer.outcome === 'refused' ? [] : [jobToEstimate(answer)]));
  return createEstimator(on.ledger()).estimate(answers);
}

test('an analysis that waits for its fetch starts when that is done', async () => {
  await measured({ fetch: 4, analysis: 1 });
  const [fetch, analysis] = await estimate(fetchOf('AAPL'), analysisOf('AAPL'));
  expect(fetch).toMatchObject({ startSeconds: 0, completionSeconds: 4 });
  expect(analysis).toMatchObject({ startSeconds: 4, completionSeconds: 5 });
});

test('also when it was asked for alone and the fetch was asked for before, behind others', async () => {
  await measured({ fetch: 4, analysis: 1 });
  // Four fetches ahead of it, two at a time: by hand 8 s to its start and 12 s to its end.
  await on.add(...['A', 'B', 'C', 'D'].map(fetchOf), fetchOf('AAPL'));
  const [analysis] = await estimate(analysisOf('AAPL'));
  expect(analysis).toMatchObject({ startSeconds: 12, completionSeconds: 13 });
});

test('a chain of three adds up, and a fetch that runs counts its whole median', async () => {
  await measured({ fetch: 4, analysis: 1, batch_fetch: 10 });
  await on.running(fetchOf('AAPL'));
  const [analysis, batch] = await estimate(analysisOf('AAPL'), { type: 'batch_fetch', dedupeKey: 'batch', after: ['analysis:AAPL'] });
  expect(analysis).toMatchObject({ startSeconds: 4, completionSeconds: 5 });
  expect(batch).toMatchObject({ startSeconds: 5, completionSeconds: 15 });
});

test('it is unknown while that of the fetch is unknown', async () => {
  await measured({ analysis: 1 });
  const [fetch, analysis] = await estimate(fetchOf('AAPL'), analysisOf('AAPL'));
  expect([fetch?.completionSeconds, analysis?.completionSeconds]).toEqual([null, null]);
});

test('a job without a need is estimated as before, by its place', async () => {
  await measured({ fetch: 4 });
  const [first, , third] = await estimate(fetchOf('A'), fetchOf('B'), fetchOf('C'));
  expect(first).toMatchObject({ position: 0, startSeconds: 0, completionSeconds: 4 });
  expect(third).toMatchObject({ position: 2, startSeconds: 4, completionSeconds: 8 });
});
