/** Delivers webhooks: looks for due callbacks when a job has ended, and at an interval in case that message was lost. Every gateway looks; each callback is taken by one. */
import { randomInt } from 'node:crypto';
import { after, nowOf } from '../../ledger/job.ts';
import { readJob } from '../../ledger/read/jobs.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import { codeOf, messageOf, PermanentError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import { ownUsers } from '../auth/access.ts';
import { jobAsSeen } from '../auth/visible-job.ts';
import { deliver } from './callback-delivery.ts';
import { type CallbackResult, type DueCallback, deleteOldCallbacks, MOST_DUE, takeDue, writeResult } from './callbacks.ts';

export interface CallbackSender {
  /** A job has ended: looks for its callbacks soon. */
  ring(): void;
  /** Attempts by their result. */
  readonly counters: Record<CallbackResult['state'], number>;
  /** Starts no more attempts and waits for those under way. An unfinished one is made again when its lease ends. */
  close(): Promise<void>;
}

/** Jobs end in bursts: one look for all that end within this time. */
const GATHER_MS = 50;
const CLEAN_EVERY_MS = 600_000;
/** An attempt that was not finished is made again after its time-out and this. */
const LEASE_MARGIN_SECONDS = 30;
/** ±20 %, so that a receiver that was away does not get all callbacks at once. */
const JITTER = 0.2;
/** "Gone": the receiver wants no more callbacks (RFC 9110, 15.5.11). */
const GONE = 410;

interface SenderParts {
  db: Database;
  clock: Clock;
  config: Config;
  log: Logger;
}

export function startCallbacks(parts: SenderParts): CallbackSender {
  const { db, config, log } = parts;
  const { timeout, poll_interval } = config.gateway.callbacks;
  const counters: CallbackSender['counters'] = { pending: 0, delivered: 0, failed: 0 };
  let rung: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let again = false;
  let closed = false;
  let cleanedAt = Number.NEGATIVE_INFINITY;

  async function lookUntilNoneIsDue(): Promise<void> {
    do {
      again = false;
      try {
        if (performance.now() - cleanedAt > CLEAN_EVERY_MS) {
          cleanedAt = performance.now();
          await deleteOldCallbacks(db, after(nowOf(parts), -config.jobs.cleanup_after_days * 86_400));
        }
        const due = await takeDue(db, nowOf(parts), timeout + LEASE_MARGIN_SECONDS);
        await Promise.all(due.map(attempt));
        again ||= due.length === MOST_DUE;
      } catch (error) {
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

  async function attempt(due: DueCallback): Promise<void> {
    const result = await send(parts, due);
    counters[result.state]++;
    const about = { callback: due.id, jobId: due.jobId, attempt: due.attempt, status: result.status };
    if (result.state === 'delivered') log.debug(about, 'callback delivered');
    else
      log.warn(about, `callback ${result.state === 'failed' ? 'given up' : `tried again at ${result.at.toISOString()}`}: ${result.error}`);
    await writeResult(db, due.id, result);
  }

  const polling = setInterval(look, poll_interval * 1000);
  look();
  return {
    counters,
    ring() {
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
    },
  };
}

/** Delivers a callback once and says what follows: delivered, given up, or when it is tried again. */
async function send(parts: SenderParts, due: DueCallback): Promise<CallbackResult> {
  const { id, url, attempt, secret } = due;
  const { allow_private: allowPrivate, timeout, backoff } = parts.config.gateway.callbacks;
  let status: number | null = null;
  let error: string;
  let final = false;
  try {
    const body = await bodyOf(parts, due);
    if (body === undefined) throw new PermanentError('job.unknown', 'its job was deleted (jobs.cleanup_after_days)');
    const timestamp = Math.floor(nowOf(parts).getTime() / 1000);
    status = await deliver({ id, url, secret, body, timestamp }, { timeoutMs: timeout * 1000, allowPrivate });
    if (status >= 200 && status < 300) return { state: 'delivered', status, error: null, at: nowOf(parts) };
    error = `the receiver answered ${status}`;
    final = status === GONE;
  } catch (thrown) {
    error = `${messageOf(thrown)} (${codeOf(thrown)})`;
    final = thrown instanceof PermanentError;
  }
  const pause = backoff[attempt - 1];
  if (final || pause === undefined) return { state: 'failed', status, error, at: nowOf(parts) };
  return { state: 'pending', status, error, at: after(nowOf(parts), pause * (1 + (randomInt(-1000, 1001) / 1000) * JITTER)) };
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
