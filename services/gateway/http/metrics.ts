/** The gateway's measurements in Prometheus' terms. Those of the mesh are the scheduler's. */
import { Histogram } from 'prom-client';
import type { Admission } from '../../logins/admission.ts';
import type { Bus } from '../../platform/bus/bus.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/database/database.ts';
import { createProcessMetrics, labelled } from '../../platform/monitoring/metrics.ts';
import type { Refusals } from '../../platform/refusals.ts';
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
    admission,
    loginRefusals,
  }: {
    bus: Pick<Bus, 'state' | 'report'>;
    clock: Clock;
    db: Pick<Database, 'retries'>;
    callbacks: CallbackSender;
    streams: Streams;
    refusals: ConnectionCounters;
    admission: Pick<Admission, 'counters' | 'waiting'>;
    loginRefusals: Refusals;
  },
): HttpMetrics {
  const { registry, gauge, counter, counters } = createProcessMetrics({ bus, clock, db });
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
  gauge('event_streams', 'Open event streams, of the mesh and of single jobs', () => streams.size);
  counter('event_streams_cut_total', 'Event streams that were cut because their reader was too slow', () => streams.cut);
  counters('http_connections_refused_total', 'Connections over gateway.connections, by the limit', ['limit'], () =>
    labelled('limit', Object.entries(refusals.refused)),
  );
  counter('logins_committed_total', 'Logins committed with their jobs', () => admission.counters.admitted);
  gauge('logins_held', 'Logins of this process that wait or are being committed', () => admission.waiting);
  counters('logins_refused_total', 'Logins refused by this process, by the code of the reason', ['reason'], () =>
    labelled('reason', loginRefusals.counts),
  );
  counter(
    'login_unknown_fields_total',
    'Fields of logins that this process does not know and left out',
    () => admission.counters.unknownFields,
  );
  counters('callbacks_total', 'Tries of callbacks by what became of them', ['outcome'], () =>
    labelled('outcome', Object.entries(callbacks.counters)),
  );
  return { render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }) };
}
