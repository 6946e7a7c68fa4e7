/** What a worker has done since its start, for its metrics. The claim loop, the job runner and the sources count here; nothing of it is read by the work itself. */
import { Histogram } from 'prom-client';
import { labelled, type ProcessMetrics } from '../platform/monitoring/metrics.ts';

/** What became of an attempt. `alone`: it ended in a process of its own, which wrote how; `postponed`: it runs again and counts as none. */
export type Outcome = 'completed' | 'failed' | 'lost' | 'stopped' | 'postponed' | 'alone' | 'died';

export interface Tally {
  /** Looks for work: those that got jobs, those that found none, those that the database did not answer. */
  readonly claims: Record<'found' | 'empty' | 'failed', number>;
  ended(type: string, outcome: Outcome): void;
  /** The handler has returned, failed or was stopped. */
  ran(type: string, seconds: number): void;
  /** A source was asked, or skipped. */
  asked(attempt: { source: string; ok: boolean; code?: string }): void;
  /** Adds the counts to the metrics of the process. */
  show(metrics: ProcessMetrics): void;
}

/** Seconds; a fetch takes some tenths, a ranking some seconds, a batch minutes. */
const BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];

export function createTally(): Tally {
  const claims = { found: 0, empty: 0, failed: 0 };
  const ends = new Map<string, { type: string; outcome: Outcome; count: number }>();
  const answers = new Map<string, { source: string; outcome: string; count: number }>();
  const durations = new Histogram({
    name: 'stockmesh_job_duration_seconds',
    help: 'Time that the handlers of jobs took in this process, by type, whatever became of the job',
    labelNames: ['type'],
    buckets: BUCKETS,
    registers: [],
  });
  return {
    claims,
    ended(type, outcome) {
      ends.getOrInsertComputed(`${type} ${outcome}`, () => ({ type, outcome, count: 0 })).count++;
    },
    ran: (type, seconds) => durations.observe({ type }, seconds),
    asked({ source, ok, code = 'internal' }) {
      const outcome = ok ? 'answered' : code;
      answers.getOrInsertComputed(`${source} ${outcome}`, () => ({ source, outcome, count: 0 })).count++;
    },
    show({ registry, counters }) {
      registry.registerMetric(durations);
      counters('claims_total', 'Looks for work, by what they found', ['outcome'], () => labelled('outcome', Object.entries(claims)));
      counters('job_attempts_total', 'Attempts at jobs that ended here, by what became of them', ['type', 'outcome'], () =>
        Array.from(ends.values(), ({ count, ...labels }) => [labels, count]),
      );
      counters('source_answers_total', 'Requests to market sources: answered, or the code of the failure', ['source', 'outcome'], () =>
        Array.from(answers.values(), ({ count, ...labels }) => [labels, count]),
      );
    },
  };
}
