/** Runs one case: its rounds, and what they count together. */
import { type Answers, countAnswers } from './answers.ts';
import type { FaultCase } from './cases.ts';
import { httpHook, type Load, mqttHook, startLoad } from './load.ts';
import { type FaultMesh, type Ground, prepareUpMesh, startServicesMesh } from './mesh.ts';
import { addUsers, type Counts, countJobs, countRound, type JobCounts, untilCommitted } from './tally.ts';

export interface CaseResult extends Counts, JobCounts {
  case: string;
  promised: boolean;
  rounds: number;
}

export interface Limits {
  rounds: number;
  /** Logins a second. */
  perSecond: number;
  /** Milliseconds that hooks go on after the last fault for what is not acknowledged yet. */
  hookMs: number;
  /** Milliseconds without one more commit after which missing logins count as lost: more than a busy machine takes to connect a service. */
  quietMs: number;
  /** Milliseconds for the jobs of all rounds to complete: more than a lease (30 s), since a killed worker's job may wait for its end. */
  jobsMs: number;
}

export const LIMITS: Limits = { rounds: 20, perSecond: 100, hookMs: 30_000, quietMs: 15_000, jobsMs: 60_000 };

/** More than any round sends, so that holdings are there before the login. */
const USERS_A_ROUND = 5_000;

/** What has been started and must be stopped, whatever happens. */
export type Cleanup = Set<() => Promise<void>>;

/**
 * Runs the case against a mesh of its own. `id`: letters and digits, unlike that of any other case in the same database.
 * Errors: those of a service or broker that cannot start.
 */
export async function runCase(faultCase: FaultCase, id: string, ground: Ground, limits: Limits, cleanup: Cleanup): Promise<CaseResult> {
  const total: Counts = { sent: 0, acknowledged: 0, committed: 0, lost: 0, answeredTwice: 0, longestMs: 0 };
  // The promise, so that an interrupt finds a mesh that is only just starting.
  let starting: Promise<FaultMesh> | undefined;
  const stop = async (): Promise<void> => {
    await (await starting)?.stop();
  };
  cleanup.add(stop);
  try {
    for (let round = 1; round <= limits.rounds; round++) {
      if (starting === undefined || faultCase.fresh) {
        await stop();
        starting = faultCase.running.includes('up') ? prepareUpMesh(faultCase.broker) : startServicesMesh(ground, faultCase.broker);
        const mesh = await starting;
        await Promise.all(faultCase.running.map(mesh.start));
      }
      addCounts(total, await runRound(faultCase, `${id}r${round}`, await starting, limits));
    }
    const jobs = await (await (starting as Promise<FaultMesh>)).withDatabase((db) => countJobs(db, `${id}r`, limits.jobsMs));
    return { case: faultCase.name, promised: faultCase.promised, rounds: limits.rounds, ...total, ...jobs };
  } finally {
    await stop();
    cleanup.delete(stop);
  }
}

async function runRound({ hook, strike }: FaultCase, users: string, mesh: FaultMesh, limits: Limits): Promise<Counts> {
  await mesh.withDatabase((db) => addUsers(db, users, USERS_A_ROUND));
  const { mqttPort: port, secrets } = mesh;
  const transport =
    hook === 'HTTP'
      ? httpHook({ port: mesh.httpPort, key: secrets.gateway.operator })
      : mqttHook({ port, password: secrets.mqtt.hook, qos: hook === 'QoS 1' ? 1 : 2 });
  const answers: Answers = countAnswers({ port, password: secrets.mqtt.monitor });
  const load: Load = startLoad({ users, perSecond: limits.perSecond, transport });
  try {
    await strike(mesh, load);
    load.stop();
    await load.finish(limits.hookMs);
    const committed = await mesh.withDatabase((db) => untilCommitted(db, users, load.logins, limits.quietMs));
    return { ...countRound(load.logins, committed), answeredTwice: answers.twice(users) };
  } finally {
    load.close();
    answers.close();
  }
}

function addCounts(total: Counts, round: Counts): void {
  for (const key of ['sent', 'acknowledged', 'committed', 'lost', 'answeredTwice'] as const) total[key] += round[key];
  total.longestMs = Math.max(total.longestMs, round.longestMs);
}

/**
 * Why a case does not keep its promise; undefined when it does. That no login's jobs are done twice, that every login is acknowledged in the end and every job
 * completes is promised with each broker.
 */
export function brokenPromise({ promised, sent, acknowledged, lost, jobsTwice, jobsUndone }: CaseResult): string | undefined {
  const broken = [
    ...(promised && lost > 0 ? [`${lost} acknowledged logins lost`] : []),
    ...(acknowledged < sent ? [`${sent - acknowledged} logins never acknowledged`] : []),
    ...(jobsTwice > 0 ? [`${jobsTwice} jobs done twice`] : []),
    ...(jobsUndone > 0 ? [`${jobsUndone} jobs not completed`] : []),
  ];
  return broken.length === 0 ? undefined : broken.join(', ');
}
