/** Rounds of one fault under load, and what they count. */
import { setTimeout as delay } from 'node:timers/promises';
import { countAnswers } from '../logins/answers.ts';
import { httpHook, mqttHook, type SentLogin, startLoad, type Transport } from '../logins/load.ts';
import { addUsers, countJobs, countRound, untilCommitted } from '../logins/tally.ts';
import type { ClusterCase } from './cases.ts';
import type { ClusterMesh } from './mesh.ts';

export interface ClusterRow {
  fault: string;
  nodes: number;
  rounds: number;
  sent: number;
  acknowledged: number;
  committed: number;
  /** Acknowledged, and not in the database in the end. */
  lost: number;
  answered: number;
  /** Logins of which somebody heard two answers. */
  answeredTwice: number;
  jobs: number;
  jobsTwice: number;
  jobsUndone: number;
  /** From making a login to the transaction that committed it, the longest. */
  slowestSeconds: number;
  /** What was promised and did not hold. */
  broken?: string | undefined;
}

const PORT = 1883;
/** A hook gives a connection up on which nothing is answered for so long. */
const SILENT_MS = 5_000;
const USERS_A_ROUND = 5_000;
/**
 * Time for hooks after the fault, for late commits (on a machine with a load of 45 NATS went on to deliver what nobody had committed for 60 s, and all of it 120 s later), for late
 * answers (another process answers after 10 s and looks every 5), and for jobs.
 */
const LIMITS = { hookMs: 90_000, quietMs: 300_000, answersMs: 40_000, jobsMs: 120_000 };
/** Logins before and after a fault. */
const AROUND = 40;

/** Most logins over the broker, one in five by each gateway. */
function bothWays({ brokers, secrets, httpPorts }: ClusterMesh): Transport {
  const hosts = brokers.map(({ name }) => name);
  const mqtt = mqttHook({ port: PORT, hosts, silentMs: SILENT_MS, password: secrets.mqtt.hook, qos: 1 });
  const ways = [mqtt, mqtt, mqtt, ...httpPorts.map((port) => httpHook({ port, key: secrets.gateway.operator }))];
  let sent = 0;
  return {
    send: (login) => ways[sent++ % ways.length]!.send(login),
    close() {
      for (const way of new Set(ways)) way.close();
    },
  };
}

/** Listens at every broker node: one that is away says nothing. */
function listen({ brokers, secrets }: ClusterMesh) {
  const all = brokers.map(({ name }) =>
    countAnswers({ port: PORT, hosts: [name], silentMs: 3 * SILENT_MS, password: secrets.mqtt.monitor }),
  );
  const times = (login: SentLogin): number => Math.max(...all.map((one) => (one.moments([login])[0] as number[]).length));
  return {
    times,
    close() {
      for (const one of all) one.close();
    },
  };
}

async function runRound(
  mesh: ClusterMesh,
  { strike }: ClusterCase,
  users: string,
  { round, perSecond }: { round: number; perSecond: number },
) {
  await addUsers(mesh.db, users, USERS_A_ROUND);
  const answers = listen(mesh);
  const load = startLoad({ users, perSecond, transport: bothWays(mesh) });
  try {
    await load.more(AROUND);
    await strike(mesh, round);
    await load.more(AROUND);
    load.stop();
    await load.finish(LIMITS.hookMs);
    const counts = countRound(load.logins, await untilCommitted(mesh.db, users, load.logins, LIMITS.quietMs));
    const unanswered = (): number => load.logins.filter((login) => answers.times(login) === 0).length;
    for (const end = performance.now() + LIMITS.answersMs; unanswered() > 0 && performance.now() < end; ) await delay(200);
    return {
      ...counts,
      answered: counts.sent - unanswered(),
      answeredTwice: load.logins.filter((login) => answers.times(login) > 1).length,
    };
  } finally {
    load.close();
    answers.close();
  }
}

/** `id`: letters and digits, unlike that of any other fault in the same database. */
export async function runClusterCase(
  mesh: ClusterMesh,
  one: ClusterCase,
  { id, rounds, perSecond, tell }: { id: string; rounds: number; perSecond: number; tell: (line: string) => void },
): Promise<ClusterRow> {
  const row: ClusterRow = {
    ...{
      fault: one.name,
      nodes: mesh.databases.length,
      rounds,
      sent: 0,
      acknowledged: 0,
      committed: 0,
      lost: 0,
      answered: 0,
      answeredTwice: 0,
    },
    ...{ jobs: 0, jobsTwice: 0, jobsUndone: 0, slowestSeconds: 0 },
  };
  for (let round = 0; round < rounds; round++) {
    const counts = await runRound(mesh, one, `${id}r${round}`, { round, perSecond });
    for (const key of ['sent', 'acknowledged', 'committed', 'lost', 'answered', 'answeredTwice'] as const) row[key] += counts[key];
    row.slowestSeconds = Math.max(row.slowestSeconds, counts.longestMs / 1000);
    tell(
      `${one.name}, round ${round + 1} of ${rounds}: ${counts.lost} of ${counts.sent} lost, slowest ${(counts.longestMs / 1000).toFixed(1)} s`,
    );
  }
  Object.assign(row, await countJobs(mesh.db, `${id}r`, LIMITS.jobsMs));
  return { ...row, broken: await brokenPromise(mesh, row) };
}

async function brokenPromise(mesh: ClusterMesh, row: ClusterRow): Promise<string | undefined> {
  const rows = await agreed(mesh);
  const broken = [...brokenCounts(row), ...(new Set(rows).size > 1 ? [`the database nodes differ: ${rows.join('; ')}`] : [])];
  return broken.length === 0 ? undefined : broken.join(', ');
}

/** Which counts are not what was promised. Answers are told at most once to each listener, and may be missed by one that is away. */
export function brokenCounts({ sent, acknowledged, lost, jobsTwice, jobsUndone }: ClusterRow): string[] {
  return [
    ...(lost > 0 ? [`${lost} acknowledged logins lost`] : []),
    ...(acknowledged < sent ? [`${sent - acknowledged} logins never acknowledged`] : []),
    ...(jobsTwice > 0 ? [`${jobsTwice} jobs done twice`] : []),
    ...(jobsUndone > 0 ? [`${jobsUndone} jobs not completed`] : []),
  ];
}

/** Nodes follow each other within milliseconds; the scheduler may add a job between two counts. */
async function agreed(mesh: ClusterMesh): Promise<string[]> {
  for (let tries = 1; ; tries++) {
    const rows = await mesh.rowsByNode();
    if (new Set(rows).size === 1 || tries === 20) return rows;
    await delay(500);
  }
}
