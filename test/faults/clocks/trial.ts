/** Rounds under wrong clocks: a whole mesh in processes of its own, logins on all ways in each round, and what became of their jobs. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { addHoldings } from '../../../services/market/portfolios/holdings.ts';
import type { Database } from '../../../services/platform/database/database.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { stockmesh } from '../../e2e/command.ts';
import { embeddedBroker } from '../logins/brokers.ts';
import { httpHook, mqttHook, type SentLogin } from '../logins/load.ts';
import type { Ground } from '../logins/mesh.ts';
import { endProcess, MAIN, startProcess } from '../processes.ts';
import type { Round } from '../round.ts';
import { type WrongClock, wrongClock } from './processes.ts';

/** Whose clock may be wrong. `standby` is the scheduler that does not lead; `cli` is the command `stockmesh login`. A second worker's clock is right. */
export const PARTS = ['portfolio-priority', 'worker', 'scheduler', 'standby', 'gateway', 'cli'] as const;
export type Part = (typeof PARTS)[number];

/** `sent` are logins, `done` their jobs that completed, a fetch and an analysis each. `failed` is the sum of `harm`. Recovery is from the market's answer to the end of all jobs. */
export interface ClockCounts extends Round {
  harm: Harm;
}

export interface Harm {
  jobsFailed: number;
  jobsExpired: number;
  /** Attempts whose lease was taken from a worker that lived. */
  leasesLost: number;
  /** Leads taken from a scheduler that lived. */
  leadsStolen: number;
  /** Jobs of one process whose id sorts before that of a job which another process had committed earlier: the claim would take it first. */
  outOfOrder: number;
}

/** A mesh while its jobs run and wait. */
export interface ClockMesh {
  ground: Ground;
  httpPort: number;
  mqttPort: number;
  /** The instance name of a part. */
  instanceOf(part: Part): string;
}

const JOBS_A_LOGIN = 2;
/** More jobs than the workers have slots, so that some wait in the queue all the while. A command is a process of its own, so there are fewer. */
const LOGINS_A_WAY = { mqtt: 4, http: 4, cli: 1 } as const;
const WAYS = ['mqtt', 'http', 'cli'] as const;
const SLOTS = 3;
/** The leader renews once a second while jobs run and wait. In each of these seconds it looks several times for leases and waits that have ended. */
const RENEWALS = 6;
const ENDED_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/** Short leases, and looks that are far more frequent than they end. */
const SETTINGS = [
  'logging.level=silent',
  'stock_jobs.data_fetch.sources=simulated',
  'stock_jobs.data_fetch.history_days=60',
  'worker.heartbeat_interval=3',
  'worker.poll_interval=1',
  `worker.max_concurrent_jobs=${SLOTS}`,
  'scheduler.lease=3',
  'scheduler.reap_interval=0.2',
  'scheduler.stats_interval=1',
];
const GATED = fileURLToPath(new URL('../gated-worker.ts', import.meta.url));

/**
 * Starts a mesh with the clocks of some parts wrong and runs rounds in it. `id`: letters and digits, unlike that of any other run in the same database. `look` is called
 * while jobs run and wait. Returns the counts of each round. Errors: those of a service that cannot start.
 */
export async function runClockRounds(
  clocks: Partial<Record<Part, WrongClock>>,
  id: string,
  ground: Ground,
  rounds: number,
  look: (mesh: ClockMesh) => Promise<void> = async () => {},
): Promise<ClockCounts[]> {
  const home = mkdtempSync(join(tmpdir(), 'stockmesh-clocks-'));
  const [mqttPort, httpPort] = [await freePort(), await freePort()];
  const broker = embeddedBroker(ground.folder, mqttPort);
  const children: ChildProcess[] = [];
  const stepped: ChildProcess[] = [];
  const gate = join(home, 'gate');
  const options = [...SETTINGS, `gateway.port=${httpPort}`];
  const mesh: ClockMesh = { ground, httpPort, mqttPort, instanceOf: (part) => `${id}-${part}` };

  async function start(clock: WrongClock | undefined, script: string, args: readonly string[]): Promise<void> {
    const child = await startProcess(script, args, clock && wrongClock(clock));
    children.push(child);
    if (clock?.step !== undefined) stepped.push(child);
  }
  const service = (part: Part, name: string): Promise<void> =>
    start(clocks[part], MAIN, [
      ...['service', name, '--instance', mesh.instanceOf(part), '--data', ground.folder, '--env', 'demo'],
      ...options.flatMap((setting) => ['--set', setting]),
    ]);
  const worker = (clock: WrongClock | undefined, instance: string): Promise<void> =>
    start(clock, GATED, [ground.folder, instance, join(home, 'starts'), gate, ...options]);
  /** The clocks that are set while their processes run: in every other round before its logins, else while its jobs run. */
  const step = (): void => {
    for (const child of stepped) child.kill('SIGUSR2');
  };

  const lead = watchLead(ground.db);
  const counts: ClockCounts[] = [];
  try {
    await broker.start();
    ground.point(mqttPort);
    await service('scheduler', 'scheduler');
    await lead.renewals(1);
    await Promise.all([
      service('standby', 'scheduler'),
      service('portfolio-priority', 'portfolio-priority'),
      service('gateway', 'gateway'),
      worker(clocks.worker, mesh.instanceOf('worker')),
      worker(undefined, `${id}-true`),
    ]);
    while (counts.length < rounds) {
      const round = `${id}r${counts.length}`;
      rmSync(gate, { force: true });
      const stolenBefore = lead.stolen();
      if (counts.length % 2 === 0) step();
      await signIn(round, mesh, clocks.cli && wrongClock(clocks.cli));
      if (counts.length % 2 === 1) step();
      await lead.renewals(RENEWALS);
      await look(mesh);
      writeFileSync(gate, '');
      const openedAt = performance.now();
      await untilEnded(ground.db, round);
      const recoverySeconds = (performance.now() - openedAt) / 1000;
      counts.push({ ...(await countJobs(ground.db, round, lead.stolen() - stolenBefore)), recoverySeconds });
    }
    return counts;
  } finally {
    await lead.stop();
    await Promise.all(children.map((child) => endProcess(child, 'SIGKILL')));
    await broker.end('SIGKILL');
    for (const table of ['leases', 'instances', 'alerts']) await ground.db.run(`DELETE FROM ${table}`);
    rmSync(home, { recursive: true, force: true });
  }
}

interface LeadWatch {
  /** Resolves when the lead has been taken or renewed so many times more. */
  renewals(count: number): Promise<void>;
  /** Changes of the holder so far. */
  stolen(): number;
  stop(): Promise<void>;
}

/** Follows the row of the leader's lease. */
function watchLead(db: Database): LeadWatch {
  const stopping = new AbortController();
  const holders: string[] = [];
  const seen = new Set<string>();
  async function follow(): Promise<void> {
    while (!stopping.signal.aborted) {
      const [row] = await db.rows<{ holder: string; until: Date }>("SELECT holder, until FROM leases WHERE name = 'scheduler'");
      if (row !== undefined) {
        if (row.holder !== holders.at(-1)) holders.push(row.holder);
        seen.add(`${row.holder} ${row.until.getTime()}`);
      }
      await delay(POLL_MS);
    }
  }
  const following = follow();
  return {
    async renewals(count) {
      const wanted = seen.size + count;
      while (seen.size < wanted) await delay(POLL_MS);
    },
    stolen: () => Math.max(0, holders.length - 1),
    async stop() {
      stopping.abort();
      await following;
    },
  };
}

const userOf = (id: string, way: (typeof WAYS)[number], index: number): string => `${id}-${way}-${index}`;
const usersOf = (id: string, way: (typeof WAYS)[number]): string[] =>
  Array.from({ length: LOGINS_A_WAY[way] }, (_, index) => userOf(id, way, index));

/** Users with a symbol each sign in: first on the broker, then over HTTP, then on the command line. Each way begins when the logins of the one before are committed. */
async function signIn(
  id: string,
  { ground, mqttPort, httpPort }: ClockMesh,
  commandLine: Record<string, string> | undefined,
): Promise<void> {
  const holdings = WAYS.flatMap((way) => usersOf(id, way)).map((user) => ({ user, symbol: user.toUpperCase(), quantity: 1, cost: 1 }));
  await ground.db.transaction((tx) => addHoldings(tx, holdings, new Date()));
  const hooks = {
    mqtt: mqttHook({ port: mqttPort, password: ground.secrets.mqtt.hook, qos: 1 }),
    http: httpHook({ port: httpPort, key: ground.secrets.gateway.operator }),
  };
  try {
    for (const way of ['mqtt', 'http'] as const) {
      const logins = usersOf(id, way).map((userId): SentLogin => ({ userId, at: Date.now(), acknowledged: false }));
      for (const login of logins) hooks[way].send(login);
      while (logins.some(({ acknowledged }) => !acknowledged)) await delay(POLL_MS);
    }
  } finally {
    for (const hook of Object.values(hooks)) hook.close();
  }
  for (const user of usersOf(id, 'cli')) {
    const command = stockmesh(['--data', ground.folder, '--env', 'demo', 'login', user], process.execPath, [MAIN], commandLine);
    if ((await command.exited) !== 0) throw new Error(`the login on the command line failed: ${command.output()}`);
  }
}

const LOGINS = WAYS.reduce((sum, way) => sum + LOGINS_A_WAY[way], 0);
const JOBS = LOGINS * JOBS_A_LOGIN;
const symbolsOf = (id: string): string => `${id.toUpperCase()}-%`;

/** Waits until all jobs have ended, well or not; gives up after `ENDED_TIMEOUT_MS`, and the counts tell. */
async function untilEnded(db: Database, id: string): Promise<void> {
  const end = performance.now() + ENDED_TIMEOUT_MS;
  for (;;) {
    const [row] = await db.rows<{ ended: number }>(
      "SELECT COUNT(*) AS ended FROM job_states WHERE symbol LIKE ? AND state NOT IN ('scheduled', 'blocked', 'ready', 'running')",
      [symbolsOf(id)],
    );
    if ((row?.ended ?? 0) >= JOBS || performance.now() > end) return;
    await delay(POLL_MS);
  }
}

async function countJobs(db: Database, id: string, leadsStolen: number): Promise<Omit<ClockCounts, 'recoverySeconds'>> {
  const jobs = await db.rows<{ symbol: string; state: string }>('SELECT symbol, state FROM job_states WHERE symbol LIKE ? ORDER BY id', [
    symbolsOf(id),
  ]);
  const [attempts] = await db.rows<{ lost: number }>(
    "SELECT COUNT(*) AS lost FROM job_attempts a JOIN job_states j ON j.id = a.job_id WHERE j.symbol LIKE ? AND a.outcome = 'lease_lost'",
    [symbolsOf(id)],
  );
  const inState = (state: string): number => jobs.filter((job) => job.state === state).length;
  // In the order of their ids: the ways in which they were committed must not go back.
  const ways = jobs.map(({ symbol }) => WAYS.findIndex((way) => symbol.includes(`-${way.toUpperCase()}-`)));
  const harm: Harm = {
    jobsFailed: inState('failed'),
    jobsExpired: inState('expired'),
    leasesLost: attempts?.lost ?? 0,
    leadsStolen,
    outOfOrder: ways.filter((way, at) => way < Math.max(...ways.slice(0, at + 1))).length,
  };
  const done = inState('completed');
  return {
    sent: LOGINS,
    done,
    lost: Math.max(0, JOBS - done),
    doubled: Math.max(0, jobs.length - JOBS),
    failed: Object.values(harm).reduce((sum, count) => sum + count, 0),
    harm,
  };
}
