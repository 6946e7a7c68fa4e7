/** `GET /v1/history/coverage`: which days of a dataset are stored, and why the others are not. */
import { z } from 'zod';
import { DAY_STATES, type DayState, readCoverage } from '../../history/coverage.ts';
import { downloadOf } from '../../history/fields.ts';
import type { App, Parts } from '../http/app.ts';
import { pageOf } from '../http/page.ts';
import { problems } from '../http/schemas.ts';
import { assetField, dayState, rangeQuery } from './shapes.ts';

const counts = z.object(Object.fromEntries(DAY_STATES.map((state) => [state, z.int()])) as Record<DayState, z.ZodInt>);

export function historyCoverageRoute(app: App, parts: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/history/coverage',
    config: { access: 'key' },
    schema: {
      operationId: 'readHistoryCoverage',
      summary: 'Which days of a dataset are stored, and why the others are not',
      description:
        'Every calendar day of the range. complete: stored. degraded: stored, and the source says it is worth less. partial: the stored object lacks it. empty: the source has nothing. failed, not_entitled: as its last download ended. pending: it cannot be had yet. missing: never downloaded. closed: no trading day.',
      tags: ['history'],
      querystring: rangeQuery(parts, { cursor: z.iso.date().optional().describe('`next` of the page before') }),
      response: {
        200: z.object({
          root: z.string(),
          dataset: assetField,
          schema: z.string(),
          interval: z.string(),
          from: z.string(),
          to: z.string(),
          counts: counts.describe('Days by state, of the whole range'),
          days: z.array(
            z.object({
              date: z.string(),
              state: dayState,
              key: z.string().nullable().describe('Of the object that has the day, or would have it'),
              rows: z.int().nullable(),
              reason: z.string().nullable(),
            }),
          ),
          next: z
            .string()
            .nullable()
            .describe('A range with very long reasons comes in pages: the `cursor` of the next one, null on the last'),
        }),
        ...problems,
      },
    },
    async handler({ query }) {
      const { dataset, from, to, cursor } = query;
      const download = downloadOf(dataset, query, { from, to });
      const { days: all, counts } = await readCoverage(parts.db, download, parts.clock.now());
      const after = all.filter(({ date }) => cursor === undefined || date > cursor);
      const { rows: days, next } = pageOf(after, after.length, ({ date }) => date);
      const { root, schema, interval } = download;
      return { root, dataset, schema, interval, from, to, counts, days, next };
    },
  });
}
