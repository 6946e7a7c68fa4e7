/** f. The main job: many logins at once, until everybody's symbols are fresh. The whole mesh runs as `stockmesh up` starts it; the bench is the login hook and a monitor. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import mqtt from 'mqtt';
import { loadConfig } from '../../services/platform/config/load.ts';
import { brokerAddress, databaseOptions } from '../../services/platform/connections.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { readSecrets } from '../../services/platform/machine/datafolder.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { faultsAfter, portfolios, restore, storeBefore, symbolNames } from './main-job-data.ts';
import { atEnd, runFolder } from './processes/servers.ts';
import type { Bench } from './report/bench.ts';
import { childrenOf, commandOf, processorMs } from './report/cpu.ts';
import { figure, print, progress, table, verdicts } from './report/report.ts';
import { median, type Spread, spread } from './report/statistics.ts';

const SEED = 1;
const HELD = 20;
const AIM_MS = 1_000;
const LONGEST_MS = 120_000;

interface Round {
  /** Milliseconds from a login's publication until all of its symbols are fresh. */
  fresh: Spread;
  /** From the first publication to the last job. */
  totalMs: number;
  /** Processor time in milliseconds until then, by process. */
  processor: Record<string, number>;
}

export async function mainJobSection(bench: Bench): Promise<unknown> {
  const [users, symbols] = bench.quick ? [100, 50] : [1_000, 500];
  const held = portfolios(users, HELD, symbolNames(symbols));
  const settings = [
    'stock_jobs.data_fetch.sources=simulated',
    'stock_jobs.data_fetch.simulated.enabled=true',
    `stock_jobs.data_fetch.simulated.seed=${SEED}`,
    'worker.max_concurrent_jobs=50',
    ...bench.set,
  ];
  progress('f. main job: starting the mesh');
  const mesh = await startMesh('mesh', bench.workers, settings);
  const { config } = loadConfig({ environment: 'development', files: [] });
  const db = openDatabase({ ...databaseOptions(config, mesh.dataFolder, 'service'), maxConnections: 4 });
  const root = openDatabase({
    ...databaseOptions(config, mesh.dataFolder, 'service'),
    user: 'root',
    password: readSecrets(mesh.dataFolder).database.root,
    maxConnections: 1,
  });
  progress('f. main job: storing two years of bars');
  const { through, newest } = await storeBefore(db, root, held, SEED);
  const watch = await watchMesh(config, mesh.dataFolder);

  const rounds: Round[] = [];
  const faults: string[] = [];
  // Round 0 is what the first thousand logins after a start meet: shown, not counted.
  for (let round = 0; round <= bench.rounds; round++) {
    progress(`f. main job: round ${round} of ${bench.rounds}`);
    await restore(root);
    await delay(1_000);
    const before = mesh.processor();
    const measured = await watch.measure(held);
    const processor = Object.entries(mesh.processor()).map(([name, ms]) => [name, ms - (before[name] ?? 0)]);
    rounds.push({ ...measured, processor: Object.fromEntries(processor) });
    faults.push(...(await faultsAfter(db, symbols, newest)).map((fault) => `round ${round}: ${fault}`));
  }
  progress('');
  await watch.close();
  await db.close();
  await root.close();
  await mesh.stop();

  const counted = rounds.slice(1);
  const medians = { p50: 0, p90: 0, p99: 0, max: 0 };
  for (const key of ['p50', 'p90', 'p99', 'max'] as const) medians[key] = median(counted.map(({ fresh }) => fresh[key]));
  const totalMs = median(counted.map((round) => round.totalMs));
  print(
    `\nf. The main job: ${figure(users)} logins at once, ${HELD} symbols each over ${symbols}; two years of bars stored through ${through}, the day's comparison of the whole history due, no analyses; ${bench.workers} workers; milliseconds from a login to all of its symbols fresh\n`,
  );
  const row = (name: string, { p50, p90, p99, max }: Spread, ms: number) => [name, p50, p90, p99, max, ms, (symbols * 2 * 1000) / ms];
  print(
    table(
      ['', 'p50', 'p90', 'p99', 'max', 'all done', 'jobs/s'],
      [
        ...rounds.map(({ fresh, totalMs: ms }, index) => row(index === 0 ? 'first after the start' : `round ${index}`, fresh, ms)),
        row(`median of ${counted.length}`, medians, totalMs),
      ],
    ),
  );
  const names = Object.keys(counted[0]?.processor ?? {});
  const spent = names.map((name) => `${name} ${figure(median(counted.map(({ processor }) => processor[name] ?? 0)))}`);
  print(`  Processor milliseconds: ${spent.join(', ')}; the bench itself plays hook and monitor.`);
  print(`  ${settings.join('  ')}`);
  print(
    `  Checked in the database after each round: ${symbols} fetches and ${symbols} analyses, each done in one attempt, every symbol fresh through ${newest}.`,
  );
  const checked = {
    aim: 'counts exact, everything fresh',
    measured: faults.length === 0 ? 'yes' : faults.join('; '),
    met: faults.length === 0,
  };
  print(
    `\n${verdicts([{ aim: `login to all fresh p99 under ${AIM_MS} ms`, measured: `${figure(medians.p99)} ms`, met: medians.p99 < AIM_MS }, checked])}`,
  );
  return { rounds, median: { ...medians, totalMs }, faults, settings, workers: bench.workers };
}

const MAIN = fileURLToPath(new URL('../../services/main.ts', import.meta.url));

export interface Mesh {
  dataFolder: string;
  /** Of the HTTP API. */
  url: string;
  /** Of `up`, which has started all others. */
  pid: number;
  /** Milliseconds so far, by process. */
  processor(): Record<string, number>;
  stop(): Promise<void>;
}

/** `stockmesh up` over a new data folder of this name; resolves when it says that it is ready. */
export async function startMesh(name: string, workers: number, settings: readonly string[]): Promise<Mesh> {
  const dataFolder = join(runFolder(), name);
  const httpPort = await freePort();
  const options = ['--data', dataFolder, ...settings.flatMap((setting) => ['--set', setting])];
  const command = [
    MAIN,
    ...options,
    'up',
    '--yes',
    '--workers',
    String(workers),
    '--mqtt-port',
    String(await freePort()),
    '--http-port',
    String(httpPort),
  ];
  const child = spawn(process.execPath, command, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, STOCKMESH_ENV: 'development' },
    detached: true,
  });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  atEnd(stop);
  await untilReady(child);
  return {
    dataFolder,
    url: `http://127.0.0.1:${httpPort}`,
    pid: child.pid as number,
    stop,
    processor: () => processorOf(child.pid as number),
  };
}

/** The broker lives in `up` itself. */
function processorOf(up: number): Record<string, number> {
  const children = childrenOf(up).map((pid): [string, number] => [
    /service (\S+)/.exec(commandOf(pid))?.[1] ?? 'database',
    processorMs(pid),
  ]);
  const sums: Record<string, number> = {
    broker: processorMs(up) - children.reduce((sum, [, ms]) => sum + ms, 0),
    bench: process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000,
  };
  for (const [name, ms] of children) sums[name] = (sums[name] ?? 0) + ms;
  return sums;
}

async function untilReady(child: ChildProcess): Promise<void> {
  const said: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on('line', (line) => {
      said.push(line);
      if (line.startsWith('ready in')) resolve();
    });
  child.once('exit', (code) => reject(new Error(`stockmesh up ended with code ${code}:\n${said.join('\n')}`)));
  await promise;
}

interface Status {
  type: string;
  state: string;
  symbol?: string;
}

/** The hook that publishes logins and the monitor that sees what becomes of them, as plain MQTT clients. */
async function watchMesh(config: Parameters<typeof brokerAddress>[0], dataFolder: string) {
  const clientOf = async (account: 'service' | 'hook') => {
    const { host, port, username, password } = brokerAddress(config, dataFolder, account);
    return mqtt.connectAsync({ host: host ?? '127.0.0.1', port: port ?? 0, username, password, protocol: 'mqtt' });
  };
  const hook = await clientOf('hook');
  const monitor = await clientOf('service');
  let onStatus: (status: Status) => void = () => {};
  let onAnswer: (user: string) => void = () => {};
  monitor.on('message', (topic, text) => {
    const body = JSON.parse(text.toString());
    if (topic.startsWith('jobs/')) onStatus(body as Status);
    else onAnswer((body as { user_id: string }).user_id);
  });
  await monitor.subscribeAsync(['jobs/+/status', 'portfolio/+/priority']);

  async function measure(held: ReadonlyMap<string, readonly string[]>): Promise<Omit<Round, 'processor'>> {
    const symbols = new Set([...held.values()].flat());
    const doneAt = { fetch: new Map<string, number>(), analysis: new Map<string, number>() };
    const answeredAt = new Map<string, number>();
    const publishedAt = new Map<string, number>();
    const failed: Status[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (answeredAt.size === held.size && doneAt.fetch.size === symbols.size && doneAt.analysis.size === symbols.size) resolve();
    };
    onStatus = (status) => {
      if (status.state === 'failed' || status.state === 'expired') failed.push(status);
      if (status.state !== 'completed' || status.symbol === undefined) return;
      doneAt[status.type as 'fetch' | 'analysis'].set(status.symbol, performance.now());
      look();
    };
    onAnswer = (user) => {
      answeredAt.set(user, performance.now());
      look();
    };
    const late = setTimeout(() => {
      const text = `${answeredAt.size} of ${held.size} logins answered, ${doneAt.fetch.size} fetches and ${doneAt.analysis.size} analyses of ${symbols.size} seen`;
      reject(new Error(`the main job did not end within ${LONGEST_MS / 1000} s: ${text}; failed: ${JSON.stringify(failed.slice(0, 3))}`));
    }, LONGEST_MS);
    const acknowledged = [...held.keys()].map((user) => {
      publishedAt.set(user, performance.now());
      return hook.publishAsync('events/login', JSON.stringify({ userId: user }), { qos: 1 });
    });
    await promise;
    clearTimeout(late);
    await Promise.all(acknowledged);
    const freshAt = (user: string, own: readonly string[]): number =>
      Math.max(answeredAt.get(user) ?? 0, ...own.flatMap((symbol) => [doneAt.fetch.get(symbol) ?? 0, doneAt.analysis.get(symbol) ?? 0]));
    const times = [...held].map(([user, own]) => freshAt(user, own) - (publishedAt.get(user) ?? 0));
    const begun = Math.min(...publishedAt.values());
    return { fresh: spread(times), totalMs: Math.max(...doneAt.fetch.values(), ...doneAt.analysis.values()) - begun };
  }

  return {
    measure,
    close: async () => {
      await hook.endAsync();
      await monitor.endAsync();
    },
  };
}
