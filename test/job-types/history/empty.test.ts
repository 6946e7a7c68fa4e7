/** Empty answers, days that are not over and objects that lack days. New York is five hours behind UTC in January. */
import { expect, test } from 'vitest';
import { readAbsences } from '../../../services/history/manifest.ts';
import type { ObjectStore } from '../../../services/history/objects/store.ts';
import { planOf } from '../../../services/history/plan.ts';
import { cancel } from '../../../services/ledger/control.ts';
import { promote } from '../../../services/ledger/maintain/promote.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { historyDoubles, scriptedSource } from './doubles.ts';
import { DAY, downloadsOfFile } from './downloads.ts';

const clock = new ManualClock('2024-02-01T15:00:00Z');
const on = await downloadsOfFile({ 'history.concurrency': 1, 'history.ask_again_after': 600, 'history.empty_ttl': 48 }, clock);

const EOD = { ...DAY, schema: 'eod', interval: '1d' } as const;

async function absence(day: string) {
  const key = planOf({ ...DAY, from: day, to: day })[0]!.object.key;
  return (await readAbsences(on.db, [key])).get(key);
}

test('an empty answer beside a day with rows is asked for once more before it counts, and then for as long as it says', async () => {
  clock.set('2024-02-01T15:00:00Z');
  const doubles = await historyDoubles(scriptedSource(({ period }, days) => (period.name === '2024-01-04' ? [] : days)));
  const [id] = await on.request();
  on.downloader(doubles);
  const { attempt } = await on.reaches(id!, 'scheduled');
  expect(attempt).toBe(1);
  expect((await on.items(id!)).map(([, state]) => state)).toEqual(['done', 'done', 'pending', 'done']);
  expect(await absence('2024-01-04')).toMatchObject({ state: 'asked_once', until: new Date('2024-02-01T15:10:00Z') });
  clock.advance({ seconds: 600 });
  await promote(on.ledger);
  const { result, maxAttempts } = await on.reaches(id!, 'completed');
  expect(result).toMatchObject({ done: 3, no_data: 1 });
  // No attempt was used up: four as at the beginning, and one more for the pause.
  expect(maxAttempts).toBe(5);
  expect(doubles.source.asked.filter((name) => name === '2024-01-04')).toHaveLength(2);
  expect(await absence('2024-01-04')).toMatchObject({ state: 'empty', until: new Date('2024-02-03T15:10:00Z') });

  doubles.source.asked.length = 0;
  const [again] = await on.request({ to: '2024-01-04' });
  await on.reaches(again!, 'completed');
  expect(doubles.source.asked).toEqual([]);
  expect((await on.itemsOf(again!))[2]?.reason).toMatch(/^theta has no data of it \(known since 2024-02-01T15:10/);
});

test('an empty answer among empty ones counts at once', async () => {
  clock.set('2024-02-01T15:00:00Z');
  const doubles = await historyDoubles(scriptedSource(({ period }, days) => (period.name < '2024-01-05' ? [] : days)));
  const [id] = await on.request();
  on.downloader(doubles);
  await on.reaches(id!, 'scheduled');
  // That of the 4th lies beside the rows of the 5th.
  expect(await on.items(id!)).toEqual([
    ['2024-01-02', 'no_data'],
    ['2024-01-03', 'no_data'],
    ['2024-01-04', 'pending'],
    ['2024-01-05', 'done'],
  ]);
});

test('what the source may not have loaded yet is no empty day, and a day that is not over is not asked for', async () => {
  // A quarter of an hour after the session of Thursday; its quotes are to be had, those of Friday are not.
  clock.set('2024-02-01T22:30:00Z');
  const doubles = await historyDoubles(scriptedSource(({ period }, days) => (period.name === '2024-02-01' ? [] : days)));
  const [id] = await on.request({ from: '2024-01-31', to: '2024-02-02' });
  on.downloader(doubles);
  const { result } = await on.reaches(id!, 'completed');
  expect(result).toMatchObject({ done: 1, not_yet: 2 });
  expect(doubles.source.asked).toEqual(['2024-02-01', '2024-01-31']);
  expect((await on.itemsOf(id!)).map(({ reason }) => reason)).toEqual([
    expect.any(String),
    'theta has nothing of it yet; an empty answer counts from 2024-02-02T11:00Z on',
    expect.stringMatching(/^its data is not there yet; it is complete from 2024-02-02T/),
  ]);
});

test('a month that is not over is partial: it is skipped while it has what there is, and refreshed with the next day', async () => {
  clock.set('2024-01-10T12:00:00Z');
  const doubles = await historyDoubles();
  on.downloader(doubles);
  const [first] = await on.request(EOD);
  await on.reaches(first!, 'completed');
  expect(await on.manifest(EOD)).toMatchObject([{ isPartial: true, days: { '2024-01-09': 3 } }]);
  const [second] = await on.request(EOD);
  await on.reaches(second!, 'completed');
  expect(await on.items(second!)).toEqual([['2024-01', 'skipped']]);
  clock.set('2024-02-01T12:00:00Z');
  const [third] = await on.request(EOD);
  await on.reaches(third!, 'completed');
  expect(await on.manifest(EOD)).toMatchObject([{ isPartial: false, days: { '2024-01-31': 3 } }]);
  expect(doubles.source.asked).toEqual(['2024-01', '2024-01']);
});

test('a month that lacks a day is partial until the source was asked for it twice', async () => {
  clock.set('2024-02-10T12:00:00Z');
  const doubles = await historyDoubles(scriptedSource((_, days) => days.filter((day) => day !== '2024-01-09')));
  on.downloader(doubles);
  const [first] = await on.request(EOD);
  await on.reaches(first!, 'completed');
  expect(await on.manifest(EOD)).toMatchObject([{ isPartial: true, degraded: null }]);
  expect((await on.itemsOf(first!))[0]?.reason).toContain('no rows of 2024-01-09 yet: asked for again with the next download');
  clock.advance({ seconds: 600 });
  const [second] = await on.request(EOD);
  await on.reaches(second!, 'completed');
  expect(await on.manifest(EOD)).toMatchObject([{ isPartial: false, degraded: 'the source has no rows of 2024-01-09' }]);
  const [third] = await on.request(EOD);
  await on.reaches(third!, 'completed');
  expect(await on.items(third!)).toEqual([['2024-01', 'skipped']]);
});

test('a refresh that fails loses nothing', async () => {
  clock.set('2024-01-10T12:00:00Z');
  const doubles = await historyDoubles();
  on.downloader(doubles);
  const [first] = await on.request(EOD);
  await on.reaches(first!, 'completed');
  const [before] = await on.manifest(EOD);
  doubles.source.answer = () => {
    throw new PermanentError('history.malformed', 'line 7 has no strike');
  };
  clock.set('2024-02-01T12:00:00Z');
  const [second] = await on.request(EOD);
  await on.reaches(second!, 'completed_with_errors');
  expect(await on.manifest(EOD)).toEqual([before]);
  expect(await doubles.store.head(before!.object.key, AbortSignal.timeout(5_000))).toMatchObject({ etag: before!.etag });
});

test('a filter without the closing prices of the underlying fails the item before anything is asked for', async () => {
  clock.set('2024-02-01T15:00:00Z');
  const doubles = await historyDoubles();
  on.downloader(doubles);
  const [id] = await on.request({ filter: { maxDte: 30, basePct: 0.1 }, to: '2024-01-02' });
  await on.reaches(id!, 'completed_with_errors');
  expect(doubles.source.asked).toEqual([]);
  expect((await on.itemsOf(id!))[0]?.reason).toContain(
    'the filter needs the closing price of AAPL on 2024-01-02, and neither its bars nor its stored end-of-day objects have one: get it with',
  );
});

test('a job that is cancelled just after a refresh was put leaves a manifest that says what the store has', async () => {
  clock.set('2024-01-10T12:00:00Z');
  const doubles = await historyDoubles();
  const worker = on.downloader(doubles);
  const [first] = await on.request(EOD);
  await on.reaches(first!, 'completed');
  await worker.drain(5_000);
  clock.set('2024-02-01T12:00:00Z');
  const [second] = await on.request(EOD);
  const store = {
    head: (...args: Parameters<ObjectStore['head']>) => doubles.store.head(...args),
    async put(...args: Parameters<ObjectStore['put']>) {
      const stored = await doubles.store.put(...args);
      await cancel(on.ledger, second!, 'by hand');
      return stored;
    },
  } as ObjectStore;
  on.downloader({ ...doubles, history: async () => ({ ...(await doubles.history()), store }) });
  await on.reaches(second!, 'cancelled');
  const key = planOf(EOD)[0]!.object.key;
  const etag = async () => (await doubles.store.head(key, AbortSignal.timeout(5_000)))?.etag;
  await expect.poll(async () => (await on.manifest(EOD))[0]?.days['2024-01-31'], { interval: 5 }).toBe(3);
  expect((await on.manifest(EOD))[0]?.etag).toBe(await etag());
});
