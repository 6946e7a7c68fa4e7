/** The measurements of a process that takes logins over MQTT. */
import { Histogram } from 'prom-client';
import type { Admission } from '../logins/admission.ts';
import type { ServiceContext } from '../platform/lifecycle.ts';
import { createProcessMetrics, labelled, type ProcessMetrics } from '../platform/monitoring/metrics.ts';
import type { Refusals } from '../platform/refusals.ts';

/** Seconds; a batch of 500 logins of 20 symbols takes some tenths. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function loginMetrics(
  { bus, clock, db }: Pick<ServiceContext, 'bus' | 'clock' | 'db'>,
  admission: Pick<Admission, 'counters' | 'waiting'>,
  refusals: Refusals,
): { metrics: ProcessMetrics; commits: Histogram } {
  const metrics = createProcessMetrics({ bus, clock, db });
  const commits = new Histogram({
    name: 'stockmesh_login_commit_duration_seconds',
    help: 'Time from the arrival of a login at its handler to the commit of its jobs',
    buckets: BUCKETS,
    registers: [metrics.registry],
  });
  const { counters } = admission;
  const { gauge, counter } = metrics;
  counter('logins_committed_total', 'Logins committed with their jobs', () => counters.admitted);
  metrics.counters('logins_refused_total', 'Logins refused by this process, by the code of the reason', ['reason'], () =>
    labelled('reason', refusals.counts),
  );
  counter('login_unknown_fields_total', 'Fields of logins that this process does not know and left out', () => counters.unknownFields);
  counter('login_batches_total', 'Transactions in which logins were committed together', () => counters.batches);
  metrics.counters('login_requests_total', 'Requests for jobs that logins made, by what became of them', ['outcome'], () =>
    labelled('outcome', [
      ['queued', counters.queued],
      ['joined', counters.joined],
      ['full', counters.full],
    ]),
  );
  gauge('logins_held', 'Logins of this process that wait or are being committed', () => admission.waiting);
  return { metrics, commits };
}
