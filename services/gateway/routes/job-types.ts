/** What can be asked for over HTTP: a job type each, with the fields that it takes and the requests to the ledger that they mean. A new type is a new entry. */
import { z } from 'zod';
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { rankingRequests } from '../../ledger/ranking-requests.ts';
import { analysisRequest, fetchRequest, historyRequest, type Origin, portfolioBatches, type RankMode } from '../../ledger/requests.ts';
import { freshnessRules } from '../../market/freshness/freshness.ts';
import { readStale } from '../../market/freshness/judged.ts';
import { readHoldings } from '../../market/portfolios/holdings.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { day, userId } from '../http/schemas.ts';
import { callbackUrl } from '../webhooks/callback-address.ts';
import { mode } from './ranking-schemas.ts';

interface Context {
  config: Config;
  clock: Clock;
  db: Sql;
  origin: Origin;
}

/** Rankings of symbols in a mode, and fetches of what they need first. */
export function ranksOf(symbols: readonly string[], wanted: RankMode, { config, clock, db, origin }: Context): Promise<JobRequest[]> {
  const now = clock.now();
  return rankingRequests(symbols, [wanted], origin, {
    sql: db,
    now: new Date(now.epochMilliseconds),
    windowSeconds: config.ranking.dedupe_window,
    readStale: (some) => readStale(db, some, now, freshnessRules(config)),
  });
}

interface JobType {
  schema: z.ZodObject;
  requests(body: never, context: Context): JobRequest[] | Promise<JobRequest[]>;
}

/** Fields that every type takes. */
export const common = {
  priority: z.int().min(1).max(10).optional().describe('1 (most urgent) to 10, in place of that of jobs.priority_rules'),
  user: userId.optional().describe('Who waits for it: it counts against his slots, and he is told'),
  callback_url: callbackUrl.optional().describe('Called with a signed POST when the job has ended'),
};

function jobType<Name extends string, Shape extends z.ZodRawShape>(
  name: Name,
  about: string,
  shape: Shape,
  requests: (body: z.output<z.ZodObject<Shape>>, context: Context) => JobRequest[] | Promise<JobRequest[]>,
) {
  return { schema: z.strictObject({ type: z.literal(name), ...shape, ...common }).describe(about), requests };
}

const analyse = z.boolean().default(true).describe('Also what is computed from the bars, afterwards');

const TYPES = [
  jobType(
    'fetch',
    'The newest bars of a symbol, or with `from` those of a range of days, both inclusive',
    { symbol: SymbolSchema, from: day.optional(), to: day.optional(), analyse: analyse.optional() },
    ({ symbol, from, to, analyse: analysed }, { config, clock, origin }) => {
      if (from === undefined && to !== undefined)
        throw new InputError('history.bad_range', `a range that ends on ${to} needs "from", its first day`);
      if (from === undefined) return [fetchRequest(symbol, origin), ...(analysed === false ? [] : [analysisRequest(symbol, origin)])];
      const today = clock.now().toZonedDateTimeISO('UTC').toPlainDate().toString();
      return [historyRequest(symbol, from, to ?? today, origin, config.jobs.default_priority)];
    },
  ),
  jobType(
    'batch_fetch',
    'The newest bars of many symbols, or of all that a user holds and watches, in batches',
    { symbols: z.array(SymbolSchema).min(1).max(500).optional(), portfolio: userId.optional(), analyse: analyse.optional() },
    async ({ symbols, portfolio, analyse: analysed }, { config, db, origin }) => {
      if ((symbols === undefined) === (portfolio === undefined))
        throw new InputError('batch_fetch.nothing', 'give "symbols" or "portfolio" (a user), and not both');
      const requests = portfolioBatches(
        symbols ?? (await heldBy(db, portfolio as string)),
        config.stock_jobs.data_fetch.batch_size,
        origin,
      );
      return requests.filter(({ type }) => analysed !== false || type !== 'analysis');
    },
  ),
  jobType(
    'analysis',
    'Indicators and signal of a symbol, from the bars that are stored or being fetched',
    { symbol: SymbolSchema },
    ({ symbol }, { origin }) => [analysisRequest(symbol, origin)],
  ),
  jobType(
    'rank',
    "The ranking of a symbol's options; its bars are fetched first when they are stale",
    { symbol: SymbolSchema, mode },
    ({ symbol, mode: wanted }, context) => ranksOf([symbol], wanted, context),
  ),
] as const;

export const jobRequest = z.discriminatedUnion('type', [TYPES[0].schema, TYPES[1].schema, TYPES[2].schema, TYPES[3].schema]);
export type JobBody = z.output<typeof jobRequest>;

/** The requests that a body means. Errors: `InputError('history.bad_range' | 'batch_fetch.nothing' | 'user.unknown')`. */
export async function requestsOf(body: JobBody, { config, clock, db }: Omit<Context, 'origin'>): Promise<JobRequest[]> {
  const { requests } = TYPES.find(({ schema }) => schema.shape.type.value === body.type) as JobType;
  const user = body.user ?? ('portfolio' in body ? body.portfolio : undefined);
  const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules, user };
  const made = await requests(body as never, { config, clock, db, origin });
  return body.priority === undefined ? made : made.map((request) => withPriority(request, body.priority as number));
}

/** In place of the one that its cause has. */
export function withPriority(request: JobRequest, priority: number): JobRequest {
  return { ...request, level: priority, why: { ...request.why, text: `user_request: asked for with priority ${priority}`, priority } };
}

/** Errors: `InputError('user.unknown')`. */
async function heldBy(db: Sql, user: string): Promise<string[]> {
  const holdings = (await readHoldings(db, [user])).get(user);
  if (holdings === undefined)
    throw new InputError('user.unknown', `user ${JSON.stringify(user)} has no holdings; PUT /v1/users/{id}/portfolio gives him some`);
  return holdings.map(({ symbol }) => symbol);
}
