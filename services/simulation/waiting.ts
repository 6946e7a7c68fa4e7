/** The jobs of a simulated ledger that have not ended: who waits in which queue, and in which order they are claimed. */
import type { LiveJob } from '../ledger/enqueue/join.ts';
import { isLive, levelOf, QUEUES, type Queue, queueOfLevel } from '../ledger/job.ts';
import { type Ageing, riseOf } from '../ledger/maintain/age.ts';
import { Heap } from './machine.ts';

/** A login whose jobs have not all ended. */
export interface PendingLogin {
  atMs: number;
  user: number;
  /** The hour of the tally to which it counts. */
  hour: number;
  /** Its jobs that have not ended, and one more until it is committed. */
  open: number;
  /** One of them did not bring fresh data. */
  lost: boolean;
}

/** A job with what the database keeps of it in other tables. */
export interface SimulatedJob extends LiveJob {
  key: string;
  order: number;
  aged: number;
  /** Its subscribers, the one who asked first in front. */
  logins: PendingLogin[];
  /** The fetch that it waits for, and the analyses that wait for this one. */
  needs: SimulatedJob | undefined;
  dependents: SimulatedJob[];
  /** Whose slot it holds. */
  slotOf: number | undefined;
  /** When the attempt that runs first asked a source. */
  askedMs: number;
  /** Raised by each change of its place in a queue: entries with an older one count no more. */
  version: number;
}

interface Entry {
  job: SimulatedJob;
  priority: number;
  version: number;
}

export class Waiting {
  readonly #heaps: Record<Queue, Heap<Entry>>;
  /** Ready and blocked jobs. */
  readonly #waits: Record<Queue, Set<SimulatedJob>>;
  /** No waiting job is due to expire before. */
  #noneDueBefore = Number.POSITIVE_INFINITY;
  /** Waiting jobs of each queue in whatever state, as `max_jobs` counts them. */
  readonly counts: Record<Queue, number> = { foreground: 0, background_fetch: 0, background_analysis: 0 };
  /** By dedupe key. */
  readonly live = new Map<string, SimulatedJob>();

  constructor() {
    const before = (a: Entry, b: Entry): boolean => a.priority < b.priority || (a.priority === b.priority && a.job.order < b.job.order);
    const each = <Value>(make: () => Value) => Object.fromEntries(QUEUES.map((queue) => [queue, make()])) as Record<Queue, Value>;
    this.#heaps = each(() => new Heap<Entry>(before));
    this.#waits = each(() => new Set<SimulatedJob>());
  }

  /** A new job. */
  add(job: SimulatedJob): void {
    this.live.set(job.key, job);
    this.#enter(job);
  }

  /** Changes a job and, with it, where it waits. */
  move(job: SimulatedJob, change: Partial<Pick<SimulatedJob, 'state' | 'queue' | 'priority' | 'blocked_on' | 'due_at' | 'aged'>>): void {
    this.#leave(job);
    Object.assign(job, change);
    this.#enter(job);
  }

  #enter(job: SimulatedJob): void {
    job.version++;
    if (!isLive(job.state)) {
      if (this.live.get(job.key) === job) this.live.delete(job.key);
      return;
    }
    if (job.state === 'running') return;
    this.counts[job.queue]++;
    if (job.state === 'scheduled') return;
    this.#waits[job.queue].add(job);
    this.#noneDueBefore = Math.min(this.#noneDueBefore, job.due_at.getTime());
    if (job.state === 'ready') this.#heaps[job.queue].push({ job, priority: job.priority, version: job.version });
  }

  #leave(job: SimulatedJob): void {
    if (!isLive(job.state) || job.state === 'running') return;
    this.counts[job.queue]--;
    if (job.state !== 'scheduled') this.#waits[job.queue].delete(job);
  }

  /** The most urgent ready job, queue by queue as the claim reads them; it stays where it is. */
  mostUrgent(): SimulatedJob | undefined {
    for (const queue of QUEUES) {
      const heap = this.#heaps[queue];
      for (let entry = heap.first; entry !== undefined; entry = heap.first) {
        if (entry.version === entry.job.version) return entry.job;
        heap.pop();
      }
    }
    return undefined;
  }

  /** Raises the ready jobs of some queues that have waited long. */
  age(queues: readonly Queue[], ageing: Ageing, nowMs: number): void {
    for (const queue of queues) {
      const risen: { job: SimulatedJob; rise: { priority: number; aged: number } }[] = [];
      for (const job of this.#waits[queue]) {
        if (job.state !== 'ready') continue;
        const rise = riseOf({ priority: job.priority, enqueuedMs: job.enqueued_at.getTime(), aged: job.aged }, ageing, nowMs);
        if (rise !== undefined) risen.push({ job, rise });
      }
      for (const { job, rise } of risen) this.move(job, { ...rise, queue: queueOfLevel(levelOf(rise.priority)) });
    }
  }

  /** The ready and blocked jobs that have waited too long. Looks at all of them only when one may have. */
  expired(nowMs: number): SimulatedJob[] {
    if (nowMs < this.#noneDueBefore) return [];
    const found: SimulatedJob[] = [];
    this.#noneDueBefore = Number.POSITIVE_INFINITY;
    for (const queue of QUEUES)
      for (const job of this.#waits[queue]) {
        const dueMs = job.due_at.getTime();
        if (dueMs <= nowMs) found.push(job);
        else if (dueMs < this.#noneDueBefore) this.#noneDueBefore = dueMs;
      }
    return found;
  }
}
