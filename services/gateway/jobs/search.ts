/** `GET /v1/jobs`, `/v1/jobs/counts` and `/v1/jobs/codes`: the jobs that a filter finds, how many they are, and why they failed. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Ledger, nowOf, STATES, type State } from '../../ledger/job.ts';
import { JOB_COLUMNS } from '../../ledger/read/jobs.ts';
import { JOB_SORTS, type JobSearch } from '../../ledger/read/lanes.ts';
import { CURSOR, countJobs, groupByCode, LOOKED_AT, searchJobs } from '../../ledger/read/search.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { decimalText } from '../../platform/text/decimal.ts';
import { callerOf, demand, oneUser, ownUsers } from '../auth/access.ts';
import { summariesAsSeen, type Viewers } from '../auth/visible-job.ts';
import type { App, Parts } from '../http/app.ts';
import { format, sendCsv, wantsCsv } from '../http/csv.ts';
import { pageOf } from '../http/page.ts';
import { instant, jobSummary, limit, problems, queue, state, userId } from '../http/schemas.ts';

const seconds = decimalText(z.number().int().min(0).max(31_536_000));

/** What finds jobs, in a query and in a body. `type`: one of the types of this deployment. */
export function jobFilter(ledger: Ledger) {
  return {
    queue: queue.optional(),
    type: z.enum(Object.keys(ledger.types) as [string, ...string[]]).optional(),
    symbol: SymbolSchema.optional(),
    user: userId.optional().describe('Only jobs that this user waits for'),
    worker: z.string().min(1).max(64).optional().describe('The instance that runs it, or ran it last'),
    code: z.string().min(1).max(64).optional().describe('Why it ended other than completed, for programs'),
    reason: z.string().min(1).max(200).optional().describe('A part of the reason, in any case'),
    min_age: seconds.optional().describe('Seconds since it was asked for, at least'),
    max_age: seconds.optional().describe('Seconds since it was asked for, at most'),
  };
}

/** `failed,expired`. */
const states = z
  .string()
  .transform((text) => [...new Set(text.split(','))])
  .pipe(z.array(z.enum(STATES)))
  .describe(`One state, or several separated by commas: ${STATES.join(', ')}`);

type Filter = z.output<z.ZodObject<ReturnType<typeof jobFilter>>> & { state?: readonly State[] | undefined };

export function searchOf({ state: asked, min_age, max_age, ...rest }: Filter, now: Date): JobSearch {
  const ago = (age: number | undefined): Date | undefined => (age === undefined ? undefined : new Date(now.getTime() - age * 1000));
  return { ...rest, states: asked, enqueuedBefore: ago(min_age), enqueuedAfter: ago(max_age) };
}

/** A key of a user searches the jobs of that user. Errors: `RefusedError`, `InputError('request.which_user')`. */
function searchFor(request: FastifyRequest, filter: Filter, now: Date): { search: JobSearch; viewers: Viewers } {
  const caller = callerOf(request);
  const viewers = ownUsers(caller, 'read');
  const user = filter.user ?? oneUser(caller);
  if (viewers !== undefined) demand(request, 'read', user);
  return { search: searchOf({ ...filter, user }, now), viewers };
}

const LOOKS = `What no index knows (\`type\`, \`worker\`, \`code\`, \`reason\`) is compared on the way, with at most ${LOOKED_AT.toLocaleString('en')} jobs`;
const tags = ['jobs'];

export function jobSearchRoutes(app: App, parts: Parts): void {
  listRoute(app, parts);
  summaryRoutes(app, parts);
}

function listRoute(app: App, { db, ledger }: Parts): void {
  const filter = jobFilter(ledger);

  app.route({
    method: 'GET',
    url: '/v1/jobs',
    config: { access: 'key' },
    schema: {
      operationId: 'listJobs',
      summary: 'Jobs, newest first or in another order',
      description: `${LOOKS} a page: such a page may be short, or empty, and have a \`next\` that goes on behind them.`,
      tags,
      querystring: z.strictObject({
        state: states.optional(),
        ...filter,
        sort: z
          .enum(JOB_SORTS)
          .default('newest')
          .describe('urgent: in the order in which they are claimed, of live jobs; ended: the last ended first, of ended ones'),
        limit: limit(50, 500),
        format,
        cursor: z.string().regex(CURSOR, 'not a cursor; use `next` of the page before').optional().describe('`next` of the page before'),
      }),
      response: {
        200: z.object({
          jobs: z.array(jobSummary),
          next: z.string().nullable().describe('`cursor` of the next page; null on the last one'),
        }),
        ...problems,
      },
    },
    async handler(request, reply) {
      const { limit: most, cursor, sort, format: _, ...given } = request.query;
      const { search, viewers } = searchFor(request, given, nowOf(ledger));
      const found = await searchJobs(db, search, { sort, cursor, limit: most });
      // A page of long texts ends before its last row.
      const { rows, next } = pageOf(found.jobs, most, (job) => job.cursor);
      const jobs = await summariesAsSeen(db, rows, viewers);
      if (wantsCsv(request)) return sendCsv(reply, 'jobs', csvOf(JOB_COLUMNS, jobs), next ?? found.next);
      return { jobs, next: next ?? found.next };
    },
  });
}

function summaryRoutes(app: App, { db, ledger }: Parts): void {
  const filter = jobFilter(ledger);
  app.route({
    method: 'GET',
    url: '/v1/jobs/counts',
    config: { access: 'key' },
    schema: {
      operationId: 'countJobs',
      summary: 'How many jobs a filter finds, by state',
      description: `Of each state the newest ${LOOKED_AT.toLocaleString('en')} jobs are looked at, of one user or symbol the same of all states together.`,
      tags,
      querystring: z.strictObject({ state: states.optional(), ...filter }),
      response: {
        200: z.object({
          counts: z.partialRecord(state, z.int()),
          at_least: z.array(state).describe('States of which there may be more than was looked at'),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const { search } = searchFor(request, request.query, nowOf(ledger));
      const { counts, atLeast } = await countJobs(db, search);
      return { counts, at_least: atLeast };
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/jobs/codes',
    config: { access: 'key' },
    schema: {
      operationId: 'groupJobsByCode',
      summary: 'Jobs that ended other than completed, by code, the largest group first',
      description: `Of each state the newest ${LOOKED_AT.toLocaleString('en')} jobs are looked at.`,
      tags,
      querystring: z.strictObject({ state: states.optional(), ...filter }),
      response: {
        200: z.object({
          groups: z.array(
            z.object({
              code: z.string(),
              jobs: z.int(),
              first_ended_at: instant,
              last_ended_at: instant,
              newest_id: z.string(),
              reason: z.string().nullable().describe('Of the newest'),
            }),
          ),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const { search } = searchFor(request, request.query, nowOf(ledger));
      return { groups: await groupByCode(db, search) };
    },
  });
}
