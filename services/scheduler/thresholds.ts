/** Checks the metrics against the configured limits. */

import type { InstanceClock, MeshMetrics } from '../ledger/read/metrics.ts';
import type { Config } from '../platform/config/load.ts';
import type { Severity } from '../platform/outbox.ts';
import type { StaleData } from './stale.ts';

/** One limit at one moment. */
export interface LimitCheck {
  name: string;
  beyond: boolean;
  value: number;
  threshold: number;
  /** The value, the limit, and the key that sets it, as a sentence. */
  text: string;
  /** How bad it is while it is raised; `warning` if not given. */
  severity?: Severity;
  /** What the text names, where an alert that is raised must be told anew when that changes. */
  subjects?: string;
}

/** With fewer fetches or finished jobs than this a share or a percentile means nothing: the limit counts as kept. */
const FEWEST = 5;

/** Checks every limit, in a fixed order. A limit without enough data counts as kept: an alert means that something is wrong now. */
export function checkLimits(metrics: MeshMetrics, stale: StaleData, config: Pick<Config, 'monitoring' | 'portfolio'>): LimitCheck[] {
  const { ledger, workers, missing, latencies, clocks } = metrics;
  const { max_queue_depth, max_job_age, min_worker_efficiency, max_fetch_latency, max_clock_offset } = config.monitoring.thresholds;
  const { stale_alert_hours, outdated_alert_share } = config.portfolio;
  const outdatedShare = stale.withBars === 0 ? 0 : stale.outdated.length / stale.withBars;

  const waiting = Object.values(ledger.depth).reduce((sum, jobs) => sum + jobs, 0);
  const oldest = Math.max(0, ...ledger.queues.map(({ oldest_s }) => oldest_s ?? 0));
  const finished = ledger.completed_last_minute + ledger.failed_last_minute;
  const efficiency = finished < FEWEST ? 1 : ledger.completed_last_minute / finished;
  const slowest = latencies.filter(({ answers }) => answers >= FEWEST).toSorted((a, b) => b.p95 - a.p95)[0];

  return [
    above('max_queue_depth', waiting, max_queue_depth, `${waiting} jobs wait`),
    above('max_job_age', oldest, max_job_age, `the oldest ready job has waited ${Math.round(oldest)} s`),
    {
      name: 'min_worker_efficiency',
      beyond: efficiency < min_worker_efficiency,
      value: efficiency,
      threshold: min_worker_efficiency,
      text: `${ledger.failed_last_minute} of ${finished} jobs that finished within a minute failed; at least ${min_worker_efficiency * 100} % must complete (monitoring.thresholds.min_worker_efficiency)`,
    },
    above(
      'max_fetch_latency',
      slowest?.p95 ?? 0,
      max_fetch_latency,
      slowest === undefined ? 'too few fetches to judge' : `95 % of ${slowest.source}'s answers came within ${slowest.p95.toFixed(1)} s`,
    ),
    {
      name: 'stale_data',
      beyond: stale.symbols.length > 0,
      value: stale.oldestHours,
      threshold: stale_alert_hours,
      text: `${stale.symbols.length} held symbols have price data older than ${stale_alert_hours} h (portfolio.stale_alert_hours)${stale.symbols.length === 0 ? '' : `: ${listed(stale.symbols)}`}`,
    },
    clockOffset(clocks, max_clock_offset),
    {
      name: 'outdated_data',
      beyond: outdatedShare > outdated_alert_share,
      value: outdatedShare,
      threshold: outdated_alert_share,
      text: `the sources have nothing newer than bars of two sessions ago or more for ${stale.outdated.length} of ${stale.withBars} held symbols; more than ${outdated_alert_share * 100} % (portfolio.outdated_alert_share) means that a source has fallen silent${stale.outdated.length === 0 ? '' : `: ${listed(stale.outdated)}`}`,
    },
    {
      name: 'no_worker',
      severity: 'critical',
      beyond: workers.online === 0 || missing.length > 0,
      value: workers.online,
      threshold: 1,
      text: `${workers.online} workers are online${waiting === 0 ? '' : `, ${waiting} jobs wait`}${missing.length === 0 ? '' : `, some of them for what no worker has (worker.capabilities): ${listed(missing)}`}`,
      ...(missing.length > 0 && { subjects: missing.join(' ') }),
    },
  ];
}

function above(name: 'max_queue_depth' | 'max_job_age' | 'max_fetch_latency', value: number, threshold: number, text: string): LimitCheck {
  return { name, beyond: value > threshold, value, threshold, text: `${text}; the limit is ${threshold} (monitoring.thresholds.${name})` };
}

/** Machines whose clock is wrong, the worst first. Where all are wrong by about the same, the database's is. */
function clockOffset(clocks: readonly InstanceClock[], threshold: number): LimitCheck {
  const size = ({ offset_s }: InstanceClock): number => Math.abs(offset_s);
  const wrong = clocks.filter((one) => size(one) > threshold).toSorted((a, b) => size(b) - size(a));
  const offsets = wrong.map(({ offset_s }) => offset_s);
  const alike = wrong.length > 1 && wrong.length === clocks.length && Math.max(...offsets) - Math.min(...offsets) <= threshold;
  const named = listed(wrong.map(({ instance, offset_s }) => `${instance} ${offset_s > 0 ? '+' : ''}${offset_s.toFixed(1)} s`));
  return {
    name: 'clock_offset',
    subjects: wrong
      .map(({ instance }) => instance)
      .sort()
      .join(' '),
    beyond: wrong.length > 0,
    value: Math.max(0, ...clocks.map(size)),
    threshold,
    text: `${wrong.length} of ${clocks.length} instances have a clock more than ${threshold} s from the database's (monitoring.thresholds.max_clock_offset)${wrong.length === 0 ? '' : `; ${alike ? "all by the same, so set the database's own clock right (NTP)" : 'set the clocks of their machines right (NTP)'}: ${named}`}`,
  };
}

const SHOWN = 10;

/** Names for a text: the first ones, and how many there are besides. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).join(', ');
  return names.length > SHOWN ? `${shown} and ${names.length - SHOWN} more` : shown;
}
