/** Who claims and runs the jobs, and what becomes of them: slots of users, sources, retries, expiry, the jobs that waited for others. */
import { fetchType } from '../job-types/fetch/definition.ts';
import { isLive, rulesOf } from '../ledger/job.ts';
import { backoff } from '../ledger/run/complete.ts';
import { close, fetched, type Mesh } from './mesh.ts';
import type { PendingLogin, SimulatedJob } from './waiting.ts';

/** A source's answers spread so far around their median (log-normal). */
const SOURCE_SPREAD = 0.5;
const PURPOSE = { source: 1, sourceToo: 2, backoff: 3 } as const;

export class Workers {
  readonly #mesh: Mesh;
  /** Jobs that could be claimed. */
  #free: number;
  /** Jobs that run in the name of a user, and those that wait until one of these ends. */
  readonly #slots = new Map<number, number>();
  readonly #slotWaits = new Map<number, SimulatedJob[]>();
  /** Jobs whose ends wait for a commit. */
  readonly #done: ((committedMs: number) => void)[] = [];
  #draws = 0;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
    this.#free = mesh.options.workers * mesh.options.config.worker.max_concurrent_jobs;
  }

  /** Takes ready jobs, most urgent first, while there are places: one transaction. */
  claim(nowMs: number): void {
    const { waiting, agenda, cores, options } = this.#mesh;
    const taken: SimulatedJob[] = [];
    for (let job = waiting.mostUrgent(); job !== undefined && this.#free > 0; job = waiting.mostUrgent()) {
      const user = job.logins.find((login) => this.#hasSlot(login))?.user;
      if (user === undefined && job.logins.length > 0) {
        this.#waitForSlot(job);
        continue;
      }
      if (user !== undefined) this.#slots.set(user, (this.#slots.get(user) ?? 0) + 1);
      waiting.move(job, { state: 'running', blocked_on: null });
      job.slotOf = user;
      job.attempt++;
      this.#free--;
      taken.push(job);
    }
    if (taken.length === 0) return;
    agenda.at(cores.run(nowMs, options.costs.claimMs), (atMs) => {
      for (const job of taken) {
        job.askedMs = atMs;
        if (job.type === fetchType.name) this.#ask(job, atMs);
        else this.#compute(job, atMs);
      }
    });
  }

  #waitForSlot(job: SimulatedJob): void {
    this.#mesh.waiting.move(job, { state: 'blocked', blocked_on: 'slot' });
    for (const { user } of job.logins) this.#slotWaits.set(user, [...(this.#slotWaits.get(user) ?? []), job]);
  }

  #hasSlot({ user }: PendingLogin): boolean {
    return (this.#slots.get(user) ?? 0) < this.#mesh.ledger.slotsPerUser;
  }

  #ask(job: SimulatedJob, nowMs: number): void {
    const { sources, agenda, tally, options, cores } = this.#mesh;
    const reply = sources.ask(nowMs, job.askedMs, () => tally.count('asked'));
    if (reply.kind === 'wait') {
      agenda.at(reply.untilMs, (atMs) => this.#ask(job, atMs));
      return;
    }
    const answeredMs = reply.kind === 'answer' && !reply.local ? nowMs + this.#sourceMs() : nowMs;
    agenda.at(answeredMs, (atMs) => {
      const endMs = cores.run(atMs, options.costs.fetchMs);
      const end = (committedMs: number): void => {
        if (reply.kind === 'error') this.#fail(job, reply.error, committedMs);
        else this.#complete(job, reply.kind === 'answer' ? atMs : undefined, committedMs);
      };
      agenda.at(endMs, (doneMs) => this.#commit(end, doneMs));
    });
  }

  #compute(job: SimulatedJob, nowMs: number): void {
    const { agenda, cores, options } = this.#mesh;
    agenda.at(cores.run(nowMs, options.costs.analysisMs), (doneMs) =>
      this.#commit((committedMs) => this.#complete(job, nowMs, committedMs), doneMs),
    );
  }

  /** Ends a job together with those that are done within the same few milliseconds (`worker.batch`), and claims then. */
  #commit(end: (committedMs: number) => void, nowMs: number): void {
    const { agenda, cores, options } = this.#mesh;
    const { size, wait } = options.config.worker.batch;
    this.#done.push(end);
    if (this.#done.length > 1) return;
    agenda.at(nowMs + wait, (atMs) => {
      const batch = this.#done.splice(0);
      agenda.at(cores.run(atMs, options.costs.commitMs * Math.ceil(batch.length / size)), (committedMs) => {
        for (const one of batch) one(committedMs);
        this.claim(committedMs);
      });
    });
  }

  #sourceMs(): number {
    const { random, options } = this.#mesh;
    const draw = this.#draws++;
    const normal = Math.sqrt(-2 * Math.log(1 - random(PURPOSE.source, draw))) * Math.cos(2 * Math.PI * random(PURPOSE.sourceToo, draw));
    return options.sourceMs * Math.exp(SOURCE_SPREAD * normal);
  }

  /** `trueMs`: when its data were true; undefined for stored data that were given again. */
  #complete(job: SimulatedJob, trueMs: number | undefined, nowMs: number): void {
    const { states, tally } = this.#mesh;
    const symbol = job.symbol as string;
    const state = states.get(symbol);
    if (trueMs === undefined) tally.count('stale');
    else if (job.type === fetchType.name) states.set(symbol, fetched(state, symbol, trueMs));
    else if (state !== undefined)
      states.set(symbol, { ...state, analysedAt: new Date(trueMs), analysedBar: state.newestBar, analysedAsOf: state.asOf });
    tally.count('completed');
    this.#release(job);
    this.#end(job, 'completed', nowMs, trueMs === undefined);
  }

  #fail(job: SimulatedJob, error: Error, nowMs: number): void {
    const { ledger, waiting, agenda, tally, random, options } = this.#mesh;
    this.#release(job);
    const { maxAttempts } = rulesOf(ledger, job.type);
    if (job.attempt >= maxAttempts) {
      tally.count('failed');
      this.#end(job, 'failed', nowMs, true);
      return;
    }
    const draw = this.#draws++;
    const seconds = backoff(ledger, { type: job.type, attempt: job.attempt, maxAttempts }, error, () => random(PURPOSE.backoff, draw));
    tally.count('retried');
    waiting.move(job, { state: 'scheduled', due_at: new Date(nowMs + seconds * 1000) });
    // The scheduler looks once in an interval.
    const intervalMs = options.config.scheduler.promote_interval * 1000;
    agenda.at(Math.ceil((nowMs + seconds * 1000) / intervalMs) * intervalMs, (atMs) => {
      if (job.state !== 'scheduled') return;
      waiting.move(job, { state: 'ready', due_at: new Date(atMs + ledger.queues[job.queue].ttlSeconds * 1000) });
      this.claim(atMs);
    });
  }

  /** Gives back its place, and its slot to a job that waits for one. */
  #release(job: SimulatedJob): void {
    this.#free++;
    const user = job.slotOf;
    job.slotOf = undefined;
    if (user === undefined) return;
    const left = (this.#slots.get(user) ?? 1) - 1;
    if (left === 0) this.#slots.delete(user);
    else this.#slots.set(user, left);
    const waits = (this.#slotWaits.get(user) ?? []).filter((one) => one.state === 'blocked' && one.blocked_on === 'slot');
    const next = waits.reduce<SimulatedJob | undefined>(
      (first, one) => (first === undefined || one.priority < first.priority ? one : first),
      undefined,
    );
    if (waits.length < 2) this.#slotWaits.delete(user);
    else
      this.#slotWaits.set(
        user,
        waits.filter((one) => one !== next),
      );
    if (next !== undefined) this.#mesh.waiting.move(next, { state: 'ready', blocked_on: null });
  }

  /** Ends a job, and with it those that waited for it in vain. */
  #end(job: SimulatedJob, state: 'completed' | 'failed' | 'expired', nowMs: number, isLost: boolean): void {
    const { waiting, tally } = this.#mesh;
    waiting.move(job, { state });
    for (const login of job.logins) {
      login.lost ||= isLost;
      close(this.#mesh, login, nowMs);
    }
    job.logins = [];
    for (const dependent of job.dependents) {
      if (dependent.needs !== job) continue;
      dependent.needs = undefined;
      if (dependent.state !== 'blocked') continue;
      if (state === 'completed') waiting.move(dependent, { state: 'ready', blocked_on: null });
      else {
        tally.count('failed');
        this.#end(dependent, 'failed', nowMs, true);
      }
    }
    job.dependents = [];
  }

  /** Ends the jobs that have waited too long, as the scheduler does. */
  expire(nowMs: number): void {
    for (const job of this.#mesh.waiting.expired(nowMs)) {
      // One that waited for another of them has ended with it.
      if (!isLive(job.state)) continue;
      this.#mesh.tally.count('expired');
      this.#end(job, 'expired', nowMs, true);
    }
  }
}
