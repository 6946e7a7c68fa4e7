/** The command over a database whose rows a test has written; there is no service. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { idToBytes } from '../../services/ledger/id.ts';
import { priorityOf, type Queue, type State } from '../../services/ledger/job.ts';
import type { Database } from '../../services/platform/database/database.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { startEmbedded } from '../broker/brokers.ts';
import { accounts } from '../broker/peers.ts';
import { databaseOfFile } from '../support/database.ts';
import { insertJobs } from '../support/job-rows.ts';
import { type Ran, stockmesh } from './command-line.ts';
import { configText } from './running-mesh.ts';

export interface OverDatabase {
  db: Database;
  /** `--config FILE` and `--data FOLDER`. */
  here: string[];
  run(...args: string[]): Promise<Ran>;
  /** The document that a command prints with `--json`. */
  json(...args: string[]): Promise<ReturnType<typeof JSON.parse>>;
}

/** For a whole test file. `broker`: with one, else there is none. */
export async function overDatabase({ broker = false } = {}): Promise<OverDatabase> {
  const { database, db } = await databaseOfFile();
  const running = broker ? await startEmbedded() : undefined;
  afterAll(() => running?.close());
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-rows-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'stockmesh.yaml');
  writeFileSync(
    config,
    configText(database.url, `mqtt://service:${accounts.service!.password}@127.0.0.1:${running?.port ?? (await freePort())}`),
  );
  const here = ['--config', config, '--data', folder];
  const run = (...args: string[]) => stockmesh([...args, ...here]);
  return { db, here, run, json: async (...args) => JSON.parse((await run(...args, '--json')).stdout) };
}

/** A moment so many seconds before now. */
export const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000);

export interface JobRow {
  type?: string;
  symbol?: string | null;
  state?: State;
  queue?: Queue;
  level?: number;
  score?: number;
  attempt?: number;
  user?: string | null;
  worker?: string | null;
  blockedOn?: 'slot' | 'dependency' | null;
  due?: Date;
  enqueued?: Date;
  started?: Date | null;
  ended?: Date | null;
  payload?: unknown;
  why?: unknown;
  /** Of its end. */
  result?: { code?: string | null; reason?: string | null; result?: unknown };
}

let jobs = 0;

/** A UUIDv7 of a moment (RFC 9562, 5.7): it sorts by that, whatever was made before. */
function idAt(at: Date): string {
  const time = at.getTime().toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${String(++jobs).padStart(12, '0')}`;
}

/** Writes a job as the ledger keeps it; gives its id. */
export async function addJob(db: Database, row: JobRow = {}): Promise<string> {
  const enqueued = row.enqueued ?? ago(300);
  const id = idAt(enqueued);
  const key = idToBytes(id);
  await insertJobs(db, [
    {
      ...{ id: key, queue: row.queue ?? 'foreground', state: row.state ?? 'ready', priority: priorityOf(row.level ?? 3, row.score ?? 0.5) },
      ...{ attempt: row.attempt ?? 0, due_at: row.due ?? new Date(Date.now() + 3_600_000), type: row.type ?? 'fetch' },
      ...{ symbol: row.symbol === undefined ? 'AAPL' : row.symbol, user_id: row.user ?? null, worker_id: row.worker ?? null },
      ...{ blocked_on: row.blockedOn ?? null, enqueued_at: enqueued, started_at: row.started ?? null, ended_at: row.ended ?? null },
      ...{ payload: JSON.stringify(row.payload ?? {}), why: JSON.stringify(row.why ?? { text: 'a test asked' }) },
    },
  ]);
  if (row.result !== undefined)
    await db.run('UPDATE ended SET code = ?, reason = ?, result = ? WHERE job_id = ?', [
      row.result.code ?? null,
      row.result.reason ?? null,
      row.result.result === undefined ? null : JSON.stringify(row.result.result),
      key,
    ]);
  return id;
}
