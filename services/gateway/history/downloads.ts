/** `GET /v1/history/downloads`: what was asked for, and how far each is. */
import { z } from 'zod';
import { SCHEMAS } from '../../history/dataset.ts';
import { type ListedDownload, listDownloads } from '../../job-types/history/listed.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { callerOf, demand, oneUser, ownUsers } from '../auth/access.ts';
import { summariesAsSeen } from '../auth/visible-job.ts';
import type { App, Parts } from '../http/app.ts';
import { pageOf } from '../http/page.ts';
import { instant, itemCounts, jobId, limit, problems, state, userId } from '../http/schemas.ts';
import { assetField } from './shapes.ts';

const download = z
  .object({
    job_id: z.string(),
    state,
    root: z.string(),
    dataset: assetField,
    schema: z.enum(SCHEMAS),
    interval: z.string(),
    from: z.string(),
    to: z.string(),
    max_dte: z.int().nullable().describe('Of a filtered download; null for the whole chain'),
    base_pct: z.number().nullable(),
    force_refresh: z.boolean(),
    user: z.string().nullable().describe('Who asked first; a key of a user sees that user'),
    items: itemCounts.describe('Its objects, those of its parts too'),
    items_per_minute: z.number().nullable().describe('By what was tried in the last five minutes; null for fewer than two'),
    eta_seconds: z.number().nullable().describe('Until the last object was tried, at that pace'),
    enqueued_at: instant,
    started_at: instant.nullable(),
    ended_at: instant.nullable(),
    reason: z.string().nullable(),
    code: z.string().nullable(),
  })
  .meta({ id: 'HistoryDownload' });

export function historyDownloadsRoute(app: App, { db, ledger }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/history/downloads',
    config: { access: 'key' },
    schema: {
      operationId: 'listHistoryDownloads',
      summary: 'The downloads that were asked for, with the progress and the pace of each',
      description:
        'Newest first; the first page has all live ones, however old. The parts of a long download are counted with it, so a page may be short. A key of a user sees those of this user.',
      tags: ['history'],
      querystring: z.strictObject({
        root: SymbolSchema.optional(),
        user: userId.optional().describe('Only downloads that this user waits for'),
        limit: limit(20, 100),
        cursor: jobId.optional().describe('`next` of the page before'),
      }),
      response: { 200: z.object({ downloads: z.array(download), next: z.string().nullable() }), ...problems },
    },
    async handler(request) {
      const { root, user: named, cursor, limit: most } = request.query;
      const caller = callerOf(request);
      const viewers = ownUsers(caller, 'read');
      const user = named ?? oneUser(caller);
      if (viewers !== undefined) demand(request, 'read', user);
      const found = await listDownloads(ledger, { symbol: root, user }, { cursor, limit: most });
      const seen = await summariesAsSeen(
        db,
        found.downloads.map(({ job }) => job),
        viewers,
      );
      const downloads = found.downloads.map((one, index) => downloadJson(one, seen[index]?.user ?? null));
      const { rows, next } = pageOf(downloads, downloads.length, ({ job_id }) => job_id);
      return { downloads: rows, next: next ?? found.next };
    },
  });
}

function downloadJson({ job, payload, items, pace }: ListedDownload, user: string | null) {
  const { root, asset, schema, interval, from, to, filter, force } = payload;
  const { id, state: now, enqueued_at, started_at, ended_at, reason, code } = job;
  return {
    ...{ job_id: id, state: now, root, dataset: asset, schema, interval, from, to, user, items, force_refresh: force },
    ...{ max_dte: filter?.maxDte ?? null, base_pct: filter?.basePct ?? null },
    items_per_minute: pace === null ? null : Number(((60 * pace.items) / pace.seconds).toFixed(2)),
    eta_seconds: pace === null ? null : Number(((items.pending * pace.seconds) / pace.items).toFixed(1)),
    ...{ enqueued_at, started_at, ended_at, reason, code },
  };
}
