/** A login as a trace: portfolio-priority in this process, a worker as a process of its own, and a collector that takes OTLP over HTTP as JSON. */
import { createRequire } from 'node:module';
import mqtt from 'mqtt';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { startTracing } from '../../services/platform/monitoring/traces.ts';
import { accounts, silent } from '../broker/peers.ts';
import { type RunningMesh, startMesh } from '../cli/running-mesh.ts';
import { startCollector } from './collector.ts';
import { stockmesh } from './command.ts';

/** The modules of OpenTelemetry that this process has loaded; all of them are CommonJS. Vitest itself loads the API. */
const loaded = (): string[] => Object.keys(createRequire(import.meta.url).cache).filter((path) => /@opentelemetry\/(?!api\/)/.test(path));

/** The example of W3C Trace Context, section 3.2. */
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const NAME = { service: 'portfolio-priority', instance: 'pp1', version: '0.0.0' };

let mesh: RunningMesh;
async function start(options: Parameters<typeof startMesh>[0]): Promise<void> {
  mesh = await startMesh(options);
  const csv = mesh.file('people.csv', 'user,symbol,quantity,cost\nzoe.secret,AAPL,10,100\nzoe.secret,MSFT,1,1\nyan,AAPL,1,1\n');
  expect(await mesh.run('portfolio', 'import', csv)).toMatchObject({ code: 0 });
}
afterEach(() => mesh.stop());

async function signIn(event: object): Promise<void> {
  const hook = await mqtt.connectAsync(`mqtt://127.0.0.1:${mesh.broker.port}`, { username: 'hook', password: accounts.hook!.password });
  await hook.publishAsync('events/login', JSON.stringify(event), { qos: 1 });
  await hook.endAsync();
}

async function untilCompleted(jobs: number): Promise<void> {
  const completed = () => mesh.db.rows<{ n: number }>("SELECT COUNT(*) AS n FROM ended WHERE state = 'completed'").then(([row]) => row!.n);
  await expect.poll(completed, { timeout: 30_000 }).toBe(jobs);
}

// The first one of this file: what is loaded stays so.
test('without a collector nothing of OpenTelemetry is loaded, and no job has a trace', async () => {
  await start({});
  const stop = await startTracing(NAME, { endpoint: null, sample: 1 }, silent);
  await signIn({ userId: 'zoe.secret', traceparent: `00-${TRACE_ID}-${CALLER}-01` });
  await untilCompleted(4);
  expect(await mesh.db.rows('SELECT DISTINCT trace FROM jobs')).toEqual([{ trace: null }]);
  expect(loaded()).toEqual([]);
  await stop();
});

test('login, commit, announcement, claim, run and commit of each job are one trace over two processes, the one of the caller', async () => {
  const collector = await startCollector();
  await start({ worker: false });
  const stop = await startTracing(NAME, { endpoint: collector.url, sample: 0 }, silent);
  expect(loaded()).not.toEqual([]);
  const worker = stockmesh(['service', 'worker', '--config', mesh.configFile, '--data', mesh.folder], undefined, undefined, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  });
  onTestFinished(() => void worker.child.kill('SIGKILL'));
  await worker.until(/worker is ready/);
  await signIn({ userId: 'zoe.secret', traceparent: `00-${TRACE_ID}-${CALLER}-01` });
  await untilCompleted(4);
  // The end of a service exports its last spans.
  await stop();
  worker.child.kill('SIGTERM');
  expect(await worker.exited).toBe(0);

  const { spans } = collector;
  const named = (name: string) => spans.filter((span) => span.name === name);
  const parentsOf = (name: string) => named(name).map(({ parentSpanId }) => spans.find(({ spanId }) => spanId === parentSpanId)?.name);
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE_ID]));
  expect(named('login')).toMatchObject([{ parentSpanId: CALLER, service: 'portfolio-priority' }]);
  expect(parentsOf('login.commit')).toEqual(['login']);
  // AAPL and MSFT, a fetch and an analysis each.
  for (const [name, parent] of [
    ['job.claim', 'login.commit'],
    ['job.run', 'job.claim'],
    ['job.commit', 'job.run'],
  ] as const)
    expect({ name, parents: parentsOf(name) }).toEqual({ name, parents: Array(4).fill(parent) });
  expect(named('job.run').map(({ service }) => service)).toEqual(Array(4).fill('worker'));
  expect(new Set(parentsOf('job.announce'))).toEqual(new Set(['login.commit']));
  const [commit] = named('login.commit');
  expect(await mesh.db.rows('SELECT DISTINCT trace FROM jobs')).toEqual([{ trace: `00-${TRACE_ID}-${commit!.spanId}-01` }]);
  expect(collector.text()).not.toContain('zoe');
}, 90_000);

test('a login that joins the job of another keeps its own trace, which tells the id of the job', async () => {
  const collector = await startCollector();
  await start({ worker: false });
  const stop = await startTracing(NAME, { endpoint: collector.url, sample: 1 }, silent);
  const answered = () => mesh.db.rows<{ n: number }>('SELECT COUNT(*) AS n FROM user_portfolio_priority').then(([row]) => row!.n);
  await signIn({ userId: 'zoe.secret' });
  await expect.poll(answered).toBe(1);
  await signIn({ userId: 'yan' });
  await expect.poll(answered).toBe(2);
  await stop();
  const [first, second] = collector.spans.filter(({ name }) => name === 'login.commit');
  expect(first!.traceId).not.toBe(second!.traceId);
  const jobs = await mesh.db.rows<{ id: string; trace: string }>(
    "SELECT LOWER(INSERT(INSERT(INSERT(INSERT(HEX(id), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')) AS id, trace FROM jobs WHERE symbol = 'AAPL' ORDER BY id",
  );
  expect(new Set(jobs.map(({ trace }) => trace.split('-')[1]))).toEqual(new Set([first!.traceId]));
  const joined = second!.events.map(({ name, attributes }) => [name, attributes.find(({ key }) => key === 'job.id')!.value.stringValue]);
  expect(joined.sort()).toEqual(jobs.map(({ id }) => ['job.joined', id]));
});
