/** The faults of leases and workers: each case runs one round on an empty ledger and counts. Run by a test once, and for as many rounds as wanted by whoever imports it. */
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type { Round } from '../round.ts';
import { until, type Workers } from './workers.ts';

export interface LeaseCase {
  name: string;
  /** Seconds within which a round must have recovered on a machine with nothing else to do. */
  within: number;
  /** Takes so long that only a run of many rounds has it. */
  long?: boolean;
  round(workers: Workers): Promise<Round>;
}

const symbols = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
const isPoison = (symbol: string): boolean => /^(KILL|ABORT)/.test(symbol);

/** Ends when no job is live but the ones that end their process, and counts when those have ended too. */
async function count(workers: Workers, since: number): Promise<Round> {
  const live = async (which: (symbol: string) => boolean): Promise<boolean> =>
    (await workers.jobs()).some(({ symbol, state }) => which(symbol) && ['scheduled', 'blocked', 'ready', 'running'].includes(state));
  await until('all jobs have ended', async () => !(await live((symbol) => !isPoison(symbol))), 120);
  const recoverySeconds = (performance.now() - since) / 1000;
  await until('the jobs that end their process have ended', async () => !(await live(isPoison)), 120);
  const jobs = await workers.jobs();
  const done = jobs.filter(({ state }) => state === 'completed').length;
  const ended = jobs.filter(({ state }) => state === 'failed');
  return {
    sent: jobs.length,
    done,
    lost: jobs.length - done - ended.length,
    doubled: jobs.length - new Set(jobs.map(({ symbol }) => symbol)).size,
    failed: ended.filter(({ symbol, reason }) => !isPoison(symbol) || !reason?.startsWith('its worker died')).length,
    recoverySeconds,
  };
}

const running = (workers: Workers, many: number) => async (): Promise<boolean> =>
  (await workers.jobs()).filter(({ state }) => state === 'running').length >= many;

/** A lease of 60 s: what is rescued is not rescued because a lease has ended. */
const LONG_LEASE = ['worker.heartbeat_interval=30'];

async function killedWhileLocked(workers: Workers): Promise<Round> {
  const victim = await workers.start('victim', ['worker.max_concurrent_jobs=20', ...LONG_LEASE]);
  await workers.enqueue(symbols('GATE', 20));
  await until('all run', running(workers, 20));
  await workers.start('heir', ['worker.max_concurrent_jobs=20', ...LONG_LEASE]);
  const killedAt = performance.now();
  await workers.mesh.db.transaction(async (tx) => {
    // By their keys: a search by state would lock all running jobs.
    const ids = await tx.rows<{ id: Buffer }>("SELECT id FROM job_states WHERE state = 'running' ORDER BY id LIMIT 7");
    await tx.rows('SELECT job_id FROM running FORCE INDEX (PRIMARY) WHERE job_id IN (?) ORDER BY job_id FOR UPDATE', [
      ids.map(({ id }) => id),
    ]);
    victim.kill('SIGKILL');
    await until('the others are taken back', async () => (await workers.jobs()).filter(({ deaths }) => deaths > 0).length === 13);
  });
  workers.openGate();
  return count(workers, killedAt);
}

async function killedUnderLoad(workers: Workers): Promise<Round> {
  const set = ['worker.max_concurrent_jobs=20', ...LONG_LEASE];
  const [victim] = await Promise.all([workers.start('victim', set), workers.start('heir', set)]);
  await workers.enqueue(symbols('LOAD', 400));
  await until(
    'some are done',
    async () => (await workers.jobs()).filter(({ state }) => state === 'completed').length > 50 + Math.random() * 50,
  );
  victim.kill('SIGKILL');
  return count(workers, performance.now());
}

const frozenInTransaction =
  (set: readonly string[]) =>
  async (workers: Workers): Promise<Round> => {
    await workers.start('frozen', set);
    await workers.enqueue(symbols('COLD', 5));
    await until('they run', running(workers, 5));
    await workers.freezeOne();
    const since = performance.now();
    await workers.start('warm', set);
    return count(workers, since);
  };

const holderFrozen =
  (set: readonly string[]) =>
  async (workers: Workers): Promise<Round> => {
    await workers.start('healthy', set);
    await workers.enqueue(symbols('GATE', 5));
    await until('they run', running(workers, 5));
    await workers.freezeHolder(set);
    workers.openGate();
    const counts = await count(workers, performance.now());
    // A worker that waits for a frozen process must not lose its leases.
    const lost = (await workers.jobs()).filter(({ attempt }) => attempt > 1).length;
    return { ...counts, failed: counts.failed + lost };
  };

const poison =
  (poisons: readonly string[]) =>
  async (workers: Workers): Promise<Round> => {
    await Promise.all(poisons.map((_, index) => workers.supervise(`worker-${index}`)));
    const since = performance.now();
    await workers.enqueue([...poisons, ...symbols('GOOD', 4 * poisons.length)]);
    return count(workers, since);
  };

async function killedAgain(workers: Workers): Promise<Round> {
  const worker = await workers.supervise('killed');
  await workers.enqueue(symbols('GATE', 5));
  for (let kills = 1; kills <= 5; kills++) {
    await until('a job runs', running(workers, 1), 30);
    worker.child.kill('SIGKILL');
    await until('the worker is back', () => worker.deaths === kills && worker.child.exitCode === null && worker.child.signalCode === null);
  }
  const since = performance.now();
  workers.openGate();
  return count(workers, since);
}

/** For three seconds the server ends every connection twenty times a second. */
async function connectionsDropped(workers: Workers): Promise<Round> {
  const { user, password, socketPath } = workers.mesh.asRoot();
  const root = await mysql.createConnection({ user, password, socketPath });
  await workers.start('worker');
  await workers.enqueue(symbols('DROP', 20));
  await until('some run', running(workers, 5));
  const since = performance.now();
  while (performance.now() - since < 3_000) {
    const [rows] = await root.query("SELECT id FROM information_schema.processlist WHERE user = 'stockmesh'");
    for (const { id } of rows as { id: number }[]) await root.query(`KILL CONNECTION ${id}`).catch(() => undefined);
    await delay(50);
  }
  await root.end();
  const counts = await count(workers, since);
  // Each attempt that an outage ended costs a pause: 1 + 2 s within these three.
  const busy = (await workers.jobs()).filter(({ attempt }) => attempt > 6).length;
  return { ...counts, failed: counts.failed + busy };
}

const SHORT = ['worker.heartbeat_interval=2'];

export const LEASE_CASES: readonly LeaseCase[] = [
  { name: 'a worker is killed while rows of its jobs are locked', within: 2, round: killedWhileLocked },
  { name: 'a worker is killed under load', within: 10, long: true, round: killedUnderLoad },
  { name: 'a worker freezes inside a transaction, lease of 4 s', within: 6, round: frozenInTransaction(SHORT) },
  { name: 'a worker freezes inside a transaction, lease of 30 s', within: 32, long: true, round: frozenInTransaction([]) },
  { name: 'another process freezes with the rows of running jobs locked, lease of 4 s', within: 4, long: true, round: holderFrozen(SHORT) },
  { name: 'another process freezes with the rows of running jobs locked, lease of 30 s', within: 17, long: true, round: holderFrozen([]) },
  { name: 'a job ends its process beside four others', within: 10, long: true, round: poison(['KILL']) },
  { name: 'two jobs end their processes beside eight others', within: 15, long: true, round: poison(['KILL', 'ABORT']) },
  { name: 'a worker is killed five times', within: 15, long: true, round: killedAgain },
  { name: 'the database drops its connections for three seconds', within: 10, long: true, round: connectionsDropped },
];
