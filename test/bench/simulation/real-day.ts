/** A compressed day of logins at the real mesh, with simulated prices: what it came to, counted in its database. */
import { setTimeout as delay } from 'node:timers/promises';
import mqtt from 'mqtt';
import { readSymbols, type SymbolState } from '../../../services/market/bars/read.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { brokerAddress, databaseOptions } from '../../../services/platform/connections.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { readSecrets } from '../../../services/platform/machine/datafolder.ts';
import { hoursOf, loginsOf, type Population, type SimulatedLogin, simulatedPopulation } from '../../../services/simulation/population.ts';
import { type Mesh, startMesh } from '../main-job.ts';
import { restore, storeBefore } from '../main-job-data.ts';
import { waitedMs } from '../report/cpu.ts';

export interface DayPlan {
  users: number;
  symbols: number;
  holdings: number;
  /** Seconds into which the day's 24 hours are pressed. */
  seconds: number;
  /** For so many seconds a fetched price is fresh. */
  freshSeconds: number;
  workers: number;
  seed: string;
  /** Seconds of the same day before what is measured; 0: none. */
  warmUpSeconds: number;
  /** Seconds without a login before it, for `idleMsPerSecond`. */
  idleSeconds: number;
}

/** A day like those of the table of docs/sizing.md: its logins by the hour. */
const DAY = '2026-11-25';
/** Jobs that are not done so long after the last login are counted as lost. */
const LONGEST_MS = 60_000;
/** Symbols that no exchange's calendar holds for: they are stale a fixed time after each fetch, whatever day and hour it is. */
const ENDING = '-USD';

export interface Counted {
  /** Symbols that logins looked at. */
  symbols: number;
  made: number;
  joined: number;
  /** Symbols of logins that needed no job. */
  fresh: number;
  lost: number;
  /** Milliseconds from a login to the end of all its jobs. */
  freshMs: number[];
}

export interface RealDay extends Counted {
  logins: readonly SimulatedLogin[];
  population: Population;
  /** As they were stored before the first login. */
  states: ReadonlyMap<string, SymbolState>;
  startMs: number;
  endMs: number;
  /** Processor milliseconds of the mesh from the first login to the end of the last job, by process. */
  processor: Record<string, number>;
  /** Processor milliseconds of the database in which all bars were stored. */
  storedMs: number;
  /** Processor milliseconds in a second without work. */
  idleMsPerSecond: number;
  /** How much longer everything took than it ran, because others had the processors: 1 on a quiet machine. */
  slowdown: number;
  /** Messages that a monitor received, by the first level of their topics. */
  messages: Record<string, number>;
  /** Bytes of the database, by table: all, and a row. */
  tables: { name: string; rows: number; bytes: number }[];
}

export function settingsOf({ freshSeconds }: Pick<DayPlan, 'freshSeconds'>): string[] {
  return [
    'stock_jobs.data_fetch.sources=simulated',
    'stock_jobs.data_fetch.simulated.enabled=true',
    `stock_jobs.portfolio_priority.data_staleness_threshold=${freshSeconds / 60}`,
    'portfolio.predictive.enabled=false',
    'worker.max_concurrent_jobs=50',
  ];
}

/** The plan's logins, the first at `startMs`. */
export function pressedLogins({ users, seconds, seed }: Pick<DayPlan, 'users' | 'seconds' | 'seed'>, startMs: number): SimulatedLogin[] {
  const dayMs = hoursOf(DAY)[0]?.startMs as number;
  return [...loginsOf(DAY, { users, loginsPerUser: 1, seed })].map(({ atMs, user }) => ({
    user,
    atMs: startMs + Math.round(((atMs - dayMs) / 86_400_000) * seconds * 1000),
  }));
}

/** Starts a mesh, signs everybody in and waits for the last job. The mesh is stopped by `stopAll`. */
export async function realDay(name: string, plan: DayPlan): Promise<RealDay> {
  const { users, symbols, holdings, seed } = plan;
  const population = simulatedPopulation({ users, symbols, holdings, loginsPerUser: 1, zipf: 1, seed, ending: ENDING });
  const mesh = await startMesh(name, plan.workers, settingsOf(plan));
  const { config } = loadConfig({ environment: 'development', files: [] });
  const open = (account: object): Database =>
    openDatabase({ ...databaseOptions(config, mesh.dataFolder, 'service'), maxConnections: 4, ...account });
  const db = open({});
  const root = open({ user: 'root', password: readSecrets(mesh.dataFolder).database.root });
  const unstored = mesh.processor();
  await store(db, root, population, users);
  const storedMs = difference(mesh, unstored).database ?? 0;
  const states = await readSymbols(db, population.symbols);
  const client = async (account: 'service' | 'hook') => {
    const { host, port, username, password } = brokerAddress(config, mesh.dataFolder, account);
    return mqtt.connectAsync({ host: host ?? '127.0.0.1', port: port ?? 0, username, password, protocol: 'mqtt' });
  };
  const [hook, monitor] = await Promise.all([client('hook'), client('service')]);
  const answeredMs = new Map<string, number>();
  const messages: Record<string, number> = {};
  monitor.on('message', (topic, text) => {
    const [level = ''] = topic.split('/');
    messages[level] = (messages[level] ?? 0) + 1;
    if (level === 'portfolio') answeredMs.set((JSON.parse(text.toString()) as { user_id: string }).user_id, Date.now());
  });
  await monitor.subscribeAsync(['stock/+/+', 'jobs/+/status', 'data/+/+', 'portfolio/+/priority']);
  await delay(1_000);

  const signIn = async (seconds: number) => {
    answeredMs.clear();
    for (const level of Object.keys(messages)) delete messages[level];
    const before = { processor: mesh.processor(), waited: waitedMs(mesh.pid) };
    const startMs = Date.now() + 100;
    const logins = pressedLogins({ ...plan, seconds }, startMs);
    const sentMs = new Map<string, number>();
    for (const { atMs, user } of logins) {
      const wait = atMs - Date.now();
      if (wait > 0) await delay(wait);
      sentMs.set(String(user), Date.now());
      void hook.publishAsync('events/login', JSON.stringify({ userId: String(user) }), { qos: 1 });
    }
    await untilDone(db, users, answeredMs);
    const endMs = Date.now();
    const processor = difference(mesh, before.processor);
    const ran = Object.values(processor).reduce((sum, ms) => sum + ms, 0);
    return { startMs, endMs, logins, sentMs, processor, slowdown: 1 + (waitedMs(mesh.pid) - before.waited) / ran };
  };
  // The first jobs of a process take ten times as long: its code is not compiled yet. A day in a few seconds, then everything as before.
  if (plan.warmUpSeconds > 0) {
    await signIn(plan.warmUpSeconds);
    await restore(root);
    await delay(1_000);
  }
  const idle = { processor: mesh.processor(), at: Date.now() };
  await delay(plan.idleSeconds * 1000);
  const idleMs = Object.values(difference(mesh, idle.processor)).reduce((sum, ms) => sum + ms, 0);
  const idleMsPerSecond = (idleMs / Math.max(Date.now() - idle.at, 1)) * 1000;
  const { sentMs, ...day } = await signIn(plan.seconds);
  const counted = await countDay(db, sentMs, answeredMs);
  const tables = await sizes(root);
  for (const close of [() => hook.endAsync(), () => monitor.endAsync(), () => db.close(), () => root.close(), () => mesh.stop()])
    await close();
  return { ...counted, ...day, storedMs, idleMsPerSecond, population, states, messages, tables };
}

async function store(db: Database, root: Database, population: Population, users: number): Promise<void> {
  await storeBefore(db, root, new Map([['everybody', population.symbols as string[]]]), 1);
  await db.run('DELETE FROM holdings');
  const at = new Date();
  for (let start = 0; start < users; start += 500) {
    const rows = Array.from({ length: Math.min(500, users - start) }, (_, index) => start + index).flatMap((user) =>
      population.holdingsOf(user).map(({ symbol, quantity, cost }) => [String(user), symbol, quantity.toFixed(6), cost, at]),
    );
    await db.run('INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at) VALUES ?', [rows]);
  }
}

/** Waits until all are answered and no job is live. */
async function untilDone(db: Database, users: number, answered: ReadonlyMap<string, number>): Promise<void> {
  for (const since = Date.now(); ; await delay(100)) {
    const [row] = await db.rows<{ live: number }>('SELECT COUNT(*) AS live FROM live_keys');
    if (answered.size >= users && row?.live === 0) return;
    if (Date.now() - since > LONGEST_MS)
      throw new Error(
        `${answered.size} of ${users} logins answered and ${row?.live} jobs not done ${LONGEST_MS / 1000} s after the last login`,
      );
  }
}

function difference(mesh: Mesh, before: Record<string, number>): Record<string, number> {
  const spent = Object.entries(mesh.processor()).map(([name, ms]): [string, number] => [name, ms - (before[name] ?? 0)]);
  return Object.fromEntries(spent.filter(([name]) => name !== 'bench'));
}

/** What the ledger and the stored decisions say. */
async function countDay(db: Database, sentMs: ReadonlyMap<string, number>, answeredMs: ReadonlyMap<string, number>): Promise<Counted> {
  const rows = await db.rows<{ user_id: string; decisions: unknown }>('SELECT user_id, decisions FROM user_portfolio_priority');
  const ended = new Map(
    (await db.rows<{ id: string; state: string; ended_at: Date }>('SELECT LOWER(HEX(job_id)) AS id, state, ended_at FROM ended')).map(
      (row) => [row.id, row],
    ),
  );
  const counted: Counted = { symbols: 0, made: ended.size, joined: -ended.size, fresh: 0, lost: 0, freshMs: [] };
  for (const { state } of ended.values()) if (state !== 'completed') counted.lost++;
  for (const { user_id: user, decisions } of rows) {
    const kept = (typeof decisions === 'string' ? JSON.parse(decisions) : decisions) as {
      fetch?: { id: string };
      analysis?: { id: string };
    }[];
    const ids = kept.flatMap(({ fetch, analysis }) =>
      [fetch, analysis].flatMap((job) => (job === undefined ? [] : [job.id.replaceAll('-', '')])),
    );
    counted.symbols += kept.length;
    counted.joined += ids.length;
    counted.fresh += kept.filter(({ fetch, analysis }) => fetch === undefined && analysis === undefined).length;
    const last = Math.max(answeredMs.get(user) ?? 0, ...ids.map((id) => ended.get(id)?.ended_at.getTime() ?? 0));
    counted.freshMs.push(last - (sentMs.get(user) ?? 0));
  }
  return counted;
}

async function sizes(root: Database): Promise<RealDay['tables']> {
  const names = await root.rows<{ name: string }>(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'before%' ORDER BY 1",
  );
  const found: RealDay['tables'] = [];
  for (const { name } of names) {
    await root.rows(`ANALYZE TABLE ${name}`);
    const [count] = await root.rows<{ found: number }>(`SELECT COUNT(*) AS found FROM ${name}`);
    const [size] = await root.rows<{ bytes: string }>(
      'SELECT CAST(data_length + index_length AS CHAR) AS bytes FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?',
      [name],
    );
    found.push({ name, rows: count?.found ?? 0, bytes: Number(size?.bytes ?? 0) });
  }
  return found.filter(({ rows }) => rows > 0);
}
