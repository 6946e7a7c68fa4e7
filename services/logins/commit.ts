/** The one transaction of a batch of logins: activity, decisions, jobs, and what was decided for each login. A constant number of statements, whatever the size of the batch. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { type EnqueueAnswer, enqueueWith } from '../ledger/enqueue/enqueue.ts';
import { retryOnDuplicateKey } from '../ledger/enqueue/retry-on-duplicate-key.ts';
import type { Ledger } from '../ledger/job.ts';
import { readHoldings } from '../market/portfolios/holdings.ts';
import type { Config } from '../platform/config/load.ts';
import type { Sql, Transaction } from '../platform/database/database.ts';
import { codeOf, messageOf, PermanentError, StockmeshError, TransientError } from '../platform/errors.ts';
import { type Activity, type ActivityRules, countLogin, type Login, lockActivity, saveActivity } from './activity.ts';
import { countSkipped, type KeptDecision, type LoginOutcome, outcomesOf } from './answer.ts';
import { type CommitSpans, endCommitSpans, startCommitSpans, tracedBy } from './commit-spans.ts';
import { type DecisionRules, decisionRules, type ScoredRequest, startDeciding, type Viewer } from './decision.ts';
import { keptJson, keptOf } from './kept-decisions.ts';
import { keepPending, type PendingBatch } from './pending-answers.ts';
import { readStates } from './read-states.ts';
import { decay } from './score.ts';

/** Symbols of a batch from which on it pauses between its steps, and after each so many in them. */
const LARGE = 500;

export interface LoginRules {
  decision: DecisionRules;
  activity: ActivityRules;
}

export interface CommittedBatch {
  /** By user. */
  answers: Map<string, LoginOutcome['answer']>;
  /** One a job, with their answers in the same order. */
  requests: readonly ScoredRequest[];
  enqueued: EnqueueAnswer[];
  /** Those of the logins that this batch was the first to commit, once each: their answers are pending. */
  admitted: readonly Login[];
}

export function loginRules(config: Config): LoginRules {
  const { factor_scales, predictive } = config.portfolio;
  return {
    decision: decisionRules(config),
    activity: { halfLifeDays: factor_scales.activity_half_life_days, lookbackDays: predictive.lookback_days },
  };
}

/**
 * Commits logins and all that they cause. The answers of the batch are pending until `forgetPending`; a login that was committed before is left to whoever answers that row. `heardByAll`: each
 * instance of the service hears every login, so one without a time of its own that comes a second time within a minute is one of another instance too. Errors: `InputError('symbol.invalid')`: the holdings of a user are broken;
 * `PermanentError('login.unwritable')`: the database
 * refuses what one of the logins would write, and always will; `PermanentError('database.too_large')`: the logins are more than the server takes in a packet, write less at
 * once; `TransientError('database.…')`: no login can be written at the moment.
 */
export async function commitLogins(
  ledger: Ledger,
  rules: LoginRules,
  logins: readonly Login[],
  pending: PendingBatch,
  heardByAll = false,
): Promise<CommittedBatch> {
  const spans = startCommitSpans(logins);
  try {
    const committed = await ledger.db.transaction((tx) => writeLogins(tx, ledger, rules, logins, { pending, heardByAll, spans }));
    endCommitSpans(spans, committed);
    return committed;
  } catch (error) {
    for (const span of spans.values()) span.end(error);
    throw causeOf(error, logins);
  }
}

async function writeLogins(
  tx: Transaction,
  ledger: Ledger,
  rules: LoginRules,
  logins: readonly Login[],
  { pending, heardByAll, spans }: { pending: PendingBatch; heardByAll: boolean; spans: CommitSpans },
): Promise<CommittedBatch> {
  const now = ledger.clock.now();
  const users = [...new Set(logins.map(({ user }) => user))].sort();
  const { activities, uncounted } = await countLogins(tx, users, logins, rules.activity);
  const known = await readKnown(tx, uncounted, heardByAll);
  const admitted = [...new Map(logins.map((login) => [keyOf(login), login])).values()].filter((login) => !known.has(keyOf(login)));
  const holdings = await readHoldings(tx, users);
  const { states, live } = await readStates(tx, holdings.values(), rules.decision);
  const viewers = users.map((user) => {
    const { logins: count, lastMs } = activities.get(user)!;
    const decayed = decay(count, lastMs, now.epochMilliseconds, rules.activity.halfLifeDays);
    return { user, logins: decayed, holdings: holdings.get(user) ?? [] };
  });
  const isLarge = states.size > LARGE || viewers.reduce((sum, { holdings: own }) => sum + own.length, 0) > LARGE;
  // Each of these steps takes up to 30 ms for a thousand symbols: others are served between them.
  const pause = async (): Promise<void> => void (isLarge && (await nextTurn()));
  async function forEach(work: (viewer: Viewer) => void): Promise<void> {
    let symbols = 0;
    for (const viewer of viewers) {
      work(viewer);
      symbols += viewer.holdings.length;
      if (symbols < LARGE) continue;
      symbols = 0;
      await pause();
    }
    await pause();
  }
  await pause();
  const decisions = startDeciding(states, now, rules.decision);
  await forEach(decisions.add);
  const requests = tracedBy(spans, decisions.requests());
  const enqueued = await enqueueWith(tx, ledger, requests, live);
  await pause();
  const outcomeOf = outcomesOf(enqueued);
  const answers = new Map<string, LoginOutcome['answer']>();
  const kept = new Map<string, ReturnType<typeof keptJson>>();
  await forEach((viewer) => {
    const outcome = outcomeOf(viewer.user, decisions.of(viewer));
    answers.set(viewer.user, outcome.answer);
    kept.set(viewer.user, keptJson(outcome.kept, tx.mostBytes / 2));
  });
  await pause();
  const at = new Date(now.epochMilliseconds);
  keepOutcomes(tx, logins, answers, kept, at);
  if (admitted.length > 0) keepPending(tx, pending, admitted, at);
  return { answers, requests, enqueued, admitted };
}

const keyOf = ({ user, atMs }: Pick<Login, 'user' | 'atMs'>): string => `${user} ${atMs}`;

/**
 * The keys of those logins that are committed already: delivered again, or sent again by a hook that was not told so. A login that is newer than the last one of its user, as
 * most are, is not among them and need not be asked for.
 */
async function readKnown(tx: Transaction, logins: readonly Login[], heardByAll: boolean): Promise<Set<string>> {
  const heardTwice = heardByAll ? logins.filter(({ timed }) => !timed).map(keyOf) : [];
  if (logins.length === 0) return new Set();
  const rows = await tx.rows<{ user_id: string; at: Date }>(
    `SELECT user_id, at FROM user_portfolio_priority WHERE ${logins.map(() => '(user_id = ? AND at = ?)').join(' OR ')}`,
    logins.flatMap(({ user, atMs }) => [user, new Date(atMs)]),
  );
  return new Set([...heardTwice, ...rows.map(({ user_id: user, at }) => keyOf({ user, atMs: at.getTime() }))]);
}

/**
 * Counts the logins into the activity of their users, and gives the activity of each user afterwards, and those logins that were not newer than the last one. A row that does not exist yet cannot be locked, so another
 * service may make it meanwhile. Then all is read and counted again.
 */
function countLogins(
  tx: Transaction,
  users: readonly string[],
  logins: readonly Login[],
  rules: ActivityRules,
): Promise<{ activities: Map<string, Activity>; uncounted: Login[] }> {
  return retryOnDuplicateKey(async () => {
    const known = await lockActivity(tx, users);
    const activities = new Map(known);
    const changed = new Map<string, Activity>();
    const uncounted: Login[] = [];
    for (const login of logins.toSorted((a, b) => a.atMs - b.atMs)) {
      const after = countLogin(activities.get(login.user), login, rules);
      if (after === undefined) {
        uncounted.push(login);
        continue;
      }
      activities.set(login.user, after);
      changed.set(login.user, after);
    }
    await saveActivity(tx, changed, known);
    return { activities, uncounted };
  });
}

/** One row for each login; one that was kept before stays as it was. `kept`: the decisions, by user. */
function keepOutcomes(
  tx: Transaction,
  logins: readonly Login[],
  answers: CommittedBatch['answers'],
  kept: ReadonlyMap<string, unknown>,
  now: Date,
): void {
  const rows = new Map(
    logins.map(({ user, atMs }) => {
      const { total, queued, fresh } = answers.get(user)!;
      return [keyOf({ user, atMs }), [user, new Date(atMs), now, total, queued, fresh, kept.get(user)]];
    }),
  );
  tx.later(
    `INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES ?
     ON DUPLICATE KEY UPDATE at = VALUES(at)`,
    [[...rows.values()]],
  );
}

/** What a login led to, as it was committed with its jobs: the same however often the login comes again. */
export interface CommittedLogin {
  /**
   * Symbols held and watched; of these: with queued jobs, fresh already, outdated (the sources have nothing newer), missing (they have nothing at all), unknown (their
   * answer was a failure, and the pause after it lasts).
   */
  total: number;
  queued: number;
  fresh: number;
  outdated: number;
  missing: number;
  unknown: number;
  decisions: KeptDecision[];
}

/** Reads what was committed for a login that `admitLogin` has answered. */
export async function readCommittedLogin(sql: Sql, { user_id, at }: { user_id: string; at: string }): Promise<CommittedLogin> {
  const [row] = await sql.rows<Pick<CommittedLogin, 'total' | 'queued' | 'fresh' | 'decisions'>>(
    'SELECT total, queued, fresh, decisions FROM user_portfolio_priority WHERE user_id = ? AND at = ?',
    [user_id, new Date(at)],
  );
  if (row === undefined)
    throw new TransientError('login.unanswered', `the login of ${user_id} at ${at} is not in the database any more; send it again`);
  const decisions = keptOf(row.decisions);
  return { ...row, ...countSkipped(decisions), decisions };
}

interface DatabaseFault {
  errno: number;
  sqlState: string;
}

const DUPLICATE_KEY = 1062;
/** Beside the classes of SQLSTATE 22 (data) and 23 (constraint): a statement that does not parse, is too large, or holds a value that its column or a CHECK (3819, MySQL's) refuses. */
const OWN_FAULTS = new Set([1064, 1118, 1153, 1265, 1364, 1366, 3819]);

/** Distinguishes a login that can never be written from a database that is unavailable. Only the second is retried. */
function causeOf(error: unknown, logins: readonly Login[]): unknown {
  if (error instanceof StockmeshError) return error;
  const { errno, sqlState } = error as Partial<DatabaseFault>;
  const found = `${codeOf(error)}: ${messageOf(error)}`;
  if (errno !== undefined && !isOwnFault({ errno, sqlState: sqlState ?? '' }))
    return new TransientError('database.refused', `the database does not take logins at the moment (${found}); they are tried again`, {
      cause: error,
    });
  const whose = logins.map(({ user, atMs }) => `${JSON.stringify(user)} at ${new Date(atMs).toISOString()}`).join(', ');
  return new PermanentError(
    'login.unwritable',
    `the login of user ${whose} cannot be written and is not tried again (${found}); correct the user's id or portfolio, then send it again`,
    { cause: error },
  );
}

function isOwnFault({ errno, sqlState }: DatabaseFault): boolean {
  // A duplicate key is a race that was lost too often, not a fault of the login.
  return errno !== DUPLICATE_KEY && (/^2[23]/.test(sqlState) || OWN_FAULTS.has(errno));
}
