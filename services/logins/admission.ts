/**
 * The way of a login into the ledger. Logins that arrive while others are being committed go together with the next ones: one transaction, a constant number of
 * statements, whatever the size of the batch. When `admitLogin` resolves, all that the login caused is committed; the world is told after that.
 */

import { analysisKey } from '../job-types/analysis/request.ts';
import { fetchKey } from '../job-types/fetch/request.ts';
import type { Announcer } from '../ledger/announce.ts';
import { type EnqueueAnswer, enqueueWith } from '../ledger/enqueue/enqueue.ts';
import { readLive } from '../ledger/enqueue/join.ts';
import type { Ledger } from '../ledger/job.ts';
import { readSymbols } from '../market/bars/read.ts';
import { readHoldings } from '../market/portfolios/holdings.ts';
import type { Bus } from '../platform/bus/bus.ts';
import type { Config } from '../platform/config/load.ts';
import { type Transaction, toJson } from '../platform/database/database.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import type { Draft } from '../platform/messages.ts';
import { type Activity, countLogin, type Login, lockActivity, saveActivity } from './activity.ts';
import { type Outcome, outcomesOf, type PortfolioAnswer } from './answer.ts';
import { createBatcher } from './batcher.ts';
import { decide, decisionRules } from './decision.ts';
import { decay } from './score.ts';

export interface AdmissionCounters {
  /** Logins committed. */
  admitted: number;
  /** Events that were not understood or cannot be admitted. */
  refused: number;
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
   * Resolves with the answer when the login is committed. Errors: `TransientError('database.unavailable')`: nothing is known to be committed, and the same event
   * may be given again; `InputError('symbol.invalid')`: the user's own holdings are broken.
   */
  admitLogin(event: Draft<'login'>): Promise<PortfolioAnswer>;
  readonly counters: AdmissionCounters;
  /** Logins that wait or are being committed. */
  readonly waiting: number;
  /** Resolves when nothing is under way and everything that is committed was told. */
  idle(): Promise<void>;
}

/** Logins a transaction. With 1,000 logins of 20 symbols at once, 100 took half as long again; 400 were as fast in all, but their first jobs begin later. */
export const BATCH = 200;
const DAY_MS = 86_400_000;
/** Clocks of login hooks may be so much ahead of ours. */
const AHEAD_MS = 60_000;

export function createAdmission(options: {
  ledger: Ledger;
  announcer: Announcer;
  bus: Pick<Bus, 'publish'>;
  config: Config;
  log: Logger;
}): Admission {
  const { ledger, announcer, bus, config, log } = options;
  const rules = decisionRules(config);
  const halfLifeDays = config.portfolio.factor_scales.activity_half_life_days;
  const activityRules = { halfLifeDays, lookbackDays: config.portfolio.predictive.lookback_days };
  const counters: AdmissionCounters = { admitted: 0, refused: 0, batches: 0, queued: 0, joined: 0, full: 0 };
  const telling = new Set<Promise<void>>();

  const batcher = createBatcher(BATCH, async (logins: readonly Login[]) => {
    const started = performance.now();
    const { outcomes, enqueued } = await ledger.db.transaction((tx) => admitTogether(tx, logins));
    const answers = logins.map((login) => answerTo(login, outcomes.get(login.user)!));
    const counts = count(enqueued);
    counters.admitted += logins.length;
    counters.batches++;
    for (const key of ['queued', 'joined', 'full'] as const) counters[key] += counts[key];
    log.info(
      { logins: logins.length, ...counts, ms: Math.round(performance.now() - started) },
      `${logins.length === 1 ? 'login' : 'logins'} admitted`,
    );
    tell(enqueued, answers);
    return answers;
  });

  async function admitTogether(
    tx: Transaction,
    logins: readonly Login[],
  ): Promise<{ outcomes: Map<string, Outcome>; enqueued: EnqueueAnswer[] }> {
    const now = ledger.clock.now();
    const users = [...new Set(logins.map(({ user }) => user))].sort();
    const known = await lockActivity(tx, users);
    const activities = new Map(known);
    const changed = new Map<string, Activity>();
    for (const login of logins.toSorted((a, b) => a.atMs - b.atMs)) {
      const after = countLogin(activities.get(login.user), login, activityRules);
      if (after === undefined) continue;
      activities.set(login.user, after);
      changed.set(login.user, after);
    }
    await saveActivity(tx, changed, known);
    const holdings = await readHoldings(tx, users);
    const symbols = [...new Set([...holdings.values()].flat().map(({ symbol }) => symbol))];
    // Before the states are read: a fetch that ended between the two would be asked for again.
    const live = await readLive(tx, new Set(symbols.flatMap((symbol) => [fetchKey(symbol), analysisKey(symbol)])));
    const states = await readSymbols(tx, symbols);
    const viewers = users.map((user) => {
      const { logins: count, lastMs } = activities.get(user)!;
      return { user, logins: decay(count, lastMs, now.epochMilliseconds, halfLifeDays), holdings: holdings.get(user) ?? [] };
    });
    const decisions = decide(viewers, states, now, rules);
    const enqueued = await enqueueWith(tx, ledger, decisions.requests, live);
    const outcomes = outcomesOf(decisions, enqueued);
    keepOutcomes(tx, logins, outcomes, new Date(now.epochMilliseconds));
    return { outcomes, enqueued };
  }

  /** Everything is committed: whoever is not told finds the rows. */
  function tell(enqueued: readonly EnqueueAnswer[], answers: readonly PortfolioAnswer[]): void {
    const told = Promise.all([announcer.enqueued(enqueued), ...answers.map((answer) => bus.publish('portfolio', answer))]).then(
      () => {},
      (error: unknown) => log.error({ code: codeOf(error), err: error }, `committed but not announced: ${messageOf(error)}`),
    );
    telling.add(told);
    void told.finally(() => telling.delete(told));
  }

  return {
    counters,
    admitLogin(event) {
      const nowMs = ledger.clock.now().epochMilliseconds;
      const login = loginOf(event, nowMs);
      if (event.at !== undefined && !login.timed)
        log.warn({ userId: login.user, at: event.at }, `login at ${event.at} lies in the future or more than a day back: counted as now`);
      return batcher.add(login);
    },
    get waiting() {
      return batcher.size;
    },
    async idle() {
      await batcher.idle();
      await Promise.all(telling);
    },
  };
}

/** A login by our clock. The database pads user ids with blanks, so `bob` and `bob ` are one user there and here. */
function loginOf({ userId, at }: Draft<'login'>, nowMs: number): Login {
  const user = userId.trim();
  const atMs = at === undefined ? nowMs : Date.parse(at);
  const timed = at !== undefined && atMs <= nowMs + AHEAD_MS && atMs >= nowMs - DAY_MS;
  return { user, atMs: timed ? atMs : nowMs, timed };
}

function answerTo({ user, atMs }: Login, { answer }: Outcome): PortfolioAnswer {
  return { user_id: user, at: new Date(atMs).toISOString(), ...answer };
}

/** One row for each login; one that was kept before stays as it was. */
function keepOutcomes(tx: Transaction, logins: readonly Login[], outcomes: ReadonlyMap<string, Outcome>, now: Date): void {
  const json = new Map([...outcomes].map(([user, { kept }]) => [user, toJson(kept)]));
  const rows = new Map(
    logins.map(({ user, atMs }) => {
      const { total, queued, fresh } = outcomes.get(user)!.answer;
      return [`${user} ${atMs}`, [user, new Date(atMs), now, total, queued, fresh, json.get(user)]];
    }),
  );
  tx.later(
    'INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES ? ON DUPLICATE KEY UPDATE at = VALUES(at)',
    [[...rows.values()]],
  );
}

function count(answers: readonly EnqueueAnswer[]): Pick<AdmissionCounters, 'queued' | 'joined' | 'full'> {
  const queued = new Set<string>();
  let full = 0;
  for (const answer of answers) {
    if (answer.outcome === 'refused') full++;
    else if (answer.outcome === 'queued') queued.add(answer.id);
  }
  return { queued: queued.size, joined: answers.length - full - queued.size, full };
}
