/** `GET /v1/history/chain` and `/v1/history/export`: what stands in the stored files. */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { readCoverage } from '../../history/coverage.ts';
import { SCHEMAS } from '../../history/dataset.ts';
import { downloadOf, filterOf, filterQuery, intervalField } from '../../history/fields.ts';
import type { PlainRow } from '../../history/parquet/reader.ts';
import { prepareExport } from '../../history/stored/export.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { codeOf, messageOf } from '../../platform/errors.ts';
import { decimalText } from '../../platform/text/decimal.ts';
import { callerOf } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { pageOf } from '../http/page.ts';
import { flag, limit, problems } from '../http/schemas.ts';
import { closing, type HistoryFiles } from './files.ts';
import { plainRow, rangeQuery } from './shapes.ts';

const moment = z.iso
  .datetime({ offset: true, error: 'not a moment; write it like 2024-01-02T15:45:00Z or 2024-01-02T10:45:00-05:00' })
  .transform((text) => Temporal.Instant.from(text));

export function historyReadRoutes(app: App, parts: Parts, files: HistoryFiles): void {
  chainRoute(app, parts, files);
  exportRoute(app, parts, files);
}

function chainRoute(app: App, _: Parts, files: HistoryFiles): void {
  app.route({
    method: 'GET',
    url: '/v1/history/chain',
    config: { access: 'key' },
    schema: {
      operationId: 'readHistoryChain',
      summary: 'The chain of a root at a moment, from the stored files',
      description:
        'Of each contract the last row at or before the moment, of a stored report of the end of the day that of the day. Without `schema` the best of what is stored of that day: quotes before bars before reports. Strikes and prices are dollars, times UTC.',
      tags: ['history'],
      querystring: z.strictObject({
        root: SymbolSchema,
        at: moment,
        schema: z.enum(SCHEMAS).optional(),
        interval: intervalField,
        ...filterQuery,
        limit: limit(1_000, 5_000),
        cursor: decimalText(z.number().int().min(1).max(1_000_000)).optional().describe('`next` of the page before'),
      }),
      response: {
        200: z.object({
          root: z.string(),
          at: z.string(),
          day: z.string().describe('The trading day'),
          key: z.string().describe('Of the object that the rows are from'),
          source: z.string(),
          underlying: z
            .number()
            .nullable()
            .describe('Its close on that day; null where neither a daily bar nor an end-of-day object has it'),
          contracts: z.int().describe('Of the whole chain'),
          rows: z.array(plainRow),
          next: z.int().nullable(),
        }),
        ...problems,
      },
    },
    async handler(request, reply) {
      const { query } = request;
      const { root, at, schema, interval, limit: most, cursor = 0 } = query;
      const chain = await files.chain(callerOf(request), { root, at, schema, interval, filter: filterOf(query) }, closing(reply));
      const { rows: all, object, day, underlying } = chain;
      const numbered = all.slice(cursor, cursor + most + 1).map((row, index): [PlainRow, number] => [row, cursor + index + 1]);
      const { rows, next } = pageOf(numbered, most, ([, position]) => String(position));
      return {
        ...{ root, at: at.toString(), day, key: object.object.key, source: object.source, underlying },
        ...{ contracts: all.length, rows: rows.map(([row]) => row), next: next === null ? null : Number(next) },
      };
    },
  });
}

function exportRoute(app: App, parts: Parts, files: HistoryFiles): void {
  const { db, clock, log } = parts;
  app.route({
    method: 'GET',
    url: '/v1/history/export',
    config: { access: 'key' },
    schema: {
      operationId: 'exportHistory',
      summary: 'The rows of a range as CSV',
      description:
        'A header line, then the rows of one object after the other. 409 where days of the range are not stored, unless `allow_gaps`. An answer that fails in the middle ends with a cut connection, never as if it were whole.',
      tags: ['history'],
      querystring: rangeQuery(parts, { allow_gaps: flag.default(false) }),
      response: { 200: { description: 'The rows', content: { 'text/csv': { schema: z.string() } } }, ...problems },
    },
    async handler(request, reply) {
      const { query, method } = request;
      const { dataset, from, to, allow_gaps } = query;
      const download = downloadOf(dataset, query, { from, to });
      const coverage = await readCoverage(db, download, clock.now());
      const signal = closing(reply);
      return files.exporting(callerOf(request), async (history) => {
        const { write } = await prepareExport(history, download, coverage, { allowGaps: allow_gaps, signal });
        signal.throwIfAborted();
        const name = [download.root, dataset, download.schema, from, `${to}.csv`].join('-');
        reply.type('text/csv; charset=utf-8').header('content-disposition', `attachment; filename="${name}"`);
        // Of a text Fastify would tell the length, which nobody knows before the rows are read.
        if (method === 'HEAD') return (reply as FastifyReply).send(Readable.from([]));
        reply.hijack();
        for (const [header, value] of Object.entries(reply.getHeaders())) if (value !== undefined) reply.raw.setHeader(header, value);
        try {
          await write(reply.raw, signal);
        } catch (error) {
          log.warn({ code: codeOf(error) }, `the export of ${download.root} ended early: ${messageOf(error)}`);
          reply.raw.destroy();
        }
      });
    },
  });
}
