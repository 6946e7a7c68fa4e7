import { expect, test } from 'vitest';
import { batchFetchHandler } from '../../../services/job-types/batch-fetch/handler.ts';
import { retry } from '../../../services/ledger/control.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { listItems } from '../../../services/ledger/run/items.ts';
import { readSymbols } from '../../../services/market/bars/read.ts';
import type { MarketSource } from '../../../services/market/sources/source.ts';
import { PermanentError, TransientError } from '../../../services/platform/errors.ts';
import { setJobs } from '../../support/job-rows.ts';
import { stub, weekdays, workshopOfFile } from '../../worker/workshop.ts';

const shop = await workshopOfFile();

const market = stub('yahoo_finance', weekdays('2026-02-02', 5));

/** The market, but for some symbols another answer. */
function except(answers: Record<string, () => Promise<never>>, asked: string[] = []): MarketSource {
  return {
    name: 'yahoo_finance',
    bars(symbol, range, signal) {
      asked.push(symbol);
      return answers[symbol]?.() ?? market.bars(symbol, range, signal);
    },
  };
}

const unknown = (symbol: string) => () => Promise.reject(new PermanentError('source.unknown_symbol', `unknown symbol ${symbol}`));
const away = () => Promise.reject(new TransientError('source.network', 'fetch failed'));

const batch = (...symbols: string[]) => ({ type: 'batch_fetch', symbol: undefined, payload: { symbols } });
const items = async (id: string) =>
  Object.fromEntries(
    (await listItems(shop.db, id, { limit: 100 })).map(({ key, state, reason }) => [key, reason === null ? state : `${state}: ${reason}`]),
  );
const bars = async () =>
  (await shop.db.rows<{ symbol: string }>('SELECT DISTINCT symbol FROM bars ORDER BY symbol')).map(({ symbol }) => symbol);

/** Makes a job that waits for its retry ready now. */
async function dueNow(id: string): Promise<void> {
  await shop.reaches(id, 'scheduled');
  await setJobs(shop.db, { state: 'ready' }, 'id = ?', [idToBytes(id)]);
}

test('every symbol is stored and counted', async () => {
  const [id] = await shop.enqueue(batch('AAA', 'BBB', 'CCC'));
  shop.worker([batchFetchHandler], { sources: [market] });
  expect((await shop.reaches(id!, 'completed')).result).toEqual({ symbols: 3, done: 3, skipped: 0, no_data: 0, failed: 0 });
  expect(await bars()).toEqual(['AAA', 'BBB', 'CCC']);
  expect(await items(id!)).toMatchObject({ AAA: 'done: yahoo_finance: 5 bars, 5 written' });
});

test('progress is told after each symbol, by the counts of the item rows', async () => {
  const told: unknown[] = [];
  const bus = {
    state: 'online' as const,
    publish: async (_: string, message: object) => void ('progress' in message && told.push(message.progress)),
  };
  const [id] = await shop.enqueue(batch('AAA', 'NOPE', 'CCC'));
  shop.worker([batchFetchHandler], { sources: [except({ NOPE: unknown('NOPE') })], bus });
  await shop.reaches(id!, 'completed_with_errors');
  expect(told).toHaveLength(3);
  expect(told).toContainEqual({ done: 2, total: 3, failed: 1, skipped: 0, no_data: 0, not_entitled: 0, not_yet: 0 });
});

test('a symbol that can never be fetched fails as an item, named, and is not counted as done', async () => {
  const [id] = await shop.enqueue(batch('AAA', 'NOPE'));
  shop.worker([batchFetchHandler], { sources: [except({ NOPE: unknown('NOPE') })] });
  const job = await shop.reaches(id!, 'completed_with_errors');
  expect(job.result).toEqual({ symbols: 2, done: 1, skipped: 0, no_data: 0, failed: 1 });
  expect(job.reason).toMatch(/^1 of 2 symbols failed/);
  expect((await items(id!)).NOPE).toBe('failed: no source knows NOPE (asked: yahoo_finance); check its spelling');
});

test('an item that failed in an earlier attempt is still a failed one when the rest has been done', async () => {
  const answers: Record<string, () => Promise<never>> = { NOPE: unknown('NOPE'), LATER: away };
  const [id] = await shop.enqueue(batch('AAA', 'NOPE', 'LATER'));
  shop.worker([batchFetchHandler], { sources: [except(answers)] });
  await shop.reaches(id!, 'scheduled');
  delete answers.LATER;
  await dueNow(id!);
  expect((await shop.reaches(id!, 'completed_with_errors')).result).toMatchObject({ symbols: 3, done: 2, failed: 1 });
});

test('only what is still to be done is asked for again', async () => {
  const answers: Record<string, () => Promise<never>> = { LATER: away };
  const asked: string[] = [];
  const [id] = await shop.enqueue(batch('AAA', 'BBB', 'LATER'));
  shop.worker([batchFetchHandler], { sources: [except(answers, asked)] });
  await shop.reaches(id!, 'scheduled');
  expect(await shop.db.rows('SELECT code FROM job_attempts')).toEqual([{ code: 'batch.items_pending' }]);
  delete answers.LATER;
  await dueNow(id!);
  await shop.reaches(id!, 'completed');
  expect(asked.toSorted()).toEqual(['AAA', 'BBB', 'LATER', 'LATER']);
});

test('the last attempt fails what could not be had, with the reason', async () => {
  const [id] = await shop.enqueue(batch('AAA', 'LATER'));
  await setJobs(shop.db, { max_attempts: 1 }, 'id = ?', [idToBytes(id!)]);
  shop.worker([batchFetchHandler], { sources: [except({ LATER: away })] });
  await shop.reaches(id!, 'completed_with_errors');
  expect((await items(id!)).LATER).toMatch(/^failed: no source has bars of LATER: yahoo_finance: fetch failed/);
});

test('after a crash another worker goes on with the pending ones', async () => {
  const asked: string[] = [];
  const stuck = except({ CCC: () => new Promise(() => {}) }, asked);
  const [id] = await shop.enqueue(batch('AAA', 'BBB', 'CCC', 'DDD'));
  shop.worker([batchFetchHandler], { sources: [stuck], id: 'first', overrides: { 'worker.max_concurrent_jobs': 1 } });
  await expect.poll(async () => (await listItems(shop.db, id!, { limit: 9, state: 'done' })).length).toBe(3);
  // What the reaper does with the lease of a worker that is gone.
  await setJobs(shop.db, { state: 'ready', worker_id: null }, 'id = ?', [idToBytes(id!)]);
  const again: string[] = [];
  shop.worker([batchFetchHandler], { sources: [except({}, again)], id: 'second' });
  expect(await shop.reaches(id!, 'completed')).toMatchObject({ worker: 'second', attempt: 2, result: { symbols: 4, done: 4 } });
  expect(asked.toSorted()).toEqual(['AAA', 'BBB', 'CCC', 'DDD']);
  expect(again).toEqual(['CCC']);
});

test('a retry by hand asks for the failed ones alone', async () => {
  const answers: Record<string, () => Promise<never>> = { NEW: unknown('NEW') };
  const asked: string[] = [];
  const [id] = await shop.enqueue(batch('AAA', 'NEW'));
  shop.worker([batchFetchHandler], { sources: [except(answers, asked)] });
  await shop.reaches(id!, 'completed_with_errors');
  delete answers.NEW;
  await retry(shop.ledger, id!);
  expect((await shop.reaches(id!, 'completed')).result).toMatchObject({ done: 2, failed: 0 });
  expect(asked.toSorted()).toEqual(['AAA', 'NEW', 'NEW']);
});

test('a symbol that got stored data again is skipped, not done', async () => {
  const stale = stub('yahoo_finance', weekdays('2026-02-02', 5));
  stale.stale = true;
  const [id] = await shop.enqueue(batch('AAA'));
  shop.worker([batchFetchHandler], { sources: [stale] });
  expect((await shop.reaches(id!, 'completed')).result).toMatchObject({ done: 0, skipped: 1 });
});

test('a symbol without bars is counted as such', async () => {
  const [id] = await shop.enqueue(batch('AAA'));
  shop.worker([batchFetchHandler], { sources: [stub('yahoo_finance', [])] });
  expect((await shop.reaches(id!, 'completed')).result).toMatchObject({ done: 0, no_data: 1 });
});

test('a worker that has lost the job stops at its next item and leaves the others to the new owner', async () => {
  const asked: string[] = [];
  const answer = Promise.withResolvers<void>();
  const slow: MarketSource = {
    name: 'yahoo_finance',
    async bars(symbol, range, signal) {
      asked.push(symbol);
      await answer.promise;
      return market.bars(symbol, range, signal);
    },
  };
  const [id] = await shop.enqueue(batch('AAA', 'BBB', 'CCC', 'DDD', 'EEE', 'FFF'));
  const worker = shop.worker([batchFetchHandler], { sources: [slow] });
  await expect.poll(() => asked.length).toBe(4);
  await setJobs(shop.db, ({ attempt }) => ({ worker_id: 'other', attempt: attempt + 1 }), 'id = ?', [idToBytes(id!)]);
  answer.resolve();
  await expect.poll(() => worker.running()).toEqual([]);
  expect(asked).toHaveLength(4);
  expect(await bars()).toEqual([]);
  expect(await readSymbols(shop.db, ['AAA'])).toEqual(new Map());
  expect(await shop.job(id!)).toMatchObject({ state: 'running', worker: 'other' });
});

test.each([
  ['was never the last of a worker asks for four symbols at once', 1, ['AAA', 'BBB', 'CCC', 'DDD'], 4],
  ['may have ended two workers asks for one at a time, from the front', 2, ['AAA'], 1],
  ['may have ended three asks from the back, so that all but the culprit are done', 3, ['FFF'], 1],
])('a job that %s', async (_, deaths, first, most) => {
  const asked: string[] = [];
  const gate = Promise.withResolvers<void>();
  let under = 0;
  let atOnce = 0;
  const slow: MarketSource = {
    name: 'yahoo_finance',
    async bars(symbol, range, signal) {
      asked.push(symbol);
      atOnce = Math.max(atOnce, ++under);
      await gate.promise;
      under--;
      return market.bars(symbol, range, signal);
    },
  };
  const [id] = await shop.enqueue(batch('AAA', 'BBB', 'CCC', 'DDD', 'EEE', 'FFF'));
  await setJobs(shop.db, { deaths: deaths }, 'id = ?', [idToBytes(id!)]);
  shop.worker([batchFetchHandler], { sources: [slow] });
  await expect.poll(() => asked.length).toBe(most);
  expect(asked).toEqual(first);
  gate.resolve();
  expect((await shop.reaches(id!, 'completed')).result).toMatchObject({ done: 6 });
  expect(atOnce).toBe(most);
  if (most === 1) expect(asked).toEqual(deaths === 2 ? asked.toSorted() : asked.toSorted().toReversed());
});

test('symbols that are to be tried again are counted and named with their reasons', async () => {
  const [id] = await shop.enqueue(batch('AAA', 'LATER', 'WORSE'));
  shop.worker([batchFetchHandler], { sources: [except({ LATER: away, WORSE: away })] });
  await shop.reaches(id!, 'scheduled');
  const [attempt] = await shop.db.rows<{ reason: string }>('SELECT reason FROM job_attempts WHERE job_id = ?', [idToBytes(id!)]);
  expect(attempt!.reason).toMatch(
    /^2 of 3 symbols are to be tried again: .*LATER: no source has bars of LATER.*WORSE: no source has bars of WORSE/,
  );
});
