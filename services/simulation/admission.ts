/** From a login to jobs, as portfolio-priority does it: batches, judging, scoring, joining what is live. */
import { analysisType } from '../job-types/analysis/definition.ts';
import { fetchKey } from '../job-types/fetch/request.ts';
import { roomIn } from '../ledger/enqueue/capacity.ts';
import { type Group, isLogin, merge, queuesFor } from '../ledger/enqueue/enqueue.ts';
import { moved, queuesAbove } from '../ledger/enqueue/join.ts';
import { bandStart, expiryOf, priorityOf, type Queue, queueOfLevel } from '../ledger/job.ts';
import { BATCH } from '../logins/admission.ts';
import { judge, type SymbolDecision, startDeciding, type Viewer } from '../logins/decision.ts';
import { momentsAt, usCalendar } from '../market/calendar/calendar.ts';
import { close, type Mesh } from './mesh.ts';
import type { SimulatedLogin } from './population.ts';
import type { PendingLogin, SimulatedJob } from './waiting.ts';
import type { Workers } from './workers.ts';

/** Milliseconds of a commit in which no core works. */
const COMMIT_MS = 1;

export class Admissions {
  readonly #mesh: Mesh;
  readonly #workers: Workers;
  readonly #arrived: PendingLogin[] = [];
  /** Processes that commit no batch. */
  #idle: number;
  /** By symbol: until when it is known not to be due. */
  readonly #notDueUntil = new Map<string, number>();
  /** Then the market's state changes, and every threshold with it. */
  #changesMs = 0;
  #made = 0;

  constructor(mesh: Mesh, workers: Workers) {
    this.#mesh = mesh;
    this.#workers = workers;
    this.#idle = mesh.options.admissions;
  }

  arrive({ atMs, user }: SimulatedLogin): void {
    const { tally } = this.#mesh;
    tally.count('logins');
    this.#arrived.push({ atMs, user, hour: tally.place, open: 1, lost: false });
    this.#admit(atMs);
  }

  /** One batch at a time in each process (`createBatcher`). */
  #admit(nowMs: number): void {
    if (this.#idle === 0 || this.#arrived.length === 0) return;
    this.#idle--;
    const { rules, states, tally, cores, agenda, waiting, options } = this.#mesh;
    const batch = this.#arrived.splice(0, BATCH);
    const { viewers, looked } = this.#viewersOf(batch, nowMs);
    const now = Temporal.Instant.fromEpochMilliseconds(Math.floor(nowMs));
    const decisions = startDeciding(states, now, rules);
    for (const viewer of viewers) decisions.add(viewer);
    const requests = decisions.requests();
    const wished = requests.reduce((sum, { alsoFor }) => sum + 1 + alsoFor.length, 0);
    const due = this.#rememberFresh(
      viewers.map((viewer) => decisions.of(viewer)),
      now,
    );
    const { batchMs, loginMs, symbolMs, requestMs } = options.costs;
    const committedMs = COMMIT_MS + cores.run(nowMs, batchMs + batch.length * loginMs + looked * symbolMs + wished * requestMs);
    const loginOf = Map.groupBy(batch, ({ user }) => String(user));
    const fresh = new Set<SimulatedJob>();
    const { groups } = merge(requests);
    let refused = 0;
    for (const group of groups) if (!this.#answer(group, loginOf, nowMs, fresh)) refused += group.users.size;
    tally.count('symbols', looked);
    tally.count('fresh', looked - due);
    tally.count('made', fresh.size);
    tally.count('refused', refused);
    tally.count('joined', wished - fresh.size - refused);
    tally.depth(waiting.counts);
    agenda.at(committedMs, (atMs) => {
      for (const job of fresh) if (job.state === 'scheduled') waiting.move(job, startOf(job));
      for (const login of batch) close(this.#mesh, login, atMs);
      this.#idle++;
      this.#workers.claim(atMs);
      this.#admit(atMs);
    });
  }

  /** The users with those of their symbols that are not known to be fresh. */
  #viewersOf(batch: readonly PendingLogin[], nowMs: number): { viewers: Viewer[]; looked: number } {
    const { population } = this.#mesh.options;
    let looked = 0;
    const viewers = [...new Set(batch.map(({ user }) => user))].map((user) => {
      const held = population.holdingsOf(user);
      looked += held.length;
      const holdings = held.filter(({ symbol }) => nowMs >= (this.#notDueUntil.get(symbol) ?? 0));
      return { user: String(user), logins: population.activityOf(user) + 1, holdings };
    });
    return { viewers, looked };
  }

  /** Remembers how long the judgement of those that are not due holds; returns how many are due. */
  #rememberFresh(byUser: readonly (readonly SymbolDecision[])[], now: Temporal.Instant): number {
    const { states, rules } = this.#mesh;
    const nowMs = now.epochMilliseconds;
    if (nowMs >= this.#changesMs) this.#changesMs = nextChange(now);
    const momentOf = momentsAt(now);
    let due = 0;
    for (const decisions of byUser)
      for (const { symbol, analysis } of decisions) {
        if (analysis !== undefined) due++;
        else if (nowMs >= (this.#notDueUntil.get(symbol) ?? 0)) {
          const judged = judge(symbol, states.get(symbol), momentOf(symbol), rules);
          this.#notDueUntil.set(symbol, Math.min(judged.price.dueAtMs ?? nowMs, judged.analysis.dueAtMs ?? nowMs, this.#changesMs));
        }
      }
    return due;
  }

  /** What `enqueueWith` does for the requests of one job; false when no queue has room. */
  #answer(group: Group, loginsOf: ReadonlyMap<string, PendingLogin[]>, nowMs: number, fresh: Set<SimulatedJob>): boolean {
    const { waiting } = this.#mesh;
    const logins = [...group.users].flatMap((user) => loginsOf.get(user) ?? []);
    const needs = group.best.type === analysisType.name ? waiting.live.get(fetchKey(group.best.symbol as string)) : undefined;
    let job = waiting.live.get(group.key as string);
    if (job === undefined) {
      job = this.#newJob(group, needs, nowMs);
      if (job === undefined) {
        for (const login of logins) login.lost = true;
        return false;
      }
      fresh.add(job);
    } else if (job.state !== 'running') this.#join(job, group, needs, new Date(nowMs));
    for (const login of logins) {
      job.logins.push(login);
      login.open++;
    }
    return true;
  }

  #join(job: SimulatedJob, group: Group, needs: SimulatedJob | undefined, now: Date): void {
    const { ledger, waiting } = this.#mesh;
    const queue = queuesAbove({ group, row: job }).find((one) => this.#hasRoom(one, group));
    if (needs !== undefined && job.needs !== needs) waitFor(job, needs);
    const choice = queue === undefined ? undefined : { queue };
    const { priority, queue: to, state, blocked_on, due_at } = moved(ledger, { group, row: job }, choice, job.needs !== undefined, now);
    // One whose commit is under way starts when that is done.
    const isCommitted = job.attempt > 0 || job.state !== 'scheduled';
    if (isCommitted && (priority !== job.priority || state !== job.state || to !== job.queue))
      waiting.move(job, { priority, queue: to, state, blocked_on, due_at });
    else job.due_at = due_at;
  }

  #hasRoom(queue: Queue, group: Group): boolean {
    return this.#mesh.waiting.counts[queue] < roomIn(this.#mesh.ledger, queue, isLogin(group));
  }

  /** Undefined when no queue has room. No worker sees it before the commit: it is `scheduled`. */
  #newJob(group: Group, needs: SimulatedJob | undefined, nowMs: number): SimulatedJob | undefined {
    const { best } = group;
    const queue = queuesFor(group).find((one) => this.#hasRoom(one, group));
    if (queue === undefined) return undefined;
    const now = new Date(nowMs);
    const order = this.#made++;
    const isDemoted = queue !== queueOfLevel(best.level);
    const job: SimulatedJob = {
      id: String(order),
      type: best.type,
      symbol: best.symbol ?? null,
      // Every simulated worker runs every job.
      capability: null,
      state: 'scheduled',
      queue,
      priority: isDemoted ? priorityOf(bandStart(queue), best.score) : group.priority,
      attempt: 0,
      has_dependents: 0,
      blocked_on: null,
      due_at: expiryOf(this.#mesh.ledger, { type: best.type, queue }, now),
      enqueued_at: now,
      key: group.key as string,
      order,
      aged: 0,
      logins: [],
      needs: undefined,
      dependents: [],
      slotOf: undefined,
      askedMs: 0,
      version: 0,
    };
    if (needs !== undefined) waitFor(job, needs);
    this.#mesh.waiting.add(job);
    return job;
  }
}

/** Where a new job waits once it is committed. */
function startOf({ needs }: SimulatedJob) {
  return needs === undefined ? ({ state: 'ready' } as const) : ({ state: 'blocked', blocked_on: 'dependency' } as const);
}

function waitFor(job: SimulatedJob, needs: SimulatedJob): void {
  job.needs = needs;
  needs.dependents.push(job);
}

/** When the US market opens or closes next, or the day ends in New York. */
function nextChange(now: Temporal.Instant): number {
  const midnight = now.toZonedDateTimeISO(usCalendar.timeZone).startOfDay();
  const session = usCalendar.session(midnight.toPlainDate().toString());
  const changes = [session?.open, session?.close, midnight.add({ days: 1 }).toInstant()].flatMap((at) => at?.epochMilliseconds ?? []);
  return Math.min(...changes.filter((ms) => ms > now.epochMilliseconds));
}
