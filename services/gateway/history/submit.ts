/** Asking for historical downloads: `POST /v1/historical/option`, `/v1/historical/stock`, their earlier path, and filling gaps. */
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { readCoverage } from '../../history/coverage.ts';
import type { Asset, Download } from '../../history/dataset.ts';
import { downloadOf, optionFields, stockFields } from '../../history/fields.ts';
import { gapsOf } from '../../history/gaps.ts';
import { planOf } from '../../history/plan.ts';
import { historyRequests } from '../../job-types/history/request.ts';
import { isLive, nowOf } from '../../ledger/job.ts';
import { jobStatus as statusOf } from '../../ledger/read/status.ts';
import { TransientError } from '../../platform/errors.ts';
import { callerOf, demand, usersFor } from '../auth/access.ts';
import { visibleJob } from '../auth/visible-job.ts';
import type { App, Parts } from '../http/app.ts';
import { flag, jobStatus, problems } from '../http/schemas.ts';
import { common } from '../routes/job-bodies.ts';
import { checkCallback, submitFor } from '../routes/submission.ts';
import { type IdempotentRequest, idempotentRequest, jobOfKey, keepKey } from './idempotency.ts';
import { preview, previewSchema } from './preview.ts';
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

export function historySubmitRoutes(app: App, parts: Parts): void {
  submitRoute(app, parts, 'option', { url: '/v1/historical/option', operationId: 'requestOptionHistory', tag: 'history' });
  submitRoute(app, parts, 'stock', { url: '/v1/historical/stock', operationId: 'requestStockHistory', tag: 'history' });
  submitRoute(app, parts, 'option', {
    url: '/historical/option',
    operationId: 'requestHistoricalOption',
    tag: 'earlier paths',
  });
  gapsRoute(app, parts);
  app.addHook('onListen', async () => warmUp(parts));
}

/** The calendar of a year is computed at its first use, and code that runs for the first time is slow: the first request of ten years took three times as long as the next one. */
function warmUp({ clock, config }: Pick<Parts, 'clock' | 'config'>): void {
  const to = clock.now().toZonedDateTimeISO('America/New_York').toPlainDate();
  const body = bodyOf('option', { clock }).parse({
    ...{ root: 'SPY', schema: 'quote', start_date: to.subtract({ years: 10 }).toString(), end_date: to.toString() },
  });
  const origin = { cause: 'user_request', rules: config.jobs.priority_rules } as const;
  const download = downloadOf('option', body, { from: body.start_date, to: body.end_date });
  for (let times = 0; times < WARMED; times++) historyRequests(download, { origin, config });
}

/** Times after which the code is compiled, as measured. */
const WARMED = 3;

function submitRoute(app: App, parts: Parts, asset: Asset, route: { url: string; operationId: string; tag: string }): void {
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
        return known === undefined ? submit(parts, request, download, { ...body, idempotency }) : acceptedJson(known, download, 'joined');
      }
      if (mode === 'async') return send(reply, await accept());
      // Whoever waits for the end reads the job.
      usersFor(caller, 'read');
      const release = parts.streams.hold(caller);
      try {
        return await answerAtEnd(parts, request, reply, await accept());
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
 * Commits the job of a download with its parts. The job alone counts against the quotas of the caller: a long download must not be refused for its own parts. Errors:
 * `InputError('history.no_trading_day')`, those of `submitFor`.
 */
async function submit(parts: Parts, request: FastifyRequest, download: Download, options: SubmitOptions): Promise<Accepted> {
  const { config, ledger } = parts;
  const { priority, user, callback_url, force_refresh: force, idempotency } = options;
  checkCallback(parts, callback_url);
  const plan = planOf(download);
  const origin = { cause: 'user_request', rules: config.jobs.priority_rules, user } as const;
  const requests = historyRequests(download, { force, priority, origin, config, plan });
  const [main] = requests;
  const { accepted: taken } = await submitFor(parts, callerOf(request), requests, {
    callbackOf: (_, index) => (index === 0 ? callback_url : undefined),
    unitOf: () => '',
    isMain: (one) => one === main,
    isCounted: (one) => one === main,
    alongside: async (tx, answers) => {
      const [answer] = answers;
      if (idempotency !== undefined && answer !== undefined && answer.outcome !== 'refused')
        await keepKey(tx, idempotency, answer.id, nowOf(ledger));
    },
  });
  const one = taken.find(({ index }) => index === 0);
  if (one === undefined) throw new TransientError('queue.full', 'the queue has no room for all parts of this download; ask again later');
  return acceptedJson(one.answer.id, download, one.outcome, plan.length);
}

function acceptedJson(id: string, download: Download, outcome: Accepted['outcome'], items = planOf(download).length): Accepted {
  const { asset, schema, interval, root, from, to } = download;
  const what = `${root} ${asset} ${schema}${interval === '1d' ? '' : ` ${interval}`} from ${from} to ${to}`;
  return {
    status: 'accepted',
    job_id: id,
    message: outcome === 'queued' ? `the download of ${what} is queued` : `the download of ${what} was asked for before; this is its job`,
    status_url: `/v1/jobs/${id}`,
    total_items: items,
    outcome,
  };
}

/** Answers 200 with the job when it ends within a minute, else 202. */
async function answerAtEnd(parts: Parts, request: FastifyRequest, reply: FastifyReply, answer: Accepted) {
  const { db, live, estimator } = parts;
  const until = performance.now() + SYNC_MS;
  let isClosed = false;
  let changed = Promise.withResolvers<void>();
  reply.raw.once('close', () => {
    isClosed = true;
    changed.resolve();
  });
  const stopListening = live.onStatus(answer.job_id, () => changed.resolve());
  try {
    for (;;) {
      const { job, toEstimate } = await visibleJob(db, callerOf(request), answer.job_id);
      if (!isLive(job.state)) {
        const [estimate] = await estimator.estimate([toEstimate]);
        return reply.code(200).send(statusOf(job, estimate?.completionSeconds ?? null));
      }
      if (isClosed || performance.now() > until) return send(reply, answer);
      await Promise.race([changed.promise, delay(READ_MS)]);
      changed = Promise.withResolvers<void>();
    }
  } finally {
    stopListening();
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
        'A job for each range of such days; 202, with no job where nothing is missing. `callback_url` is called for each job. Of very many ranges one job is made, which skips what is stored.',
      tags: ['history'],
      body: gapsBody(parts),
      response: { 202: z.object({ days: z.int().describe('Days that are asked for'), jobs: z.array(accepted) }), ...problems },
    },
    async handler(request, reply) {
      const { dataset, start_date: from, end_date: to, ...body } = request.body;
      demand(request, 'jobs', body.user);
      const download = downloadOf(dataset, body, { from, to });
      const { days, downloads } = gapsOf(download, await readCoverage(parts.db, download, parts.clock.now()));
      const jobs: Accepted[] = [];
      // One after the other: each is a transaction, and there are ten at most.
      for (const one of downloads) jobs.push(await submit(parts, request, one, body));
      return reply.code(202).send({ days: days.length, jobs });
    },
  });
}
