/** Cancelling, retrying and redriving jobs by hand. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { cancel, recordRedrive, redrive, retry } from '../../ledger/control.ts';
import type { Change } from '../../ledger/job.ts';
import { type Withdrawal, withdraw } from '../../ledger/withdraw.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { REDRIVABLE_STATES } from '../../platform/job-states.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { callerOf, usersFor } from '../auth/access.ts';
import { actorOf } from '../auth/audit.ts';
import { isWaitedForBy, unknownJob } from '../auth/visible-job.ts';
import type { App, Parts } from '../http/app.ts';
import { change, jobId, problems } from '../http/schemas.ts';
import { forgetAskers } from '../jobs/quotas.ts';
import { othersCalled, withdrawCallbacks } from '../webhooks/callbacks.ts';

/** No body, or an empty one: no field of it would have an effect. */
const nothing = z.strictObject({}).nullish();
const changed = z.object({ changes: z.array(change).describe('The job itself first, then those that changed because of it') });
const cancelled = changed.extend({
  outcome: z
    .enum(['cancelled', 'left'])
    .describe('left: others want the job too, so it goes on for them; the user of the key does not wait for it any more'),
});

export function jobControlRoutes(app: App, parts: Parts): void {
  cancelRoute(app, parts);
  retryRoute(app, parts);
  redriveRoute(app, parts);
}

const params = z.strictObject({ id: jobId });

/**
 * A key of a user withdraws that user: only a job that nobody else wants is cancelled. Every other key that may cancels it. Errors: `InputError('job.unknown')`, those of
 * `cancel`.
 */
async function cancelFor({ ledger, db }: Parts, request: FastifyRequest, id: string): Promise<Withdrawal> {
  const users = await usersWaiting(db, request, id);
  const reason = 'cancelled by hand';
  const record = (tx: Transaction, action: 'job.cancel' | 'job.leave'): void =>
    recordChange(tx, actorOf(request), { action, target: `job:${id}` });
  if (users === undefined) return { outcome: 'cancelled', changes: await cancel(ledger, id, reason, (tx) => record(tx, 'job.cancel')) };
  const owner = { keyId: callerOf(request).id, users };
  return withdraw(ledger, id, users, {
    reason,
    othersWant: (tx, ids) => othersCalled(tx, ids, owner),
    alongside: async (tx, outcome) => {
      record(tx, outcome === 'left' ? 'job.leave' : 'job.cancel');
      if (outcome === 'cancelled') return;
      forgetAskers(tx, id, owner);
      await withdrawCallbacks(tx, id, owner);
    },
  });
}

/** The users of the key, one of whom waits for the job; undefined for a key that may change every job. Errors: `RefusedError`, `InputError('job.unknown')` where none of them does. */
async function usersWaiting(db: Sql, request: FastifyRequest, id: string): Promise<readonly string[] | undefined> {
  const users = usersFor(callerOf(request), 'jobs');
  if (users !== undefined && !(await isWaitedForBy(db, id, users))) throw unknownJob(id);
  return users;
}

function cancelRoute(app: App, parts: Parts): void {
  const { bus, announce, log } = parts;
  app.route({
    method: 'POST',
    url: '/v1/jobs/:id/cancel',
    config: { access: 'key' },
    schema: {
      operationId: 'cancelJob',
      summary: 'Cancel a job that has not ended',
      description:
        'With the key of a user a job that others want too goes on for them: the user only leaves it, and callbacks that the user asked for are not made.',
      tags: ['jobs'],
      params,
      body: nothing,
      response: { 200: cancelled, ...problems },
    },
    async handler(request) {
      const { id } = request.params;
      const { outcome, changes } = await cancelFor(parts, request, id);
      announce(changes);
      // Without the message the worker stops the job at its next heartbeat.
      for (const { id: jobId, worker } of changes)
        if (worker !== undefined)
          bus
            .publish('control', { instance: worker, action: 'cancel', job_id: jobId })
            .catch((error: Error) =>
              log.warn({ jobId }, `the cancellation was not sent to ${worker}, which sees it at its next heartbeat: ${error.message}`),
            );
      // Jobs that may run because a user left this one are of others.
      return { outcome, changes: outcome === 'left' ? [] : changes.map(changeJson) };
    },
  });
}

function retryRoute(app: App, { ledger, db, announce }: Parts): void {
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
      const { id } = request.params;
      await usersWaiting(db, request, id);
      const changes = await retry(ledger, id, (tx) => recordChange(tx, actorOf(request), { action: 'job.retry', target: `job:${id}` }));
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
      const { changes, superseded, more } = await redrive(ledger, request.body, (tx, redriven) =>
        recordRedrive(tx, actorOf(request), request.body, redriven),
      );
      announce(changes);
      return { redriven: changes.map(({ id }) => id), superseded, more };
    },
  });
}

function changeJson({ id, type, symbol, state, attempt, worker, reason }: Change) {
  return { id, type, symbol, state, attempt, worker: worker ?? null, reason: reason ?? null };
}
