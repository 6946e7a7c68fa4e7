/** The main job against what a user would build instead: the same logins, symbols, work and writes by stockmesh, on BullMQ with MariaDB, and on Graphile Worker with PostgreSQL. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ContenderName } from '../contenders/contender.ts';
import { portfolios, symbolNames } from '../main-job-data.ts';
import type { Bench } from '../report/bench.ts';
import { type Cell, figure, print, progress, ratio, table, type Verdict, verdicts } from '../report/report.ts';
import { median, type Spread, spread } from '../report/statistics.ts';
import { CONCURRENCY, type Contestant, type LoginsOutcome, type Spent } from './contestant.ts';
import { startBullmq, startGraphile, storeForPeers } from './peers.ts';
import { startStockmesh } from './stockmesh.ts';
import type { Writes } from './writes.ts';

const AIM_MS = 1_000;
const AIM_TIMES = 3;
/** Milliseconds that all logins are waited for at most where nobody is killed. */
const LONGEST_MS = 120_000;
const SOON_MS = 10_000;

export interface Sizes {
  users: number;
  symbols: number;
  /** Symbols of a user. */
  each: number;
  rounds: number;
  killRounds: number;
  /** How long logins are waited for when a worker is killed: as long as BullMQ takes at most to find a stalled job (a lock of 30 s, looked at every 30 s). */
  killWaitMs: number;
}

const FULL = { users: 1_000, symbols: 500, each: 20, killRounds: 2, killWaitMs: 60_000 };
const QUICK = { users: 100, symbols: 50, each: 20, killRounds: 1, killWaitMs: SOON_MS };

/** One round of one contestant. */
export interface Round {
  fresh: Spread;
  totalMs: number;
  spent: Spent;
  writes: Writes;
  stale: number;
}

export interface KillRound {
  logins: number;
  /** Not fresh so long after their login, and never within the wait. */
  late: number;
  lost: number;
  /** Milliseconds until the last login that became fresh. */
  lastMs: number;
  writes: Writes;
  staleSymbols: number;
}

export interface Measured {
  rounds: Map<ContenderName, Round[]>;
  kills: Map<ContenderName, KillRound[]>;
}

export async function mainJobPeersSection(bench: Bench): Promise<unknown> {
  const sizes = { ...(bench.quick ? QUICK : FULL), rounds: bench.rounds };
  const { rounds, kills } = await measureAll(bench, sizes);
  print(
    `\nThe main job against what a user would build instead: ${figure(sizes.users)} logins at once, ${sizes.each} symbols each over ${sizes.symbols}; ${bench.workers} workers with ${CONCURRENCY} jobs at once; median of ${sizes.rounds} rounds in turns; milliseconds from a login until its caller knows that all is fresh\n`,
  );
  print(roundsTable(rounds));
  print(
    `\n  A worker gets SIGKILL when a third of the symbols are fresh and is started again at once; logins are waited for ${sizes.killWaitMs / 1000} s; rounds: ${sizes.killRounds}, added up\n`,
  );
  print(killTable(kills));
  print(`\n${verdicts(judge(rounds, kills))}`);
  return { sizes, workers: bench.workers, rounds: Object.fromEntries(rounds), kills: Object.fromEntries(kills) };
}

/** Starts all contestants that are installed, and measures them in turns. */
export async function measureAll(bench: Bench, sizes: Sizes): Promise<Measured> {
  const held = portfolios(sizes.users, sizes.each, symbolNames(sizes.symbols));
  const contestants: Contestant[] = [];
  try {
    for await (const contestant of startAll(bench, held)) contestants.push(contestant);
    return await measureInTurns(contestants, [...held.keys()], sizes);
  } finally {
    for (const contestant of contestants) await contestant.stop();
  }
}

async function measureInTurns(contestants: readonly Contestant[], users: readonly string[], sizes: Sizes): Promise<Measured> {
  const measured: Measured = {
    rounds: new Map(contestants.map(({ name }) => [name, []])),
    kills: new Map(contestants.map(({ name }) => [name, []])),
  };
  // Round 0 is what the first logins after a start meet: it does not count.
  for (let round = 0; round <= sizes.rounds; round++)
    for (const contestant of contestants) {
      progress(`main job: round ${round} of ${sizes.rounds}, ${contestant.name}`);
      const one = await oneRound(contestant, users);
      if (round > 0) measured.rounds.get(contestant.name)?.push(one);
    }
  for (let round = 1; round <= sizes.killRounds; round++)
    for (const contestant of contestants) {
      progress(`main job: a worker is killed, round ${round} of ${sizes.killRounds}, ${contestant.name}`);
      measured.kills.get(contestant.name)?.push(await killRound(contestant, users, sizes));
    }
  progress('');
  return measured;
}

async function* startAll(bench: Bench, held: ReadonlyMap<string, readonly string[]>): AsyncGenerator<Contestant> {
  const addresses = await bench.addresses();
  progress('main job: starting the mesh');
  yield startStockmesh(held, bench.workers, bench.set);
  if (addresses.BullMQ === undefined && addresses['Graphile Worker'] === undefined) return;
  progress('main job: storing two years of bars');
  const newest = await storeForPeers(addresses, held);
  const setting = { addresses, workers: bench.workers, newest };
  if (addresses.BullMQ !== undefined)
    yield startBullmq({ ...setting, serverMs: () => bench.serverMs('BullMQ') + bench.serverMs('stockmesh') });
  if (addresses['Graphile Worker'] !== undefined) yield startGraphile({ ...setting, serverMs: () => bench.serverMs('Graphile Worker') });
}

async function oneRound(contestant: Contestant, users: readonly string[]): Promise<Round> {
  await contestant.restore();
  await delay(1_000);
  const before = contestant.spent();
  const { times, totalMs } = await contestant.login({ users, waitMs: LONGEST_MS });
  const after = contestant.spent();
  const fresh = times.filter((ms) => ms !== null);
  if (fresh.length < users.length)
    throw new Error(
      `${contestant.name}: ${users.length - fresh.length} of ${users.length} logins were not fresh after ${LONGEST_MS / 1000} s`,
    );
  return {
    fresh: spread(fresh),
    totalMs,
    spent: {
      workers: after.workers - before.workers,
      servers: after.servers - before.servers,
      logins: after.logins - before.logins,
    },
    writes: await contestant.writes(),
    stale: await contestant.stale(),
  };
}

async function killRound(contestant: Contestant, users: readonly string[], { symbols, killWaitMs }: Sizes): Promise<KillRound> {
  await contestant.restore();
  await delay(1_000);
  let killed: Promise<void> | undefined;
  const kill = (): void => {
    killed = contestant.killWorker();
  };
  const outcome = await contestant.login({ users, waitMs: killWaitMs, midway: { symbols: Math.ceil(symbols / 3), call: kill } });
  if (killed === undefined) throw new Error(`${contestant.name}: a third of the symbols never became fresh`);
  await killed;
  return { ...countLost(outcome), writes: await contestant.writes(), staleSymbols: await contestant.stale() };
}

/** Counts the logins that became fresh late or not at all. */
export function countLost({ times }: Pick<LoginsOutcome, 'times'>): Pick<KillRound, 'logins' | 'late' | 'lost' | 'lastMs'> {
  return {
    logins: times.length,
    late: times.filter((ms) => ms === null || ms > SOON_MS).length,
    lost: times.filter((ms) => ms === null).length,
    lastMs: Math.max(...times.map((ms) => ms ?? 0)),
  };
}

function roundsTable(rounds: Measured['rounds']): string {
  const rows = [...rounds].map(([name, all]): Cell[] => {
    const of = (value: (round: Round) => number): number => median(all.map(value));
    const spent = (key: keyof Spent): number => of((round) => round.spent[key] / 1000);
    return [
      name,
      ...[of(({ fresh }) => fresh.p50), of(({ fresh }) => fresh.p99), of(({ fresh }) => fresh.max), of(({ totalMs }) => totalMs)],
      ...[
        of(({ spent: { workers, servers, logins } }) => (workers + servers + logins) / 1000),
        spent('workers'),
        spent('servers'),
        spent('logins'),
      ],
      `${all.reduce((sum, { writes }) => sum + writes.twice, 0)}`,
    ];
  });
  const processor = ['processor seconds', 'workers', 'servers', 'logins'];
  return table(['', 'p50', 'p99', 'max', 'all written', ...processor, 'done twice, all rounds'], rows);
}

function killTable(kills: Measured['kills']): string {
  const rows = [...kills].map(([name, all]): Cell[] => {
    const sum = (value: (round: KillRound) => number): string => `${all.reduce((total, round) => total + value(round), 0)}`;
    return [
      name,
      ...[sum(({ logins }) => logins), sum(({ late }) => late), sum(({ lost }) => lost), sum(({ staleSymbols }) => staleSymbols)],
      ...[Math.max(...all.map(({ lastMs }) => lastMs)), sum(({ writes }) => writes.twice)],
    ];
  });
  return table(
    ['', 'logins', `not fresh after ${SOON_MS / 1000} s`, 'lost', 'symbols left stale', 'last one fresh after', 'done twice'],
    rows,
  );
}

function judge(rounds: Measured['rounds'], kills: Measured['kills']): Verdict[] {
  const p99 = (name: ContenderName): number => median((rounds.get(name) ?? []).map(({ fresh }) => fresh.p99));
  const ours = p99('stockmesh');
  const sum = (value: (round: Round) => number): number =>
    (rounds.get('stockmesh') ?? []).reduce((total, round) => total + value(round), 0);
  const lost = (kills.get('stockmesh') ?? []).reduce((total, round) => total + round.lost, 0);
  const twice = sum(({ writes }) => writes.twice);
  const stale = sum((round) => round.stale);
  return [
    { aim: `login to all fresh p99 under ${AIM_MS} ms`, measured: `${figure(ours)} ms`, met: ours < AIM_MS },
    ...[...rounds.keys()]
      .filter((name) => name !== 'stockmesh')
      .map((name) => ({
        aim: `at least ${AIM_TIMES} × faster at p99 than on ${name}`,
        measured: ratio(p99(name), ours),
        met: p99(name) >= AIM_TIMES * ours,
      })),
    { aim: 'no symbol left stale, none done twice', measured: `${stale} and ${twice}`, met: stale + twice === 0 },
    { aim: 'no login lost when a worker is killed', measured: `${lost}`, met: lost === 0 },
  ];
}
