/** `/v1/jobs`: asking for work, and reading jobs. */

import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { acceptedJson, refusalJson } from '../../ledger/enqueue/submit.ts';
import type { Estimate } from '../../ledger/read/estimate.ts';
import { secondsLeft } from '../../ledger/read/pace.ts';
import { listItems } from '../../ledger/run/items.ts';
import { InputError } from '../../platform/errors.ts';
import { callerOf, demand, demandForBody, ownUsers } from '../auth/access.ts';
import { type SeenJob, scoreAsSeen, visibleJob } from '../auth/visible-job.ts';
import type { App, Parts } from '../http/app.ts';
import { pageOf } from '../http/page.ts';
import { instant, itemState, jobDetail, jobId, jobStatus, limit, problems, queue, state } from '../http/schemas.ts';
import { traceparentOf } from '../http/traceparent.ts';
import { jobStatus as statusOf } from '../jobs/status.ts';
import { callbacksOf } from '../webhooks/callbacks.ts';
import { jobBodies } from './job-bodies.ts';
import { checkCallback, submitFor } from './submission.ts';

const MOST_REQUESTS = 100;
/** Of all requests together: a portfolio of 1,000 symbols in batches, with the analysis of each, are less. The answer names each and stays below a megabyte. */
const MOST_JOBS = 2_000;

const accepted = z
  .object({
    id: z.string(),
    type: z.string(),
    symbol: z.string().nullable(),
    state,
    outcome: z.enum(['queued', 'joined']).describe('joined: the same work was asked for before; this is its job'),
    queue,
    priority: z.int(),
    score: z.number().nullable().describe('null for a key of a user where another user is the reason of the priority'),
    position: z.int().nullable().describe('Jobs that are claimed before it; null for one that starts later'),
    estimated_start_seconds: z
      .number()
      .nullable()
      .describe('Position × median duration of the type ÷ live worker slots; null when nothing was measured yet or no worker is alive'),
    estimated_completion_seconds: z.number().nullable(),
    status_url: z.string(),
    request: z.int().describe('Which of the requests it is for, from 0'),
  })
  .meta({ id: 'AcceptedJob' });
const refusal = z
  .object({ request: z.int(), type: z.string(), symbol: z.string().nullable(), code: z.string(), reason: z.string() })
  .meta({ id: 'RefusedJob' });

const { schema, holderOf, requestsOf } = jobBodies();
const jobRequest = schema.meta({ id: 'JobRequest' });

const params = z.strictObject({ id: jobId });

export function jobRoutes(app: App, parts: Parts): void {
  submitRoute(app, parts);
  detailRoutes(app, parts);
  itemsRoute(app, parts);
  callbacksRoute(app, parts);
}

function submitRoute(app: App, parts: Parts): void {
  const { config, clock, db } = parts;

  app.route({
    method: 'POST',
    url: '/v1/jobs',
    config: { access: 'key' },
    schema: {
      operationId: 'requestJobs',
      summary: 'Ask for work',
      description:
        'One request, or up to 100 as `{"jobs": […]}`, of at most 2,000 jobs: all are committed together when this answers 202. Work that is live already is joined, not done twice. A queue without room, and a quota that is used up, refuse what does not fit; when all is refused, the answer is 503 or 429.',
      tags: ['jobs'],
      body: z.union([jobRequest, z.strictObject({ jobs: z.array(jobRequest).min(1).max(MOST_REQUESTS) })]),
      response: { 202: z.object({ jobs: z.array(accepted), refused: z.array(refusal) }), ...problems },
    },
    async handler(request, reply) {
      const bodies = 'jobs' in request.body ? request.body.jobs : [request.body];
      for (const body of bodies) {
        demandForBody(request, 'jobs', body.user);
        const holder = holderOf(body);
        if (holder !== undefined) demand(request, 'jobs', holder);
        checkCallback(parts, body.callback_url);
      }
      const made = await Promise.all(bodies.map((body) => requestsOf(body, { config, clock, db })));
      const total = made.reduce((sum, requests) => sum + requests.length, 0);
      if (total > MOST_JOBS)
        throw new InputError(
          'jobs.too_many',
          `these requests are ${total} jobs; at most ${MOST_JOBS} are taken at once: send them in parts`,
        );
      /** For each request the position of its body. */
      const bodyOf = made.flatMap((requests, index) => requests.map(() => index));
      const { accepted, refused } = await submitFor(parts, callerOf(request), made.flat(), {
        traceparent: traceparentOf(request),
        callbackOf: (_, index) => bodies[bodyOf[index] as number]?.callback_url,
        // A fetch and the analysis that needs it.
        unitOf: ({ symbol }, index) => `${bodyOf[index]} ${symbol}`,
      });
      const viewers = ownUsers(callerOf(request), 'read');
      const jobs = accepted.map((one) => ({
        ...acceptedJson(one),
        score: scoreAsSeen(one.answer, one.request, viewers),
        ...estimateJson(one.estimate),
        status_url: `/v1/jobs/${one.answer.id}`,
        request: bodyOf[one.index] as number,
      }));
      if (jobs.length === 1 && jobs[0] !== undefined) reply.header('location', jobs[0].status_url);
      return reply.code(202).send({ jobs, refused: refused.map((one) => ({ request: bodyOf[one.index] as number, ...refusalJson(one) })) });
    },
  });
}

function detailRoutes(app: App, { db, ledger, estimator }: Parts): void {
  async function read(request: FastifyRequest<{ Params: { id: string } }>): Promise<{ job: SeenJob; estimate: Estimate }> {
    const { job, toEstimate } = await visibleJob(db, callerOf(request), request.params.id);
    const [estimate] = await estimator.estimate([toEstimate]);
    return { job, estimate: estimate as Estimate };
  }

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id',
    config: { access: 'key' },
    schema: {
      operationId: 'readJob',
      summary: 'One job with all that led to it',
      tags: ['jobs'],
      params,
      response: { 200: jobDetail, ...problems },
    },
    async handler(request) {
      const { job, estimate } = await read(request);
      return { ...job, ...statusOf(job, await secondsLeft(ledger, job, estimate.completionSeconds)), position: estimate.position };
    },
  });

  app.route({
    method: 'GET',
    url: '/jobs/:id',
    config: { access: 'key' },
    schema: {
      operationId: 'readJobStatus',
      summary: 'One job, for earlier clients',
      tags: ['earlier paths'],
      params,
      response: { 200: jobStatus, ...problems },
    },
    async handler(request) {
      const { job, estimate } = await read(request);
      return statusOf(job, await secondsLeft(ledger, job, estimate.completionSeconds));
    },
  });
}

function itemsRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/items',
    config: { access: 'key' },
    schema: {
      operationId: 'listJobItems',
      summary: 'The items of a job of many',
      tags: ['jobs'],
      params,
      querystring: z.strictObject({
        state: itemState.optional(),
        limit: limit(100, 1000),
        cursor: z.string().max(190).optional().describe('`next` of the page before'),
      }),
      response: {
        200: z.object({
          items: z.array(
            z.object({
              key: z.string(),
              state: itemState,
              attempts: z.int(),
              rows: z.int().nullable(),
              bytes: z.number().nullable(),
              reason: z.string().nullable(),
            }),
          ),
          next: z.string().nullable(),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const { job } = await visibleJob(db, callerOf(request), request.params.id);
      const { limit: most, cursor, state: only } = request.query;
      const found = await listItems(db, job.id, { state: only, after: cursor, limit: most + 1 });
      const { rows: items, next } = pageOf(found, most, ({ key }) => key);
      return { items, next };
    },
  });
}

function callbacksRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/callbacks',
    config: { access: 'key' },
    schema: {
      operationId: 'listJobCallbacks',
      summary: 'The webhooks that are called when the job has ended, and the state of each delivery',
      tags: ['jobs'],
      params,
      response: {
        200: z.object({
          callbacks: z.array(
            z.object({
              url: z.string(),
              state: z.enum(['pending', 'delivered', 'failed']),
              attempts: z.int(),
              due_at: instant.describe('pending: not before; else when it ended'),
              last_status: z.int().nullable(),
              last_error: z.string().nullable(),
            }),
          ),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const caller = callerOf(request);
      const { job } = await visibleJob(db, caller, request.params.id);
      const users = ownUsers(caller, 'read');
      return { callbacks: await callbacksOf(db, job.id, users && { keyId: caller.id, users }) };
    },
  });
}

function estimateJson({ position, startSeconds, completionSeconds }: Estimate) {
  return { position, estimated_start_seconds: startSeconds, estimated_completion_seconds: completionSeconds };
}
