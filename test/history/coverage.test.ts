/** The calendar of what is stored. Trading days are those of the NYSE: Memorial Day was 2024-05-27, Good Friday 2024-03-29. */
import { beforeEach, expect, test } from 'vitest';
import { readCoverage } from '../../services/history/coverage.ts';
import type { Dataset, Download } from '../../services/history/dataset.ts';
import { gapsOf } from '../../services/history/gaps.ts';
import { storeAbsences, storeObjects } from '../../services/history/manifest.ts';
import { databaseOfFile } from '../support/database.ts';
import { absence, objectOf, storedRow } from './manifest-rows.ts';

const { db } = await databaseOfFile();
beforeEach(async () => {
  await db.run('DELETE FROM history_objects');
  await db.run('DELETE FROM history_absences');
});

const QUOTES: Dataset = { asset: 'option', schema: 'quote', interval: '15m' };
const MONTHS: Dataset = { asset: 'option', schema: 'eod', interval: '1d' };
const NOW = Temporal.Instant.from('2024-06-05T12:00:00Z');
const download = (dataset: Dataset, from: string, to: string, more: Partial<Download> = {}): Download => ({
  ...{ ...dataset, root: 'AAPL', from, to },
  ...more,
});
const quotesOf = (day: string) => objectOf({ ...QUOTES, root: 'AAPL', filter: undefined }, day);
const statesOf = async (asked: Download, now = NOW): Promise<Record<string, string>> =>
  Object.fromEntries((await readCoverage(db, asked, now)).days.map(({ date, state }) => [date.slice(5), state]));

test('every calendar day of a range has its state: stored, absent for a reason, missing, or closed', async () => {
  await db.transaction(async (tx) => {
    await storeObjects(tx, [
      storedRow(quotesOf('2024-05-23'), ['2024-05-23']),
      storedRow(quotesOf('2024-05-24'), ['2024-05-24'], { degraded: 'the source calls it degraded' }),
      storedRow(quotesOf('2024-05-28'), ['2024-05-28'], { isPartial: true }),
    ]);
    await storeAbsences(tx, [
      absence(quotesOf('2024-05-29').key),
      absence(quotesOf('2024-05-30').key, { state: 'failed', reason: 'HTTP 500' }),
      absence(quotesOf('2024-05-31').key, { state: 'not_entitled', reason: 'HTTP 471' }),
      absence(quotesOf('2024-06-03').key, { state: 'asked_once', reason: 'empty beside a day with data' }),
    ]);
  });
  expect(await statesOf(download(QUOTES, '2024-05-23', '2024-06-05'))).toEqual({
    '05-23': 'complete',
    '05-24': 'degraded',
    '05-25': 'closed',
    '05-26': 'closed',
    '05-27': 'closed',
    '05-28': 'partial',
    '05-29': 'empty',
    '05-30': 'failed',
    '05-31': 'not_entitled',
    '06-01': 'closed',
    '06-02': 'closed',
    '06-03': 'pending',
    '06-04': 'missing',
    '06-05': 'pending',
  });
});

test('a failed day says why, and a stored one how many rows it has', async () => {
  await db.transaction(async (tx) => {
    await storeObjects(tx, [storedRow(quotesOf('2024-05-23'), ['2024-05-23'])]);
    await storeAbsences(tx, [absence(quotesOf('2024-05-24').key, { state: 'failed', reason: 'HTTP 500' })]);
  });
  const { days, counts } = await readCoverage(db, download(QUOTES, '2024-05-23', '2024-05-24'), NOW);
  expect(days).toMatchObject([
    { key: 'historical-options/quote/15m/root=AAPL/date=2024-05-23/data.parquet', rows: 10, reason: null },
    { rows: null, reason: 'HTTP 500' },
  ]);
  expect(counts).toMatchObject({ complete: 1, failed: 1, missing: 0 });
});

test('an empty object whose time to live is over is missing again', async () => {
  await db.transaction((tx) => storeAbsences(tx, [absence(quotesOf('2024-05-23').key, { until: new Date('2024-06-05T11:59:59Z') })]));
  expect(await statesOf(download(QUOTES, '2024-05-23', '2024-05-23'))).toEqual({ '05-23': 'missing' });
  expect(await statesOf(download(QUOTES, '2024-05-23', '2024-05-23'), NOW.subtract({ seconds: 2 }))).toEqual({ '05-23': 'empty' });
});

test('of a month, the days before a listing are empty, a hole between days with data is partial, and those after the download are missing', async () => {
  const object = objectOf({ ...MONTHS, root: 'AAPL', filter: undefined }, '2024-03-01');
  const asOf = new Date('2024-03-15T12:00:00Z');
  await db.transaction((tx) => storeObjects(tx, [storedRow(object, ['2024-03-11', '2024-03-13'], { asOf, isPartial: true })]));
  expect(await statesOf(download(MONTHS, '2024-03-07', '2024-03-18'))).toMatchObject({
    '03-07': 'empty',
    '03-08': 'empty',
    '03-09': 'closed',
    '03-11': 'complete',
    '03-12': 'partial',
    '03-13': 'complete',
    '03-14': 'empty',
    '03-15': 'missing',
    '03-18': 'missing',
  });
});

test('filtered objects are no part of the coverage of the whole chain', async () => {
  const filter = { maxDte: 30, basePct: 0.1 };
  const object = objectOf({ ...QUOTES, root: 'AAPL', filter }, '2024-05-23');
  await db.transaction((tx) => storeObjects(tx, [storedRow(object, ['2024-05-23'])]));
  expect(await statesOf(download(QUOTES, '2024-05-23', '2024-05-23'))).toEqual({ '05-23': 'missing' });
  expect(await statesOf(download(QUOTES, '2024-05-23', '2024-05-23', { filter }))).toEqual({ '05-23': 'complete' });
});

test('gaps are asked for in ranges that a stored day parts and a weekend does not', async () => {
  await db.transaction((tx) => storeObjects(tx, [storedRow(quotesOf('2024-05-22'), ['2024-05-22'])]));
  const asked = download(QUOTES, '2024-05-20', '2024-05-29');
  const gaps = gapsOf(asked, await readCoverage(db, asked, NOW));
  expect(gaps.days).toHaveLength(6);
  expect(gaps.downloads.map(({ from, to }) => `${from} ${to}`)).toEqual(['2024-05-20 2024-05-21', '2024-05-23 2024-05-29']);
});

test('very many gaps are asked for as one range, since what is stored between them is skipped', async () => {
  const days = [
    '2024-03-04',
    '2024-03-06',
    '2024-03-08',
    '2024-03-12',
    '2024-03-14',
    '2024-03-18',
    '2024-03-20',
    '2024-03-22',
    '2024-03-26',
  ];
  const more = ['2024-03-28', '2024-04-02', '2024-04-04'];
  await db.transaction((tx) =>
    storeObjects(
      tx,
      [...days, ...more].map((day) => storedRow(quotesOf(day), [day])),
    ),
  );
  const asked = download(QUOTES, '2024-03-04', '2024-04-05');
  const gaps = gapsOf(asked, await readCoverage(db, asked, NOW));
  expect(gaps.downloads.map(({ from, to }) => `${from} ${to}`)).toEqual(['2024-03-05 2024-04-05']);
});

test('nothing is asked for where nothing is missing', async () => {
  const asked = download(QUOTES, '2024-05-25', '2024-05-27');
  expect(gapsOf(asked, await readCoverage(db, asked, NOW))).toEqual({ days: [], downloads: [] });
});
