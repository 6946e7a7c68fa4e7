/** `/v1/schedules`: when each runs next, what became of its last run, and a run by hand. */

import { Cron } from 'croner';
import { z } from 'zod';
import { holidaySkip, scheduledRequests, switchedOff } from '../../job-types/scheduled.ts';
import { countOutcomes, enqueueWith } from '../../ledger/enqueue/enqueue.ts';
import { inTrace } from '../../ledger/enqueue/traced.ts';
import { nowOf } from '../../ledger/job.ts';
import { InputError } from '../../platform/errors.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { readAutoFetch } from '../../platform/registry/settings.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, problems } from '../http/schemas.ts';
import { traceparentOf } from '../http/traceparent.ts';

const schedule = z
  .object({
    name: z.string(),
    job: z.string(),
    cron: z.string(),
    time_zone: z.string(),
    skip_holidays: z.boolean(),
    next_run_at: instant.nullable().describe('null: its expression has no time any more'),
    next_skipped: z.string().nullable().describe('Why that run will be skipped, as far as it is known now'),
    last_run_at: instant.nullable().describe('When the newest run was due; null: none was yet'),
    decided_at: instant.nullable().describe('When it was started or skipped'),
    skipped: z.string().nullable().describe('Why it was skipped; null: it was started'),
    queued: z.int().nullable().describe('Jobs that it made'),
    joined: z.int().nullable(),
    refused: z.int().nullable(),
  })
  .meta({ id: 'Schedule' });

interface Run {
  name: string;
  last_run_at: Date;
  decided_at: Date | null;
  skipped: string | null;
  queued: number | null;
  joined: number | null;
  refused: number | null;
}

const NO_RUN = { last_run_at: null, decided_at: null, skipped: null, queued: null, joined: null, refused: null };
const tags = ['operations'];

export function scheduleRoutes(app: App, parts: Parts): void {
  listRoute(app, parts);
  runRoute(app, parts);
}

function listRoute(app: App, { db, ledger, config }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/schedules',
    config: { access: 'read' },
    schema: {
      operationId: 'listSchedules',
      summary: 'The schedules of the configuration: the next run, and what became of the last one',
      tags,
      response: {
        200: z.object({ schedules: z.array(schedule), auto_fetch: z.boolean().describe('false: every run is skipped') }),
        ...problems,
      },
    },
    async handler() {
      const now = nowOf(ledger);
      const [runs, { enabled, changed_by }] = await Promise.all([
        db.rows<Run>('SELECT name, last_run_at, decided_at, skipped, queued, joined, refused FROM schedule_runs'),
        readAutoFetch(db),
      ]);
      const runOf = new Map(runs.map(({ name, ...run }) => [name, run]));
      return {
        auto_fetch: enabled,
        schedules: config.scheduler.schedules.map(({ name, job, cron, time_zone, skip_holidays }) => {
          const next = new Cron(cron, { timezone: time_zone, paused: true }).nextRun(now);
          const run = runOf.get(name);
          return {
            ...{ name, job, cron, time_zone, skip_holidays, next_run_at: next },
            next_skipped: enabled ? ((next && holidaySkip({ skip_holidays, time_zone }, next)) ?? null) : switchedOff(changed_by),
            // A schedule that was never decided about has the moment at which it was seen first.
            ...(run === undefined || run.decided_at === null ? NO_RUN : run),
          };
        }),
      };
    },
  });
}

function runRoute(app: App, { ledger, config, announcer }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/schedules/:name/run',
    config: { access: 'jobs' },
    schema: {
      operationId: 'runSchedule',
      summary: 'Run a schedule now',
      description:
        'Also on a holiday, and while automatic fetching is off. Its next run stays where it is. Work that is live already is joined.',
      tags,
      params: z.strictObject({ name: z.string().min(1).max(190) }),
      body: z.strictObject({}).nullish(),
      response: { 202: z.object({ queued: z.int(), joined: z.int(), refused: z.int(), reason: z.string().nullable() }), ...problems },
    },
    async handler(request, reply) {
      const { name } = request.params;
      const found = config.scheduler.schedules.find((one) => one.name === name);
      if (found === undefined)
        throw new InputError('schedule.unknown', `no schedule is called ${JSON.stringify(name)}; GET /v1/schedules lists them`);
      const requests = await scheduledRequests(found.job, ledger, config);
      const commit = () =>
        ledger.db.transaction(async (tx) => {
          const given = await enqueueWith(tx, ledger, requests);
          recordChange(tx, actorOf(request), { action: 'schedule.run', target: `schedule:${name}`, details: `${given.length} jobs` });
          return given;
        });
      const context = { parent: traceparentOf(request), attributes: { 'schedule.name': name } };
      const answers = await inTrace('request', context, (commitTraced) => commitTraced(requests, commit));
      announcer.enqueued(answers).catch((error: unknown) => request.log.warn({ err: error }, 'the jobs of a schedule were not announced'));
      const refused = answers.find((answer) => answer.outcome === 'refused');
      return reply.code(202).send({
        ...countOutcomes(answers),
        reason: refused?.reason ?? (answers.length === 0 ? 'it has nothing to ask for' : null),
      });
    },
  });
}
