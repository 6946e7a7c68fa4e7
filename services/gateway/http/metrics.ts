/** The gateway's measurements in Prometheus' terms. Those of the mesh are the scheduler's. */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Bus } from '../../platform/bus/bus.ts';
import { type Clock, offsetSeconds } from '../../platform/clock.ts';
import type { Database } from '../../platform/database/database.ts';
import { processRegistry } from '../../platform/machine/process-metrics.ts';
import type { Streams } from '../live/streams.ts';
import type { CallbackSender } from '../webhooks/callback-sender.ts';
import type { App } from './app.ts';
import type { ConnectionCounters } from './connections.ts';

export interface HttpMetrics {
  render(): Promise<{ contentType: string; body: string }>;
}

/** Seconds; 50 ms is what a list of 50 may take. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** Measures every answer of the server by its route, and shows the counters of its parts. */
export function measure(
  app: App,
  {
    bus,
    clock,
    db,
    callbacks,
    streams,
    refusals,
  }: {
    bus: Pick<Bus, 'state' | 'report'>;
    clock: Clock;
    db: Pick<Database, 'retries'>;
    callbacks: CallbackSender;
    streams: Streams;
    refusals: ConnectionCounters;
  },
): HttpMetrics {
  const registry = processRegistry();
  const requests = new Histogram({
    name: 'stockmesh_http_request_duration_seconds',
    help: 'Time to answer, by route and status; event streams until they end',
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS,
    registers: [registry],
  });
  app.addHook('onResponse', async (request, reply) => {
    const labels = { method: request.method, route: request.routeOptions.url ?? 'unknown', status: reply.statusCode };
    requests.observe(labels, reply.elapsedTime / 1000);
  });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: `stockmesh_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (
    name: string,
    help: string,
    label: string | undefined,
    read: () => Iterable<readonly [string | number, number]>,
  ): void => {
    new Counter({
      name: `stockmesh_${name}`,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [registry],
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc(label === undefined ? {} : { [label]: value }, count);
      },
    });
  };
  gauge('broker_up', '1 when this process is connected to the broker', () => (bus.state === 'online' ? 1 : 0));
  gauge(
    'clock_offset_seconds',
    "How far this machine's clock is ahead of the database's; negative: behind",
    () => offsetSeconds(clock) ?? Number.NaN,
  );
  gauge('event_streams', 'Open event streams, of the mesh and of single jobs', () => streams.size);
  counter('event_streams_cut_total', 'Event streams that were cut because their reader was too slow', undefined, () => [['', streams.cut]]);
  counter('http_connections_refused_total', 'Connections over gateway.connections, by the limit', 'limit', () =>
    Object.entries(refusals.refused),
  );
  counter('callbacks_total', 'Tries of callbacks by what became of them', 'outcome', () => Object.entries(callbacks.counters));
  counter(
    'transaction_retries_total',
    "Transactions of this process that were run again, by the server's error number",
    'errno',
    () => db.retries,
  );
  counter('bus_messages_total', 'Messages of this process by what became of them', 'outcome', () => Object.entries(bus.report().counters));
  return { render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }) };
}
