/**
 * From a login to committed jobs. Logins that arrive while others are being committed go together into the next transaction. When `admitLogin` resolves, all that the
 * login caused is committed; it is announced after that.
 */

import type { Announcer } from '../ledger/announce.ts';
import type { EnqueueAnswer } from '../ledger/enqueue/enqueue.ts';
import { newJobId } from '../ledger/id.ts';
import type { Ledger } from '../ledger/job.ts';
import { createBatcher } from '../platform/batching/batcher.ts';
import type { Config } from '../platform/config/load.ts';
import { codeOf, InputError, messageOf, TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import type { Draft } from '../platform/messages.ts';
import { spanOf, startTrace } from '../platform/monitoring/traces.ts';
import type { Login } from './activity.ts';
import type { LoginOutcome, PortfolioAnswer } from './answer.ts';
import { commitLogins, loginRules } from './commit.ts';
import type { ScoredRequest } from './decision.ts';
import { type AnsweringBus, createFirstAnswers } from './first-answers.ts';

export interface AdmissionCounters {
  /** Logins committed. */
  admitted: number;
  /** Events that were not valid or can never be committed. */
  refused: number;
  /** Fields of events that this version does not know and left out. */
  unknownFields: number;
  /** Transactions committed. */
  batches: number;
  /** New jobs, and requests that found their job in the ledger or in the same batch. */
  queued: number;
  joined: number;
  /** Requests for which no queue had room. */
  full: number;
}

export interface Admission {
  /**
   * Resolves with the answer when the login is committed. Errors: `InputError('login.expired')` and those of `commitLogins`. After a `TransientError` nothing is known to be committed, and the same
   * event may be given again; after any other error the event is refused for good. `source`: who has sent it; the logins of several sources are committed by turns.
   */
  admitLogin(event: Draft<'login'>, source?: string): Promise<PortfolioAnswer>;
  readonly counters: AdmissionCounters;
  /** Logins that wait or are being committed. */
  readonly waiting: number;
  /** Whether this process will publish the answers of a pending batch itself. */
  isAnswering(pending: string): boolean;
  /** For the end: resolves when nothing is under way and everything that is committed was announced, as far as the broker is there. */
  idle(): Promise<void>;
}

interface AdmissionOptions {
  ledger: Ledger;
  announcer: Announcer;
  bus: AnsweringBus;
  config: Config;
  log: Logger;
  /** Of the service that commits: at its next start it answers what it has left unanswered. Without one another process does, after some seconds. */
  instance?: string;
  /** Whether every instance of the service hears every login. */
  heardByAll?: () => boolean;
}

/** Logins a transaction. Each reads all symbols and live jobs of its users once, so that 10,000 logins in fifties of 200 cost a third more than in twenties of 500. */
export const BATCH = 500;
/** Of the first transaction after a rest: its jobs begin while the others are still being committed. */
const FIRST_BATCH = 200;
/** Transactions whose answers are being published. */
const MOST_UNANSWERED = 2;
/** The clock of a login hook may be so much ahead of ours. */
const AHEAD_MS = 60_000;

export function createAdmission(options: AdmissionOptions): Admission {
  const { ledger, config, log } = options;
  const rules = loginRules(config);
  const counters: AdmissionCounters = { admitted: 0, refused: 0, unknownFields: 0, batches: 0, queued: 0, joined: 0, full: 0 };
  /** Announcements under way, by the id of their pending batch. */
  const announcing = new Map<string, Promise<void>>();
  const answers = createFirstAnswers(options);

  async function commitBatch(logins: readonly Login[]): Promise<PortfolioAnswer[]> {
    // Answers are larger than logins: where the broker takes them slower than the database commits, they would fill the memory.
    if (announcing.size >= MOST_UNANSWERED) await Promise.race(announcing.values());
    const started = performance.now();
    const pending = { id: newJobId(ledger.clock.now().epochMilliseconds), instance: options.instance ?? '' };
    const {
      answers: byUser,
      requests,
      enqueued,
      admitted,
    } = await commitLogins(ledger, rules, logins, pending, options.heardByAll?.()).catch((error) => {
      if (error instanceof TransientError) answers.unsure(pending.id);
      throw error;
    });
    const answerOf = (login: Login): PortfolioAnswer => answerTo(login, byUser.get(login.user)!);
    const counts = count(requests, enqueued);
    counters.admitted += logins.length;
    counters.batches++;
    for (const key of ['queued', 'joined', 'full'] as const) counters[key] += counts[key];
    log.info(
      { logins: logins.length, ...counts, ms: Math.round(performance.now() - started) },
      `${logins.length === 1 ? 'login' : 'logins'} admitted`,
    );
    const batch = { id: pending.id, answers: admitted.map(answerOf), started };
    const announced = announce(options, enqueued, () => answers.publish(batch));
    announcing.set(pending.id, announced);
    void announced.finally(() => announcing.delete(pending.id));
    return logins.map(answerOf);
  }
  const batcher = createBatcher({ most: BATCH, first: FIRST_BATCH, sourceOf: ({ source = '' }: Login) => source, run: commitBatch });

  return {
    counters,
    async admitLogin(event, source) {
      const login = { ...loginOf(event, ledger.clock.now().epochMilliseconds, config.portfolio.login_max_age), source };
      if (event.at !== undefined && !login.timed)
        log.warn({ userId: login.user, at: event.at }, `login at ${event.at} lies in the future: counted as now`);
      const span = startTrace('login', event.traceparent, { kind: 'CONSUMER' });
      if (span === undefined) return batcher.add(login);
      return spanOf(span, batcher.add({ ...login, trace: span.traceparent }));
    },
    get waiting() {
      return batcher.size;
    },
    isAnswering: (pending) => announcing.has(pending),
    async idle() {
      await batcher.idle();
      await Promise.all(announcing.values());
      await answers.stop();
    },
  };
}

/** Publishes what is committed: the answers first, since a user waits for each. An error is logged: whoever misses the message finds the rows. */
async function announce(
  { announcer, log }: AdmissionOptions,
  enqueued: readonly EnqueueAnswer[],
  answer: () => Promise<void>,
): Promise<void> {
  try {
    await Promise.all([answer(), announcer.enqueued(enqueued)]);
  } catch (error) {
    log.error({ code: codeOf(error), err: error }, `committed but not announced: ${messageOf(error)}`);
  }
}

/** Whether a login is at most a minute ahead of our clock. Otherwise the clock of its hook is wrong. */
export const isPast = (atMs: number, nowMs: number): boolean => atMs <= nowMs + AHEAD_MS;

/**
 * A login by our clock. The database pads user ids with blanks, so `bob` and `bob ` are one user there and here. One that lies ahead has just been, by a clock that is wrong.
 * Errors: `InputError('login.expired')`: whoever signed in so long ago waits for nothing any more.
 */
function loginOf({ userId, at }: Draft<'login'>, nowMs: number, maxAgeSeconds: number): Login {
  const user = userId.trim();
  const atMs = at === undefined ? nowMs : Date.parse(at);
  if (atMs < nowMs - maxAgeSeconds * 1000)
    throw new InputError(
      'login.expired',
      `the login of "${user}" at ${at} is more than ${maxAgeSeconds} s old (portfolio.login_max_age), so it is no event any more; do not send it again`,
    );
  const timed = at !== undefined && isPast(atMs, nowMs);
  return { user, atMs: timed ? atMs : nowMs, timed };
}

function answerTo({ user, atMs }: Login, answer: LoginOutcome['answer']): PortfolioAnswer {
  return { user_id: user, at: new Date(atMs).toISOString(), ...answer };
}

/** Each viewer's wish for a job is a request. */
function count(
  requests: readonly Pick<ScoredRequest, 'alsoFor'>[],
  answers: readonly EnqueueAnswer[],
): Pick<AdmissionCounters, 'queued' | 'joined' | 'full'> {
  const counts = { queued: 0, joined: 0, full: 0 };
  for (const [index, { alsoFor }] of requests.entries()) {
    const { outcome } = answers[index] as EnqueueAnswer;
    if (outcome === 'queued') counts.queued++;
    counts[outcome === 'refused' ? 'full' : 'joined'] += alsoFor.length + (outcome === 'queued' ? 0 : 1);
  }
  return counts;
}
