/**
 * The ledger as a few rules over a map, against which the real one is compared. It knows no slots, transactions or indexes: a job that waits for a slot is as good
 * as ready for it, and which of the waiting jobs a claim takes is the ledger's to say; everything else it predicts exactly.
 */
import { expect } from 'vitest';
import { QUEUES, type Queue } from '../../../services/ledger/job.ts';

export const LIMITS: Record<Queue, { maxJobs: number; ttlSeconds: number }> = {
  foreground: { maxJobs: 6, ttlSeconds: 300 },
  background_fetch: { maxJobs: 8, ttlSeconds: 3600 },
  background_analysis: { maxJobs: 100, ttlSeconds: 7200 },
};
export const MAX_ATTEMPTS = 3;
const MOST_DEATHS = 10;
export const BACKOFF_SECONDS = [30, 120];
export const LEASE_SECONDS = 60;
export const SLOTS = 2;

export const REGIONS = ['region:eu', 'region:us'] as const;
export type Region = (typeof REGIONS)[number];

export type ModelState = 'scheduled' | 'needing' | 'waiting' | 'running' | 'completed' | 'failed' | 'cancelled' | 'expired';
const LIVE: readonly ModelState[] = ['scheduled', 'needing', 'waiting', 'running'];

export interface ModelJob {
  id: string;
  state: ModelState;
  queue: Queue;
  level: number;
  key: string | undefined;
  /** That its workers must have. */
  region: Region | undefined;
  users: Set<string>;
  /** Whether the first to ask was a user: only then it needs a slot. */
  owned: boolean;
  attempt: number;
  maxAttempts: number;
  deaths: number;
  worker: string | undefined;
  due: number;
  needs: Set<string>;
  /** Those of the needs that are parts. */
  parts: Set<string>;
}

export interface Held {
  id: string;
  attempt: number;
  worker: string;
}

export interface Ask {
  level: 1 | 5 | 8;
  key: string | undefined;
  user: string | undefined;
  after: string | undefined;
  startsIn: number | undefined;
  region: Region | undefined;
  whenFull: 'next_queue' | 'refuse';
}

const queueOf = (level: number): Queue => (level >= 7 ? 'background_analysis' : level >= 4 ? 'background_fetch' : 'foreground');
const bandOf: Record<Queue, number> = { foreground: 1, background_fetch: 4, background_analysis: 7 };

export class Model {
  readonly jobs = new Map<string, ModelJob>();
  /** Every claim ever made, with what came of it only in `jobs`. */
  readonly held: Held[] = [];
  /** Seconds since the start. */
  now = 0;

  isLive = (job: ModelJob): boolean => LIVE.includes(job.state);
  live(key: string | undefined): ModelJob | undefined {
    return key === undefined ? undefined : [...this.jobs.values()].find((job) => job.key === key && this.isLive(job));
  }
  private waitingIn(queue: Queue): number {
    return [...this.jobs.values()].filter((job) => job.queue === queue && this.isLive(job) && job.state !== 'running').length;
  }
  private expiry(queue: Queue): number {
    return this.now + LIMITS[queue].ttlSeconds;
  }
  owns(held: Held): ModelJob | undefined {
    const job = this.jobs.get(held.id);
    return job?.state === 'running' && job.attempt === held.attempt && job.worker === held.worker ? job : undefined;
  }

  /** Predicts the outcome; `id` is the one that the ledger gave a new job. */
  ask({ level, key, user, after, startsIn, region, whenFull }: Ask, id: string | undefined): 'queued' | 'joined' | 'refused' {
    const found = this.live(key);
    const need = this.live(after);
    const start = startsIn === undefined ? this.now : this.now + startsIn;
    if (found !== undefined) {
      if (user !== undefined) found.users.add(user);
      if (found.state === 'running') return 'joined';
      this.raise(found, level, whenFull);
      if (need !== undefined && need !== found) found.needs.add(need.id);
      const before = found.state;
      if (before === 'scheduled' && found.attempt === 0) {
        if (start <= this.now) found.state = this.hasLiveNeeds(found) ? 'needing' : 'waiting';
        else found.due = Math.min(found.due, start);
      } else if (before === 'waiting' && need !== undefined && need !== found) found.state = 'needing';
      if (found.state !== 'scheduled' && (before === 'scheduled' || (found.due - this.now) * 2 < LIMITS[found.queue].ttlSeconds))
        found.due = this.expiry(found.queue);
      return 'joined';
    }
    const asked = queueOf(level);
    const tried = whenFull === 'next_queue' ? QUEUES.slice(QUEUES.indexOf(asked)) : [asked];
    const queue = tried.find((one) => this.waitingIn(one) < LIMITS[one].maxJobs);
    if (queue === undefined) return 'refused';
    if (id === undefined) throw new Error(`the ledger refused a job for which ${queue} has room`);
    const state = start > this.now ? 'scheduled' : need === undefined ? 'waiting' : 'needing';
    this.jobs.set(id, {
      ...{ id, state, queue, key, region, attempt: 0, maxAttempts: MAX_ATTEMPTS, deaths: 0, worker: undefined },
      ...{ level: queue === asked ? level : bandOf[queue], users: new Set(user === undefined ? [] : [user]), owned: user !== undefined },
      ...{ due: state === 'scheduled' ? start : this.expiry(queue), needs: new Set(need === undefined ? [] : [need.id]), parts: new Set() },
    });
    return 'queued';
  }

  /**
   * A job and its parts, asked for together in the lowest queue, which never fills: the job is joined where it lives, and then its parts that have ended are not started again.
   * `ids`: those that the ledger answered with, of the job first.
   */
  askWhole(key: string, partKeys: readonly string[], ids: readonly string[]): void {
    const joined = this.live(key);
    const fresh = (id: string, own: string, needs: readonly string[]): void => {
      if (this.jobs.has(id)) return;
      const state = needs.length === 0 ? 'waiting' : 'needing';
      this.jobs.set(id, {
        ...{
          id,
          state,
          queue: 'background_analysis',
          level: 9,
          key: own,
          region: undefined,
          attempt: 0,
          maxAttempts: MAX_ATTEMPTS,
          deaths: 0,
          worker: undefined,
        },
        ...{ users: new Set(), owned: false, due: this.expiry('background_analysis'), needs: new Set(needs), parts: new Set(needs) },
      });
    };
    const lives = partKeys.map((one) => this.live(one));
    const [id, ...partIds] = ids as [string, ...string[]];
    for (const [index, partId] of partIds.entries()) expect(partId).toBe(lives[index]?.id ?? (joined === undefined ? partId : id));
    if (joined === undefined) for (const [index, partId] of partIds.entries()) fresh(partId, partKeys[index] as string, []);
    else expect(id).toBe(joined.id);
    for (const job of [joined, ...lives]) if (job !== undefined) this.prolong(job);
    fresh(id, key, partIds);
  }

  /** A job that is asked for again may wait as long again, once half of that is over. */
  private prolong(job: ModelJob): void {
    if (job.state !== 'running' && job.state !== 'scheduled' && (job.due - this.now) * 2 < LIMITS[job.queue].ttlSeconds)
      job.due = this.expiry(job.queue);
    if (job.state === 'scheduled' && job.attempt === 0)
      Object.assign(job, { state: this.hasLiveNeeds(job) ? 'needing' : 'waiting', due: this.expiry(job.queue) });
  }

  private raise(job: ModelJob, level: number, whenFull: Ask['whenFull']): void {
    if (level >= job.level) return;
    const target = queueOf(level);
    const above = QUEUES.slice(QUEUES.indexOf(target), QUEUES.indexOf(job.queue));
    const queue = (whenFull === 'refuse' ? above.slice(0, 1) : above).find((one) => this.waitingIn(one) < LIMITS[one].maxJobs) ?? job.queue;
    job.level = queue === target ? level : Math.min(job.level, bandOf[queue]);
    if (queue !== job.queue && job.state !== 'scheduled') job.due = this.expiry(queue);
    job.queue = queue;
  }

  private hasLiveNeeds(job: ModelJob): boolean {
    return [...job.needs].some((id) => this.isLive(this.jobs.get(id) as ModelJob));
  }

  claimed(held: Held, regions: readonly Region[]): void {
    const job = this.jobs.get(held.id) as ModelJob;
    expect(job.state).toBe('waiting');
    expect([undefined, ...regions]).toContain(job.region);
    expect(held.attempt).toBe(job.attempt + 1);
    expect(this.held).not.toContainEqual(expect.objectContaining({ id: held.id, attempt: held.attempt }));
    this.held.push(held);
    Object.assign(job, { state: 'running', attempt: held.attempt, worker: held.worker, due: this.now + LEASE_SECONDS });
  }

  end(job: ModelJob, state: 'completed' | 'failed' | 'cancelled' | 'expired'): void {
    job.state = state;
    job.due = this.now;
    for (const other of this.jobs.values()) {
      if (!other.needs.has(job.id)) continue;
      const isMet = state === 'completed' || other.parts.has(job.id);
      if (!isMet && (other.state === 'needing' || other.state === 'scheduled'))
        this.end(other, state === 'cancelled' ? 'cancelled' : 'failed');
      else if (isMet && other.state === 'needing' && !this.hasLiveNeeds(other)) other.state = 'waiting';
    }
  }

  /** Its live parts that no other live job needs are cancelled with it. */
  cancel(job: ModelJob): void {
    this.end(job, 'cancelled');
    for (const id of job.parts) {
      const part = this.jobs.get(id) as ModelJob;
      const isNeeded = [...this.jobs.values()].some((other) => this.isLive(other) && other.needs.has(id));
      if (this.isLive(part) && !isNeeded) this.end(part, 'cancelled');
    }
  }

  fail(job: ModelJob, permanent: boolean): void {
    const used = job.attempt - (job.maxAttempts - MAX_ATTEMPTS);
    if (permanent || job.attempt >= job.maxAttempts) this.end(job, 'failed');
    else
      Object.assign(job, { state: 'scheduled', due: this.now + (BACKOFF_SECONDS[Math.min(used, BACKOFF_SECONDS.length) - 1] as number) });
  }

  handBack(job: ModelJob): void {
    Object.assign(job, { state: 'waiting', maxAttempts: job.maxAttempts + 1, due: this.expiry(job.queue) });
  }

  loseLease(job: ModelJob): void {
    job.deaths++;
    job.maxAttempts++;
    if (job.deaths >= MOST_DEATHS) this.end(job, 'failed');
    else if (job.deaths <= 2) Object.assign(job, { state: 'waiting', due: this.expiry(job.queue) });
    else Object.assign(job, { state: 'scheduled', due: this.now + Math.min(2 ** (job.deaths - 3), 60) });
  }

  promote(): void {
    for (const job of this.jobs.values())
      if (job.state === 'scheduled' && job.due <= this.now)
        Object.assign(job, { state: this.hasLiveNeeds(job) ? 'needing' : 'waiting', due: this.expiry(job.queue) });
  }

  /** Starts a job and its parts that have not completed, but for those whose work another live job does. */
  restart(job: ModelJob): void {
    for (const id of job.parts) {
      const part = this.jobs.get(id) as ModelJob;
      if (!this.isLive(part) && part.state !== 'completed' && this.live(part.key) === undefined) this.restart(part);
    }
    const deaths = Math.min(job.deaths, 2);
    Object.assign(job, { state: 'waiting', maxAttempts: job.attempt + MAX_ATTEMPTS, deaths, due: this.expiry(job.queue) });
    if (this.hasLiveNeeds(job)) job.state = 'needing';
  }
}
