/** What traces cost: the same jobs, enqueued and run by a worker that does nothing, without a collector and with one. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { spanCounts, startTracing } from '../../services/platform/monitoring/traces.ts';
import { payload } from './contenders/contender.ts';
import { clearLedger, countUnfinished, jobRequest, type LedgerAddress, ledgerConsumer, openLedger } from './contenders/ledger.ts';
import { silent } from './processes/servers.ts';
import type { Bench } from './report/bench.ts';
import { print, progress, table } from './report/report.ts';
import { median } from './report/statistics.ts';

/** Of a hundred jobs so many are traced; undefined: without a collector. */
const MODES = { 'no collector': undefined, 'a collector, no job traced': 0, '1 % of the jobs traced': 1, 'all jobs traced': 100 };
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** Microseconds a job. The collector runs in this process too: what it takes is among them. */
interface Cost {
  byClock: number;
  process: number;
  server: number;
}

export async function tracesSection(bench: Bench): Promise<unknown> {
  const jobs = bench.quick ? 2_000 : 10_000;
  const address = { ...(await bench.ledger()), broker: undefined };
  const collector = createServer((request, response) => void request.resume().on('end', () => response.end('{}'))).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  const rounds = new Map(Object.keys(MODES).map((name) => [name, [] as Cost[]]));
  // Round 0 warms up and does not count.
  for (let round = 0; round <= bench.rounds; round++)
    for (const [name, traced] of Object.entries(MODES)) {
      progress(`traces: round ${round} of ${bench.rounds}, ${name}`);
      const service = { service: 'bench', instance: 'bench', version: '0' };
      const stop = await startTracing(service, { endpoint: traced === undefined ? null : endpoint, sample: 0 }, silent);
      const cost = await measure(address, jobs, traced ?? 0, () => bench.serverMs('stockmesh'));
      await stop();
      if (round > 0) rounds.get(name)?.push(cost);
    }
  progress('');
  collector.close();
  const medians = [...rounds].map(([name, all]) => {
    const of = (key: keyof Cost) => median(all.map((one) => one[key]));
    return [name, of('byClock'), of('process'), of('server')];
  });
  print(`\nTraces: median of ${bench.rounds} rounds of ${jobs} jobs, microseconds a job\n`);
  print(table(['', 'by the clock', 'processor: worker and collector', 'processor: database'], medians));
  const { exported, lost } = spanCounts();
  print(`\n  ${exported} spans exported, ${lost} lost`);
  return Object.fromEntries(medians.map(([name, ...figures]) => [name, figures]));
}

async function measure(address: LedgerAddress, jobs: number, traced: number, serverMs: () => number): Promise<Cost> {
  const { db, ledger, close } = await openLedger(address, 'enqueuer');
  const [server, own, started] = [serverMs(), process.cpuUsage(), performance.now()];
  for (let next = 0; next < jobs; next += 500) {
    const requests = Array.from({ length: 500 }, (_, index) => ({
      ...jobRequest(payload(next + index), 'plain'),
      ...(index % 100 < traced ? { trace: TRACE } : {}),
    }));
    await enqueue(ledger, requests);
  }
  const consumer = await ledgerConsumer(address, { concurrency: 100, purpose: 'throughput', started: () => {} });
  while ((await countUnfinished(db)) > 0) await delay(5);
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(own);
  const cost = { byClock: (ms * 1000) / jobs, process: (user + system) / jobs, server: ((serverMs() - server) * 1000) / jobs };
  await consumer.stop();
  await clearLedger(address.root);
  await close();
  return cost;
}
