/** Fetches the symbols of a user shortly before the hour of the user's usual login, as background work, once a day. */
import type { Announcer } from '../ledger/announce.ts';
import { type EnqueueAnswer, enqueueWith } from '../ledger/enqueue/enqueue.ts';
import { inTrace, type TracedCommit } from '../ledger/enqueue/traced.ts';
import { type Ledger, nowOf } from '../ledger/job.ts';
import { readHoldings } from '../market/portfolios/holdings.ts';
import type { Config } from '../platform/config/load.ts';
import type { Transaction } from '../platform/database/database.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { tryLead } from '../platform/registry/leases.ts';
import { readAutoFetch } from '../platform/registry/settings.ts';
import { type Activity, type ActivityRow, activityOf, usualHour } from './activity.ts';
import { type DecisionRules, decisionRules, type Occasion, startDeciding } from './decision.ts';
import { readStates } from './read-states.ts';
import { decay } from './score.ts';

export interface Prefetched {
  /** Users whose hour it is, and the jobs made for them. */
  users: number;
  queued: number;
}

const BEFORE_LOGIN: Occasion = {
  fetch: 'scheduled_update',
  analysis: 'background_analysis',
  triggeredBy: 'predictive',
  whenFull: 'refuse',
};
/** Users read at once, and at most decided in one transaction. */
const PAGE = 200;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const LOOK_MS = 60_000;
const LEASE_SECONDS = 180;

/** Queues the stale symbols of all users whose usual hour contains the moment `lead_minutes` from now, unless that was done for the day. `committed` gets the answers of each transaction. */
export async function prefetch(
  ledger: Ledger,
  config: Config,
  committed: (answers: readonly EnqueueAnswer[]) => void = () => {},
): Promise<Prefetched> {
  const { lead_minutes, lookback_days: lookbackDays, min_logins: minLogins } = config.portfolio.predictive;
  const nowMs = ledger.clock.now().epochMilliseconds;
  const target = new Date(nowMs + lead_minutes * 60_000);
  const day = target.toISOString().slice(0, 10);
  const rules = decisionRules(config);
  const halfLifeDays = config.portfolio.factor_scales.activity_half_life_days;
  const done: Prefetched = { users: 0, queued: 0 };
  for (let cursor = ''; ; ) {
    // A walk along the primary key: once an hour over everybody.
    const page = await ledger.db.rows<ActivityRow & { user_id: string }>(
      `SELECT user_id, activity, last_login_at, hours FROM logins
        WHERE user_id > ? AND last_login_at > ? AND (prefetched_on IS NULL OR prefetched_on < ?) ORDER BY user_id LIMIT ?`,
      [cursor, new Date(nowMs - lookbackDays * DAY_MS), day, PAGE],
    );
    const due = new Map(
      page
        .map((row) => [row.user_id, activityOf(row)] as const)
        .filter(([, { hours }]) => usualHour(hours, nowMs, { lookbackDays, minLogins }) === target.getUTCHours()),
    );
    if (due.size > 0) {
      const answers = await inTrace('prediction', {}, (commitTraced) =>
        ledger.db.transaction((tx) => prefetchTogether(tx, ledger, due, { day, rules, halfLifeDays, commitTraced })),
      );
      committed(answers);
      done.users += due.size;
      done.queued += new Set(answers.flatMap((answer) => (answer.outcome === 'queued' ? [answer.id] : []))).size;
    }
    if (page.length < PAGE) return done;
    cursor = page.at(-1)!.user_id;
  }
}

async function prefetchTogether(
  tx: Transaction,
  ledger: Ledger,
  due: ReadonlyMap<string, Activity>,
  { day, rules, halfLifeDays, commitTraced }: { day: string; rules: DecisionRules; halfLifeDays: number; commitTraced: TracedCommit },
): Promise<EnqueueAnswer[]> {
  const now = ledger.clock.now();
  const users = [...due.keys()];
  await tx.run('UPDATE logins SET prefetched_on = ? WHERE user_id IN (?)', [day, users]);
  const holdings = await readHoldings(tx, users);
  const { states, live } = await readStates(tx, holdings.values(), rules);
  const viewers = [...due].map(([user, { logins, lastMs }]) => ({
    user,
    logins: decay(logins, lastMs, now.epochMilliseconds, halfLifeDays),
    holdings: holdings.get(user) ?? [],
  }));
  const decisions = startDeciding(states, now, rules, BEFORE_LOGIN);
  for (const viewer of viewers) decisions.add(viewer);
  const requests = decisions.requests();
  return commitTraced(requests, () => enqueueWith(tx, ledger, requests, live));
}

/** Looks every minute whether a new hour is near. Only the instance with the lease does it. Returns the function that ends it and waits for the work under way. */
export function startPrefetching(options: {
  ledger: Ledger;
  announcer: Announcer;
  config: Config;
  log: Logger;
  instance: string;
}): () => Promise<void> {
  const { ledger, announcer, config, log, instance } = options;
  let doneFor: number | undefined;
  let looking: Promise<void> | undefined;

  async function look(): Promise<void> {
    const target = ledger.clock.now().epochMilliseconds + config.portfolio.predictive.lead_minutes * 60_000;
    const hour = Math.floor(target / HOUR_MS);
    try {
      if (!(await tryLead(ledger.db, 'predictive', instance, LEASE_SECONDS, nowOf(ledger))) || hour === doneFor) return;
      if (!(await readAutoFetch(ledger.db)).enabled) return;
      const announced: Promise<void>[] = [];
      const { users, queued } = await prefetch(ledger, config, (answers) => announced.push(announcer.enqueued(answers)));
      doneFor = hour;
      if (users > 0) log.info({ users, queued }, `fetching ahead for ${users} users who usually sign in at this hour`);
      await Promise.all(announced);
    } catch (error) {
      log.warn({ code: codeOf(error) }, `not fetched ahead, trying again in a minute: ${messageOf(error)}`);
    }
  }

  const tick = (): void => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
  };
  const timer = setInterval(tick, LOOK_MS);
  tick();
  return async () => {
    clearInterval(timer);
    await looking;
  };
}
