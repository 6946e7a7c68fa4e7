/** From users and symbols to cores, processes, connections, requests to the sources, messages and bytes: the formula of docs/sizing.md, which a test compares with its tables. */
import { usCalendar } from '../market/calendar/calendar.ts';
import type { Config } from '../platform/config/load.ts';
import type { Costs, StoredBytes } from './costs.ts';
import { hoursOf, type PopulationOptions, popularity } from './population.ts';

export type Load = Pick<PopulationOptions, 'users' | 'symbols' | 'holdings' | 'loginsPerUser' | 'zipf'>;

export interface Sizing {
  /** In the busiest hour of the day. */
  loginsPerSecond: number;
  fetchesPerSecond: number;
  /** Cores in use then, and cores to have: at most `BUSY_SHARE` of them are in use. */
  coresUsed: number;
  cores: number;
  /** Processes of each kind. */
  portfolioPriority: number;
  workers: number;
  /** `worker.max_concurrent_jobs` × workers. */
  places: number;
  /** That the database server must take, of all processes. */
  connections: number;
  /** Requests a minute to the source of prices. */
  requestsPerMinute: number;
  /** MQTT messages a second that are published. */
  messagesPerSecond: number;
  /** In the whole day. */
  logins: number;
  fetches: number;
  /** Of the database with everything that is kept, indexes included. */
  databaseBytes: number;
}

/** Above it, waiting times grow faster than the load. */
const BUSY_SHARE = 0.6;
/** A process is one thread, and needs air for its garbage collector. */
const PROCESS_SHARE = 0.5;
/** Of the processor time of a login and of a job, what the process itself takes; the rest is the database's and the broker's. */
const OWN_SHARE = 0.5;
/** Connections of a process for clean-up, statistics and imports (`database.pool`). */
const EXTRA_CONNECTIONS = 3;
/** Two schedulers, of which one leads, and two gateways. */
const OTHER_PROCESSES = 4;
/** Its event and its answer. Of a job: announcements, changes of its state, its data; counted by a monitor (docs/sizing.md). */
const MESSAGES_A_LOGIN = 2;
const MESSAGES_A_JOB = 6.5;
const TRADING_DAYS_A_YEAR = 252;

/**
 * Fetches a second while users ask for symbols `loginsPerSecond × holdings` times a second: a symbol that is asked for λ times a second and is fresh for T seconds after a
 * fetch is fetched once in T + 1/λ (a renewal process: the rest of the time until somebody asks for it has the mean 1/λ).
 */
export function fetchesPerSecond(loginsPerSecond: number, { symbols, holdings, zipf }: Load, freshSeconds: number): number {
  if (loginsPerSecond <= 0) return 0;
  const sums = popularity(symbols, zipf);
  let rate = 0;
  for (let place = 0; place < symbols; place++) {
    const share = (sums[place] as number) - (sums[place - 1] ?? 0);
    // Held at most once in a portfolio, however popular it is.
    const asked = loginsPerSecond * (1 - (1 - share) ** holdings);
    if (asked > 0) rate += 1 / (freshSeconds + 1 / asked);
  }
  return rate;
}

/** `sourceMs`: median of a source's answers. The day is a trading day; while the market is closed nothing is fetched twice. */
export function sizingOf(
  load: Load,
  { config, costs, bytes, sourceMs, day }: { config: Config; costs: Costs; bytes: StoredBytes; sourceMs: number; day: string },
): Sizing {
  const { freshness_schedule } = config.portfolio;
  const freshSeconds = freshness_schedule.market_open * 60;
  const logins = load.users * load.loginsPerUser;
  const hours = hoursOf(day);
  const perSecond = (share: number): number => (logins * share) / 3600;
  const busiest = Math.max(...hours.map(({ share }) => share));
  const session = usCalendar.session(day);
  const openMs = session?.open.epochMilliseconds ?? 0;
  const closeMs = session?.close.epochMilliseconds ?? 0;
  // What a fetch after the close leaves is final; each symbol is asked for once more then, by whoever comes first.
  const fetches = hours.reduce(
    (sum, { startMs, share }) => {
      const openSeconds = Math.max(0, Math.min(startMs + 3_600_000, closeMs) - Math.max(startMs, openMs)) / 1000;
      return sum + (openSeconds === 0 ? 0 : openSeconds * fetchesPerSecond(perSecond(share), load, freshSeconds));
    },
    session === undefined ? 0 : Math.min(load.symbols, logins * load.holdings),
  );

  const loginsPerSecond = perSecond(busiest);
  const fetchRate = fetchesPerSecond(loginsPerSecond, load, freshSeconds);
  const loginCores =
    (loginsPerSecond * (costs.batchMs + costs.loginMs + load.holdings * costs.symbolMs) + fetchRate * 2 * costs.requestMs) / 1000;
  // Jobs that end within the wait of a batch share its transaction, and the claim after it. Each login's jobs are claimed too.
  const { wait } = config.worker.batch;
  const turns = fetchRate === 0 ? 0 : 1 / (wait / 1000 + 1 / (2 * fetchRate));
  const claims = turns + Math.min(loginsPerSecond, fetchRate);
  const jobCores = (fetchRate * (costs.fetchMs + costs.analysisMs) + turns * costs.commitMs + claims * costs.claimMs) / 1000;
  const coresUsed = loginCores + jobCores + costs.idleMsPerSecond / 1000;
  const portfolioPriority = Math.ceil((loginCores * OWN_SHARE) / PROCESS_SHARE);
  const places = config.worker.max_concurrent_jobs;
  // A fetch holds its place while the source answers: twice as many as are in use on average.
  const inUse = (fetchRate * 2 * sourceMs) / 1000;
  const workers = Math.max(Math.ceil((jobCores * OWN_SHARE) / PROCESS_SHARE), Math.ceil(inUse / places), 1);
  const keptDays = config.jobs.cleanup_after_days;
  const bars = (config.stock_jobs.data_fetch.history_days / 365) * TRADING_DAYS_A_YEAR;
  return {
    loginsPerSecond,
    fetchesPerSecond: fetchRate,
    coresUsed,
    cores: Math.max(2, Math.ceil(coresUsed / BUSY_SHARE)),
    portfolioPriority: Math.max(portfolioPriority, 1),
    workers,
    places: workers * places,
    connections: (Math.max(portfolioPriority, 1) + workers + OTHER_PROCESSES) * (config.database.pool.max_connections + EXTRA_CONNECTIONS),
    requestsPerMinute: fetchRate * 60,
    messagesPerSecond: loginsPerSecond * MESSAGES_A_LOGIN + fetchRate * 2 * MESSAGES_A_JOB,
    logins,
    fetches,
    databaseBytes:
      keptDays * (fetches * (bytes.fetchJob + bytes.analysisJob) + logins * bytes.answer) +
      load.symbols * (bars * bytes.bar + bytes.symbol) +
      load.users * (load.holdings * bytes.holding + bytes.user),
  };
}
