/** What a simulated day comes to, hour by hour. Memory does not grow with the number of logins. */
import { QUEUES, type Queue } from '../ledger/job.ts';

export interface QueueDepth {
  /** Waiting jobs at the end of the hour, and at most within it. */
  end: number;
  most: number;
}

export interface HourFigures {
  /** In New York, 0-23. */
  hour: number;
  /** Epoch milliseconds. */
  startMs: number;
  logins: number;
  /** Symbols that were looked at by logins, and of these: those that were not due. */
  symbols: number;
  fresh: number;
  /** Requests for jobs: new ones, those that joined a live job, those that no queue had room for. */
  made: number;
  joined: number;
  refused: number;
  completed: number;
  /** Of the completed fetches: answered with stored data, since the sources gave none. */
  stale: number;
  /** Attempts that are made again, jobs that failed for good, and jobs that waited too long. */
  retried: number;
  failed: number;
  expired: number;
  depth: Record<Queue, QueueDepth>;
  /** Requests to sources with a budget, and what these may be asked. */
  asked: number;
  budget: number;
  /** Seconds from a login to the end of all its jobs: those whose jobs all completed with fresh data. */
  freshP50: number | null;
  freshP99: number | null;
  /** Share of the logins that got all of that. */
  freshShare: number | null;
  /** Cores in use, on average. */
  cores: number;
}

/** Counts of times on a logarithmic scale: a quantile is right to 2 %. */
export class Histogram {
  readonly #counts = new Map<number, number>();
  #sum = 0;

  add(ms: number): void {
    const bucket = Math.round(Math.log(Math.max(ms, 0.1)) / Math.log(1.02));
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1);
    this.#sum++;
  }

  get count(): number {
    return this.#sum;
  }

  /** Milliseconds; null when there is none. */
  quantile(share: number): number | null {
    if (this.#sum === 0) return null;
    let seen = 0;
    const buckets = [...this.#counts].sort(([a], [b]) => a - b);
    for (const [bucket, count] of buckets) {
      seen += count;
      if (seen >= share * this.#sum) return 1.02 ** bucket;
    }
    return null;
  }

  addAll(other: Histogram): void {
    for (const [bucket, count] of other.#counts) this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
    this.#sum += other.#sum;
  }
}

const COUNTED = [
  'logins',
  'symbols',
  'fresh',
  'made',
  'joined',
  'refused',
  'completed',
  'stale',
  'retried',
  'failed',
  'expired',
  'asked',
] as const;
type Counted = (typeof COUNTED)[number];

interface Hour {
  hour: number;
  startMs: number;
  counts: Record<Counted, number>;
  depth: Record<Queue, QueueDepth>;
  fresh: Histogram;
  processorMs: number;
}

/** The counts of a day. `hours`: their starts, ascending. */
export class Tally {
  readonly #hours: Hour[];
  readonly #endMs: number;
  #now = 0;

  constructor(hours: readonly { startMs: number; hour: number }[], endMs: number) {
    this.#hours = hours.map(({ startMs, hour }) => ({
      hour,
      startMs,
      counts: Object.fromEntries(COUNTED.map((name) => [name, 0])) as Record<Counted, number>,
      depth: Object.fromEntries(QUEUES.map((queue) => [queue, { end: 0, most: 0 }])) as Record<Queue, QueueDepth>,
      fresh: new Histogram(),
      processorMs: 0,
    }));
    this.#endMs = endMs;
  }

  /** Goes on to the hour of `nowMs`; what ends after the last one counts in it. `waiting`: jobs in each queue. */
  moveTo(nowMs: number, waiting: Readonly<Record<Queue, number>>): void {
    while (this.#now + 1 < this.#hours.length && (this.#hours[this.#now + 1] as Hour).startMs <= nowMs) {
      this.depth(waiting);
      this.#now++;
    }
  }

  get #hour(): Hour {
    return this.#hours[this.#now] as Hour;
  }

  /** The hour to which a login's time counts. */
  get place(): number {
    return this.#now;
  }

  count(name: Counted, by = 1): void {
    this.#hour.counts[name] += by;
  }

  depth(waiting: Readonly<Record<Queue, number>>): void {
    for (const queue of QUEUES) {
      const depth = this.#hour.depth[queue];
      depth.end = waiting[queue];
      if (waiting[queue] > depth.most) depth.most = waiting[queue];
    }
  }

  processor(ms: number): void {
    this.#hour.processorMs += ms;
  }

  fresh(place: number, ms: number): void {
    (this.#hours[place] as Hour).fresh.add(ms);
  }

  /** `budgetPerMinute`: requests to all sources with a budget. `idleMsPerSecond`: processor time of a mesh without work. */
  figures({ budgetPerMinute, idleMsPerSecond }: { budgetPerMinute: number; idleMsPerSecond: number }): {
    hours: HourFigures[];
    day: HourFigures;
  } {
    const hours = this.#hours.map((one, index) => {
      const seconds = ((this.#hours[index + 1]?.startMs ?? this.#endMs) - one.startMs) / 1000;
      return { ...figuresOf(one, seconds, idleMsPerSecond), budget: Math.round((budgetPerMinute * seconds) / 60) };
    });
    const all = new Histogram();
    for (const { fresh } of this.#hours) all.addAll(fresh);
    const first = this.#hours[0] as Hour;
    const sum = (name: Counted): number => hours.reduce((total, hour) => total + hour[name], 0);
    const counts = Object.fromEntries(COUNTED.map((name) => [name, sum(name)])) as Record<Counted, number>;
    const depth = Object.fromEntries(
      QUEUES.map((queue) => [
        queue,
        { end: hours.at(-1)?.depth[queue].end ?? 0, most: Math.max(...hours.map((hour) => hour.depth[queue].most)) },
      ]),
    ) as Record<Queue, QueueDepth>;
    const processorMs = this.#hours.reduce((total, hour) => total + hour.processorMs, 0);
    const seconds = (this.#endMs - first.startMs) / 1000;
    const budget = hours.reduce((total, hour) => total + hour.budget, 0);
    return { hours, day: { ...figuresOf({ ...first, counts, depth, fresh: all, processorMs }, seconds, idleMsPerSecond), budget } };
  }
}

function figuresOf(
  { hour, startMs, counts, depth, fresh, processorMs }: Hour,
  seconds: number,
  idleMsPerSecond: number,
): Omit<HourFigures, 'budget'> {
  const inSeconds = (ms: number | null): number | null => (ms === null ? null : Number((ms / 1000).toPrecision(3)));
  return {
    hour,
    startMs,
    ...counts,
    depth,
    freshP50: inSeconds(fresh.quantile(0.5)),
    freshP99: inSeconds(fresh.quantile(0.99)),
    freshShare: counts.logins === 0 ? null : Math.round((fresh.count / counts.logins) * 10_000) / 10_000,
    cores: Math.round(processorMs / seconds + idleMsPerSecond) / 1000,
  };
}
