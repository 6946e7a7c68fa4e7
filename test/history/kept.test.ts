/** Whether files and manifest say the same: found, and put right where nothing is lost. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { storeObjects } from '../../services/history/manifest.ts';
import { configuredStore } from '../../services/history/objects/configured.ts';
import type { ObjectStore } from '../../services/history/objects/store.ts';
import { pruneObjects } from '../../services/history/stored/prune.ts';
import { verifyObjects } from '../../services/history/stored/verify.ts';
import { silent } from '../broker/peers.ts';
import { configOf } from '../scheduler/configuration.ts';
import { databaseOfFile } from '../support/database.ts';
import { objectOf, storedRow } from './manifest-rows.ts';

const { db } = await databaseOfFile();
const dataFolder = mkdtempSync(join(tmpdir(), 'stockmesh-kept-'));
afterAll(() => rmSync(dataFolder, { recursive: true }));
const store = configuredStore({ config: configOf(), dataFolder, log: silent });
const never = new AbortController().signal;
const NOW = Temporal.Instant.from('2024-06-05T12:00:00Z');
/** Of the text `quotes`, by `printf quotes | sha256sum`. */
const SHA256 = '37a6482867683ee3a8122b7132806c4dedca002f3b4481f17da8d14b9a2724cd';

const fileOf = (key: string): string => join(dataFolder, 'history', key);
/** A file of the store, last changed so many minutes before `NOW`. */
function put(day: string, { text = 'quotes', minutes = 120 }: { text?: string; minutes?: number } = {}) {
  const object = objectOf({ asset: 'option', schema: 'quote', interval: '15m', root: 'AAPL', filter: undefined }, day);
  mkdirSync(dirname(fileOf(object.key)), { recursive: true });
  writeFileSync(fileOf(object.key), text);
  const at = new Date(NOW.epochMilliseconds - minutes * 60_000);
  utimesSync(fileOf(object.key), at, at);
  return object;
}
const know = (object: ReturnType<typeof put>, changes = {}) =>
  db.transaction((tx) => storeObjects(tx, [storedRow(object, [object.period.from], { bytes: 6, sha256: SHA256, ...changes })]));

beforeEach(async () => {
  rmSync(join(dataFolder, 'history'), { recursive: true, force: true });
  for (const table of ['history_objects', 'history_fetches']) await db.run(`DELETE FROM ${table}`);
});

test('verify finds files that are gone, cut, changed, or have other rows', async () => {
  await know(put('2024-01-02'));
  await know(put('2024-01-03', { text: 'quote' }));
  await know(put('2024-01-04', { text: 'Quotes' }));
  await know(put('2024-01-05'), { rows: 11 });
  const gone = put('2024-01-08');
  await know(gone);
  rmSync(fileOf(gone.key));
  const verified = await verifyObjects({ sql: db, store, rowsOf: async () => 10 }, undefined, never);
  expect(verified.objects).toBe(5);
  expect(verified.faults.map(({ key, fault }) => `${/date=([\d-]+)/.exec(key)![1]} ${fault}`)).toEqual([
    '2024-01-03 bytes',
    '2024-01-04 sha256',
    '2024-01-05 rows',
    '2024-01-08 missing',
  ]);
});

test('prune deletes what has no row and is older than an hour, and nothing else', async () => {
  const [old, young, fetched, known] = [put('2024-01-02'), put('2024-01-03', { minutes: 59 }), put('2024-01-04'), put('2024-01-05')];
  await know(known);
  await db.run('INSERT INTO history_fetches (object_key, job_id, attempt) VALUES (?, ?, 1)', [fetched.key, Buffer.alloc(16, 1)]);
  const { objects, lost } = await pruneObjects({ db, store }, { now: NOW }, never);
  expect(objects).toEqual([{ key: old.key, bytes: 6 }]);
  expect(lost).toEqual([]);
  expect([old, young, fetched, known].map(({ key }) => existsSync(fileOf(key)))).toEqual([false, true, true, true]);
});

test('prune leaves what a download takes or stores after the list was read', async () => {
  const [first, taken, stored] = [put('2024-01-02'), put('2024-01-03'), put('2024-01-04')];
  // The list has all three when the first one is deleted.
  const during: ObjectStore = {
    ...{ where: store.where, put: store.put, read: store.read, local: store.local },
    ...{ list: store.list.bind(store), head: store.head.bind(store), prune: store.prune.bind(store) },
    async delete(key, signal) {
      await db.run('INSERT IGNORE INTO history_fetches (object_key, job_id, attempt) VALUES (?, ?, 1)', [taken.key, Buffer.alloc(16, 1)]);
      await know(stored);
      await store.delete(key, signal);
    },
  };
  const { objects } = await pruneObjects({ db, store: during }, { now: NOW }, never);
  expect(objects.map(({ key }) => key)).toEqual([first.key]);
  expect([taken, stored].map(({ key }) => existsSync(fileOf(key)))).toEqual([true, true]);
  expect(await db.rows('SELECT object_key FROM history_fetches')).toEqual([{ object_key: taken.key }]);
});

test('prune tells of rows without a file, and a dry run deletes nothing', async () => {
  const old = put('2024-01-02');
  const gone = put('2024-01-03');
  await know(gone);
  rmSync(fileOf(gone.key));
  const { objects, lost } = await pruneObjects({ db, store }, { now: NOW, dryRun: true }, never);
  expect([objects.length, lost, existsSync(fileOf(old.key))]).toEqual([1, [gone.key], true]);
});
