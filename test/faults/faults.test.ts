import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { enqueue, type JobRequest } from '../../services/ledger/enqueue/enqueue.ts';
import { TABLES_BY_JOB } from '../../services/ledger/maintain/delete.ts';
import { listJobs, readJob } from '../../services/ledger/read/jobs.ts';
import { startTestMesh, type TestMesh, untilAllEnded } from './mesh.ts';

let mesh: TestMesh;
let children: ChildProcess[] = [];
/** Leases of two seconds: what is tested must not rest on a lease that happens to end. */
const SHORT_LEASE = ['worker.heartbeat_interval=1'];
const LONG_LEASE = ['worker.heartbeat_interval=60'];

beforeAll(async () => {
  mesh = await startTestMesh();
});
afterAll(() => mesh.stop());

beforeEach(async () => {
  rmSync(mesh.gate, { force: true });
  for (const table of ['jobs', ...TABLES_BY_JOB, 'user_slots', 'slot_waits', 'bars', 'symbols', 'analyses'])
    await mesh.db.run(`DELETE FROM ${table}`);
});
afterEach(async () => {
  await Promise.all(children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null).map(kill));
  children = [];
});

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGCONT');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function start(...starting: Promise<ChildProcess>[]): Promise<ChildProcess[]> {
  const started = await Promise.all(starting);
  children.push(...started);
  return started;
}

const fetchOf = (symbol: string): JobRequest => ({
  type: 'fetch',
  symbol,
  payload: { symbol },
  level: 1,
  score: 0.5,
  why: { text: 'a test asks' },
  triggeredBy: 'user_request',
  dedupeKey: `fetch:${symbol}:bars`,
  whenFull: 'refuse',
});

async function request(symbols: readonly string[]): Promise<string[]> {
  const answers = await enqueue(mesh.ledger, symbols.map(fetchOf));
  await mesh.announcer.enqueued(answers);
  return answers.map((answer) => (answer.outcome === 'refused' ? '' : answer.id));
}

const symbols = (count: number): string[] => Array.from({ length: count }, (_, index) => `S${index}`);
const openGate = (): void => writeFileSync(mesh.gate, '');
const startsOf = (symbol: string, pid?: number) =>
  mesh.starts().filter((line) => line.symbol === symbol && (pid === undefined || line.pid === pid));

test('a job of a worker killed by kill -9 runs again elsewhere within two seconds, and takes effect once', async () => {
  const [, first] = await start(mesh.service('scheduler'), mesh.gatedWorker('victim', LONG_LEASE));
  const [id] = await request(['KILL']);
  await expect.poll(() => startsOf('KILL', first?.pid)).toHaveLength(1);
  const [second] = await start(mesh.gatedWorker('heir', LONG_LEASE));

  const killedAt = performance.now();
  first?.kill('SIGKILL');
  await expect.poll(() => startsOf('KILL', second?.pid), { interval: 10, timeout: 5_000 }).toHaveLength(1);
  expect(performance.now() - killedAt).toBeLessThan(2_000);

  openGate();
  expect(await untilAllEnded(mesh.db)).toEqual({ completed: 1 });
  const job = await readJob(mesh.db, id as string);
  expect(job).toMatchObject({
    state: 'completed',
    attempt: 2,
    worker: 'heir',
    attempts: [
      { attempt: 1, worker: 'victim', outcome: 'lease_lost' },
      { attempt: 2, worker: 'heir', outcome: 'completed' },
    ],
  });
  const [doubled] = await mesh.db.rows('SELECT symbol, date FROM bars GROUP BY symbol, date HAVING COUNT(*) > 1');
  expect(doubled).toBeUndefined();
});

test('the late result of a worker that was frozen past its lease is refused', async () => {
  const [, frozen] = await start(mesh.service('scheduler', SHORT_LEASE), mesh.gatedWorker('frozen', SHORT_LEASE));
  const [id] = await request(['COLD']);
  await expect.poll(() => startsOf('COLD', frozen?.pid)).toHaveLength(1);
  frozen?.kill('SIGSTOP');
  const [heir] = await start(mesh.gatedWorker('warm', SHORT_LEASE));
  await expect.poll(() => startsOf('COLD', heir?.pid), { timeout: 10_000 }).toHaveLength(1);

  openGate();
  await untilAllEnded(mesh.db);
  const before = await readJob(mesh.db, id as string);
  const rows = await mesh.db.rows('SELECT date, as_of FROM bars ORDER BY date');
  frozen?.kill('SIGCONT');
  // It wakes with an open gate, commits into the fence, and takes the next job as if nothing had been.
  heir?.kill('SIGKILL');
  const [next] = await request(['NEXT']);
  await expect.poll(async () => (await readJob(mesh.db, next as string))?.state, { timeout: 10_000 }).toBe('completed');
  expect(await readJob(mesh.db, id as string)).toEqual(before);
  expect(before).toMatchObject({ state: 'completed', worker: 'warm', attempt: 2 });
  expect(await mesh.db.rows("SELECT date, as_of FROM bars WHERE symbol = 'COLD' ORDER BY date")).toEqual(rows);
});

test('a broker restart loses no job: they are done by polling, and events flow again without a restart', async () => {
  openGate();
  await start(mesh.service('scheduler'), mesh.gatedWorker('steady', ['worker.poll_interval=1']));
  await request(symbols(20));
  await mesh.restartBroker(async () => {
    await enqueue(mesh.ledger, symbols(40).map(fetchOf));
    await untilAllEnded(mesh.db);
  });
  expect((await untilAllEnded(mesh.db)).completed).toBeGreaterThanOrEqual(40);
  await mesh.bus.online();
  const [id] = await request(['AFTER']);
  await expect.poll(async () => (await readJob(mesh.db, id as string))?.state, { timeout: 10_000 }).toBe('completed');
});

test('a database restart loses and doubles nothing: workers wait and go on', async () => {
  const [, patient] = await start(mesh.service('scheduler'), mesh.gatedWorker('patient', ['worker.max_concurrent_jobs=20']));
  await request(symbols(20));
  await expect.poll(() => mesh.starts().filter(({ pid }) => pid === patient?.pid).length).toBe(20);
  await mesh.restartDatabase(async () => openGate());
  expect(await untilAllEnded(mesh.db)).toEqual({ completed: 20 });
  const [written] = await mesh.db.rows<{ symbols: number }>('SELECT COUNT(DISTINCT symbol) AS symbols FROM bars');
  expect(written?.symbols).toBe(20);
});

test('announcements that are lost or come twice change nothing but the time', async () => {
  openGate();
  await start(mesh.gatedWorker('hearer', ['worker.poll_interval=1']), mesh.gatedWorker('other', ['worker.poll_interval=1']));
  const answers = await enqueue(mesh.ledger, symbols(50).map(fetchOf));
  // The first ten are never announced, the others three times.
  for (let time = 0; time < 3; time++) await mesh.announcer.enqueued(answers.slice(10));
  expect(await untilAllEnded(mesh.db)).toEqual({ completed: 50 });
  const jobs = await listJobs(mesh.db, { limit: 100 });
  expect(jobs.every(({ attempt }) => attempt === 1)).toBe(true);
});

test('SIGTERM under load: what runs is finished or handed back without using up an attempt, and the worker exits with 0', async () => {
  const [leaving] = await start(mesh.gatedWorker('leaving', ['worker.grace_period=0', 'worker.max_concurrent_jobs=10']));
  await request(symbols(30));
  await expect.poll(() => mesh.starts().filter(({ pid }) => pid === leaving?.pid).length).toBe(10);
  leaving?.kill('SIGTERM');
  const [code] = await once(leaving as ChildProcess, 'exit');
  expect(code).toBe(0);
  const handedBack = await mesh.db.rows<{ jobs: number }>("SELECT COUNT(*) AS jobs FROM job_attempts WHERE outcome = 'handed_back'");
  expect(handedBack[0]?.jobs).toBe(10);

  openGate();
  await start(mesh.gatedWorker('staying'));
  expect(await untilAllEnded(mesh.db)).toEqual({ completed: 30 });
  const [job] = (await listJobs(mesh.db, { limit: 100 })).filter(({ attempt }) => attempt === 2);
  // Its second attempt, and still as many left as a job that was never handed back.
  expect((job?.max_attempts ?? 0) - (job?.attempt ?? 0)).toBe((mesh.ledger.types.fetch?.maxAttempts ?? 0) - 1);
});
