/** `GET /v1/sources`: whether the market sources are asked, how they answer, and what is left of their budget. */
import { z } from 'zod';
import { nowOf } from '../../ledger/job.ts';
import { readLatencies } from '../../ledger/read/metrics.ts';
import { LIMITED_SOURCES, readBudgets } from '../../market/sources/budget.ts';
import { readHealth, type SourceHealth } from '../../platform/monitoring/source-health.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, problems } from '../http/schemas.ts';

const source = z
  .object({
    source: z.string(),
    is_configured: z.boolean().describe('false: a source of option chains alone, or one that an earlier configuration named'),
    place: z.int().nullable().describe('From 1, in the order in which they are asked'),
    state: z
      .enum(['unasked', 'ok', 'failing', 'paused'])
      .describe('failing: the last answer was a failure; paused: some worker does not ask it, after repeated failures'),
    paused_until: instant.nullable(),
    paused_by: z.array(z.string()).describe('Workers'),
    answers: z.int().describe('Since the workers have started'),
    errors: z.int(),
    last_ok_at: instant.nullable(),
    last_error_at: instant.nullable(),
    last_code: z.string().nullable(),
    last_error: z.string().nullable(),
    p95_s: z.number().nullable().describe('Of the last five minutes'),
    budget: z
      .object({ limit: z.int(), used: z.int(), left: z.int(), resets_at: instant.nullable() })
      .nullable()
      .describe('Requests of all workers in the present minute; null: no limit'),
  })
  .meta({ id: 'Source' });

export function sourcesRoute(app: App, { db, ledger, config }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/sources',
    config: { access: 'read' },
    schema: {
      operationId: 'listSources',
      summary: 'The market sources and how they answer',
      tags: ['operations'],
      response: { 200: z.object({ sources: z.array(source) }), ...problems },
    },
    async handler() {
      const now = nowOf(ledger);
      const { sources: order, rate_limit } = config.stock_jobs.data_fetch;
      const [health, budgets, latencies] = await Promise.all([readHealth(db), readBudgets(db, now), readLatencies(db, now, ledger.types)]);
      const p95 = new Map(latencies.map((one) => [one.source, one.p95]));
      const names = [...new Set<string>([...order, ...health.map((one) => one.source)])];
      return {
        sources: names.map((name) => {
          const place = (order as readonly string[]).indexOf(name);
          const budget = budgets.get(name);
          const used = Math.min(budget?.points ?? 0, rate_limit);
          return {
            ...{ source: name, is_configured: place !== -1, place: place === -1 ? null : place + 1 },
            ...summedUp(
              health.filter((one) => one.source === name),
              now,
            ),
            p95_s: p95.get(name) ?? null,
            budget: LIMITED_SOURCES.includes(name)
              ? { limit: rate_limit, used, left: rate_limit - used, resets_at: budget === undefined ? null : new Date(budget.expire) }
              : null,
          };
        }),
      };
    },
  });
}

/** What all workers have seen of one source. */
function summedUp(rows: readonly SourceHealth[], now: Date) {
  const latest = (moments: readonly (Date | null)[]): Date | null =>
    moments.reduce<Date | null>((newest, at) => (at !== null && (newest === null || at > newest) ? at : newest), null);
  const paused = rows.filter(({ open_until }) => open_until !== null && open_until > now);
  const last_ok_at = latest(rows.map((row) => row.last_ok_at));
  const failure = rows.toSorted((a, b) => (b.last_error_at?.getTime() ?? 0) - (a.last_error_at?.getTime() ?? 0))[0];
  const last_error_at = failure?.last_error_at ?? null;
  const isFailing = last_error_at !== null && (last_ok_at === null || last_error_at > last_ok_at);
  const state = paused.length > 0 ? 'paused' : isFailing ? 'failing' : last_ok_at === null ? 'unasked' : 'ok';
  return {
    state: state as 'paused' | 'failing' | 'unasked' | 'ok',
    paused_until: latest(paused.map(({ open_until }) => open_until)),
    paused_by: paused.map(({ instance }) => instance),
    answers: rows.reduce((sum, { answers }) => sum + Number(answers), 0),
    errors: rows.reduce((sum, { errors }) => sum + Number(errors), 0),
    ...{ last_ok_at, last_error_at, last_code: failure?.last_code ?? null, last_error: failure?.last_error ?? null },
  };
}
