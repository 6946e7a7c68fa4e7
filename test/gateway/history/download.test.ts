/** From the request to the rows of the file: a gateway, a worker and the simulated market. The rows are read with DuckDB itself. */
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient, type Job } from '../../../services/client/client.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import type { RunningService } from '../../../services/platform/lifecycle.ts';
import { startWorkerService } from '../../../services/worker/service.ts';
import { silent } from '../../broker/peers.ts';
import { documentNamed, ROOT } from '../../docs/markdown.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({
  'history.sources': ['simulated'],
  'stock_jobs.data_fetch.simulated.enabled': true,
  'worker.poll_interval': 0.2,
});
let worker: RunningService;
beforeAll(async () => {
  const { config, db, folder: dataFolder } = mesh;
  const bus = mesh.connect('worker');
  worker = await startWorkerService({
    service: 'worker',
    instance: 'worker-1',
    config,
    dataFolder,
    db,
    bus,
    log: silent,
    clock: systemClock,
  });
  await bus.online();
});
afterAll(() => worker?.drain());
const client = () => createClient({ url: mesh.gateway.url, key: mesh.operator.key });

// 2024-01-01 was New Year's Day, 2024-01-06 a Saturday.
const WEEK = { root: 'AAPL', start_date: '2024-01-01', end_date: '2024-01-07', schema: 'quote', interval: '30m' } as const;
const DAYS = ['2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05'];

test('a week of quotes is downloaded, and its file has the rows that the manifest says', { timeout: 60_000 }, async () => {
  const { submit, wait, api, unwrap } = client();
  const { job_id, total_items } = await submit('option', WEEK);
  expect(total_items).toBe(4);
  const seen: Job[] = [];
  const ended = await wait(job_id, { onProgress: (job) => seen.push(job), timeoutMs: 50_000 });
  expect(ended).toMatchObject({ status: 'completed', progress: { completed: 4, failed: 0, total: 4, percentage: 100 } });
  expect(seen.at(-1)).toEqual(ended);

  const query = { root: 'AAPL', dataset: 'option', schema: 'quote', interval: '30m', from: '2024-01-01', to: '2024-01-07' } as const;
  const coverage = await unwrap(api.GET('/v1/history/coverage', { params: { query } }));
  expect(coverage.days.flatMap(({ date, state }) => (state === 'complete' ? [date] : []))).toEqual(DAYS);
  const key = coverage.days.find(({ date }) => date === '2024-01-03')!.key!;
  const object = await unwrap(api.GET('/v1/history/objects/{key}', { params: { path: { key } } }));
  const file = join(mesh.folder, 'read-back.parquet');
  const bytes = await unwrap(api.GET('/v1/history/objects/{key}/data', { params: { path: { key } }, parseAs: 'arrayBuffer' }));
  writeFileSync(file, Buffer.from(bytes as unknown as ArrayBuffer));
  const connection = await (await DuckDBInstance.create()).connect();
  const read = await connection.runAndReadAll(
    `SELECT COUNT(*)::INT AS rows, COUNT(DISTINCT "right")::INT AS rights, MIN(timestamp)::VARCHAR AS first, BOOL_AND(ask >= bid) AS uncrossed FROM read_parquet('${file}')`,
  );
  connection.closeSync();
  // 09:30 in New York in January is 14:30 UTC.
  expect(read.getRowObjectsJson()).toEqual([
    { rows: object.rows, rights: 2, first: expect.stringMatching(/^2024-01-03 14:30:00/), uncrossed: true },
  ]);
  expect(object.days).toEqual({ '2024-01-03': object.rows });
});

test('the same download again skips what is there', { timeout: 60_000 }, async () => {
  const { submit, wait } = client();
  await wait((await submit('option', WEEK)).job_id, { timeoutMs: 50_000 });
  const again = await submit('option', WEEK);
  expect(again.outcome).toBe('queued');
  expect(await wait(again.job_id, { timeoutMs: 50_000 })).toMatchObject({
    status: 'completed',
    progress: { completed: 0, skipped: 4, total: 4 },
  });
});

test('a caller that waits gets the finished job of a stock', { timeout: 60_000 }, async () => {
  const { status, body } = await mesh.operator.post('/v1/historical/stock?mode=sync', {
    ...{ root: 'MSFT', start_date: '2023-12-01', end_date: '2024-01-31', schema: 'eod' },
  });
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: 'completed', progress: { completed: 2, total: 2 } });
});

test('the program of docs/history.md downloads a week, in a folder that links the package', { timeout: 60_000 }, async () => {
  const program = documentNamed('docs/history.md').blocks.find(({ language }) => language === 'ts')!.text;
  const folder = join(mesh.folder, 'program');
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(ROOT, join(folder, 'node_modules', 'stockmesh'));
  writeFileSync(join(folder, 'download.ts'), program.replace('http://127.0.0.1:8787', mesh.gateway.url));
  const env = { ...process.env, STOCKMESH_KEY: mesh.operator.key };
  const { stdout } = await promisify(execFile)(process.execPath, ['download.ts'], { cwd: folder, env });
  // Five trading days, the progress of each, and the whole of it at the end.
  expect(stdout).toMatch(/^completed 100 %$/m);
  expect(stdout).toMatch(/^completed \{\n {2}completed: 5,/m);
});
