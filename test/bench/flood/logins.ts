/**
 * flood. Everybody signs in at once: 10,000 users of 20 symbols each, until all are committed, answered and fresh. The whole mesh runs as `stockmesh up` starts it. Beside the
 * flood another hook signs in somebody with one symbol twice a second.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import mqtt, { type MqttClient } from 'mqtt';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { brokerAddress, databaseOptions } from '../../../services/platform/connections.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { readSecrets } from '../../../services/platform/machine/datafolder.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { startMesh } from '../main-job.ts';
import { faultsAfter, portfolios, restore, storeBefore, symbolNames } from '../main-job-data.ts';
import type { Bench } from '../report/bench.ts';
import { childrenOf, commandOf } from '../report/cpu.ts';
import { figure, print, progress, table, verdicts } from '../report/report.ts';
import { median, type Spread, spread } from '../report/statistics.ts';

const HELD = 20;
const SEED = 1;
const OTHERS_EVERY_MS = 500;
const LONGEST_MS = 300_000;
const AIMS = { committedMs: 10_000, answerMs: 3_000, megabytes: 300 };

interface Round {
  /** Milliseconds from the first publish to the last acknowledgement, which comes after the commit. */
  committedMs: number;
  answers: Spread;
  /** Of the logins of the other hook, answers included. */
  others: Spread;
  /** From the first publish to the last of all jobs. */
  freshMs: number;
  /** Most resident memory of portfolio-priority. */
  megabytes: number;
  /** The longest turn of its event loop, on a machine that others use too. */
  longestTurnMs: number;
  processor: Record<string, number>;
}

export async function loginFloodSection(bench: Bench): Promise<unknown> {
  const [users, symbols] = bench.quick ? [500, 50] : [10_000, 500];
  const held = portfolios(users, HELD, symbolNames(symbols));
  for (let other = 0; other < LONGEST_MS / OTHERS_EVERY_MS; other++) held.set(`other-${other}`, [symbolNames(1)[0] as string]);
  const metricsPort = await freePort();
  const settings = [
    'stock_jobs.data_fetch.sources=simulated',
    'stock_jobs.data_fetch.simulated.enabled=true',
    `stock_jobs.data_fetch.simulated.seed=${SEED}`,
    'worker.max_concurrent_jobs=50',
    `monitoring.ports.portfolio_priority=${metricsPort}`,
    ...bench.set,
  ];
  progress('flood: starting the mesh');
  const mesh = await startMesh('flood', bench.workers, settings);
  const pid = pidOf('portfolio-priority');
  const { config } = loadConfig({ environment: 'development', files: [] });
  const address = databaseOptions(config, mesh.dataFolder, 'service');
  const db = openDatabase({ ...address, maxConnections: 4 });
  const root = openDatabase({ ...address, user: 'root', password: readSecrets(mesh.dataFolder).database.root, maxConnections: 1 });
  progress('flood: storing two years of bars');
  const { newest } = await storeBefore(db, root, held, SEED);
  const watch = await watchFlood(config, mesh.dataFolder);

  const rounds: Round[] = [];
  const faults: string[] = [];
  // Round 0 is what the first flood after a start meets: shown, not counted.
  for (let round = 0; round <= bench.rounds; round++) {
    progress(`flood: round ${round} of ${bench.rounds}`);
    await restore(root);
    await delay(1_000);
    const before = mesh.processor();
    resetPeak(pid);
    await longestTurnMs(metricsPort);
    const measured = await watch.measure([...held.keys()].slice(0, users), symbols);
    const longest = await longestTurnMs(metricsPort);
    const processor = Object.entries(mesh.processor()).map(([name, ms]) => [name, ms - (before[name] ?? 0)]);
    rounds.push({ ...measured, megabytes: peakMegabytes(pid), longestTurnMs: longest, processor: Object.fromEntries(processor) });
    const found = [...(await faultsAfter(db, symbols, newest)), ...(await loginFaults(db, users))];
    faults.push(...found.map((fault) => `round ${round}: ${fault}`));
  }
  progress('');
  await watch.close();
  await db.close();
  await root.close();
  await mesh.stop();
  report(rounds, { users, symbols, settings, faults, workers: bench.workers });
  return { rounds, faults, settings, workers: bench.workers };
}

function report(
  rounds: readonly Round[],
  { users, symbols, settings, faults, workers }: { users: number; symbols: number; settings: string[]; faults: string[]; workers: number },
): void {
  print(`\nflood. ${figure(users)} logins at once, ${HELD} symbols each over ${symbols}; ${workers} workers; seconds, megabytes\n`);
  const headings = ['', 'committed', 'answer p50', 'p99', 'max', 'others p50', 'max', 'all fresh', 'peak MB', 'longest turn ms'];
  const row = (name: string, round: Omit<Round, 'processor'>) => [
    name,
    ...[round.committedMs, round.answers.p50, round.answers.p99, round.answers.max].map((ms) => ms / 1000),
    ...[round.others.p50, round.others.max, round.freshMs].map((ms) => ms / 1000),
    ...[round.megabytes, round.longestTurnMs],
  ];
  const counted = rounds.slice(1);
  const of = (value: (round: Round) => number): number => median(counted.map(value));
  const spreadOf = (value: (round: Round) => Spread): Spread => ({
    p50: of((round) => value(round).p50),
    p90: of((round) => value(round).p90),
    p99: of((round) => value(round).p99),
    max: of((round) => value(round).max),
  });
  const medians = {
    committedMs: of((round) => round.committedMs),
    answers: spreadOf((round) => round.answers),
    others: spreadOf((round) => round.others),
    freshMs: of((round) => round.freshMs),
    megabytes: of((round) => round.megabytes),
    longestTurnMs: of((round) => round.longestTurnMs),
  };
  print(
    table(headings, [
      ...rounds.map((round, index) => row(index === 0 ? 'first after the start' : `round ${index}`, round)),
      row(`median of ${counted.length}`, medians),
    ]),
  );
  const names = Object.keys(counted[0]?.processor ?? {});
  print(`  Processor milliseconds: ${names.map((name) => `${name} ${figure(of(({ processor }) => processor[name] ?? 0))}`).join(', ')}.`);
  print(`  ${settings.join('  ')}`);
  const { committedMs, answers, megabytes } = medians;
  const aims = [
    {
      aim: `all committed in under ${AIMS.committedMs / 1000} s`,
      measured: `${figure(committedMs / 1000)} s`,
      met: committedMs < AIMS.committedMs,
    },
    { aim: `answers' p50 under ${AIMS.answerMs / 1000} s`, measured: `${figure(answers.p50 / 1000)} s`, met: answers.p50 < AIMS.answerMs },
    { aim: `portfolio-priority under ${AIMS.megabytes} MB`, measured: `${figure(megabytes)} MB`, met: megabytes < AIMS.megabytes },
    { aim: 'each login answered once, counts exact', measured: faults.length === 0 ? 'yes' : faults.join('; '), met: faults.length === 0 },
  ];
  print(`\n${verdicts(aims)}`);
}

/** The bench's own descendant that runs a service. */
function pidOf(service: string): number {
  const all = (pid: number): number[] => childrenOf(pid).flatMap((child) => [child, ...all(child)]);
  const found = all(process.pid).find((pid) => commandOf(pid).includes(`service ${service}`));
  if (found === undefined) throw new Error(`no process of the service ${service} runs`);
  return found;
}

/** proc(5): VmHWM counts from here on. */
function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function peakMegabytes(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Since the last call. */
async function longestTurnMs(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(text)?.[1]) * 1000;
}

async function loginFaults(db: Database, users: number): Promise<string[]> {
  const [kept] = await db.rows<{ logins: number }>(
    "SELECT COUNT(*) AS logins FROM user_portfolio_priority WHERE user_id NOT LIKE 'other-%'",
  );
  const [pending] = await db.rows<{ batches: number }>('SELECT COUNT(*) AS batches FROM login_answers');
  return [
    ...(kept?.logins === users ? [] : [`${kept?.logins} logins of ${users} are kept`]),
    ...(pending?.batches === 0 ? [] : [`${pending?.batches} batches are not answered`]),
  ];
}

/** Two hooks and a monitor, as plain MQTT clients. */
async function watchFlood(config: Parameters<typeof brokerAddress>[0], dataFolder: string) {
  const clientOf = async (account: 'service' | 'hook'): Promise<MqttClient> => {
    const { host, port, username, password } = brokerAddress(config, dataFolder, account);
    return mqtt.connectAsync({ host: host ?? '127.0.0.1', port: port ?? 0, username, password, protocol: 'mqtt', keepalive: 0 });
  };
  const [hook, otherHook, monitor] = await Promise.all([clientOf('hook'), clientOf('hook'), clientOf('service')]);
  let onMessage: (topic: string, payload: Buffer) => void = () => {};
  monitor.on('message', (topic, payload) => onMessage(topic, payload));
  await monitor.subscribeAsync(['jobs/+/status', 'portfolio/+/priority']);
  const signIn = (client: MqttClient, user: string) => client.publishAsync('events/login', JSON.stringify({ userId: user }), { qos: 1 });

  async function measure(
    users: readonly string[],
    symbols: number,
  ): Promise<Pick<Round, 'committedMs' | 'answers' | 'others' | 'freshMs'>> {
    const sentAt = new Map<string, number>();
    const answeredAt = new Map<string, number>();
    let answered = 0;
    let others = 0;
    let done = 0;
    let doneAt = 0;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (answered === users.length && done === 2 * symbols) resolve();
    };
    onMessage = (topic, payload) => {
      const now = performance.now();
      if (topic.startsWith('portfolio/')) {
        // `-` stands for itself in a topic's level, and the answers are too long to be parsed here, on the cores of those that are measured.
        const user = topic.split('/')[1] as string;
        if (!user.startsWith('other') && !answeredAt.has(user)) answered++;
        answeredAt.set(user, now);
      } else if ((JSON.parse(payload.toString()) as { state: string }).state === 'completed') {
        done++;
        doneAt = now;
      }
      look();
    };
    const late = setTimeout(
      () => reject(new Error(`the flood did not end within ${LONGEST_MS / 1000} s: ${answered} answers, ${done} jobs done`)),
      LONGEST_MS,
    );
    const send = (client: MqttClient, user: string): Promise<unknown> => {
      sentAt.set(user, performance.now());
      return signIn(client, user);
    };
    const committed = Promise.all(users.map((user) => send(hook, user))).then(() => performance.now());
    const aside = setInterval(() => void send(otherHook, `other-${others++}`), OTHERS_EVERY_MS);
    void committed.then(() => clearInterval(aside));
    await promise;
    const committedAt = await committed;
    clearTimeout(late);
    for (let left = 100; left > 0 && answeredAt.size < users.length + others; left--) await delay(50);
    const waits = (names: readonly string[]) =>
      spread(names.map((user) => (answeredAt.get(user) ?? Number.POSITIVE_INFINITY) - (sentAt.get(user) ?? 0)));
    const begun = sentAt.get(users[0] as string) ?? 0;
    return {
      committedMs: committedAt - begun,
      answers: waits(users),
      others: waits(Array.from({ length: others }, (_, index) => `other-${index}`)),
      freshMs: doneAt - begun,
    };
  }

  return {
    measure,
    close: async () => {
      for (const client of [hook, otherHook, monitor]) await client.endAsync();
    },
  };
}
