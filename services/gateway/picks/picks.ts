/** `/v1/users/{id}/picks`: the weekly report of a user, its earlier versions, how its picks did, and asking for a new one. */

import { z } from 'zod';
import { showPicks } from '../../job-types/picks/read.ts';
import { picksRequests } from '../../job-types/picks/request.ts';
import { universeRequests } from '../../job-types/picks-universe/request.ts';
import { NOT_ADVICE } from '../../picks/report/disclosures.ts';
import { FALLBACK_REASONS, ReportSchema } from '../../picks/report/schema.ts';
import { weekOf } from '../../picks/report/week.ts';
import { FACTORS } from '../../picks/rules.ts';
import { pageOfPicksUsers } from '../../picks/store/profiles.ts';
import { listReports, newestReports, type ReportHead } from '../../picks/store/reports.ts';
import { readTrackRecord } from '../../picks/store/track-record.ts';
import { reportPrice } from '../../picks/wording/price.ts';
import { InputError } from '../../platform/errors.ts';
import { demand } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { day, instant, limit, problems, state, userId } from '../http/schemas.ts';
import { traceparentOf } from '../http/traceparent.ts';
import { submitFor } from '../routes/submission.ts';
import { profile } from './profile.ts';

const params = z.strictObject({ id: userId });

/** The same fields as stored. Each name is written out, as documents of APIs want them. */
const weights = z.object(Object.fromEntries(FACTORS.map((name) => [name, z.int()])) as Record<(typeof FACTORS)[number], z.ZodInt>);
const report = ReportSchema.extend({ profile, weights });

const job = z.object({ id: z.string(), state, code: z.string().nullable(), reason: z.string().nullable() });
const metadata = z.object({
  status: z
    .enum(['ready', 'making', 'failed', 'none', 'sample'])
    .describe('Of the week that was asked for; the last good report is shown meanwhile'),
  job: job.nullable().describe('The newest job of that week'),
  this_week: z.string().describe('Its Monday'),
  week_of: z.string().nullable().describe('Of the report that is shown'),
  is_current: z.boolean().describe('false: the report is of another week than the one asked for'),
  version: z.int().nullable(),
  generated_at: z.string().nullable(),
  data_date: z.string().nullable().describe('Of its newest prices'),
  source: z.enum(['llm', 'quant', 'sample']).nullable(),
  simulated: z.boolean().nullable().describe('true: made-up prices or company figures'),
  model: z.string().nullable(),
  cost_usd: z.number().nullable(),
  fallback_reason: z.enum(FALLBACK_REASONS).nullable().describe('Why the words are those of the program'),
  disclosures: z.array(z.object({ id: z.string(), text: z.string() })).describe('Must be shown with the report'),
  not_advice: z.string(),
});

export function picksRoutes(app: App, parts: Parts): void {
  usersRoute(app, parts);
  readRoute(app, parts);
  makeRoute(app, parts);
  historyRoute(app, parts);
  recordRoute(app, parts);
}

function readRoute(app: App, parts: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/users/:id/picks',
    config: { access: 'key' },
    schema: {
      operationId: 'readPicks',
      summary: "A user's weekly stock picks",
      description:
        'The result of an automatic screen, not investment advice. Without `week` the newest report there is, with its own week. In static mode the sample, which says so.',
      tags: ['picks'],
      params,
      querystring: z.strictObject({ week: day.optional().describe('A Monday') }),
      response: { 200: z.object({ data: report.nullable(), metadata }), ...problems },
    },
    async handler(request) {
      const user = request.params.id;
      demand(request, 'read', user);
      const { report: shown, disclosures, thisWeek, isCurrent, status, job: newest } = await showPicks(parts, user, request.query.week);
      return {
        data: shown ?? null,
        metadata: {
          ...{ status, job: newest ?? null, this_week: thisWeek, is_current: isCurrent, disclosures, not_advice: NOT_ADVICE },
          week_of: shown?.week_of ?? null,
          version: shown?.version ?? null,
          generated_at: shown?.generated_at ?? null,
          data_date: shown?.data_date ?? null,
          source: shown?.source ?? null,
          simulated: shown?.simulated ?? null,
          model: shown?.model ?? null,
          cost_usd: shown?.cost_usd ?? null,
          fallback_reason: shown?.fallback_reason ?? null,
        },
      };
    },
  });
}

/** Within a cent of it: a price is a sum of products of decimals. */
const isPrice = (given: number | undefined, price: number): boolean => given !== undefined && given >= price - 0.005;

function makeRoute(app: App, parts: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/users/:id/picks',
    config: { access: 'key' },
    schema: {
      operationId: 'makePicks',
      summary: "Make a user's report of this week",
      description:
        'Committed when this answers 202. A week may have several versions; the last good one stays. Where a language model is configured that costs something, ask with `dry_run` first and give its price as `price_usd`.',
      tags: ['picks'],
      params,
      body: z.strictObject({
        dry_run: z.boolean().default(false).describe('true: answers what it may cost at most, and asks for nothing'),
        price_usd: z.number().min(0).max(1_000_000).optional().describe('The price that the dry run has named; required where it is not 0'),
        pay_again: z
          .boolean()
          .default(false)
          .describe('true: also where nobody knows whether an earlier call was paid for. For keys with the scope jobs'),
      }),
      response: {
        200: z.object({ user: z.string(), week_of: z.string(), price_usd: z.number().describe('At most'), model: z.string().nullable() }),
        202: z.object({
          user: z.string(),
          week_of: z.string(),
          job_id: z.string(),
          outcome: z.enum(['queued', 'joined']),
          price_usd: z.number(),
          status_url: z.string(),
        }),
        ...problems,
      },
    },
    async handler(request, reply) {
      const user = request.params.id;
      const { dry_run: isDryRun, price_usd: given, pay_again: payAgain } = request.body;
      const caller = demand(request, 'jobs', payAgain ? undefined : user);
      const { config, clock, db } = parts;
      const price = await reportPrice(db, config, payAgain);
      const week = weekOf(clock.now());
      if (isDryRun) return reply.code(200).send({ user, week_of: week, price_usd: price, model: price === 0 ? null : config.model.name });
      if (price > 0 && !isPrice(given, price))
        throw new InputError('picks.price', `this may cost up to $${price.toFixed(2)}: send "price_usd": ${price.toFixed(2)} to agree`);
      const universe = config.picks.generation ? await universeRequests({ db, clock, config }) : [];
      const origin = { cause: 'user_request', rules: config.jobs.priority_rules } as const;
      const [own] = picksRequests([user], { week, reason: 'manual_trigger', payAgain, origin });
      const { accepted } = await submitFor(parts, caller, [...universe, ...(own === undefined ? [] : [own])], {
        traceparent: traceparentOf(request),
        callbackOf: () => undefined,
        unitOf: (_, index) => String(index),
        isMain: (one) => one === own,
        isCounted: (one) => one === own,
      });
      const answer = accepted.find(({ request: one }) => one === own)?.answer as (typeof accepted)[number]['answer'];
      const statusUrl = `/v1/jobs/${answer.id}`;
      return reply
        .code(202)
        .header('location', statusUrl)
        .send({ user, week_of: week, job_id: answer.id, outcome: answer.outcome, price_usd: price, status_url: statusUrl });
    },
  });
}

const reportHead = z
  .object({
    week_of: z.string(),
    version: z.int(),
    source: z.enum(['llm', 'quant', 'sample']),
    simulated: z.boolean(),
    data_date: z.string(),
    generated_at: instant,
    tickers: z.array(z.string()),
  })
  .meta({ id: 'PicksReport' });

const headJson = ({ weekOf: week, version, source, simulated, dataDate, generatedAt, tickers }: ReportHead) => ({
  ...{ week_of: week, version, source, simulated, data_date: dataDate, generated_at: generatedAt, tickers: [...tickers] },
});

/** Users of a page. */
const MOST_USERS = 200;

function usersRoute(app: App, { db, clock }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/picks',
    config: { access: 'read' },
    schema: {
      operationId: 'listPicksUsers',
      summary: 'Everybody who gets a weekly report, with the newest one of each',
      description: 'Who has a profile, holds or watches something, or has signed in.',
      tags: ['picks'],
      querystring: z.strictObject({
        limit: limit(50, MOST_USERS),
        cursor: userId.optional().describe('`next` of the page before'),
      }),
      response: {
        200: z.object({
          this_week: z.string().describe('Its Monday'),
          users: z.array(z.object({ user: z.string(), newest: reportHead.nullable().describe('null: none was made yet') })),
          next: z.string().nullable().describe('`cursor` of the next page; null on the last one'),
        }),
        ...problems,
      },
    },
    async handler({ query: { limit: most, cursor } }) {
      const found = await pageOfPicksUsers(db, cursor ?? '', most + 1);
      const names = found.slice(0, most);
      const newest = await newestReports(db, names);
      return {
        this_week: weekOf(clock.now()),
        users: names.map((user) => {
          const head = newest.get(user);
          return { user, newest: head === undefined ? null : headJson(head) };
        }),
        next: found.length > most ? (names.at(-1) ?? null) : null,
      };
    },
  });
}

const MOST_VERSIONS = 1_000;

function historyRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/users/:id/picks/history',
    config: { access: 'key' },
    schema: {
      operationId: 'listPicks',
      summary: "A user's reports, newest first",
      tags: ['picks'],
      params,
      querystring: z.strictObject({
        limit: limit(50, MOST_VERSIONS),
        before: day.optional().describe('Only weeks before this Monday: the next page'),
      }),
      response: {
        200: z.object({
          user: z.string(),
          reports: z.array(reportHead),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const user = request.params.id;
      demand(request, 'read', user);
      const { limit: most, before } = request.query;
      const reports = await listReports(db, user, { limit: most, ...(before !== undefined && { before }) });
      return { user, reports: reports.map(headJson) };
    },
  });
}

const horizon = z.object({
  weeks: z.int(),
  picks: z.int().describe('Measured'),
  cohorts: z.int().describe('Reports that are measured'),
  open: z.int(),
  missing: z.int(),
  delisted: z.int(),
  effective: z.int().describe('Reports whose windows do not overlap: all errors rest on them'),
  mean: z.number().nullable().describe('A fraction, as the others'),
  excess: z.number().nullable().describe('Over the index'),
  standard_error: z.number().nullable(),
  excess_over_universe: z.number().nullable().describe('Over all symbols that could be picked, at equal weights'),
  hit_rate: z.number().nullable().describe('Share of picks above the index'),
  hit_interval: z.array(z.number()).nullable().describe('95 %, Wilson'),
  conclusive: z.boolean().describe('false: too few weeks to say anything'),
  notes: z.array(z.string()),
  returns: z.array(
    z.object({
      week_of: z.string(),
      index: z.number().nullable(),
      universe: z.number().nullable(),
      picks: z.array(
        z.object({
          symbol: z.string(),
          state: z.enum(['open', 'final', 'carried', 'delisted', 'missing']),
          start: z.object({ date: z.string(), close: z.number() }).nullable(),
          end: z.object({ date: z.string(), close: z.number() }).nullable(),
          value: z.number().nullable(),
        }),
      ),
    }),
  ),
});

function recordRoute(app: App, { db, clock, config }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/users/:id/picks/record',
    config: { access: 'key' },
    schema: {
      operationId: 'readPicksRecord',
      summary: "What a user's picks returned",
      description: 'Hypothetical: from close to close, without fees, spreads and taxes. `notes` must be shown with it.',
      tags: ['picks'],
      params,
      response: {
        200: z.object({
          user: z.string(),
          index: z.string(),
          without: z
            .array(z.object({ week_of: z.string(), reason: z.enum(['no_report', 'sample', 'simulated']) }))
            .describe('Weeks that have no record'),
          horizons: z.array(horizon),
          not_advice: z.string(),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const user = request.params.id;
      demand(request, 'read', user);
      const { index } = config.picks.universe;
      const { cohorts, horizons } = await readTrackRecord(db, user, index, clock.now());
      return {
        user,
        index,
        without: cohorts.without.map(({ weekOf: week, reason }) => ({ week_of: week, reason })),
        horizons: horizons.map(({ standardError, excessOverUniverse, hitRate, hitInterval, returns, ...rest }) => ({
          ...rest,
          standard_error: standardError,
          excess_over_universe: excessOverUniverse,
          hit_rate: hitRate,
          hit_interval: hitInterval === null ? null : [...hitInterval],
          returns: returns.map(({ weekOf: week, index: ofIndex, universe, picks }) => ({
            ...{ week_of: week, index: ofIndex, universe },
            picks: picks.map(({ symbol, result }) => ({ symbol, ...result })),
          })),
        })),
        not_advice: NOT_ADVICE,
      };
    },
  });
}
