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

test('two days of quotes are files that read back with the rows and the checksum of the manifest, and nothing else is left', {
  timeout: 60_000,
}, async () => {
  const dataFolder = await mkdtemp(join(tmpdir(), 'history-'));
  onTestFinished(() => rm(dataFolder, { recursive: true, force: true }));
  const history = configuredHistory({ config: configWith(SIMULATED), clock: systemClock, db: on.db, log: silent, dataFolder });
  onTestFinished(() => history.close());
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
