/** Jobs in a process of their own, as the worker sees that process: the process is the test's, and ends when a job says so. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { type ClaimedJob, claim } from '../../../services/ledger/run/claim.ts';
import { createIsolation, type Outcome } from '../../../services/worker/isolated.ts';
import { withoutFiles } from '../../../services/worker/isolated-process.ts';
import { type RunningJob, Stopped } from '../../../services/worker/running-jobs.ts';
import { silent } from '../../broker/peers.ts';
import { workshopOfFile } from '../workshop.ts';

const shop = await workshopOfFile();

function isolation(workerId = 'w1') {
  /** What the worker is told, in order: the process number stands in place of the attempt. */
  const told: { kind: 'committed' | 'progress'; symbol: string | null; pid?: number }[] = [];
  const { run, close } = createIsolation({
    ...{ config: shop.config, ledger: shop.ledger, workerId, log: silent },
    entry: new URL('./isolated-jobs.ts', import.meta.url),
    committed: ([change]) => void told.push({ kind: 'committed', symbol: change!.symbol, pid: change!.attempt }),
    progress: ({ symbol }) => void told.push({ kind: 'progress', symbol }),
  });
  onTestFinished(close);
  const runOf = (symbol: string): { outcome: Promise<Outcome>; abort: AbortController } => {
    const abort = new AbortController();
    const job = { id: `job-${symbol}`, symbol, enqueuedAt: new Date(0), startedAt: new Date(0) } as unknown as ClaimedJob;
    const running: RunningJob = { job, abort, claimedAt: 0, weight: 1, done: Promise.resolve() };
    return { outcome: run(running), abort };
  };
  return { told, run: (symbol: string) => runOf(symbol).outcome, runOf, close };
}

test('jobs run one after the other in one process, and the worker is told what they have committed', async () => {
  const { told, run } = isolation();
  expect(await Promise.all(['SLOW', 'FAST'].map(run))).toEqual([{ kind: 'ended' }, { kind: 'ended' }]);
  expect(told.map(({ kind, symbol }) => `${symbol} ${kind}`)).toEqual([
    'SLOW progress',
    'SLOW committed',
    'FAST progress',
    'FAST committed',
  ]);
  expect(new Set(told.flatMap(({ pid }) => pid ?? [])).size).toBe(1);
});

test.each([
  ['EXIT', { kind: 'died', how: 'its process ended with exit code 3' }],
  ['KILL', { kind: 'died', how: 'its process was ended by SIGKILL' }],
  ['EARLY', { kind: 'not_run', how: 'its process ended with exit code 4' }],
])('the end of the process by the job %s is told, and the next job gets a new process', async (symbol, outcome) => {
  const { told, run } = isolation();
  expect(await Promise.all([run('FIRST'), run(symbol), run('NEXT')])).toEqual([{ kind: 'ended' }, outcome, { kind: 'ended' }]);
  const pids = told.flatMap(({ pid }) => pid ?? []);
  expect(new Set(pids).size).toBe(2);
});

test('a process that cannot be started has run nothing', async () => {
  const { run } = isolation('never ready');
  expect(await run('JOB')).toEqual({ kind: 'not_run', how: 'its process ended with exit code 5' });
});

test('a job that is stopped while it waits for its turn is not run', async () => {
  const { told, run, runOf } = isolation();
  const first = run('SLOW');
  const { outcome, abort } = runOf('WAITS');
  abort.abort(new Stopped('job.cancelled', 'cancelled by hand'));
  expect(await Promise.all([first, outcome])).toEqual([{ kind: 'ended' }, { kind: 'ended' }]);
  expect(told.map(({ symbol }) => symbol)).not.toContain('WAITS');
});

test('a job that is stopped is told so, and its process goes on; one that does not listen ends with its process', async () => {
  const { told, run, runOf } = isolation();
  await run('FIRST');
  const runs = (symbol: string) => expect.poll(() => told.some((one) => one.symbol === symbol)).toBe(true);
  const listening = runOf('LISTENS');
  await runs('LISTENS');
  listening.abort.abort(new Stopped('job.cancelled', 'cancelled by hand'));
  expect(await listening.outcome).toEqual({ kind: 'ended' });
  await run('SECOND');
  const deaf = runOf('DEAF');
  await runs('DEAF');
  deaf.abort.abort(new Stopped('job.cancelled', 'cancelled by hand'));
  expect(await deaf.outcome).toEqual({ kind: 'died', how: 'its process was ended by SIGKILL' });
  await run('THIRD');
  const [first, second, third] = told.flatMap(({ pid }) => pid ?? []);
  expect([second === first, third === first]).toEqual([true, false]);
});

test('it writes into no file, since two processes must not rotate one, and keeps the levels', () => {
  const { component_logs: components } = shop.config.logging;
  const logging = { ...shop.config.logging, file: 'app.log', component_logs: { ...components, mqtt: 'mqtt.log', fetcher: 'debug' } };
  expect(withoutFiles(logging)).toEqual({ ...logging, file: null, component_logs: { ...components, mqtt: null, fetcher: 'debug' } });
});

test('its time is that of the ledger, not that of its machine', async () => {
  // An hour before the machine's.
  const clock = { now: () => Temporal.Now.instant().subtract({ hours: 1 }) };
  const ledger = { ...shop.ledger, clock };
  await shop.enqueue({});
  const {
    jobs: [job],
  } = await claim(ledger, 'w1', 1);
  const { run, close } = createIsolation({
    ...{ ledger, workerId: 'w1', log: silent, committed() {}, progress() {} },
    config: { ...shop.config, logging: { ...shop.config.logging, level: 'silent' } },
    entry: new URL('./isolated-clock.ts', import.meta.url),
  });
  onTestFinished(close);
  expect(await run({ job: job!, abort: new AbortController(), claimedAt: 0, weight: 1, done: Promise.resolve() })).toEqual({
    kind: 'ended',
  });
  const { state, reason } = await shop.job(job!.id);
  expect(state).toBe('failed');
  const time = Temporal.Instant.from(/\d{4}-\d\d-\d\dT\S+Z/.exec(reason!)![0]);
  const startedAt = Temporal.Instant.fromEpochMilliseconds(job!.startedAt.getTime());
  expect(Temporal.Instant.compare(time, startedAt)).toBeGreaterThanOrEqual(0);
  // A process counts the milliseconds of two machines' seconds alike, up to a few.
  expect(Temporal.Instant.compare(time, clock.now().add({ milliseconds: 100 }))).toBeLessThanOrEqual(0);
});

test('the process is the first that the system ends when memory runs out, and ends when its worker hangs up', async () => {
  const child: ChildProcess = fork(fileURLToPath(new URL('../../../services/worker/isolated-process.ts', import.meta.url)), []);
  onTestFinished(() => void child.kill('SIGKILL'));
  const ready = once(child, 'message');
  child.send({ kind: 'start', config: shop.config, database: shop.options, workerId: 'w1' });
  expect((await ready)[0]).toEqual({ kind: 'ready' });
  const score = `/proc/${child.pid}/oom_score_adj`;
  if (existsSync(score)) expect(readFileSync(score, 'utf8')).toBe('500\n');
  // Its worker decides when it ends: a signal to both of them is not its own.
  child.kill('SIGTERM');
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([0, null]);
});
