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
      absence(objectAt('2024-05-21').key),
      absence(objectAt('2024-05-22').key, { state: 'failed', reason: 'HTTP 500' }),
    ]);
  });
  const preview = await previewOf(db, WEEK, { source: source('theta'), now: NOW });
  expect(preview.objects.map(({ state, fetched }) => `${state} ${fetched}`)).toEqual([
    'complete false',
    'empty false',
    'failed true',
    'missing true',
    'missing true',
  ]);
  expect(preview).toMatchObject({ counts: { complete: 1, empty: 1, failed: 1, missing: 2 }, fetched: 3, calls: 9, source: 'theta' });
  expect(await previewOf(db, WEEK, { source: source('theta'), now: NOW, force: true })).toMatchObject({ fetched: 5, calls: 15 });
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
  const planned = (sources: HistorySource[], tier: 'free' | 'value' = 'value', from = WEEK.from) =>
    plannedSource(sources, { ...WEEK, from }, { tier, now: NOW });

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

  // ThetaData's table of subscriptions: value reaches back 4 years, free has reports of the end of the day.
  test('warns of days that the subscription does not have', () => {
    expect(planned([source('theta')], 'value', '2020-06-04').warnings).toEqual([expect.stringContaining('days before 2020-06-05')]);
    expect(planned([source('theta')], 'value', '2020-06-05').warnings).toEqual([]);
    expect(planned([source('theta')], 'free').warnings).toEqual([expect.stringContaining('end of the day only')]);
  });
});
