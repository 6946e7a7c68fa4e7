/** Asking for historical downloads: `POST /v1/historical/option`, `/v1/historical/stock`, their earlier path, and filling gaps. */

import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { readCoverage } from '../../history/coverage.ts';
import type { Asset, Download } from '../../history/dataset.ts';
import { downloadOf, optionFields, stockFields } from '../../history/fields.ts';
import { gapsOf } from '../../history/gaps.ts';
import { planOf } from '../../history/plan.ts';
import { acceptedJson, answersTo, askFor } from '../../job-types/history/asked.ts';
import { isLive, nowOf } from '../../ledger/job.ts';
import { usCalendar } from '../../market/calendar/calendar.ts';
import { callerOf, demand, usersFor } from '../auth/access.ts';
import type { WatchKey } from '../auth/key-watch.ts';
import { visibleJob } from '../auth/visible-job.ts';
import type { App, Parts } from '../http/app.ts';
import { flag, jobStatus, problems } from '../http/schemas.ts';
import { traceparentOf } from '../http/traceparent.ts';
import { jobStatus as statusOf } from '../jobs/status.ts';
import { common } from '../routes/job-bodies.ts';
import { checkCallback, submitFor } from '../routes/submission.ts';
import { type IdempotentRequest, idempotentRequest, jobOfKey, keepKey } from './idempotency.ts';
import { gapsPreview, gapsPreviewSchema, preview, previewSchema } from './preview.ts';
import { assetField, downloadBody } from './shapes.ts';

/** A caller that waits longer asks again. */
const SYNC_MS = 60_000;
/** A message on the bus triggers a read at once; without messages the answer is only later. */
const READ_MS = 1_000;

const optionsOf = {
  force_refresh: z.boolean().default(false).optional().describe('Download objects that are complete again too'),
  idempotency_key: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('The same key and body within a day is the same job, also after its end; the same key with another body is 409'),
  ...common,
};

/** The body of a download. `clock`: which days are in the future. */
function bodyOf(asset: Asset, parts: Pick<Parts, 'clock'>) {
  // As a type the one with more fields, which are left out at run time.
  const fields = asset === 'option' ? optionFields : (stockFields as typeof optionFields);
  return downloadBody(parts, fields, optionsOf);
}

const query = z.strictObject({
  dry_run: flag.default(false).describe('true: answers what it would do, and asks for nothing'),
  mode: z.enum(['async', 'sync']).default('async').describe('sync: waits up to a minute for the end of the job'),
});

const accepted = z
  .object({
    status: z.literal('accepted'),
    job_id: z.string(),
    message: z.string(),
    status_url: z.string(),
    total_items: z.int().describe('Objects of the download'),
    outcome: z.enum(['queued', 'joined']).describe('joined: the same download was asked for before; this is its job'),
  })
  .meta({ id: 'AcceptedDownload' });

export function historySubmitRoutes(app: App, parts: Parts, watchKey: WatchKey): void {
  const waits: Waits = { watchKey, open: new Set(), isEnding: false };
  app.addHook('preClose', async () => {
    waits.isEnding = true;
    for (const end of waits.open) end();
  });
  submitRoute(app, parts, 'option', { url: '/v1/historical/option', operationId: 'requestOptionHistory', tag: 'history' }, waits);
  submitRoute(app, parts, 'stock', { url: '/v1/historical/stock', operationId: 'requestStockHistory', tag: 'history' }, waits);
  submitRoute(app, parts, 'option', { url: '/historical/option', operationId: 'requestHistoricalOption', tag: 'earlier paths' }, waits);
  gapsRoute(app, parts);
  // The calendar of a year is computed at its first use: for ten years 12 ms, which the first request would wait for.
  app.addHook('onListen', async () => {
    const today = parts.clock.now().toZonedDateTimeISO(usCalendar.timeZone).toPlainDate();
    usCalendar.tradingDays(today.subtract({ years: 10 }).toString(), today.toString());
  });
}

interface Route {
  url: string;
  operationId: string;
  tag: string;
}

function submitRoute(app: App, parts: Parts, asset: Asset, route: Route, waits: Waits): void {
  app.route({
    method: 'POST',
    url: route.url,
    config: { access: 'key' },
    schema: {
      operationId: route.operationId,
      summary: `Download the history of ${asset === 'option' ? "a root's options" : 'a stock'}${route.tag === 'history' ? '' : ', for earlier clients'}`,
      description:
        'Committed when this answers 202; workers download it in the background, one item an object. Objects that are complete are skipped. The same request while its job lives is the same job. 200: the preview of `dry_run`, or the finished job of `mode=sync`.',
      tags: [route.tag],
      querystring: query,
      body: bodyOf(asset, parts).meta({
        examples: [{ root: 'AAPL', start_date: '2024-01-02', end_date: '2024-12-31', schema: 'quote', interval: '15m' }],
      }),
      response: { 200: z.union([previewSchema, jobStatus]), 202: accepted, ...problems },
    },
    async handler(request, reply) {
      const { body } = request;
      const { start_date: from, end_date: to } = body;
      const download = downloadOf(asset, body, { from, to });
      const { dry_run: isDryRun, mode } = request.query;
      if (isDryRun) return reply.code(200).send(await preview(parts, download, body.force_refresh === true));
      const caller = demand(request, 'jobs', body.user);
      async function accept(): Promise<Accepted> {
        const idempotency =
          body.idempotency_key === undefined ? undefined : idempotentRequest(caller.id, body.idempotency_key, [asset, body]);
        const known = idempotency && (await jobOfKey(parts.db, idempotency, nowOf(parts.ledger)));
        if (known !== undefined) return acceptedJson(known, download, 'joined', planOf(download).length);
        const [accepted] = await submitAll(parts, request, [download], { ...body, idempotency });
        return accepted as Accepted;
      }
      if (mode === 'async') return send(reply, await accept());
      // Whoever waits for the end reads the job.
      usersFor(caller, 'read');
      const release = parts.streams.hold(caller);
      try {
        return await answerAtEnd(parts, waits, { request, reply, answer: await accept() });
      } finally {
        release();
      }
    },
  });
}

type Accepted = z.output<typeof accepted>;

function send(reply: FastifyReply, answer: Accepted) {
  return reply.code(202).header('location', answer.status_url).send(answer);
}

interface SubmitOptions {
  force_refresh?: boolean | undefined;
  priority?: number | undefined;
  user?: string | undefined;
  callback_url?: string | undefined;
  idempotency?: IdempotentRequest | undefined;
}

/**
 * Commits the jobs of downloads with their parts: within the quotas of the caller all together or none. The first job of each download alone counts: a long download must not be
 * refused for its own parts. Errors: `InputError('history.no_trading_day')`, those of `submitFor` and `answersTo`.
 */
async function submitAll(
  parts: Parts,
  request: FastifyRequest,
  downloads: readonly Download[],
  options: SubmitOptions,
): Promise<Accepted[]> {
  const { config, ledger } = parts;
  const { priority, user, callback_url, force_refresh: force, idempotency } = options;
  checkCallback(parts, callback_url);
  const origin = { cause: 'user_request', rules: config.jobs.priority_rules, user } as const;
  const asked = askFor(downloads, { force, priority, origin, config });
  const mains = new Set(asked.map(({ requests: [main] }) => main));
  const submitted = await submitFor(
    parts,
    callerOf(request),
    asked.flatMap(({ requests }) => requests),
    {
      traceparent: traceparentOf(request),
      callbackOf: (one) => (mains.has(one) ? callback_url : undefined),
      unitOf: () => '',
      isMain: (one) => mains.has(one),
      isCounted: (one) => mains.has(one),
      alongside: async (tx, answers) => {
        const [answer] = answers;
        if (idempotency !== undefined && answer !== undefined && answer.outcome !== 'refused')
          await keepKey(tx, idempotency, answer.id, nowOf(ledger));
      },
    },
  );
  return answersTo(asked, submitted);
}

/** The requests of this gateway that wait for the end of their jobs. */
interface Waits {
  watchKey: WatchKey;
  /** What ends them. */
  open: Set<() => void>;
  /** The gateway stops. */
  isEnding: boolean;
}

/** Answers 200 with the job when it ends within a minute, else 202: at once when the caller has gone, its key is in force no more, or the gateway stops. */
async function answerAtEnd(
  { db, live, estimator }: Parts,
  waits: Waits,
  { request, reply, answer }: { request: FastifyRequest; reply: FastifyReply; answer: Accepted },
) {
  const caller = callerOf(request);
  const until = performance.now() + SYNC_MS;
  let isOver = waits.isEnding || reply.raw.destroyed;
  let changed = Promise.withResolvers<void>();
  const end = (): void => {
    isOver = true;
    changed.resolve();
  };
  reply.raw.once('close', end);
  waits.open.add(end);
  const unwatch = waits.watchKey(caller, end);
  const stopListening = live.onStatus(answer.job_id, () => changed.resolve());
  try {
    for (;;) {
      const { job, toEstimate } = await visibleJob(db, caller, answer.job_id);
      if (!isLive(job.state)) {
        const [estimate] = await estimator.estimate([toEstimate]);
        return reply.code(200).send(statusOf(job, estimate?.completionSeconds ?? null));
      }
      if (isOver || performance.now() > until) return send(reply, answer);
      await Promise.race([changed.promise, delay(READ_MS, undefined, { ref: false })]);
      changed = Promise.withResolvers<void>();
    }
  } finally {
    stopListening();
    unwatch();
    waits.open.delete(end);
  }
}

const gapsBody = (parts: Pick<Parts, 'clock'>) => downloadBody(parts, optionFields, { dataset: assetField, ...common });

function gapsRoute(app: App, parts: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/history/gaps',
    config: { access: 'key' },
    schema: {
      operationId: 'fillHistoryGaps',
      summary: 'Download the days of a range that are missing, failed or partial',
      description:
        'A job for each range of such days; 202, with no job where nothing is missing. 200: the preview of `dry_run`. `callback_url` is called for each job. Of very many ranges one job is made, which skips what is stored.',
      tags: ['history'],
      querystring: z.strictObject({ dry_run: flag.default(false).describe('true: answers what it would do, and asks for nothing') }),
      body: gapsBody(parts),
      response: {
        200: gapsPreviewSchema,
        202: z.object({ days: z.int().describe('Days that are asked for'), jobs: z.array(accepted) }),
        ...problems,
      },
    },
    async handler(request, reply) {
      const { dataset, start_date: from, end_date: to, ...body } = request.body;
      const download = downloadOf(dataset, body, { from, to });
      const { days, downloads } = gapsOf(download, await readCoverage(parts.db, download, parts.clock.now()));
      if (request.query.dry_run) return reply.code(200).send({ days: days.length, ...(await gapsPreview(parts, download, downloads)) });
      demand(request, 'jobs', body.user);
      const jobs = downloads.length === 0 ? [] : await submitAll(parts, request, downloads, body);
      return reply.code(202).send({ days: days.length, jobs });
    },
  });
}
