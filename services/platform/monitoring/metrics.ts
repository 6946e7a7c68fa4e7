/** The metrics of one process, read from its parts when a collector asks. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Bus } from '../bus/bus.ts';
import { type Clock, offsetSeconds } from '../clock.ts';
import type { Config } from '../config/load.ts';
import type { Database } from '../database/database.ts';
import { processRegistry } from './process-metrics.ts';
import { spanCounts } from './traces.ts';

type Labels = Record<string, string | number>;

export interface MetricsText {
  contentType: string;
  body: string;
}

export interface ProcessMetrics {
  registry: Registry;
  /** `name` and `help` without the prefix `stockmesh_`. */
  gauge(name: string, help: string, read: () => number): void;
  /** A counter that a part of the process counts itself. */
  counter(name: string, help: string, read: () => number): void;
  /** The same for counts by labels. */
  counters(name: string, help: string, labels: readonly string[], read: () => Iterable<readonly [Labels, number]>): void;
}

/** With what each service has: the process, its broker, its clock, its transactions. */
export function createProcessMetrics({
  bus,
  clock,
  db,
}: {
  bus: Pick<Bus, 'state' | 'report'>;
  clock: Clock;
  db: Pick<Database, 'retries'>;
}): ProcessMetrics {
  const registry = processRegistry();
  const registers = [registry];
  const metrics: ProcessMetrics = {
    registry,
    gauge(name, help, read) {
      new Gauge({
        ...{ name: `stockmesh_${name}`, help, registers },
        collect() {
          this.set(read());
        },
      });
    },
    counter: (name, help, read) => metrics.counters(name, help, [], () => [[{}, read()]]),
    counters(name, help, labelNames, read) {
      new Counter({
        ...{ name: `stockmesh_${name}`, help, labelNames: [...labelNames], registers },
        collect() {
          this.reset();
          for (const [labels, count] of read()) this.inc(labels, count);
        },
      });
    },
  };
  metrics.gauge('broker_up', '1 when this process is connected to the broker', () => (bus.state === 'online' ? 1 : 0));
  metrics.gauge(
    'clock_offset_seconds',
    "How far this machine's clock is ahead of the database's; negative: behind",
    () => offsetSeconds(clock) ?? Number.NaN,
  );
  metrics.counters(
    'transaction_retries_total',
    "Transactions of this process that were run again, by the server's error number",
    ['errno'],
    () => labelled('errno', db.retries),
  );
  metrics.counters('bus_messages_total', 'Messages of this process by what became of them', ['outcome'], () =>
    labelled('outcome', Object.entries(bus.report().counters)),
  );
  metrics.counters('trace_spans_total', 'Spans of traces of this process by what became of them: exported, or lost', ['outcome'], () =>
    labelled('outcome', Object.entries(spanCounts())),
  );
  return metrics;
}

/** Counts by the value of one label. */
export function labelled(label: string, counts: Iterable<readonly [string | number, number]>): (readonly [Labels, number])[] {
  return Array.from(counts, ([value, count]) => [{ [label]: value }, count]);
}

/** The registry in the format of `monitoring.format`. */
export async function renderMetrics(registry: Registry, { format }: Pick<Config['monitoring'], 'format'>): Promise<MetricsText> {
  return format === 'json'
    ? { contentType: 'application/json; charset=utf-8', body: JSON.stringify(await registry.getMetricsAsJSON()) }
    : { contentType: registry.contentType, body: await registry.metrics() };
}
