/** What a worker measures of itself. */
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '../../services/platform/clock.ts';
import { PermanentError, TransientError } from '../../services/platform/errors.ts';
import { createProcessMetrics, type ProcessMetrics } from '../../services/platform/monitoring/metrics.ts';
import { startWorkerService } from '../../services/worker/service.ts';
import { createTally, type Tally } from '../../services/worker/tally.ts';
import { startEmbedded } from '../broker/brokers.ts';
import { closing, openBus } from '../platform/bus/brokers.ts';
import { faultsOf } from '../support/promtool.ts';
import { endpointIn, metricsPort, samplesOf } from '../support/samples.ts';
import { configWith, fetching, held, nothing, workshopOfFile } from './workshop.ts';

const shop = await workshopOfFile();
const soon = { timeout: 20_000 };

/** What a tally shows of one metric: labels → value. */
async function shown(tally: Tally, name: string): Promise<Record<string, number>> {
  const metrics: ProcessMetrics = createProcessMetrics({
    bus: { state: 'online', report: () => ({ counters: {} }) } as never,
    clock: systemClock,
    db: shop.db,
  });
  tally.show(metrics);
  const { values } = await metrics.registry.getSingleMetric(`stockmesh_${name}`)!.get();
  return Object.fromEntries(values.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
}

test('the service shows its jobs, its claims, its slots and what its sources answered, as Prometheus wants them', async () => {
  const broker = closing(await startEmbedded());
  const bus = openBus(broker.port, { service: 'worker', instance: 'worker-a', version: '1' });
  await bus.online();
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const config = configWith({
    'stock_jobs.data_fetch.sources': 'simulated',
    'stock_jobs.data_fetch.simulated.enabled': true,
    'worker.max_concurrent_jobs': 7,
    'monitoring.ports.worker': metricsPort(),
  });
  const service = await startWorkerService({
    service: 'worker',
    instance: 'worker-a',
    config,
    log,
    clock: systemClock,
    dataFolder: tmpdir(),
    db: shop.db,
    bus,
  });
  onTestFinished(() => service.drain());
  const [id] = await shop.enqueue({ symbol: 'AAA' });
  await shop.reaches(id!, 'completed');
  const url = endpointIn(lines);
  await vi.waitFor(async () => {
    expect(await samplesOf(url)).toMatchObject({
      'stockmesh_job_attempts_total{type="fetch",outcome="completed"}': 1,
      'stockmesh_job_duration_seconds_count{type="fetch"}': 1,
      'stockmesh_source_answers_total{source="simulated",outcome="answered"}': 1,
      'stockmesh_claims_total{outcome="found"}': 1,
      'stockmesh_claims_total{outcome="failed"}': 0,
      stockmesh_worker_jobs_running: 0,
      stockmesh_worker_jobs_waiting: 0,
      stockmesh_worker_jobs_uncommitted: 0,
      stockmesh_worker_capacity: 7,
      stockmesh_broker_up: 1,
    });
  }, soon);
  expect(faultsOf(await (await fetch(`${url}/metrics`)).text())).toEqual([]);
  await vi.waitFor(
    async () => expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ok', database: true, broker: true, missing: [] }),
    soon,
  );
});

test('each attempt counts once, by what became of it', async () => {
  const tally = createTally();
  const symbols = {
    GOOD: async () => nothing,
    BAD: () => Promise.reject(new PermanentError('source.unknown_symbol', 'unknown')),
    AWAY: () => Promise.reject(new TransientError('database.unavailable', 'away')),
  };
  const ids = await shop.enqueue(...Object.keys(symbols).map((symbol) => ({ symbol })));
  const worker = shop.worker([fetching(({ symbol }) => symbols[symbol as keyof typeof symbols]())], { tally });
  await shop.reaches(ids[0]!, 'completed');
  await shop.reaches(ids[1]!, 'failed');
  await vi.waitFor(async () => expect(await shown(tally, 'job_attempts_total')).toHaveProperty('fetch postponed'), soon);
  await worker.drain(0);
  expect(await shown(tally, 'job_attempts_total')).toMatchObject({ 'fetch completed': 1, 'fetch failed': 1 });
});

test('a job that is stopped from outside is neither completed nor failed', async () => {
  const tally = createTally();
  const { handler, started } = held();
  const [id] = await shop.enqueue({});
  const worker = shop.worker([handler], { tally });
  await started;
  expect(worker.load()).toEqual({ running: 1, waiting: 0, uncommitted: 0 });
  worker.abort(id!, 'cancelled by hand');
  await vi.waitFor(async () => expect(await shown(tally, 'job_attempts_total')).toEqual({ 'fetch stopped': 1 }), soon);
  expect(worker.load()).toEqual({ running: 0, waiting: 0, uncommitted: 0 });
});

test('a source that fails counts by the code of its failure', async () => {
  const tally = createTally();
  tally.asked({ source: 'yahoo_finance', ok: false, code: 'source.rate_limited' });
  tally.asked({ source: 'yahoo_finance', ok: true });
  tally.asked({ source: 'yahoo_finance', ok: true });
  expect(await shown(tally, 'source_answers_total')).toEqual({ 'yahoo_finance source.rate_limited': 1, 'yahoo_finance answered': 2 });
});
