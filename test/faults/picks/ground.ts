/** A mesh with a stored universe, workers that may die, and a model that counts the requests that reached it. */
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { picksRequests } from '../../../services/job-types/picks/request.ts';
import { enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { TABLES_BY_JOB } from '../../../services/ledger/maintain/delete.ts';
import { GOALS, ProfileSchema } from '../../../services/picks/profile.ts';
import { weekOf } from '../../../services/picks/report/week.ts';
import { storeProfile } from '../../../services/picks/store/profiles.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { inventedMembers } from '../../picks/invented-universe.ts';
import { movedTo, storeUniverse, wordsFor } from '../../picks/stored-universe.ts';
import { type ModelRequest, type ModelServer, modelServer } from '../../support/model-server.ts';
import { until } from '../leases/workers.ts';
import { startTestMesh, type TestMesh } from '../mesh.ts';
import { endProcess, startProcess } from '../processes.ts';
import type { Round } from '../round.ts';

const WORKER = fileURLToPath(new URL('./picks-worker.ts', import.meta.url));
const TABLES = [
  'jobs',
  ...TABLES_BY_JOB,
  'user_slots',
  'slot_waits',
  'instances',
  'weekly_reports',
  'report_drafts',
  'pick_universes',
  'profiles',
  'spend',
];
/** Seconds of one answer. Whoever waits for a call of a dead process waits ten longer. */
const MODEL_TIMEOUT = 3;
/** Processes of workers. */
export const PICKERS = 3;
/** Seconds that a round may take, and more for each process: on two cores fifty of them start, and screen the universe for themselves, one after the other. */
const ENDS_WITHIN = 120;
const ENDS_WITHIN_PROCESS = 10;

export interface Ground {
  mesh: TestMesh;
  server: ModelServer;
  week: string;
  users: readonly string[];
  readonly workers: readonly ChildProcess[];
  /** Users with profiles of their own, so that a request tells whose it is. */
  prepare(users: number): Promise<void>;
  /** Lets so many workers die at a point, and starts them again under their names. */
  deaths(point: string, count: number): void;
  /** How many of them have died. */
  died(): number;
  startWorkers(): Promise<void>;
  request(): Promise<void>;
  /** Waits until no job is live. */
  ended(): Promise<void>;
  count(startedAt: number): Promise<PicksRound>;
  clear(): Promise<void>;
  stop(): Promise<void>;
}

/** What a round counted beside the others. */
export interface PicksRound extends Round {
  requests: number;
  reports: number;
  worded: number;
  /** Calls of which nobody knows whether they were paid for, in the ledger; and the reports that say so. */
  unknown: number;
  told: number;
}

/** The goals as bits of a number: no two users have the same. */
const goalsOf = (index: number): string[] => GOALS.filter((_, bit) => ((index + 1) >> bit) & 1);

export async function openPicksGround(processes = PICKERS): Promise<Ground> {
  const mesh = await startTestMesh();
  const members = movedTo(Temporal.Now.instant(), inventedMembers(60));
  await storeUniverse(mesh.db, members);
  const server = await modelServer();
  const tokens = join(mesh.dataFolder, 'fault-picks');
  mkdirSync(tokens, { recursive: true });
  Object.assign(process.env, { NODE_FAULT_PICKS: tokens });
  const symbols = members.map(({ symbol }) => symbol);
  // It takes back what a frozen worker holds. No run by the calendar comes between.
  await mesh.service('scheduler', ['scheduler.schedules=']);
  const workers = pickers(mesh, configurationFor(mesh, server, symbols), processes);
  const rules = loadConfig({ env: {} }).config.jobs.priority_rules;
  const week = weekOf(systemClock.now());
  const state = { users: [] as string[], first: 0, deaths: 0 };
  const asked = (): Map<string, number> => requestsByUser(server.requests.slice(state.first), state.users);

  async function clear(): Promise<void> {
    await workers.end();
    rmSync(tokens, { recursive: true, force: true });
    mkdirSync(tokens);
    for (const table of TABLES) await mesh.db.run(`DELETE FROM ${table}`);
  }
  return {
    ...{ mesh, server, week, clear },
    get users() {
      return state.users;
    },
    get workers() {
      return workers.all();
    },
    async prepare(count) {
      state.users = Array.from({ length: count }, (_, index) => `reader-${index}`);
      state.first = server.requests.length;
      server.behave((request) => ({ kind: 'answer', text: wordsFor(request) }));
      for (const [index, user] of state.users.entries())
        await storeProfile(mesh.db, user, ProfileSchema.parse({ goals: goalsOf(index) }), new Date());
    },
    deaths(point, count) {
      state.deaths = count;
      for (let index = 0; index < count; index++) writeFileSync(join(tokens, `${point} ${index}`), '');
    },
    died: () => state.deaths - readdirSync(tokens).length,
    startWorkers: workers.start,
    async request() {
      const origin = { cause: 'user_request', rules } as const;
      const requests = picksRequests(state.users, { week, reason: 'manual_trigger', origin });
      await mesh.announcer.enqueued(await enqueue(mesh.ledger, requests));
    },
    ended: () =>
      until(
        'ended: all jobs',
        async () =>
          (await mesh.db.rows("SELECT id FROM job_states WHERE state IN ('scheduled', 'blocked', 'ready', 'running') LIMIT 1")).length ===
          0,
        ENDS_WITHIN + ENDS_WITHIN_PROCESS * processes,
      ),
    count: (startedAt) => countRound(mesh, { week, users: state.users, requests: [...asked().values()], startedAt }),
    async stop() {
      await clear();
      await server.close();
      await mesh.stop();
    },
  };
}

/** The configuration file of the workers. */
function configurationFor(mesh: TestMesh, server: ModelServer, symbols: readonly string[]): string {
  const file = join(mesh.dataFolder, 'picks.yaml');
  const settings = {
    picks: { universe: { lists: [{ name: 'invented', symbols }] } },
    // A server on this machine costs nothing by itself. With prices it is one that does.
    model: {
      ...{ base_url: server.url, name: 'tester', price_in: 2, price_out: 10, timeout: MODEL_TIMEOUT },
      caps: { picks: { day: 1000, week: 1000 } },
    },
  };
  writeFileSync(file, JSON.stringify({ job_processor: settings }));
  return file;
}

/** Seconds. A lease is two of them: where processes share two cores it must be longer than one of them may have to wait for a core. */
const heartbeat = (processes: number): number => Math.max(1, Math.ceil(processes / 5));

/** Workers that are started again under their names when they die. */
function pickers(mesh: TestMesh, config: string, processes: number) {
  const children = new Map<string, ChildProcess>();
  // A process that is still starting when a round ends would hold its name in the next one.
  const starting = new Set<Promise<void>>();
  let ending = false;
  function start(instance: string): Promise<void> {
    const started = startOne(instance).finally(() => starting.delete(started));
    starting.add(started);
    return started;
  }
  async function startOne(instance: string): Promise<void> {
    const set = [
      'logging.level=silent',
      `worker.heartbeat_interval=${heartbeat(processes)}`,
      'worker.max_concurrent_jobs=8',
      'database.pool.max_connections=4',
    ];
    const child = await startProcess(WORKER, [mesh.dataFolder, instance, ...set], { STOCKMESH_CONFIG: config });
    if (ending) return endProcess(child, 'SIGKILL');
    children.set(instance, child);
    child.once('exit', () => {
      if (!ending) void start(instance);
    });
  }
  return {
    all: () => [...children.values()],
    async start() {
      ending = false;
      await Promise.all(Array.from({ length: processes }, (_, index) => start(`picker-${index}`)));
    },
    async end() {
      ending = true;
      await Promise.allSettled(starting);
      await Promise.all(
        [...children.values()].map((child) => {
          child.kill('SIGCONT');
          return endProcess(child, 'SIGKILL');
        }),
      );
      children.clear();
    },
  };
}

function requestsByUser(requests: readonly ModelRequest[], users: readonly string[]): Map<string, number> {
  const byGoals = new Map(users.map((user, index) => [goalsOf(index).join(), user]));
  const counts = new Map<string, number>();
  for (const { messages } of requests) {
    const user = byGoals.get(JSON.parse(messages[1]?.content as string).reader.goals.join()) as string;
    counts.set(user, (counts.get(user) ?? 0) + 1);
  }
  return counts;
}

interface Counted {
  week: string;
  users: readonly string[];
  /** Of each user who was asked about. */
  requests: readonly number[];
  startedAt: number;
}

async function countRound({ db }: TestMesh, { week, users, requests, startedAt }: Counted): Promise<PicksRound> {
  const [jobs] = await db.rows<{ failed: string | null }>(
    "SELECT SUM(state <> 'completed') AS failed FROM job_states WHERE type = 'picks'",
  );
  const reports = await db.rows<{ user_id: string; versions: number; worded: string; told: string }>(
    `SELECT user_id, COUNT(*) AS versions, SUM(source = 'llm') AS worded, SUM(document LIKE '%"fallback_reason":"payment_unknown"%') AS told
       FROM weekly_reports WHERE week_of = ? GROUP BY user_id`,
    [week],
  );
  const [unknown] = await db.rows<{ n: number }>("SELECT COUNT(*) AS n FROM spend WHERE state = 'unknown'");
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const over = (values: readonly number[]): number => sum(values.map((value) => Math.max(0, value - 1)));
  return {
    sent: users.length,
    done: reports.length,
    lost: users.length - reports.length,
    doubled: over(requests) + over(reports.map(({ versions }) => versions)),
    failed: Number(jobs?.failed ?? 0),
    recoverySeconds: (performance.now() - startedAt) / 1000,
    requests: sum(requests),
    reports: sum(reports.map(({ versions }) => versions)),
    worded: sum(reports.map(({ worded }) => Number(worded))),
    unknown: unknown?.n ?? 0,
    told: sum(reports.map(({ told }) => Number(told))),
  };
}

/** Of all stored reports: no write of a state may change it. */
export async function contentOf({ mesh }: Ground): Promise<string> {
  const rows = await mesh.db.rows('SELECT * FROM weekly_reports ORDER BY user_id, week_of, version');
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex');
}
