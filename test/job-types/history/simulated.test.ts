/** A download with all its real parts: the simulated source, the process that runs DuckDB, a store in a folder. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { configuredHistory } from '../../../services/history/configured.ts';
import { createReader } from '../../../services/history/parquet/reader.ts';
import { historyHandler } from '../../../services/job-types/history/handler.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { silent } from '../../broker/peers.ts';
import { configWith } from '../../worker/workshop.ts';
import { downloadsOfFile } from './downloads.ts';

const SIMULATED = { 'stock_jobs.data_fetch.simulated.enabled': true, 'history.sources': ['simulated'] };
const on = await downloadsOfFile(SIMULATED);

async function realHistory() {
  const dataFolder = await mkdtemp(join(tmpdir(), 'history-'));
  onTestFinished(() => rm(dataFolder, { recursive: true, force: true }));
  const history = configuredHistory({ config: configWith(SIMULATED), clock: systemClock, db: on.db, log: silent, dataFolder });
  onTestFinished(() => history.close());
  return { history, dataFolder };
}

test('two days of quotes are files that read back with the rows and the checksum of the manifest, and nothing else is left', {
  timeout: 60_000,
}, async () => {
  const { history, dataFolder } = await realHistory();
  const [id] = await on.request({ interval: '1h', to: '2024-01-03' });
  on.worker([historyHandler({ sql: on.db, history: history.parts })]);
  await on.reaches(id!, 'completed');
  expect((await on.itemsOf(id!)).map(({ state }) => state)).toEqual(['done', 'done']);
  const { store, spool } = await history.parts();
  const reader = createReader({ memory: '250MB', threads: 1, tempFolder: join(dataFolder, 'reader'), log: silent });
  onTestFinished(() => reader.close());
  for (const { object, rows, sha256 } of await on.manifest({ interval: '1h', to: '2024-01-03' })) {
    expect(rows).toBeGreaterThan(0);
    const { path, release } = await store.local(object.key, AbortSignal.timeout(10_000));
    expect(await reader.verify(path)).toMatchObject({ rows, sha256 });
    await release();
  }
  expect(await readdir(spool)).toEqual([]);
});

test('a year of earnings: the months with a report are stored, the others are known to have none, at the first answer', {
  timeout: 60_000,
}, async () => {
  const { history } = await realHistory();
  const [id] = await on.request({ asset: 'stock', schema: 'earnings', interval: '1d', from: '2024-01-01', to: '2024-12-31' });
  on.worker([historyHandler({ sql: on.db, history: history.parts })]);
  const { result } = await on.reaches(id!, 'completed');
  // A report a quarter.
  expect(result).toMatchObject({ done: 4, no_data: 8 });
});

test('a filter takes the close of the underlying from the stored end-of-day object where there is no bar', {
  timeout: 60_000,
}, async () => {
  const { history } = await realHistory();
  on.worker([historyHandler({ sql: on.db, history: history.parts })]);
  const filtered = { interval: '1h', to: '2024-01-03', filter: { maxDte: 30, basePct: 0.1 } } as const;
  const [without] = await on.request(filtered);
  await on.reaches(without!, 'completed_with_errors');
  const reason = (await on.itemsOf(without!))[0]?.reason;
  expect(reason).toContain('history stock AAPL --schema eod --from 2024-01-02 --to 2024-01-02');
  expect(reason).toContain('backfill AAPL --from 2024-01-02');
  const [year] = await on.request({ asset: 'stock', schema: 'eod', interval: '1d', from: '2024-01-01', to: '2024-01-31' });
  await on.reaches(year!, 'completed');
  const [id] = await on.request(filtered, { force: true });
  await on.reaches(id!, 'completed');
  const [all] = await on.request({ interval: '1h', to: '2024-01-03' });
  await on.reaches(all!, 'completed');
  const rowsOf = async (asked: object) => (await on.manifest({ ...asked })).map(({ rows }) => rows);
  const [kept, whole] = [await rowsOf(filtered), await rowsOf({ interval: '1h', to: '2024-01-03' })];
  expect(kept).toHaveLength(2);
  for (const [index, rows] of kept.entries()) {
    expect(rows).toBeGreaterThan(0);
    expect(rows).toBeLessThan(whole[index]!);
  }
});
