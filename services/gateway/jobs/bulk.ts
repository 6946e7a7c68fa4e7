/** `POST /v1/jobs/bulk`: cancel or start again many jobs, by their ids or by a filter, a slice a call. */
import { z } from 'zod';
import { BULK_ACTIONS, type BulkAction, changeMany, SLICE } from '../../ledger/bulk.ts';
import { nowOf, STATES, type State } from '../../ledger/job.ts';
import { listJobs } from '../../ledger/read/jobs.ts';
import type { JobSearch } from '../../ledger/read/lanes.ts';
import { countJobs, searchJobs } from '../../ledger/read/search.ts';
import { InputError } from '../../platform/errors.ts';
import { END_STATES } from '../../platform/job-states.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { jobId, problems } from '../http/schemas.ts';
import { jobFilter, searchOf } from './search.ts';

const answer = z
  .object({
    matched: z.int().describe('Jobs that the action can change, of this slice; with dry_run of all that were looked at'),
    at_least: z.boolean().describe('dry_run: there may be more than were looked at'),
    done: z.array(z.string()).describe('Ids of those that changed; empty with dry_run'),
    left: z
      .array(z.object({ id: z.string(), code: z.enum(['job.unknown', 'job.ended', 'job.live', 'job.superseded']), reason: z.string() }))
      .describe('Those that were left as they are, with the reason'),
    next: z.string().nullable().describe('`cursor` of the next slice of a filter; null: all are done'),
  })
  .meta({ id: 'BulkAnswer' });

const AUDITED = { cancel: 'job.cancel', retry: 'job.retry', redrive: 'job.redrive' } as const;
/** As in the query of a list, where numbers are texts. */
const age = z.int().min(0).max(31_536_000).optional();

export function jobBulkRoute(app: App, { db, ledger, announce, bus, log }: Parts): void {
  const filter = z.strictObject({
    ...jobFilter(ledger),
    min_age: age,
    max_age: age,
    state: z.array(z.enum(STATES)).min(1).max(STATES.length).optional(),
  });

  app.route({
    method: 'POST',
    url: '/v1/jobs/bulk',
    config: { access: 'jobs' },
    schema: {
      operationId: 'changeJobs',
      summary: 'Cancel, retry or redrive many jobs',
      description: `At most ${SLICE} jobs a call, in one transaction. With a filter call again with \`next\` as \`cursor\` until that is null; whoever stops in between leaves whole jobs. cancel: live jobs; retry: ended jobs, and scheduled ones now; redrive: jobs that ended other than completed, by default the failed ones. With \`dry_run\` nothing changes and the answer counts.`,
      tags: ['jobs'],
      body: z.strictObject({
        action: z.enum(Object.keys(BULK_ACTIONS) as [BulkAction, ...BulkAction[]]),
        ids: z.array(jobId).min(1).max(SLICE).optional(),
        filter: filter.optional().describe('In place of `ids`'),
        cursor: z.string().min(1).max(80).optional().describe('`next` of the call before, with the same filter'),
        dry_run: z.boolean().optional(),
      }),
      response: { 200: answer, ...problems },
    },
    async handler(request) {
      const { action, ids, filter: given, cursor, dry_run } = request.body;
      if ((ids === undefined) === (given === undefined))
        throw new InputError('jobs.which', 'name the jobs by "ids" or by "filter", one of the two');
      const search = given && changeable(searchOf(given, nowOf(ledger)), action);
      if (dry_run) return preview(db, action, ids ?? [], search);
      const found =
        search === undefined
          ? { jobs: (ids ?? []).map((id) => ({ id })), next: null }
          : await searchJobs(db, search, { sort: sortOf(search), cursor, limit: SLICE });
      const meant = [...new Set(found.jobs.map(({ id }) => id))];
      const { changes, done, left } = await changeMany(ledger, action, meant, {
        reason: 'cancelled by hand',
        alongside(tx, number) {
          if (number === 0) return;
          const details = `${number} jobs at once${given === undefined ? '' : `: ${JSON.stringify(given)}`}`;
          recordChange(tx, actorOf(request), { action: AUDITED[action], details });
        },
      });
      announce(changes);
      if (action === 'cancel')
        for (const { id, worker } of changes)
          if (worker !== undefined)
            bus
              .publish('control', { instance: worker, action: 'cancel', job_id: id })
              .catch((error: Error) => log.warn({ jobId: id }, `the cancellation was not sent to ${worker}: ${error.message}`));
      return { matched: done.length + left.length, at_least: false, done, left, next: found.next };
    },
  });
}

/** The states that the action can change. Errors: `InputError('jobs.unfit_state' | 'jobs.mixed_states')`. */
function changeable(search: JobSearch, action: BulkAction): JobSearch & { states: readonly State[] } {
  const possible: readonly State[] = BULK_ACTIONS[action];
  const standard: Record<BulkAction, readonly State[]> = { cancel: possible, retry: END_STATES, redrive: ['failed'] };
  const states = search.states ?? standard[action];
  const unfit = states.find((state) => !possible.includes(state));
  if (unfit !== undefined)
    throw new InputError(
      'jobs.unfit_state',
      `"${action}" does not change jobs that are ${unfit}; it changes those that are ${possible.join(', ')}`,
    );
  if (states.includes('scheduled') && states.some((state) => (END_STATES as readonly State[]).includes(state)))
    throw new InputError('jobs.mixed_states', 'scheduled jobs and ended ones have no common order: change them one after the other');
  return { ...search, states };
}

/** A job that was changed leaves the filter, and the cursor goes on behind it: none is met twice. */
const sortOf = ({ states }: { states: readonly State[] }): 'ended' | 'urgent' =>
  states.some((state) => (END_STATES as readonly State[]).includes(state)) ? 'ended' : 'urgent';

async function preview(
  db: Parts['db'],
  action: BulkAction,
  ids: readonly string[],
  search: JobSearch | undefined,
): Promise<z.output<typeof answer>> {
  const nothing = { done: [], left: [], next: null };
  if (search !== undefined) {
    const { counts, atLeast } = await countJobs(db, search);
    return { matched: Object.values(counts).reduce((sum, jobs) => sum + jobs, 0), at_least: atLeast.length > 0, ...nothing };
  }
  const states: readonly State[] = BULK_ACTIONS[action];
  const jobs = await listJobs(db, { ids, limit: SLICE });
  return { matched: jobs.filter(({ state }) => states.includes(state)).length, at_least: false, ...nothing };
}
