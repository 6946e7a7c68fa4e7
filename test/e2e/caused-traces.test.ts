/** Traces of jobs that no login asked for: by a schedule, a command and a prediction. A worker in this process, and a collector that takes OTLP over HTTP as JSON. */
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { createAnnouncer } from '../../services/ledger/announce.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { startTracing } from '../../services/platform/monitoring/traces.ts';
import { runDueSchedules } from '../../services/scheduler/schedules.ts';
import { silent } from '../broker/peers.ts';
import { type RunningMesh, startMesh } from '../cli/running-mesh.ts';
import { configOf } from '../scheduler/configuration.ts';
import { type Collector, startCollector } from './collector.ts';
import { stockmesh } from './command.ts';

let mesh: RunningMesh;
afterEach(() => mesh.stop());

/** Spans of this process, as those of a service. */
async function trace(url: string, service: string, sample = 1): Promise<() => Promise<void>> {
  const stop = await startTracing({ service, instance: `${service}-1`, version: '0.0.0' }, { endpoint: url, sample }, silent);
  onTestFinished(stop);
  return stop;
}

async function untilCompleted(jobs: number): Promise<void> {
  const completed = () => mesh.db.rows<{ n: number }>("SELECT COUNT(*) AS n FROM ended WHERE state = 'completed'").then(([row]) => row!.n);
  await expect.poll(completed, { timeout: 60_000 }).toBe(jobs);
}

/** The names of the spans from each `job.commit` up to the root of its trace. */
function waysUp({ spans }: Collector): string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const upFrom = (spanId: string | undefined): string[] => {
    const span = byId.get(spanId ?? '');
    return span === undefined ? [] : [span.name, ...upFrom(span.parentSpanId)];
  };
  return spans.filter(({ name }) => name === 'job.commit').map(({ spanId }) => upFrom(spanId).join(' < '));
}

/** A schedule that falls due each minute and was started last two minutes ago. */
async function runMinutely(): Promise<void> {
  const config = configOf({
    'scheduler.schedules': [{ name: 'each minute', cron: '* * * * *', time_zone: 'UTC', job: 'fetch_portfolios', skip_holidays: false }],
  });
  await mesh.db.run('INSERT INTO schedule_runs (name, last_run_at) VALUES (?)', [['each minute', new Date(Date.now() - 120_000)]]);
  const ledger = ledgerOf(mesh.db, systemClock, config);
  const bus = { state: 'offline' as const, publish: async () => {} };
  await runDueSchedules({
    ledger,
    config,
    announcer: createAnnouncer({ bus, sql: mesh.db, clock: systemClock, log: silent }),
    log: silent,
  });
}

async function startHolding(): Promise<void> {
  mesh = await startMesh({});
  const csv = mesh.file('people.csv', 'user,symbol,quantity,cost\nzoe.secret,AAPL,10,100\nyan,AAPL,1,1\n');
  expect(await mesh.run('portfolio', 'import', csv)).toMatchObject({ code: 0 });
}

test('a run of a schedule is a trace, from its transaction to the commit of each of its jobs', { timeout: 90_000 }, async () => {
  const collector = await startCollector();
  await startHolding();
  const stop = await trace(collector.url, 'scheduler');
  await runMinutely();
  // AAPL: its batch of fetches, and its analysis.
  await untilCompleted(2);
  await stop();
  expect(waysUp(collector)).toEqual(Array(2).fill('job.commit < job.run < job.claim < job.enqueue < schedule'));
  const roots = collector.spans.filter(({ parentSpanId }) => parentSpanId === undefined);
  expect(roots).toMatchObject([{ name: 'schedule', kind: 1 }]);
  expect(roots[0]!.attributes).toContainEqual({ key: 'schedule.name', value: { stringValue: 'each minute' } });
  expect(collector.text()).not.toContain('zoe');
});

test('a share of zero traces no run of a schedule', { timeout: 90_000 }, async () => {
  const collector = await startCollector();
  await startHolding();
  const stop = await trace(collector.url, 'scheduler', 0);
  await runMinutely();
  await untilCompleted(2);
  await stop();
  expect(collector.spans).toEqual([]);
  expect(await mesh.db.rows('SELECT DISTINCT trace FROM jobs')).toEqual([{ trace: null }]);
});

test('what a command asks for is a trace that begins with the command', { timeout: 90_000 }, async () => {
  const collector = await startCollector();
  mesh = await startMesh({});
  const stop = await trace(collector.url, 'worker');
  const here = ['--config', mesh.configFile, '--data', mesh.folder];
  const command = stockmesh(['fetch', 'AAPL', '--set', 'monitoring.traces.sample=1', ...here], undefined, undefined, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  });
  expect([await command.exited, command.output()]).toEqual([0, expect.stringContaining('AAPL')]);
  // The fetch and its analysis.
  await untilCompleted(2);
  await stop();
  expect(waysUp(collector)).toEqual(Array(2).fill('job.commit < job.run < job.claim < job.enqueue < command'));
  const [root] = collector.spans.filter(({ parentSpanId }) => parentSpanId === undefined);
  expect(root).toMatchObject({ name: 'command', service: 'cli' });
  expect(collector.spans.find(({ name }) => name === 'job.announce')).toMatchObject({ service: 'cli', traceId: root!.traceId });
});

test('a command that joins a job of another trace tells its id', { timeout: 90_000 }, async () => {
  const collector = await startCollector();
  mesh = await startMesh({ worker: false });
  const here = ['--config', mesh.configFile, '--data', mesh.folder];
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  const ask = () => stockmesh(['fetch', 'AAPL', '--set', 'monitoring.traces.sample=1', ...here], undefined, undefined, env).exited;
  expect([await ask(), await ask()]).toEqual([0, 0]);
  const [first, second] = collector.spans.filter(({ name }) => name === 'job.enqueue');
  const [job] = await mesh.db.rows<{ trace: string }>('SELECT trace FROM jobs');
  expect(job!.trace.split('-')[1]).toBe(first!.traceId);
  expect(second!.traceId).not.toBe(first!.traceId);
  expect([first, second].map((span) => span!.events.map(({ name }) => name))).toEqual([[], ['job.joined', 'job.joined']]);
});
