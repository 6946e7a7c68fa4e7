/** The state of the mesh, from the database alone: `stats` prints it once, `top` shows it live. */

import { nowOf } from '../../ledger/job.ts';
import { type JobSummary, listJobs, type QueueStats } from '../../ledger/read/jobs.ts';
import { type MeshMetrics, readMeshMetrics } from '../../ledger/read/metrics.ts';
import { type Advice, adviceOf } from '../../platform/registry/alert-advice.ts';
import type { Alert } from '../../platform/registry/alerts.ts';
import { type Instance, listInstances } from '../../platform/registry/instances.ts';
import type { Session } from '../session.ts';
import { paint } from './colour.ts';
import { span } from './numbers.ts';
import { type Column, table } from './table.ts';

export interface RaisedAlert extends Omit<Alert, 'state'> {
  advice: Advice | null;
}

export interface Overview {
  metrics: MeshMetrics;
  instances: Instance[];
  /** At most `MOST_RUNNING` of them. */
  running: JobSummary[];
  alerts: RaisedAlert[];
}

const MOST_RUNNING = 200;

export async function readOverview({ db, ledger }: Pick<Session, 'db' | 'ledger'>): Promise<Overview> {
  const now = nowOf(ledger);
  const [metrics, instances, running, alerts] = await Promise.all([
    readMeshMetrics(db.long, now, ledger),
    listInstances(db, new Date(now.getTime() - ledger.leaseSeconds * 1000)),
    listJobs(db, { state: 'running', limit: MOST_RUNNING }),
    db.rows<Omit<Alert, 'state'>>("SELECT name, value, threshold, since, text FROM alerts WHERE state = 'raised' ORDER BY since"),
  ]);
  return { metrics, instances, running, alerts: alerts.map((alert) => ({ ...alert, advice: adviceOf(alert.name) })) };
}

export const QUEUE_COLUMNS: Column<QueueStats>[] = [
  { title: 'QUEUE', value: ({ queue }) => queue },
  { title: 'READY', value: ({ ready }) => ready, align: 'right', paint: (text, { ready }) => (ready > 0 ? paint('bold', text) : text) },
  {
    title: 'RUNNING',
    value: ({ running }) => running,
    align: 'right',
    paint: (text, { running }) => (running > 0 ? paint('cyan', text) : text),
  },
  { title: 'SCHEDULED', value: ({ scheduled }) => scheduled, align: 'right' },
  { title: 'BLOCKED', value: ({ blocked }) => blocked, align: 'right' },
  { title: 'OLDEST READY', value: ({ oldest_s }) => (oldest_s === null ? null : span(Math.max(0, oldest_s * 1000))), align: 'right' },
];

/** A worker (or another service) and one of the jobs that it runs; the first line of each names it. */
export interface WorkerLine {
  instance: Instance;
  first: boolean;
  job: JobSummary | undefined;
}

export function workerLines({ instances, running }: Overview): WorkerLine[] {
  return instances.flatMap((instance): WorkerLine[] => {
    const jobs = running.filter(({ worker }) => worker === instance.instance);
    return jobs.length === 0
      ? [{ instance, first: true, job: undefined }]
      : jobs.map((job, index) => ({ instance, first: index === 0, job }));
  });
}

export function workerTable(lines: readonly WorkerLine[], now: Date, width?: number): string {
  return table(
    lines,
    [
      { title: 'SERVICE', value: ({ instance, first }) => (first ? instance.service : '') },
      { title: 'INSTANCE', value: ({ instance, first }) => (first ? instance.instance : ''), flexible: 12 },
      {
        title: 'BUSY',
        value: ({ instance, first, job }) => (first ? `${Math.max(instance.running, job === undefined ? 0 : 1)}/${instance.capacity}` : ''),
        align: 'right',
        optional: 2,
      },
      { title: 'RUNS', value: ({ job }) => (job === undefined ? '' : `${job.type}${job.symbol === null ? '' : ` ${job.symbol}`}`) },
      {
        title: 'FOR',
        value: ({ job }) => (job?.started_at == null ? '' : span(Math.max(0, now.getTime() - job.started_at.getTime()))),
        align: 'right',
        optional: 1,
      },
      {
        title: 'HAS',
        value: ({ instance, first }) => (first && instance.capabilities.length > 0 ? instance.capabilities.join(' ') : ''),
        optional: 5,
      },
      {
        title: 'CLOCK',
        value: ({ instance, first }) => (first ? clockText(instance.clock_offset_s) : ''),
        align: 'right',
        optional: 4,
      },
      {
        title: 'SEEN',
        value: ({ instance, first }) => (first ? span(Math.max(0, now.getTime() - instance.heartbeat_at.getTime())) : ''),
        align: 'right',
        optional: 3,
      },
    ],
    width,
  );
}

/** How far a machine's clock is ahead of the database's (`-`: behind). */
export function clockText(seconds: number | null): string | null {
  return seconds === null ? null : `${seconds < 0 ? '-' : '+'}${span(Math.abs(seconds) * 1000)}`;
}

/** A summary of queues and workers in one line. */
export function summaryLine({ metrics: { ledger, workers } }: Overview): string {
  const total = (state: 'ready' | 'running' | 'scheduled' | 'blocked'): number =>
    ledger.queues.reduce((sum, queue) => sum + queue[state], 0);
  const oldest = Math.max(0, ...ledger.queues.map(({ oldest_s }) => oldest_s ?? 0));
  return [
    `ready ${total('ready')}`,
    `running ${total('running')}`,
    `scheduled ${total('scheduled')}`,
    `blocked ${total('blocked')}`,
    `oldest ${span(oldest * 1000)}`,
    `last minute: ${ledger.enqueued_last_minute} in, ${ledger.completed_last_minute} done, ${ledger.failed_last_minute} failed`,
    `workers ${workers.online} (${workers.busy} of ${workers.slots} slots busy)`,
  ].join('  ');
}
