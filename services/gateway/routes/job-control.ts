/** Cancelling, retrying and redriving jobs by hand. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { cancel, redrive, retry } from '../../ledger/control.ts';
import type { Change } from '../../ledger/job.ts';
import { readJob } from '../../ledger/read/jobs.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { InputError } from '../../platform/errors.ts';
import { REDRIVABLE_STATES } from '../../platform/job-states.ts';
import { callerOf, mayFor } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { change, jobId, problems } from '../http/schemas.ts';

/** No body, or an empty one: no field of it would have an effect. */
const nothing = z.strictObject({}).nullish();
const changed = z.object({ changes: z.array(change).describe('The job itself first, then those that changed because of it') });

export function jobControlRoutes(app: App, parts: Parts): void {
  oneJobRoutes(app, parts);
  redriveRoute(app, parts);
}

function oneJobRoutes(app: App, { ledger, db, bus, announce, log }: Parts): void {
  const params = z.strictObject({ id: jobId });

  /** A key of a user controls only jobs that no other user waits for. Errors: `InputError('job.unknown')`. */
  async function demandControl(request: FastifyRequest, id: string): Promise<void> {
    const caller = callerOf(request);
    if (mayFor(caller, 'jobs', undefined)) return;
    const job = await readJob(db, id);
    if (job !== undefined && job.subscribers.length > 0 && job.subscribers.every((user) => mayFor(caller, 'jobs', user))) return;
    throw new InputError(
      'job.unknown',
      `there is no job ${id} that only your user waits for; ended jobs are deleted after jobs.cleanup_after_days`,
    );
  }

  app.route({
    method: 'POST',
    url: '/v1/jobs/:id/cancel',
    config: { access: 'key' },
    schema: {
      operationId: 'cancelJob',
      summary: 'Cancel a job that has not ended',
      tags: ['jobs'],
      params,
      body: nothing,
      response: { 200: changed, ...problems },
    },
    async handler(request) {
      const { id } = request.params;
      await demandControl(request, id);
      const changes = await cancel(ledger, id, `cancelled with key "${callerOf(request).name}"`);
      announce(changes);
      const worker = changes[0]?.worker;
      // Without the message the worker stops the job at its next heartbeat.
      if (worker !== undefined)
        bus
          .publish('control', { instance: worker, action: 'cancel', job_id: id })
          .catch((error: Error) =>
            log.warn({ jobId: id }, `the cancellation was not sent to ${worker}, which sees it at its next heartbeat: ${error.message}`),
          );
      return { changes: changes.map(changeJson) };
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/jobs/:id/retry',
    config: { access: 'key' },
    schema: {
      operationId: 'retryJob',
      summary: 'Start an ended job again, or a scheduled one now',
      description: 'With a full set of attempts. Items that failed become pending, those done stay done.',
      tags: ['jobs'],
      params,
      body: nothing,
      response: { 200: changed, ...problems },
    },
    async handler(request) {
      await demandControl(request, request.params.id);
      const changes = await retry(ledger, request.params.id);
      announce(changes);
      return { changes: changes.map(changeJson) };
    },
  });
}

function redriveRoute(app: App, { ledger, announce }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/jobs/redrive',
    config: { access: 'jobs' },
    schema: {
      operationId: 'redriveJobs',
      summary: 'Start all ended jobs of a kind again',
      description: 'At most 500 a call, the oldest first; call again while `more`.',
      tags: ['jobs'],
      body: z.strictObject({
        state: z.enum(REDRIVABLE_STATES).default('failed'),
        type: z.enum(Object.keys(ledger.types) as [string, ...string[]]).optional(),
        symbol: SymbolSchema.optional(),
      }),
      response: {
        200: z.object({
          redriven: z.array(z.string()),
          superseded: z.array(z.string()).describe('Left as they are: another live job does the same work'),
          more: z.boolean(),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const { changes, superseded, more } = await redrive(ledger, request.body);
      announce(changes);
      return { redriven: changes.map(({ id }) => id), superseded, more };
    },
  });
}

function changeJson({ id, type, symbol, state, attempt, worker, reason }: Change) {
  return { id, type, symbol, state, attempt, worker: worker ?? null, reason: reason ?? null };
}
