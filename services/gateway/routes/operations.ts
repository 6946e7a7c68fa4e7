/** `/v1/stats`, `/v1/workers`, `/v1/alerts` and `/v1/auto-fetch`: the state of the mesh, and the switch for automatic fetching. */
import { z } from 'zod';
import { nowOf } from '../../ledger/job.ts';
import { listJobs } from '../../ledger/read/jobs.ts';
import { readMeshMetrics } from '../../ledger/read/metrics.ts';
import { countJobs } from '../../ledger/read/search.ts';
import { readLoginToJobsP95 } from '../../logins/latency.ts';
import { freshnessRules } from '../../market/freshness/freshness.ts';
import { readHeldFreshness } from '../../market/freshness/held.ts';
import { adviceOf } from '../../platform/registry/alert-advice.ts';
import type { Alert } from '../../platform/registry/alerts.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { listInstances } from '../../platform/registry/instances.ts';
import { readAutoFetch, switchAutoFetch } from '../../platform/registry/settings.ts';
import { callerOf } from '../auth/access.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, jobSummary, problems, queue } from '../http/schemas.ts';
import { freshnessCounts } from './symbols.ts';

const MOST_RUNNING = 500;

const alert = z
  .object({
    name: z.string(),
    state: z.enum(['raised', 'cleared']),
    value: z.number(),
    threshold: z.number(),
    since: instant,
    text: z.string(),
    advice: z
      .object({ means: z.string(), todo: z.string().describe('What to do'), command: z.string().describe('Shows more, or is the cure') })
      .nullable()
      .describe('null: another program has raised it'),
  })
  .meta({ id: 'Alert' });
const autoFetch = z
  .object({
    enabled: z.boolean(),
    changed_by: z.string().nullable(),
    changed_at: instant.nullable(),
  })
  .meta({ id: 'AutoFetch' });

const stats = z.object({
  at: instant,
  queues: z.array(
    z.object({
      queue,
      ready: z.int(),
      running: z.int(),
      scheduled: z.int(),
      blocked: z.int(),
      oldest_s: z.number().nullable().describe('Seconds that the oldest ready job has waited'),
    }),
  ),
  depth: z.record(z.string(), z.int()).describe('Waiting jobs by priority'),
  states: z.record(z.string(), z.int()).describe('Live jobs, and those that ended within the last minute'),
  enqueued_last_minute: z.int(),
  completed_last_minute: z.int(),
  failed_last_minute: z.int(),
  failed: z.int().describe('Jobs in the dead letter'),
  workers: z.object({ online: z.int(), slots: z.int(), busy: z.int(), utilisation: z.number() }),
  latencies: z.array(z.object({ source: z.string(), p95_s: z.number(), answers: z.int() })),
  login_to_jobs_p95_s: z.number().nullable(),
  freshness: freshnessCounts
    .extend({ simulated: z.int().describe('Of all: with a made-up price') })
    .describe('Held and watched symbols by the state of their price'),
});

export function operationRoutes(app: App, parts: Parts): void {
  statsRoute(app, parts);
  workersRoute(app, parts);
  alertsRoute(app, parts);
  autoFetchRoute(app, parts);
  switchAutoFetchRoute(app, parts);
}

function statsRoute(app: App, { db, ledger, config }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/stats',
    config: { access: 'read' },
    schema: {
      operationId: 'readStatistics',
      summary: 'Statistics of the mesh',
      tags: ['operations'],
      response: {
        200: stats,
        ...problems,
      },
    },
    async handler() {
      const now = nowOf(ledger);
      const [mesh, loginToJobsP95, held] = await Promise.all([
        readMeshMetrics(db, now, ledger),
        readLoginToJobsP95(db, now),
        readHeldFreshness(db, ledger.clock.now(), freshnessRules(config).thresholds),
      ]);
      const { at, ledger: jobs, workers, utilisation, latencies } = mesh;
      return {
        at,
        ...jobs,
        states: jobs.states as Record<string, number>,
        workers: { ...workers, utilisation },
        latencies: latencies.map(({ source, p95, answers }) => ({ source, p95_s: p95, answers })),
        login_to_jobs_p95_s: loginToJobsP95,
        freshness: { ...held.counts, simulated: held.simulated },
      };
    },
  });
}

function workersRoute(app: App, { db, ledger, live }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/workers',
    config: { access: 'read' },
    schema: {
      operationId: 'listWorkers',
      summary: 'Instances that are alive, with what each runs',
      tags: ['operations'],
      response: {
        200: z.object({
          instances: z.array(
            z.object({
              instance: z.string(),
              service: z.string(),
              capacity: z.int(),
              running: z.int(),
              started_at: instant,
              heartbeat_at: instant,
              clock_offset_s: z.number().nullable().describe("Seconds by which its machine's clock is ahead of the database's"),
              capabilities: z
                .array(z.string())
                .describe('Of a worker: what it has that jobs may need, such as region:eu, and its other tags'),
              version: z.string().nullable().describe('null, as the next two: it is not heard over the broker'),
              name: z.string().nullable(),
              degraded: z.array(z.string()).nullable().describe('What it cannot do at present, in words'),
              jobs: z.array(jobSummary),
            }),
          ),
          running: z.int().describe('Running jobs of all; each instance names at most 500 of them together'),
        }),
        ...problems,
      },
    },
    async handler() {
      const since = new Date(nowOf(ledger).getTime() - ledger.leaseSeconds * 1000);
      const [instances, running, { counts }] = await Promise.all([
        listInstances(db, since),
        listJobs(db, { state: 'running', limit: MOST_RUNNING }),
        countJobs(db, { states: ['running'] }),
      ]);
      const heard = live.presence();
      return {
        running: counts.running ?? 0,
        instances: instances.map((one) => {
          const { version = null, name = null, degraded } = heard.get(`${one.service}/${one.instance}`) ?? {};
          const isHeard = version !== null;
          return {
            ...one,
            ...{ version, name },
            degraded: isHeard ? (degraded ?? []) : null,
            jobs: running.filter(({ worker }) => worker === one.instance),
          };
        }),
      };
    },
  });
}

function alertsRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/alerts',
    config: { access: 'read' },
    schema: {
      operationId: 'listAlerts',
      summary: 'Alerts, those that are raised first, each with what to do',
      tags: ['operations'],
      querystring: z.strictObject({ state: z.enum(['raised', 'cleared']).optional() }),
      response: { 200: z.object({ alerts: z.array(alert) }), ...problems },
    },
    async handler({ query }) {
      const rows = await db.rows<Alert>('SELECT name, state, value, threshold, since, text FROM alerts ORDER BY state, since DESC, name');
      const alerts = rows.filter(({ state }) => query.state === undefined || state === query.state);
      return { alerts: alerts.map((row) => ({ ...row, advice: adviceOf(row.name) })) };
    },
  });
}

function autoFetchRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/auto-fetch',
    config: { access: 'read' },
    schema: {
      operationId: 'readAutoFetch',
      summary: 'Whether the mesh fetches by itself',
      tags: ['operations'],
      response: { 200: autoFetch, ...problems },
    },
    handler: () => readAutoFetch(db),
  });
}

function switchAutoFetchRoute(app: App, { db, ledger, log }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/auto-fetch',
    config: { access: 'admin' },
    schema: {
      operationId: 'switchAutoFetch',
      summary: 'Switch automatic fetching on or off',
      description: 'Schedules and pre-fetching. Logins and requests start work in any case.',
      tags: ['operations'],
      body: z.strictObject({ enabled: z.boolean() }),
      response: { 200: autoFetch, ...problems },
    },
    async handler(request) {
      const { name } = callerOf(request);
      const { enabled } = request.body;
      await db.transaction(async (tx) => {
        await switchAutoFetch(tx, enabled, name, nowOf(ledger));
        recordChange(tx, actorOf(request), { action: 'auto_fetch.switch', details: enabled ? 'on' : 'off' });
      });
      log.info({ key: name, enabled }, `automatic fetching switched ${enabled ? 'on' : 'off'}`);
      return readAutoFetch(db);
    },
  });
}
