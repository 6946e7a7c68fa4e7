/** What a user would build instead, as processes: one application, and workers which are started again when they end. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openDatabase } from '../../../services/platform/database/database.ts';
import type { Addresses } from '../contenders/contender.ts';
import { restore, storeBefore } from '../main-job-data.ts';
import type { LoginsCommand, PeerReport } from '../processes/peer-process.ts';
import { message, startPeerProcess } from '../processes/processes.ts';
import { processorMs } from '../report/cpu.ts';
import { clearBullmq } from './bullmq.ts';
import type { Contestant, LoginsOrder, LoginsOutcome } from './contestant.ts';
import { graphileUtils, queryWith } from './graphile.ts';
import { POSTGRES_SCHEMA, type Query } from './market-postgres.ts';
import type { PeerName } from './peer.ts';
import { SEED } from './symbol-work.ts';
import { NOTE_WRITES_MARIADB, readStale, readWrites } from './writes.ts';

type Held = ReadonlyMap<string, readonly string[]>;

export interface PeerSetting {
  addresses: Addresses;
  workers: number;
  /** From `storeForPeers`. */
  newest: string;
  /** Processor time of the servers that the peer needs. */
  serverMs: () => number;
}

/** Stores in MariaDB what the main job starts from. Returns the date of the newest bar that there is. */
export async function storeForPeers({ stockmesh }: Addresses, held: Held): Promise<string> {
  const root = openDatabase({ ...stockmesh.root, maxConnections: 4 });
  const { newest } = await storeBefore(root, root, held, SEED);
  for (const statement of NOTE_WRITES_MARIADB) await root.run(statement);
  await root.close();
  return newest;
}

/** BullMQ, with its rows in MariaDB. */
export async function startBullmq(setting: PeerSetting): Promise<Contestant> {
  const { addresses, newest } = setting;
  const root = openDatabase({ ...addresses.stockmesh.root, maxConnections: 4 });
  const processes = await startProcesses('BullMQ', setting);
  return {
    name: 'BullMQ',
    async restore() {
      await clearBullmq(addresses.BullMQ as { path: string });
      await restore(root);
      await root.run('TRUNCATE TABLE bench_writes');
    },
    ...processes,
    writes: () => readWrites(root.rows),
    stale: () => readStale(root.rows, newest),
    async stop() {
      await processes.stop();
      await root.close();
    },
  };
}

/** Graphile Worker, with its rows in the same PostgreSQL. What stands there at first is copied from MariaDB. */
export async function startGraphile(setting: PeerSetting): Promise<Contestant> {
  const { addresses, newest } = setting;
  const utils = await graphileUtils(setting, 4);
  await utils.migrate();
  const query = queryWith(utils);
  await copyToPostgres(query, addresses);
  const processes = await startProcesses('Graphile Worker', setting);
  const rows = async <T>(sql: string): Promise<T[]> => (await query<T>(sql)).rows;
  return {
    name: 'Graphile Worker',
    async restore() {
      await query(`TRUNCATE graphile_worker._private_jobs, analyses, ${COPIED.join(', ')}`);
      for (const table of COPIED) await query(`INSERT INTO ${table} SELECT * FROM before_${table}`);
      await query('TRUNCATE bench_writes');
      // What autovacuum does sooner or later.
      await query('VACUUM ANALYZE');
    },
    ...processes,
    writes: () => readWrites(rows),
    stale: () => readStale(rows, newest),
    async stop() {
      await processes.stop();
      await utils.release();
    },
  };
}

const COPIED = ['bars', 'corporate_actions', 'symbols'] as const;
/** Rows of one statement, as JSON. */
const CHUNK = 5_000;

async function copyToPostgres(query: Query, { stockmesh }: Addresses): Promise<void> {
  const source = openDatabase({ ...stockmesh.root, maxConnections: 4 });
  await query(POSTGRES_SCHEMA);
  for (const table of [...COPIED, 'holdings']) {
    const rows = await source.rows(`SELECT * FROM ${table}`);
    for (let start = 0; start < rows.length; start += CHUNK)
      await query(`INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`, [
        JSON.stringify(rows.slice(start, start + CHUNK)),
      ]);
  }
  for (const table of COPIED) await query(`CREATE TABLE before_${table} AS SELECT * FROM ${table}`);
  await source.close();
}

async function startProcesses(
  peer: PeerName,
  { addresses, workers: count, serverMs, newest }: PeerSetting,
): Promise<Pick<Contestant, 'login' | 'spent' | 'killWorker' | 'stop'>> {
  const startOne = (role: 'application' | 'worker') => startPeerProcess({ peer, role, addresses, newest });
  const application = await startOne('application');
  const workers = await Promise.all(Array.from({ length: count }, () => startOne('worker')));
  return {
    login: (order) => login(application.child, order),
    spent: () => ({
      workers: workers.reduce((sum, { child }) => sum + processorMs(child.pid as number), 0),
      servers: serverMs(),
      logins: processorMs(application.child.pid as number),
    }),
    async killWorker() {
      const killed = workers[0]?.child as ChildProcess;
      const ended = once(killed, 'exit');
      killed.kill('SIGKILL');
      await ended;
      workers[0] = await startOne('worker');
    },
    async stop() {
      for (const one of [...workers, application]) await one.stop();
    },
  };
}

async function login(child: ChildProcess, { users, waitMs, midway }: LoginsOrder): Promise<LoginsOutcome> {
  const outcome = message(child, (text): text is Extract<PeerReport, { kind: 'outcome' }> => (text as PeerReport).kind === 'outcome');
  if (midway !== undefined)
    child.on('message', function listen(text: PeerReport) {
      if (text.kind !== 'midway') return;
      child.off('message', listen);
      midway.call();
    });
  child.send({ users: [...users], waitMs, midway: midway?.symbols } satisfies LoginsCommand);
  return (await outcome).outcome;
}
