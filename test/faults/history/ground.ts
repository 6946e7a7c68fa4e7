/** A mesh for downloads whose worker, database, broker and store may be killed at any moment, and what became of the objects of a download. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { Download } from '../../../services/history/dataset.ts';
import { S3Store } from '../../../services/history/objects/s3.ts';
import type { ObjectStore } from '../../../services/history/objects/store.ts';
import { historyRequests } from '../../../services/job-types/history/request.ts';
import { enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { TABLES_BY_JOB } from '../../../services/ledger/maintain/delete.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { findRuntime, writeRuntime } from '../../../services/platform/connections.ts';
import { isDatabaseAway } from '../../../services/platform/errors.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { testChain } from '../../history/sources/theta/support/chain.ts';
import type { TestServer } from '../../history/sources/theta/support/server.ts';
import { startThetaV3 } from '../../history/sources/theta/support/theta-v3-server.ts';
import { TEST_ACCOUNT } from '../../support/s3/server.ts';
import { embeddedBroker } from '../logins/brokers.ts';
import { startTestMesh, type TestMesh } from '../mesh.ts';
import { endProcess } from '../processes.ts';

const S3_SERVER = fileURLToPath(new URL('../../support/s3/main.ts', import.meta.url));
const ROOT = 'AAPL';
const never = new AbortController().signal;

export const VICTIMS = ['worker', 'database', 'broker', 'store'] as const;
export type Victim = (typeof VICTIMS)[number];

/** An object as the store has it, by its bytes. */
export type Checksums = ReadonlyMap<string, string>;

/** What became of a download. */
export interface Result {
  state: string;
  reason: string | null;
  /** By state. */
  items: Readonly<Record<string, number>>;
  /** Items that were committed more than once. */
  doubled: number;
  /** Of the objects in the store. */
  stored: Checksums;
  /** Of the rows of the manifest. */
  manifest: Checksums;
  /** Requests for data that the terminal was sent. */
  requests: number;
}

export interface HistoryGround {
  readonly mesh: TestMesh;
  /** Starts a download and gives its job's id. */
  begin(range: { from: string; to: string }): Promise<string>;
  /** Kills one with SIGKILL, and starts it again at once. */
  kill(victim: Victim): Promise<void>;
  /** Stops the worker with SIGTERM; resolves when its process has ended. `kill('worker')` starts the next one. */
  stopWorker(): Promise<void>;
  /** Items that are done, of all jobs. */
  done(): Promise<number>;
  /** When the job has ended. Errors: it has not within `patience` seconds. */
  result(id: string, patience: number): Promise<Result>;
  /** Removes jobs, manifest and objects. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

export async function openHistoryGround(): Promise<HistoryGround> {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-history-'));
  const mesh = await startTestMesh();
  const runtime = findRuntime(mesh.dataFolder);
  // A broker that can be killed, in place of the one of this process.
  const brokerPort = await freePort();
  const broker = embeddedBroker(mesh.dataFolder, brokerPort);
  await broker.start();
  writeRuntime(mesh.dataFolder, { ...runtime!, broker: { host: '127.0.0.1', port: brokerPort } });
  const terminal = await startThetaV3({ chain: testChain({ root: ROOT, expirations: 1, strikes: 3 }), tier: 'pro', answerMs: 5 });
  let s3 = await startS3(folder, 0);
  const set = [
    ...[
      'history.sources=theta',
      `history.theta.url=${terminal.url}`,
      'history.theta.tier=pro',
      'history.store.kind=s3',
      'history.store.s3.bucket=quotes',
    ],
    ...[`history.store.s3.endpoint=http://127.0.0.1:${s3.port}`, `history.store.s3.access_key_id=${TEST_ACCOUNT.accessKeyId}`],
    ...[
      `history.store.s3.secret_access_key=${TEST_ACCOUNT.secretAccessKey}`,
      'worker.heartbeat_interval=2',
      'worker.max_concurrent_jobs=2',
      // So that a stop finds objects under way.
      'worker.grace_period=0.05',
    ],
  ];
  const startWorker = (): Promise<ChildProcess> => mesh.service('worker', set);
  let worker = await startWorker();
  await mesh.service('scheduler', ['worker.heartbeat_interval=2']);
  const store = new S3Store({
    ...{ bucket: 'quotes', prefix: '', region: 'us-east-1', pathStyle: true, credentials: TEST_ACCOUNT, copies: join(folder, 'copies') },
    ...{ endpoint: `http://127.0.0.1:${s3.port}`, log: pino({ level: 'silent' }) },
  });

  const KILLS: Record<Victim, () => Promise<void>> = {
    async worker() {
      await endProcess(worker, 'SIGKILL');
      worker = await startWorker();
    },
    async database() {
      process.kill(mesh.databasePid, 'SIGKILL');
      await mesh.restartDatabase();
    },
    async broker() {
      await broker.end('SIGKILL');
      await broker.start();
    },
    async store() {
      await endProcess(s3.child, 'SIGKILL');
      s3 = await startS3(folder, s3.port);
    },
  };

  return {
    mesh,
    async begin({ from, to }) {
      const download: Download = { asset: 'option', schema: 'quote', interval: '1h', root: ROOT, from, to };
      const { config } = loadConfig({ env: {} });
      const origin = { cause: 'user_request' as const, rules: config.jobs.priority_rules };
      const [answer] = await enqueue(mesh.ledger, historyRequests(download, { origin, config }));
      if (answer === undefined || answer.outcome === 'refused') throw new Error(`the download was refused: ${answer?.reason}`);
      return answer.id;
    },
    kill: (victim) => KILLS[victim](),
    stopWorker: () => endProcess(worker, 'SIGTERM'),
    async done() {
      const [row] = await mesh.db.rows<{ items: number }>("SELECT COUNT(*) AS items FROM job_items WHERE state = 'done'");
      return row?.items ?? 0;
    },
    result: (id, patience) => resultOf(mesh, store, terminal, id, patience),
    async clear() {
      for (const table of ['jobs', ...TABLES_BY_JOB, 'user_slots', 'slot_waits', 'history_objects', 'history_absences', 'history_fetches'])
        await mesh.db.run(`DELETE FROM ${table}`);
      for await (const page of store.list('', never)) for (const { key } of page) await store.delete(key, never);
      terminal.forget();
    },
    async stop() {
      await mesh.stop();
      await Promise.all([broker.end('SIGKILL'), endProcess(s3.child, 'SIGKILL'), terminal.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The store's server as a process. Its folder outlives it. */
async function startS3(folder: string, port: number): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [S3_SERVER, join(folder, 's3'), String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, port: Number(new URL(line.toString().trim()).port) };
}

async function resultOf({ db }: TestMesh, store: ObjectStore, terminal: TestServer, id: string, patience: number): Promise<Result> {
  const end = performance.now() + patience * 1000;
  const key = Buffer.from(id.replaceAll('-', ''), 'hex');
  let job: { state: string; reason: string | null } | undefined;
  for (;;) {
    try {
      [job] = await db.rows(
        'SELECT j.state, r.reason FROM job_states j LEFT JOIN ended r ON r.job_id = j.id WHERE j.id = ? AND j.ended_at IS NOT NULL',
        [key],
      );
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
    }
    if (job !== undefined) break;
    if (performance.now() > end) throw new Error(`the download has not ended after ${patience} s`);
    await delay(50);
  }
  const [items, [twice], manifest] = await Promise.all([
    db.rows<{ state: string; items: number }>('SELECT state, COUNT(*) AS items FROM job_items WHERE job_id = ? GROUP BY state', [key]),
    db.rows<{ items: number }>('SELECT COUNT(*) AS items FROM job_items WHERE job_id = ? AND attempts > 1', [key]),
    db.rows<{ object_key: string; sha256: Buffer }>('SELECT object_key, sha256 FROM history_objects WHERE is_partial = 0'),
  ]);
  const stored = new Map<string, string>();
  for await (const page of store.list('', never))
    for (const { key: object } of page) {
      const hash = createHash('sha256');
      for await (const bytes of await store.read(object, never)) hash.update(bytes as Buffer);
      stored.set(object, hash.digest('hex'));
    }
  return {
    ...job,
    items: Object.fromEntries(items.map(({ state, items: count }) => [state, count])),
    doubled: twice?.items ?? 0,
    stored,
    manifest: new Map(manifest.map(({ object_key, sha256 }) => [object_key, sha256.toString('hex')])),
    requests: terminal.requests.filter((request) => request.includes('/history/')).length,
  };
}
