/** `GET /v1/users` and `/v1/users/{id}/logins`: who holds what and how fresh it is, and what became of each login. */
import { z } from 'zod';
import { idFromBytes, sortedBytes } from '../../ledger/id.ts';
import { isDone, type State } from '../../ledger/job.ts';
import type { KeptDecision } from '../../logins/answer.ts';
import { keptOf } from '../../logins/kept-decisions.ts';
import { countStates, freshnessRules } from '../../market/freshness/freshness.ts';
import { judgeSymbols } from '../../market/freshness/symbol-judgement.ts';
import { readHoldings } from '../../market/portfolios/holdings.ts';
import type { Sql } from '../../platform/database/database.ts';
import { demand, ownUsers } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { pageOf } from '../http/page.ts';
import { instant, limit, problems, state, userId } from '../http/schemas.ts';
import { freshnessCounts } from '../routes/symbols.ts';

const lastLogin = z
  .object({
    at: instant,
    total: z.int().describe('Symbols held and watched'),
    queued: z.int(),
    fresh: z.int(),
    fresh_at: instant.nullable().describe('When the last of its jobs had completed; null: it had none, one failed, or they are not done'),
    seconds_to_fresh: z.number().nullable(),
  })
  .meta({ id: 'LastLogin' });
const user = z
  .object({
    user: z.string(),
    held: z.int(),
    watched: z.int(),
    prices: freshnessCounts.describe('Of held and watched symbols, by the state of their price'),
    oldest_price_minutes: z.number().nullable().describe('The greatest age of a price; null without any'),
    last_login: lastLogin.nullable(),
  })
  .meta({ id: 'User' });

/** Users of a page. */
const MOST_USERS = 200;

export function usersRoute(app: App, { db, clock, config }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/users',
    config: { access: 'read' },
    schema: {
      operationId: 'listUsers',
      summary: 'Users with how many symbols they hold, how fresh those are, and their last login',
      tags: ['users'],
      querystring: z.strictObject({
        limit: limit(50, MOST_USERS),
        cursor: userId.optional().describe('`next` of the page before'),
      }),
      response: {
        200: z.object({ users: z.array(user), next: z.string().nullable().describe('`cursor` of the next page; null on the last one') }),
        ...problems,
      },
    },
    async handler({ query: { limit: most, cursor } }) {
      const found = await userIds(db, cursor ?? '', most + 1);
      const names = found.slice(0, most);
      const [holdings, logins] = await Promise.all([readHoldings(db, names), readLastLogins(db, names)]);
      const symbols = [...new Set([...holdings.values()].flat().map(({ symbol }) => symbol))];
      const judged = await judgeSymbols(db, symbols, clock.now(), freshnessRules(config));
      return {
        users: names.map((name) => {
          const own = holdings.get(name) ?? [];
          const prices = own.flatMap(({ symbol }) => judged.get(symbol)?.price ?? []);
          const ages = prices.flatMap(({ ageMinutes }) => ageMinutes ?? []);
          const held = own.filter(({ quantity }) => quantity !== 0).length;
          const login = logins.get(name);
          return {
            ...{ user: name, held, watched: own.length - held, prices: countStates(prices) },
            oldest_price_minutes: ages.length === 0 ? null : Math.max(...ages),
            last_login: login === undefined ? null : loginJson(login, login.fresh_at),
          };
        }),
        next: found.length > most ? (names.at(-1) ?? null) : null,
      };
    },
  });
}

/** Users that hold something or have signed in, behind a name. By the primary keys. */
async function userIds(sql: Sql, behind: string, most: number): Promise<string[]> {
  const rows = await sql.rows<{ user_id: string }>(
    `(SELECT DISTINCT user_id FROM holdings WHERE user_id > ? ORDER BY user_id LIMIT ?)
      UNION (SELECT user_id FROM logins WHERE user_id > ? ORDER BY user_id LIMIT ?) ORDER BY user_id LIMIT ?`,
    [behind, most, behind, most, most],
  );
  return rows.map(({ user_id }) => user_id);
}

interface LoginRow {
  user_id: string;
  at: Date;
  total: number;
  queued: number;
  fresh: number;
  fresh_at: Date | null;
}

/** By the primary key, whose last entry of each user is the newest login. */
async function readLastLogins(sql: Sql, users: readonly string[]): Promise<Map<string, LoginRow>> {
  if (users.length === 0) return new Map();
  const rows = await sql.rows<LoginRow>(
    `SELECT p.user_id, p.at, p.total, p.queued, p.fresh, p.fresh_at
       FROM (SELECT user_id, MAX(at) AS at FROM user_portfolio_priority WHERE user_id IN (?) GROUP BY user_id) n
       JOIN user_portfolio_priority p ON p.user_id = n.user_id AND p.at = n.at`,
    [users],
  );
  return new Map(rows.map((row) => [row.user_id, row]));
}

function loginJson({ at, total, queued, fresh }: Omit<LoginRow, 'user_id'>, fresh_at: Date | null): z.output<typeof lastLogin> {
  return {
    ...{ at, total, queued, fresh, fresh_at },
    seconds_to_fresh: fresh_at === null ? null : Math.max(0, (fresh_at.getTime() - at.getTime()) / 1000),
  };
}

const OUTCOMES = ['queued', 'joined', 'fresh', 'outdated', 'missing', 'unknown', 'refused'] as const;
const decision = z
  .object({
    symbol: z.string(),
    outcome: z.enum(OUTCOMES).describe('joined: all of its jobs were asked for before'),
    reason: z.string().nullable().describe('Why it has no job, or why one was refused'),
    jobs: z.array(
      z.object({
        id: z.string(),
        type: z.string(),
        joined: z.boolean(),
        priority: z.int(),
        score: z.number().nullable().describe('null for a key of a user where the job was asked for before'),
        state: state.nullable().describe('null: the job is not kept any more'),
        ended_at: instant.nullable(),
        reason: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'LoginDecision' });

/** Logins of one answer; the decisions of one are up to a thousand. */
const MOST_LOGINS = 20;

export function loginsRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/users/:id/logins',
    config: { access: 'key' },
    schema: {
      operationId: 'listLogins',
      summary: 'The last logins of a user, newest first: what each queued and skipped, why, and how its jobs are',
      tags: ['users'],
      params: z.strictObject({ id: userId }),
      querystring: z.strictObject({ limit: limit(1, MOST_LOGINS) }),
      response: {
        200: z.object({
          user: z.string(),
          logins: z.array(
            lastLogin.extend({ admitted_at: instant, open_jobs: z.int(), failed_jobs: z.int(), decisions: z.array(decision) }),
          ),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const { id: name } = request.params;
      const caller = demand(request, 'read', name);
      const isOwnKey = ownUsers(caller, 'read') !== undefined;
      // The primary key from its end.
      const rows = await db.rows<LoginRow & { admitted_at: Date; decisions: unknown }>(
        `SELECT user_id, at, admitted_at, total, queued, fresh, fresh_at, decisions FROM user_portfolio_priority
          WHERE user_id = ? ORDER BY at DESC LIMIT ?`,
        [name, request.query.limit],
      );
      const kept = rows.map((row) => ({ row, decisions: keptOf(row.decisions) }));
      const jobs = await readJobStates(
        db,
        kept.flatMap(({ decisions }) => decisions.flatMap(({ fetch, analysis }) => [fetch, analysis].flatMap((job) => job?.id ?? []))),
      );
      const logins = kept.map(({ row, decisions }) => {
        const shown = decisions.map((one) => decisionJson(one, jobs, isOwnKey));
        const all = shown.flatMap((one) => one.jobs);
        const ended = all.filter(({ state: now }) => now !== null && isDone(now));
        const last = ended.reduce((newest, { ended_at }) => Math.max(newest, ended_at?.getTime() ?? 0), 0);
        const isFresh = all.length > 0 && ended.length === all.length;
        return {
          ...loginJson(row, row.fresh_at ?? (isFresh ? new Date(Math.max(last, row.at.getTime())) : null)),
          admitted_at: row.admitted_at,
          open_jobs: all.filter(({ ended_at, state: now }) => now !== null && ended_at === null).length,
          failed_jobs: all.filter(({ ended_at, state: now }) => ended_at !== null && now !== null && !isDone(now)).length,
          decisions: shown,
        };
      });
      return { user: name, logins: pageOf(logins, MOST_LOGINS, ({ at }) => at.toISOString()).rows };
    },
  });
}

interface JobNow {
  state: State;
  ended_at: Date | null;
  reason: string | null;
}

/** By the primary keys. */
async function readJobStates(sql: Sql, ids: readonly string[]): Promise<Map<string, JobNow>> {
  if (ids.length === 0) return new Map();
  const rows = await sql.rows<JobNow & { id: Buffer }>(
    'SELECT j.id, j.state, j.ended_at, r.reason FROM job_states j LEFT JOIN ended r ON r.job_id = j.id WHERE j.id IN (?)',
    [sortedBytes(ids)],
  );
  return new Map(rows.map(({ id, ...row }) => [idFromBytes(id), row]));
}

function decisionJson(
  { symbol, fetch, analysis, fresh, outdated, missing, unknown, refused }: KeptDecision,
  known: ReadonlyMap<string, JobNow>,
  isOwnKey: boolean,
): z.output<typeof decision> {
  const jobs = (['fetch', 'analysis'] as const).flatMap((type) => {
    const job = { fetch, analysis }[type];
    if (job === undefined) return [];
    const { state: now = null, ended_at = null, reason = null } = known.get(job.id) ?? {};
    const score = isOwnKey && job.coalesced ? null : job.score;
    return [{ id: job.id, type, joined: job.coalesced, priority: job.priority, score, state: now, ended_at, reason }];
  });
  const skipped = { fresh, outdated, missing, unknown };
  const skippedAs = (Object.keys(skipped) as (keyof typeof skipped)[]).find((name) => skipped[name] !== undefined);
  const outcome =
    jobs.length > 0
      ? jobs.every(({ joined }) => joined)
        ? 'joined'
        : 'queued'
      : refused !== undefined
        ? 'refused'
        : (skippedAs ?? 'fresh');
  return { symbol, outcome, reason: refused ?? (skippedAs === undefined ? null : (skipped[skippedAs] ?? null)), jobs };
}
