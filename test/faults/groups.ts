/** The faults of `npm run faults`, group by group: each group has a mesh of its own, which is there while its faults are run. */
import { CLOCK_CASES } from './clocks/cases.ts';
import { CASES as DATABASE_CASES } from './database/cases.ts';
import { startDatabaseMesh } from './database/mesh.ts';
import { HISTORY_CASES } from './history/cases.ts';
import { openHistoryGround } from './history/ground.ts';
import { LEASE_CASES } from './leases/cases.ts';
import { startWorkers } from './leases/workers.ts';
import { CASES as LOGIN_CASES } from './logins/cases.ts';
import { openGround } from './logins/mesh.ts';
import { brokenPromise, type Cleanup, LIMITS, runCase } from './logins/run-case.ts';
import { startTestMesh } from './mesh.ts';
import { notifierRound } from './notifier/round.ts';
import { PICKS_CASES } from './picks/cases.ts';
import { openPicksGround, type PicksRound } from './picks/ground.ts';
import type { Round } from './round.ts';

/** What all rounds of a fault counted. */
export interface FaultRow {
  fault: string;
  /** Whether it is promised that nothing is lost. */
  promised: boolean;
  rounds: number;
  /** Logins or jobs. */
  sent: number;
  lost: number;
  /** Jobs done twice. */
  doubled: number;
  /** Failed, expired or not done although nothing was wrong with them. */
  failed: number;
  slowestSeconds: number;
  /** What the group counts besides. */
  more?: object;
  /** The promise that was broken. */
  broken?: string | undefined;
}

export interface RunOptions {
  rounds: number;
  /** Logins a second. */
  perSecond: number;
  /** Users of a round of paid reports. */
  users: number;
  cleanup: Cleanup;
}

export interface Group {
  names: readonly string[];
  /** Starts the group's mesh. `processes`: of workers, where paid reports are made. */
  open(size: { processes: number }): Promise<{ run(name: string, options: RunOptions): Promise<FaultRow>; close(): Promise<void> }>;
}

function tally(fault: string, rounds: readonly Round[]): FaultRow {
  const row: FaultRow = { fault, promised: true, rounds: rounds.length, sent: 0, lost: 0, doubled: 0, failed: 0, slowestSeconds: 0 };
  for (const { sent, lost, doubled, failed, recoverySeconds } of rounds) {
    row.sent += sent;
    row.lost += lost;
    row.doubled += doubled;
    row.failed += failed;
    row.slowestSeconds = Math.max(row.slowestSeconds, recoverySeconds);
  }
  if (row.lost + row.doubled + row.failed > 0) row.broken = `${row.lost} lost, ${row.doubled} doubled, ${row.failed} failed though healthy`;
  return row;
}

async function repeat(fault: string, { rounds }: RunOptions, round: (number: number) => Promise<Round>): Promise<FaultRow> {
  const counts: Round[] = [];
  while (counts.length < rounds) counts.push(await round(counts.length));
  return tally(fault, counts);
}

/** The case that a group shows under this name. */
function named<Case extends { name: string }>(cases: readonly Case[], name: string): Case {
  return cases.find((one) => name.endsWith(one.name)) as Case;
}

const clocks: Group = {
  names: CLOCK_CASES.map(({ name }) => name),
  async open() {
    const ground = await openGround();
    let id = 0;
    return {
      run: async (name, { rounds }) => tally(name, await named(CLOCK_CASES, name).run(`c${id++}`, ground, rounds)),
      close: () => ground.stop(),
    };
  },
};

const leases: Group = {
  names: LEASE_CASES.map(({ name }) => `leases: ${name}`),
  async open() {
    const workers = await startWorkers();
    await workers.mesh.service('scheduler');
    return {
      run: (name, options) =>
        repeat(name, options, async () => {
          try {
            return await named(LEASE_CASES, name).round(workers);
          } finally {
            await workers.clear();
          }
        }),
      close: () => workers.stop(),
    };
  },
};

const database: Group = {
  names: DATABASE_CASES.map(({ name }) => `database: ${name}`),
  async open() {
    const mesh = await startDatabaseMesh();
    return {
      run: (name, options) => repeat(name, options, (number) => named(DATABASE_CASES, name).run(mesh, number)),
      close: () => mesh.stop(),
    };
  },
};

const logins: Group = {
  names: LOGIN_CASES.map(({ name }) => name),
  async open() {
    const ground = await openGround();
    let id = 0;
    return {
      async run(name, { rounds, perSecond, cleanup }) {
        const result = await runCase(named(LOGIN_CASES, name), `f${id++}`, ground, { ...LIMITS, rounds, perSecond }, cleanup);
        const { promised, sent, lost, jobsTwice: doubled, jobsUndone: failed, longestMs } = result;
        return {
          ...{ fault: name, promised, rounds: result.rounds, sent, lost, doubled, failed, slowestSeconds: longestMs / 1000 },
          ...{ more: result, broken: brokenPromise(result) },
        };
      },
      close: () => ground.stop(),
    };
  },
};

const history: Group = {
  names: HISTORY_CASES.map(({ name }) => `history: ${name}`),
  async open() {
    const ground = await openHistoryGround();
    let again = 0;
    return {
      async run(name, options) {
        again = 0;
        const row = await repeat(name, options, async (number) => {
          const round = await named(HISTORY_CASES, name).round(ground, number);
          again = Math.max(again, round.again);
          return round;
        });
        return { ...row, more: { mostRequestsAgain: again } };
      },
      close: () => ground.stop(),
    };
  },
};

const notifier: Group = {
  names: ['notifier: killed while the mail server refuses, is slow or gone'],
  async open() {
    const mesh = await startTestMesh();
    let copies = 0;
    return {
      async run(name, { rounds }) {
        const counts: Round[] = [];
        while (counts.length < Math.ceil(rounds / 10)) {
          const round = await notifierRound(mesh, { events: 10_000, kills: 20 });
          copies += round.copies;
          counts.push(round);
        }
        return { ...tally(name, counts), more: { copiesOnTheWire: copies } };
      },
      close: () => mesh.stop(),
    };
  },
};

/** Users of a round of paid reports. */
export const READERS = 24;

/** Sent are reports that were asked for; lost are users without one, doubled are requests to the model beyond one of a report, and versions beyond one. */
const picks: Group = {
  names: PICKS_CASES.map(({ name }) => `picks: ${name}`),
  async open({ processes }) {
    const ground = await openPicksGround(processes);
    return {
      async run(name, { rounds, users }) {
        const counts: PicksRound[] = [];
        while (counts.length < rounds) {
          try {
            counts.push(await named(PICKS_CASES, name).run(ground, users));
          } finally {
            await ground.clear();
          }
        }
        const sum = (key: 'requests' | 'reports' | 'worded' | 'unknown' | 'told'): number =>
          counts.reduce((total, count) => total + count[key], 0);
        const more = {
          requests: sum('requests'),
          reports: sum('reports'),
          worded: sum('worded'),
          unknown: sum('unknown'),
          told: sum('told'),
        };
        const row = { ...tally(name, counts), more };
        const untold = more.unknown === more.told ? undefined : `${more.unknown} payments are unknown, ${more.told} reports say so`;
        return { ...row, broken: row.broken ?? untold };
      },
      close: () => ground.stop(),
    };
  },
};

export const GROUPS: readonly Group[] = [clocks, leases, database, logins, history, picks, notifier];
