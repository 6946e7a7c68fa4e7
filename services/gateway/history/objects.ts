/** `/v1/history/objects`: the stored files, what is known of each, and their bytes. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { isDaily, SCHEMAS } from '../../history/dataset.ts';
import { dayField, intervalField } from '../../history/fields.ts';
import { listObjects, type ManifestRow, readObjects } from '../../history/manifest.ts';
import { currentRow } from '../../history/stored/current.ts';
import { manifestJson, objectJson } from '../../history/stored/json.ts';
import { heldNow } from '../../job-types/history/claims.ts';
import { idFromBytes } from '../../ledger/id.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import type { Sql } from '../../platform/database/database.ts';
import { codeOf, InputError, TransientError } from '../../platform/errors.ts';
import { decimalText } from '../../platform/text/decimal.ts';
import { callerOf } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { pageOf } from '../http/page.ts';
import { PROBLEM_TYPE, pathOf, problemOf } from '../http/problems.ts';
import { instant, limit, problems } from '../http/schemas.ts';
import { byteRange } from './byte-range.ts';
import { closing, type HistoryFiles } from './files.ts';
import { assetField, plainRow } from './shapes.ts';

/** Of a key; a percent-encoded one, with its slashes, is up to three times as long. */
const objectKey = z.string().min(1).max(190).describe('Percent-encoded, slashes too: `encodeURIComponent(key)`');
const params = z.strictObject({ key: objectKey });

const object = z
  .object({
    key: z.string(),
    root: z.string(),
    dataset: assetField,
    schema: z.enum(SCHEMAS),
    interval: z.string(),
    max_dte: z.int().nullable().describe('Of a filtered object; null for the whole chain'),
    base_pct: z.number().nullable(),
    from: z.string().describe('First calendar day of its period'),
    to: z.string(),
    rows: z.int(),
    bytes: z.number(),
    sha256: z.string(),
    is_partial: z.boolean().describe('Its period was not over, or trading days of it are missing'),
    degraded: z.string().nullable(),
    source: z.string(),
    as_of: instant.describe('When the source was asked'),
    stored_at: instant,
  })
  .meta({ id: 'HistoryObject' });

/** Rows of its file that an answer shows. */
const MOST_ROWS = 1_000;

const detail = object.extend({
  schema_version: z.int(),
  modified_at: instant.nullable().describe('When the source says that the data last changed'),
  days: z.record(z.string(), z.int()).describe('Rows of each trading day that has some'),
  quality: z
    .object({ crossed: z.int(), zero_bids: z.int(), outside_session: z.int(), odd_bids: z.int() })
    .describe('Rows that are stored as they came and are odd'),
  requests: z.array(z.object({ url: z.string(), status: z.int(), bytes: z.number() })),
  source_version: z.string(),
  writer: z.string(),
  job_id: z.string(),
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  first_rows: z.array(plainRow),
});

export function historyObjectRoutes(app: App, parts: Parts, files: HistoryFiles): void {
  listRoute(app, parts);
  detailRoute(app, parts, files);
  dataRoute(app, parts, files);
}

function listRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/history/objects',
    config: { access: 'key' },
    schema: {
      operationId: 'listHistoryObjects',
      summary: 'Stored objects, in the order of their keys',
      tags: ['history'],
      querystring: z.strictObject({
        root: SymbolSchema.optional(),
        dataset: assetField.optional(),
        schema: z.enum(SCHEMAS).optional(),
        interval: intervalField,
        from: dayField.optional().describe('Only objects with days from here on'),
        to: dayField.optional(),
        limit: limit(100, 1000),
        cursor: z.string().max(190).optional().describe('`next` of the page before'),
      }),
      response: { 200: z.object({ objects: z.array(object), next: z.string().nullable() }), ...problems },
    },
    async handler({ query: { dataset, limit: most, cursor, interval, ...filter } }) {
      const found = await listObjects(db, {
        ...filter,
        asset: dataset,
        interval,
        after: cursor,
        limit: most + 1,
      });
      const { rows: objects, next } = pageOf(found.map(objectJson), most, ({ key }) => key);
      return { objects, next };
    },
  });
}

function detailRoute(app: App, { db }: Parts, files: HistoryFiles): void {
  app.route({
    method: 'GET',
    url: '/v1/history/objects/:key',
    config: { access: 'key' },
    schema: {
      operationId: 'readHistoryObject',
      summary: 'One object: its row in the manifest, its columns, its first rows',
      tags: ['history'],
      params,
      querystring: z.strictObject({ rows: decimalText(z.number().int().min(0).max(MOST_ROWS)).default(10) }),
      response: { 200: detail, ...problems },
    },
    async handler(request, reply) {
      const row = await storedRow(db, request.params.key);
      const { columns, rows } = await files.look(callerOf(request), row, request.query.rows, closing(reply));
      const { rows: first } = pageOf(rows, MOST_ROWS, () => '');
      return { ...manifestJson(row, idFromBytes(row.jobId)), columns, first_rows: first };
    },
  });
}

function dataRoute(app: App, { db }: Parts, files: HistoryFiles): void {
  app.route({
    method: 'GET',
    url: '/v1/history/objects/:key/data',
    config: { access: 'key' },
    schema: {
      operationId: 'downloadHistoryObject',
      summary: 'The Parquet file',
      description:
        'With `range` (one range of bytes) a part of it. `etag` is its sha256: with `if-none-match` a file that is the same is 304, with `if-range` a file that has changed comes whole.',
      tags: ['history'],
      params,
      response: {
        200: { description: 'The file', content: { [PARQUET]: { schema: z.string() } } },
        206: { description: 'A part of the file', content: { [PARQUET]: { schema: z.string() } } },
        304: z.null().describe('The file is the same'),
        ...problems,
      },
    },
    async handler(request, reply) {
      const row = await unlessReplaced(db, await storedRow(db, request.params.key), files, closing(reply));
      return sendFile(request, reply, row, files);
    },
  });
}

const PARQUET = 'application/vnd.apache.parquet';

async function sendFile(request: FastifyRequest, reply: FastifyReply, row: ManifestRow, files: HistoryFiles) {
  const etag = `"${row.sha256}"`;
  const { headers } = request;
  reply.header('etag', etag).header('accept-ranges', 'bytes').header('last-modified', row.storedAt.toUTCString());
  const seen = headers['if-none-match']?.split(',').map((one) => one.trim().replace(/^W\//, ''));
  if (seen?.some((one) => one === etag || one === '*')) return reply.code(304).send();
  const asked = headers['if-range'] === undefined || headers['if-range'] === etag ? headers.range : undefined;
  const range = byteRange(asked, row.bytes);
  if (range === 'unsatisfiable') {
    const problem = problemOf({
      status: 416,
      code: 'request.range_not_satisfiable',
      detail: `the file has ${row.bytes} bytes, and range ${JSON.stringify(asked)} is none of them`,
      instance: pathOf(request),
    });
    const text = JSON.stringify(problem);
    return reply.code(416).header('content-range', `bytes */${row.bytes}`).type(PROBLEM_TYPE).serializer(String).send(text);
  }
  const { start, end } = range ?? { start: 0, end: row.bytes - 1 };
  if (range !== undefined) reply.code(206).header('content-range', `bytes ${start}-${end}/${row.bytes}`);
  reply
    .type(PARQUET)
    .header('content-length', end - start + 1)
    .header('content-disposition', `attachment; filename="${nameOf(row)}"`);
  // Fastify drops the body of an answer to HEAD. Of a stream it keeps the length that is set.
  if (request.method === 'HEAD') return reply.send(Readable.from([]));
  const signal = closing(reply);
  return reply.send(
    await (range === undefined ? files.store.read(row.object.key, signal) : files.store.read(row.object.key, signal, range)),
  );
}

/** `AAPL-option-quote-15m-2024-01-02.parquet`. */
function nameOf({ object: { root, asset, schema, interval, period } }: ManifestRow): string {
  return [root, asset, schema, ...(isDaily(schema) ? [] : [interval]), `${period.name}.parquet`].join('-');
}

/** Errors: `InputError('object.unknown')`. */
export async function storedRow(sql: Sql, key: string): Promise<ManifestRow> {
  const row = (await readObjects(sql, [key])).get(key);
  if (row === undefined) throw unknownObject(key);
  return row;
}

/** `currentRow`. Errors: also `TransientError('objects.changed')` for a file that is not that of its row while a job downloads it again. */
async function unlessReplaced(
  sql: Sql,
  row: ManifestRow,
  { store }: Pick<HistoryFiles, 'store'>,
  signal: AbortSignal,
): Promise<ManifestRow> {
  const { key } = row.object;
  try {
    return await currentRow({ sql, store }, row, signal);
  } catch (error) {
    if (codeOf(error) !== 'objects.damaged' || (await heldNow(sql, [key])).size === 0) throw error;
    throw new TransientError('objects.changed', `the file of ${key} is being replaced at this moment; ask again`);
  }
}

function unknownObject(key: string): InputError {
  return new InputError('object.unknown', `there is no stored object ${JSON.stringify(key)}; GET /v1/history/objects lists them`);
}
