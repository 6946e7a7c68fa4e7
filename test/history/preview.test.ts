/** What a dry run says: from the manifest, and from a source that says how many requests an object takes. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Download } from '../../services/history/dataset.ts';
import { storeAbsences, storeObjects } from '../../services/history/manifest.ts';
import { plannedSource, previewOf } from '../../services/history/preview.ts';
import type { HistorySource, HistorySourceName } from '../../services/history/sources/source.ts';
import { databaseOfFile } from '../support/database.ts';
import { absence, JOB, objectOf, storedRow } from './manifest-rows.ts';

const { db } = await databaseOfFile();
beforeEach(async () => {
  await db.run('DELETE FROM history_objects');
  await db.run('DELETE FROM history_absences');
});

const NOW = Temporal.Instant.from('2024-06-05T12:00:00Z');
const WEEK: Download = { asset: 'option', schema: 'quote', interval: '15m', root: 'AAPL', from: '2024-05-20', to: '2024-05-24' };
const objectAt = (day: string, root = 'AAPL') =>
  objectOf({ asset: 'option', schema: 'quote', interval: '15m', root, filter: undefined }, day);
const source = (name: HistorySourceName, refuses?: string): HistorySource => ({
  name,
  refuses: () => refuses,
  calls: () => 3,
  fetch: () => Promise.reject(new Error('a preview asks no source')),
});

test('objects that are complete or empty are not downloaded, and take no requests', async () => {
  await db.transaction(async (tx) => {
    await storeObjects(tx, [storedRow(objectAt('2024-05-20'), ['2024-05-20'])]);
    await storeAbsences(tx, [
      absence(objectAt('2024-05-21').key, { until: new Date('2024-06-06T12:00:00Z') }),
      absence(objectAt('2024-05-22').key, { state: 'failed', reason: 'HTTP 500' }),
    ]);
  });
  const preview = await previewOf(db, WEEK, { source: source('theta'), now: NOW });
  expect(preview.objects.map(({ state, expected }) => `${state}: ${expected}`)).toEqual([
    'complete: skipped',
    'empty: no_data',
    'failed: download',
    'missing: download',
    'missing: download',
  ]);
  expect(preview).toMatchObject({
    counts: { complete: 1, empty: 1, failed: 1, missing: 2 },
    expected: { download: 3, skipped: 1, no_data: 1 },
    calls: 9,
  });
  expect(await previewOf(db, WEEK, { source: source('theta'), now: NOW, force: true })).toMatchObject({
    ...{ expected: { download: 5 }, calls: 15, source: 'theta' },
  });
});

describe('what is expected is what the job would do', () => {
  // 5 June 2024 was a Wednesday. Quotes are delayed by 15 minutes, and New York is 4 hours behind UTC in June: 20:15.
  const today = { ...WEEK, from: '2024-06-04', to: '2024-06-05' };

  test('of a day that is not over nothing is asked for, also by force, and it says from when on it can be had', async () => {
    for (const force of [false, true]) {
      const { objects, expected, calls } = await previewOf(db, today, { source: source('theta'), now: NOW, force });
      expect(objects[1]).toMatchObject({ state: 'pending', expected: 'not_yet' });
      expect(objects[1]!.from?.toString()).toBe('2024-06-05T20:15:00Z');
      expect([expected, calls]).toEqual([{ download: 1, skipped: 0, no_data: 0, not_yet: 1 }, 3]);
    }
  });

  // 3 and 4 June 2024 were the trading days of June before the fifth.
  const month: Download = { asset: 'option', schema: 'eod', interval: '1d', root: 'AAPL', from: '2024-06-03', to: '2024-06-05' };
  const june = objectOf({ ...month, filter: undefined }, '2024-06-03');
  test.each([
    ['has all days that can be had is skipped', ['2024-06-03', '2024-06-04'], 'skipped', 0],
    ['lacks one is asked for again', ['2024-06-03'], 'download', 2],
  ] as const)('a month under way that %s', async (_, days, expected, calls) => {
    await db.transaction((tx) => storeObjects(tx, [storedRow(june, days, { isPartial: true })]));
    const byDays: HistorySource = { ...source('theta'), calls: (_, asked) => asked.length };
    const preview = await previewOf(db, month, { source: byDays, now: NOW });
    expect([preview.objects.map((one) => one.expected), preview.calls]).toEqual([[expected], calls]);
  });

  test('a file that counts as whole is skipped although the source has not all of its days', async () => {
    const may = objectOf({ ...month, filter: undefined }, '2024-05-01');
    await db.transaction((tx) => storeObjects(tx, [storedRow(may, ['2024-05-20', '2024-05-23'])]));
    const { objects } = await previewOf(db, { ...month, from: '2024-05-20', to: '2024-05-23' }, { source: undefined, now: NOW });
    expect(objects).toMatchObject([{ state: 'partial', expected: 'skipped' }]);
  });

  test('an empty answer that does not count yet is asked for once more, from then on', async () => {
    const until = new Date('2024-06-05T12:10:00Z');
    await db.transaction((tx) => storeAbsences(tx, [absence(objectAt('2024-06-04').key, { state: 'asked_once', until })]));
    const { objects } = await previewOf(db, { ...today, to: '2024-06-04' }, { source: undefined, now: NOW });
    expect(objects.map(({ expected, from }) => `${expected} ${from}`)).toEqual(['download 2024-06-05T12:10:00Z']);
  });

  test('a range without a trading day is refused as the download is', async () => {
    await expect(previewOf(db, { ...WEEK, from: '2024-06-01', to: '2024-06-02' }, { source: undefined, now: NOW })).rejects.toMatchObject({
      code: 'history.no_trading_day',
    });
  });
});

test('size and time are those of like objects, of the root before those of others, and unknown without any', async () => {
  expect(await previewOf(db, WEEK, { source: undefined, now: NOW })).toMatchObject({
    rows: null,
    bytes: null,
    seconds: null,
    calls: null,
    source: null,
  });
  const at = (seconds: number) => new Date(Date.UTC(2024, 5, 1, 12, 0, seconds));
  const rows = ['2024-01-02', '2024-01-03', '2024-01-04'].map((day, index) =>
    storedRow(objectAt(day, 'MSFT'), [day], { rows: 100, bytes: 5_000, storedAt: at(2 * index), jobId: JOB }),
  );
  await db.transaction((tx) => storeObjects(tx, rows));
  // Five objects of 100 rows, two seconds after each other.
  expect(await previewOf(db, WEEK, { source: undefined, now: NOW })).toMatchObject({ rows: 500, bytes: 25_000, seconds: 10 });
  await db.transaction((tx) =>
    storeObjects(tx, [
      storedRow(objectAt('2024-01-02'), ['2024-01-02'], { rows: 7, bytes: 70, storedAt: at(0), jobId: Buffer.alloc(16, 8) }),
    ]),
  );
  expect(await previewOf(db, WEEK, { source: undefined, now: NOW })).toMatchObject({ rows: 35, bytes: 350 });
});

describe('the source that would be asked', () => {
  const planned = (
    sources: HistorySource[],
    tier: 'free' | 'value' = 'value',
    from = WEEK.from,
    url: string | null = 'http://terminal/v3',
  ) => plannedSource(sources, { ...WEEK, from }, { tier, url, now: NOW });

  test('is the first that can give the dataset, and data that are made up are called so', () => {
    expect(planned([source('yahoo', 'no options'), source('theta')])).toMatchObject({ source: { name: 'theta' }, warnings: [] });
    expect(planned([source('simulated')]).warnings).toEqual([expect.stringContaining('made up')]);
  });

  test('is none where all refuse, with the reason of each', () => {
    expect(planned([source('yahoo', 'no options'), source('lean', 'no folder')])).toEqual({
      source: undefined,
      warnings: [expect.stringContaining('yahoo: no options; lean: no folder')],
    });
  });

  test('says who is asked where a terminal is only looked for, and that those data are made up', () => {
    const { source: first, warnings } = planned(
      [source('theta'), source('yahoo', 'no options'), source('simulated')],
      'value',
      WEEK.from,
      null,
    );
    expect([first?.name, warnings]).toEqual([
      'theta',
      [expect.stringMatching(/none answers, simulated gives it, and the data are made up$/)],
    ]);
    expect(planned([source('theta')], 'value', WEEK.from, null).warnings).toEqual([expect.stringMatching(/no other source can give it$/)]);
  });

  // ThetaData's table of subscriptions: value reaches back 4 years, free has reports of the end of the day.
  test('warns of days that the subscription does not have', () => {
    expect(planned([source('theta')], 'value', '2020-06-04').warnings).toEqual([expect.stringContaining('days before 2020-06-05')]);
    expect(planned([source('theta')], 'value', '2020-06-05').warnings).toEqual([]);
    expect(planned([source('theta')], 'free').warnings).toEqual([expect.stringContaining('end of the day only')]);
  });
});
