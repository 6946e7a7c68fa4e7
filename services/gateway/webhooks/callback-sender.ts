/**
 * Delivers webhooks: looks for due callbacks when a job has ended or a call is over, and at an interval in case that message was lost. Every gateway looks; each callback
 * is taken by one. No look waits for a call, so a slow receiver delays its own callbacks only (`lanes.ts`).
 */
import { randomInt } from 'node:crypto';
import { after, nowOf } from '../../ledger/job.ts';
import { readJob } from '../../ledger/read/jobs.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import { codeOf, messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import { ownUsers } from '../auth/access.ts';
import { jobAsSeen } from '../auth/visible-job.ts';
import { deliver } from './callback-delivery.ts';
import { type CallbackResult, writeResult } from './callbacks.ts';
import { type DueCallback, dueLanes, explainWaiting, MOST_LANES, makeDue, type Place, sweepWaiting, takeDue } from './due-callbacks.ts';
import { createLanes, type Lane, type Lanes, type Outcome } from './lanes.ts';

export interface CallbackSender {
  /** A job has ended: looks for its callbacks soon. */
  ring(jobId: string): void;
  /** Attempts by their result. */
  readonly counters: Record<CallbackResult['state'], number>;
  /** Starts no more attempts and waits for those under way. An unfinished one is made again when its lease ends. */
  close(): Promise<void>;
}

/** Jobs end in bursts: one look for all that end within this time. */
const GATHER_MS = 50;
/** An attempt that was not finished is made again after its time-out and this. */
const LEASE_MARGIN_SECONDS = 30;
/** ±20 %, so that a receiver that was away does not get all callbacks at once. */
const JITTER = 0.2;
/** "Gone": the receiver wants no more callbacks (RFC 9110, 15.5.11). */
const GONE = 410;
/** "Too Many Requests": of all its callbacks (RFC 6585, 4). */
const TOO_MANY = 429;

interface SenderParts {
  db: Database;
  clock: Clock;
  config: Config;
  log: Logger;
}

export function startCallbacks(parts: SenderParts): CallbackSender {
  const { db, config, log } = parts;
  const lanes = createLanes(config.gateway.callbacks);
  const calls = createCalls(parts, lanes, look);
  const upkeep = createUpkeep(parts, () => lanes.open(nowOf(parts)));
  let ended = new Set<string>();
  let rung: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let again = false;
  let closed = false;

  async function lookUntilNoneIsDue(): Promise<void> {
    do {
      again = false;
      const told = ended;
      ended = new Set();
      try {
        if (told.size > 0) await makeDue(db, [...told], nowOf(parts));
        const goesOn = await upkeep.next();
        const hasMore = lanes.free() > 0 && (await calls.start());
        again ||= goesOn || hasMore;
      } catch (error) {
        again = false;
        // Those whose jobs have ended are found by the sweep.
        log.warn({ code: codeOf(error) }, `callbacks are delayed until the next look: ${messageOf(error)}`);
      }
    } while (again && !closed);
  }

  function look(): void {
    if (closed) return;
    again = true;
    looking ??= lookUntilNoneIsDue().finally(() => {
      looking = undefined;
    });
  }

  const polling = setInterval(() => {
    upkeep.due();
    look();
  }, config.gateway.callbacks.poll_interval * 1000);
  look();
  return {
    counters: calls.counters,
    ring(jobId) {
      if (closed) return;
      ended.add(jobId);
      rung ??= setTimeout(() => {
        rung = undefined;
        look();
      }, GATHER_MS);
    },
    async close() {
      closed = true;
      clearInterval(polling);
      clearTimeout(rung);
      await looking;
      await calls.idle();
    },
  };
}

interface Calls {
  readonly counters: CallbackSender['counters'];
  /** Starts the calls that may begin; true when there may be more. */
  start(): Promise<boolean>;
  /** Waits for those under way. */
  idle(): Promise<void>;
}

/** `onOver`: a call has ended, so that another one may begin. */
function createCalls(parts: SenderParts, lanes: Lanes, onOver: () => void): Calls {
  const { db, log } = parts;
  const leaseSeconds = parts.config.gateway.callbacks.timeout + LEASE_MARGIN_SECONDS;
  const counters: Calls['counters'] = { pending: 0, delivered: 0, failed: 0 };
  const running = new Set<Promise<void>>();
  const due = createDueLanes(db, lanes, onOver);

  async function attempt(due: DueCallback): Promise<void> {
    let outcome: Outcome | undefined;
    try {
      const { outcome: seen, ...result } = await send(parts, due);
      outcome = seen;
      counters[result.state]++;
      const about = { callback: due.id, jobId: due.jobId, attempt: due.attempt, status: result.status };
      if (result.state === 'delivered') log.debug(about, 'callback delivered');
      else
        log.warn(
          about,
          `callback ${result.state === 'failed' ? 'given up' : `tried again at ${result.at.toISOString()}`}: ${result.error}`,
        );
      await writeResult(db, due.id, result);
    } finally {
      const pause = lanes.end(due, outcome, nowOf(parts));
      if (pause !== undefined)
        log.warn(
          { receiver: due.host },
          `${due.host} has failed several times in a row: its callbacks wait, and it is tried again in ${pause} s`,
        );
    }
  }

  return {
    counters,
    async start() {
      const now = nowOf(parts);
      const found = await due.lanes(now);
      const wanted = lanes.share(found, now);
      const taken = await takeDue(db, now, leaseSeconds, wanted);
      due.took(wanted, taken);
      for (const one of taken) {
        lanes.begin(one);
        const call = attempt(one)
          .catch((error: unknown) =>
            log.warn({ callback: one.id, code: codeOf(error) }, `callback made again after its lease: ${messageOf(error)}`),
          )
          .finally(() => {
            running.delete(call);
            onOver();
          });
        running.add(call);
      }
      return found.length >= MOST_LANES && taken.length > 0;
    },
    async idle() {
      due.close();
      await Promise.all(running);
    },
  };
}

/** A search for lanes may take a tenth of the time: with 100,000 waiting callbacks it took 50 ms. In between the lanes that were found last are called. */
const PAUSE_OF_COST = 10;

interface DueLanes {
  lanes(now: Date): Promise<readonly Lane[]>;
  /** Lanes that gave fewer callbacks than asked for are empty. */
  took(wanted: readonly (Lane & { most: number })[], taken: readonly Lane[]): void;
  close(): void;
}

function createDueLanes(db: Database, lanes: Lanes, again: () => void): DueLanes {
  let found: readonly Lane[] = [];
  let nextAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  const nameOf = ({ keyId, host }: Lane): string => `${keyId} ${host}`;
  return {
    async lanes(now) {
      const started = performance.now();
      if (started >= nextAt) {
        found = await dueLanes(db, now, lanes.full(now));
        const ended = performance.now();
        nextAt = ended + (ended - started) * PAUSE_OF_COST;
      } else
        timer ??= setTimeout(() => {
          timer = undefined;
          again();
        }, nextAt - started);
      return found;
    },
    took(wanted, taken) {
      const most = new Map(wanted.map((lane) => [nameOf(lane), lane.most]));
      const got = Map.groupBy(taken, nameOf);
      found = found.filter((lane) => (got.get(nameOf(lane))?.length ?? 0) >= (most.get(nameOf(lane)) ?? 0));
    },
    close: () => clearTimeout(timer),
  };
}

/** What a look does beside calling, once an interval: callbacks whose jobs have ended unheard, and those of receivers that are away. */
function createUpkeep(parts: SenderParts, openHosts: () => string[]): { due(): void; next(): Promise<boolean> } {
  const { db, config } = parts;
  const { backoff, circuit } = config.gateway.callbacks;
  const longestWait = circuit.longest_pause + backoff.reduce((sum, pause) => sum + pause, 0);
  let isDue = true;
  /** After a start all are looked at without a pause: many may have ended meanwhile. */
  let caughtUp = false;
  let place: Place | undefined;
  return {
    due() {
      isDue = true;
    },
    /** True when it goes on at once. */
    async next() {
      if (!isDue) return false;
      const now = nowOf(parts);
      await explainWaiting(db, openHosts(), now, longestWait);
      place = await sweepWaiting(db, place, now);
      caughtUp ||= place === undefined;
      isDue = !caughtUp;
      return isDue;
    },
  };
}

/**
 * Delivers a callback once and says what follows: delivered, given up, or when it is tried again. Errors: those of the database, where what is to be sent could not be
 * read, so that the receiver was not called.
 */
async function send(parts: SenderParts, due: DueCallback): Promise<CallbackResult & { outcome: Outcome }> {
  const { id, url, attempt, secrets } = due;
  const { allow_private: allowPrivate, timeout, connect_timeout, backoff } = parts.config.gateway.callbacks;
  let status: number | null = null;
  let error: string;
  let final = false;
  let outcome: Outcome = 'answered';
  let body: string | undefined;
  try {
    body = await bodyOf(parts, due);
    if (body === undefined) throw new PermanentError('job.unknown', 'its job was deleted (jobs.cleanup_after_days)');
    const timestamp = Math.floor(nowOf(parts).getTime() / 1000);
    const limits = { timeoutMs: timeout * 1000, connectMs: connect_timeout * 1000, allowPrivate };
    status = await deliver({ id, url, secrets, body, timestamp }, limits);
    if (status >= 200 && status < 300) return { state: 'delivered', status, error: null, at: nowOf(parts), outcome };
    error = `the receiver answered ${status}`;
    final = status === GONE;
    // One path that is wrong says nothing about the others of the receiver.
    if (status >= 500 || status === TOO_MANY) outcome = 'failed';
  } catch (thrown) {
    if (body === undefined && thrown instanceof TransientError) throw thrown;
    error = `${messageOf(thrown)} (${codeOf(thrown)})`;
    final = thrown instanceof PermanentError;
    if (!final) outcome = 'failed';
  }
  const pause = backoff[attempt - 1];
  if (final || pause === undefined) return { state: 'failed', status, error, at: nowOf(parts), outcome };
  return { state: 'pending', status, error, at: after(nowOf(parts), pause * (1 + (randomInt(-1000, 1001) / 1000) * JITTER)), outcome };
}

/** The body of a delivery, with what the key that asked may see; undefined when the job was deleted. */
async function bodyOf(parts: SenderParts, { id, jobId, scopes, user: named }: DueCallback): Promise<string | undefined> {
  const found = await readJob(parts.db, jobId);
  if (found === undefined) return undefined;
  const viewers = ownUsers({ scopes }, 'read');
  const job = await jobAsSeen(parts.db, found, viewers === undefined || named === null ? viewers : [...viewers, named]);
  const { type, symbol, state, attempt, user, enqueued_at, started_at, ended_at, reason, code, result, items } = job;
  const about = { id: jobId, type, symbol, state, attempt, user, enqueued_at, started_at, ended_at, reason, code, result, items };
  return JSON.stringify({ id, type: `job.${state}`, at: nowOf(parts), job: about });
}
