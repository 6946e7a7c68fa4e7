/** A mesh whose workers run the jobs of a test as fault-source.ts says, and what became of these jobs. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { TABLES_BY_JOB } from '../../../services/ledger/maintain/delete.ts';
import { startTestMesh, type TestMesh } from '../mesh.ts';
import { endProcess, startProcess } from '../processes.ts';

const WORKER = fileURLToPath(new URL('./fault-worker.ts', import.meta.url));
const HOLDER = fileURLToPath(new URL('./frozen-holder.ts', import.meta.url));

export interface Job {
  symbol: string;
  state: string;
  attempt: number;
  deaths: number;
  worker: string | null;
  reason: string | null;
}

export interface Workers {
  mesh: TestMesh;
  /** Starts a worker that is ready when this resolves. */
  start(instance: string, set?: readonly string[]): Promise<ChildProcess>;
  /** Starts a worker, and starts it again whenever it dies, until `stop`. */
  supervise(instance: string, set?: readonly string[]): Promise<Supervised>;
  enqueue(symbols: readonly string[], ...others: readonly JobRequest[]): Promise<void>;
  jobs(): Promise<Job[]>;
  /** The process ids in which the handler of a symbol has begun, in their order. */
  startsOf(symbol: string): number[];
  openGate(): void;
  /** Lets a worker freeze before its next commit; resolves when one has. */
  freezeOne(): Promise<void>;
  /** Starts a process that freezes with the rows of all running jobs locked; resolves when it has locked them. */
  freezeHolder(set?: readonly string[]): Promise<void>;
  /** Ends the workers, and removes the jobs and what they wrote. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

export interface Supervised {
  /** The deaths that were not asked for. */
  readonly deaths: number;
  readonly child: ChildProcess;
}

const TABLES = [...['jobs', ...TABLES_BY_JOB], ...['user_slots', 'slot_waits', 'bars', 'symbols', 'instances']];

export async function startWorkers(): Promise<Workers> {
  const mesh = await startTestMesh();
  const fileOf = (name: string): string => join(mesh.dataFolder, `fault-${name}`);
  const [starts, gate, freeze] = [fileOf('starts'), fileOf('gate'), fileOf('freeze')];
  // The workers inherit these, and so do the processes of their isolated jobs, which get nothing that could be a secret: hence the names.
  Object.assign(process.env, { NODE_FAULT_STARTS: starts, NODE_FAULT_GATE: gate, NODE_FAULT_FREEZE: freeze });
  const children = new Set<ChildProcess>();
  let clearing = false;

  async function start(instance: string, set: readonly string[] = []): Promise<ChildProcess> {
    return track(await startProcess(WORKER, [mesh.dataFolder, instance, 'logging.level=silent', ...set]));
  }

  function track(child: ChildProcess): ChildProcess {
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  }

  async function clear(): Promise<void> {
    clearing = true;
    await Promise.all(
      [...children].map((child) => {
        child.kill('SIGCONT');
        return endProcess(child, 'SIGKILL');
      }),
    );
    for (const file of [starts, gate, freeze]) rmSync(file, { force: true });
    for (const table of TABLES) await mesh.db.run(`DELETE FROM ${table}`);
    clearing = false;
  }

  return {
    mesh,
    start,
    async supervise(instance, set) {
      const supervised = { deaths: 0, child: await start(instance, set) };
      const watch = (child: ChildProcess): void => {
        supervised.child = child;
        child.once('exit', async () => {
          if (clearing) return;
          supervised.deaths++;
          watch(await start(instance, set));
        });
      };
      watch(supervised.child);
      return supervised;
    },
    async enqueue(symbols, ...others) {
      const answers = await enqueue(mesh.ledger, [...symbols.map(fetchOf), ...others]);
      await mesh.announcer.enqueued(answers);
    },
    jobs: () =>
      mesh.db.rows<Job>(
        'SELECT j.symbol, j.state, j.attempt, j.deaths, j.worker_id AS worker, r.reason FROM job_states j LEFT JOIN ended r ON r.job_id = j.id ORDER BY j.id',
      ),
    startsOf: (symbol) =>
      readFileSync(starts, { encoding: 'utf8', flag: 'a+' })
        .split('\n')
        .flatMap((line) => (line.startsWith(`start ${symbol} `) ? [Number(line.split(' ')[2])] : [])),
    openGate: () => writeFileSync(gate, ''),
    async freezeOne() {
      writeFileSync(freeze, '');
      await until('a worker is frozen', () => !existsSync(freeze));
    },
    freezeHolder: async (set = []) => void track(await startProcess(HOLDER, [mesh.dataFolder, ...set])),
    clear,
    async stop() {
      await clear();
      await mesh.stop();
    },
  };
}

export function fetchOf(symbol: string): JobRequest {
  return {
    ...{ type: 'fetch', symbol, payload: { symbol }, level: 1, score: 0.5, why: { text: 'a test asks' } },
    ...{ triggeredBy: 'user_request', dedupeKey: `fetch:${symbol}:bars`, whenFull: 'refuse' },
  };
}

/** Waits until `holds` does. Errors: after `seconds`, what it waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`after ${seconds} s: not yet ${what}`);
    await delay(10);
  }
}
