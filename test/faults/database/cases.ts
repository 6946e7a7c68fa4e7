/** The database goes away in the midst of work: one round of each fault, and what it counts. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { connectionOptions } from '../../../services/platform/database/database.ts';
import type { Round } from '../round.ts';
import type { DatabaseMesh } from './mesh.ts';

export interface DatabaseCase {
  name: string;
  /** `jobs`: 400 by default. */
  run(mesh: DatabaseMesh, round: number, jobs?: number): Promise<Round>;
}

const JOBS = 400;
/** One job in so many is completed before the fault. */
const WARM = 10;
const OUTAGE_MS = 3_000;
/** `worker.grace_period`, within which every service ends. */
const GRACE_SECONDS = 20;
/** More than a lease. */
const PATIENCE_MS = 60_000;

/** `strike` makes the fault and resolves when the database can be reached again; what it returns is called at the end of the round. */
const withJobs = (name: string, strike: (mesh: DatabaseMesh) => Promise<undefined | (() => unknown)>): DatabaseCase => ({
  name,
  async run(target, round, jobs = JOBS) {
    const { db, ledger, announcer } = target.mesh;
    const number = CASES.findIndex((one) => one.name === name);
    const symbols = Array.from({ length: jobs }, (_, index) => `C${number}R${round}N${index}`);
    const done = async (): Promise<number> => {
      const [row] = await db.rows<{ n: number }>("SELECT COUNT(*) AS n FROM job_states WHERE state = 'completed' AND symbol IN (?)", [
        symbols,
      ]);
      return row?.n ?? 0;
    };
    const until = async (isSo: (count: number) => boolean): Promise<number> => {
      const end = performance.now() + PATIENCE_MS;
      for (;;) {
        const count = await done().catch(() => 0);
        if (isSo(count) || performance.now() > end) return count;
        await delay(20);
      }
    };
    await announcer.enqueued(await enqueue(ledger, symbols.map(fetchOf)));
    await until((count) => count >= jobs / WARM);
    const heal = await strike(target);
    const back = performance.now();
    const before = await until(() => true);
    await until((count) => count > before || count === jobs);
    const recoverySeconds = (performance.now() - back) / 1000;
    const completed = await until((count) => count === jobs);
    await heal?.();
    const [counts] = await db.rows<{ failed: number; doubled: number }>(
      `SELECT CAST(COALESCE(SUM(state = 'failed'), 0) AS SIGNED) AS failed,
              CAST(COALESCE(SUM(EXISTS (SELECT 1 FROM job_attempts a WHERE a.job_id = j.id AND a.outcome <> 'handed_back')), 0) AS SIGNED) AS doubled
         FROM job_states j WHERE symbol IN (?)`,
      [symbols],
    );
    const { failed, doubled } = counts as { failed: number; doubled: number };
    return {
      sent: jobs,
      done: completed,
      lost: jobs - completed - Number(failed),
      doubled: Number(doubled),
      failed: Number(failed),
      recoverySeconds,
    };
  },
});

const fetchOf = (symbol: string): JobRequest => ({
  ...{ type: 'fetch', symbol, payload: { symbol }, level: 3, score: 0.5, why: { text: 'a fault case asks' } },
  ...{ triggeredBy: 'user_request', dedupeKey: `fetch:${symbol}:bars`, whenFull: 'refuse' },
});

async function asRoot(mesh: DatabaseMesh, work: (root: mysql.Connection) => Promise<unknown>): Promise<undefined> {
  const root = await mysql.createConnection(connectionOptions(mesh.mesh.asRoot()));
  try {
    await work(root);
    return undefined;
  } finally {
    await root.end();
  }
}

/** KILL, or KILL QUERY, for each connection of the services. */
const killAll = (what: string) => (mesh: DatabaseMesh) =>
  asRoot(mesh, async (root) => {
    for (let times = 0; times < 20; times++) {
      const [rows] = await root.query<mysql.RowDataPacket[]>('SELECT id FROM information_schema.processlist WHERE user = ?', [
        mesh.mesh.reach.user,
      ]);
      for (const { id } of rows) await root.query(`KILL ${what} ${id}`).catch(() => undefined);
      await delay(50);
    }
  });

/** Services that are told to stop while the database is as `strike` makes it, until `heal`. */
const stopping = (name: string, strike: (mesh: DatabaseMesh) => void, heal: (mesh: DatabaseMesh) => void): DatabaseCase => ({
  name,
  async run(target) {
    const services = await Promise.all(
      (['scheduler', 'portfolio-priority', 'gateway', 'worker'] as const).map((service) =>
        target.start(service, ['gateway.port=0', 'monitoring.enabled=false']),
      ),
    );
    strike(target);
    try {
      const started = performance.now();
      const ends = await Promise.all(
        services.map(async (service) => {
          const exited = once(service, 'exit');
          service.kill('SIGTERM');
          const [code] = await exited;
          return { code, seconds: (performance.now() - started) / 1000 };
        }),
      );
      const done = ends.filter(({ code, seconds }) => code === 0 && seconds <= GRACE_SECONDS).length;
      const recoverySeconds = Math.max(...ends.map(({ seconds }) => seconds));
      return { sent: services.length, done, lost: 0, doubled: 0, failed: services.length - done, recoverySeconds };
    } finally {
      heal(target);
    }
  },
});

export const CASES: readonly DatabaseCase[] = [
  withJobs('the network swallows everything for 3 s', async ({ first, second }) => {
    for (const one of [first, second]) one.stall();
    await delay(OUTAGE_MS);
    for (const one of [first, second]) {
      one.strand();
      one.flow();
    }
    return undefined;
  }),
  withJobs('the server is frozen for 3 s', async ({ mesh }) => {
    process.kill(mesh.databasePid, 'SIGSTOP');
    await delay(OUTAGE_MS);
    process.kill(mesh.databasePid, 'SIGCONT');
    return undefined;
  }),
  withJobs('the server is read-only for 3 s', (mesh) =>
    asRoot(mesh, async (root) => {
      await root.query('SET GLOBAL read_only = 1');
      await delay(OUTAGE_MS);
      await root.query('SET GLOBAL read_only = 0');
    }),
  ),
  withJobs('KILL of each connection, 20 times', killAll('')),
  withJobs('KILL QUERY of each connection, 20 times', killAll('QUERY')),
  withJobs('the node in use dies, another is there', async (mesh) => {
    const used = mesh.first.open > 0 ? mesh.first : mesh.second;
    await used.die();
    return () => used.listen();
  }),
  withJobs('the node in use answers nothing any more, another is there', async (mesh) => {
    const used = mesh.first.open > 0 ? mesh.first : mesh.second;
    used.stall();
    return () => {
      used.strand();
      used.flow();
    };
  }),
  withJobs('the server stops and starts', async ({ mesh }) => {
    await mesh.restartDatabase();
    return undefined;
  }),
  stopping(
    'SIGTERM while the server is frozen',
    ({ mesh }) => process.kill(mesh.databasePid, 'SIGSTOP'),
    ({ mesh }) => process.kill(mesh.databasePid, 'SIGCONT'),
  ),
  stopping(
    'SIGTERM while the network swallows everything',
    ({ first, second }) => {
      for (const one of [first, second]) one.stall();
    },
    ({ first, second }) => {
      for (const one of [first, second]) {
        one.strand();
        one.flow();
      }
    },
  ),
];
