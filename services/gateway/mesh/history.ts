/** `GET /v1/stats/history`: the statistics that are kept, as columns on an even grid of time. */
import { z } from 'zod';
import { nowOf } from '../../ledger/job.ts';
import { InputError } from '../../platform/errors.ts';
import { bucketPercentile, countOf } from '../../platform/monitoring/buckets.ts';
import { HOUR_S, type MeshStats, MINUTE_S, mergeStats, readStatsRows } from '../../platform/monitoring/mesh-stats.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, problems } from '../http/schemas.ts';

const GROUPS = {
  depth: 'jobs that wait and run, and the oldest wait, in all and by queue',
  rates: 'jobs a minute: enqueued, completed, failed, and by type; asked for and ended by queue (`in.foreground`, `out.foreground`)',
  codes: 'jobs a minute that ended other than completed, by code',
  latency: 'seconds: p50 and p99 of waits, runs and of a login to fresh data, with the number of logins',
  workers: 'workers, slots and busy slots',
  sources: 'requests a minute to each source, failures, and the p95 of its answers',
} as const;
type Group = keyof typeof GROUPS;
const NAMES = Object.keys(GROUPS) as [Group, ...Group[]];

/** A grid has at most so many moments. */
const MOST_POINTS = 1_500;
/** As many as a chart has pixels to tell apart, without a step. */
const STANDARD_POINTS = 360;
/** A chart by minutes is of two days at most: 30 days of them are 90 MB, which nobody tells apart. */
const LONGEST_MINUTES_S = 172_800;
const STEPS = [60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400];

const history = z
  .object({
    from: instant,
    to: instant,
    step: z.int().describe('Seconds'),
    at: z.array(instant).describe('The begin of each step'),
    series: z
      .record(z.string(), z.array(z.number().nullable()))
      .describe(
        'One value for each step; null where nothing was written, such as in an outage. `ready`, `ready.foreground`, `completed`, `completed.fetch`, `codes.source.timeout`, `login_fresh_p99`, `sources.yahoo_finance.errors` and so on',
      ),
  })
  .meta({ id: 'StatsHistory' });

export function statsHistoryRoute(app: App, { db, ledger }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/stats/history',
    config: { access: 'read' },
    schema: {
      operationId: 'readStatisticsHistory',
      summary: 'Statistics over time',
      description: `Kept for \`scheduler.stats_days\`. Without \`from\` the last hour. Steps below an hour are for ranges of two days at most. Counts are a minute, what stands at a moment is a mean over the step, percentiles are of merged counts. Groups: ${NAMES.map((name) => `${name}: ${GROUPS[name]}`).join('; ')}.`,
      tags: ['operations'],
      querystring: z.strictObject({
        from: instant.optional(),
        to: instant.optional(),
        step: z.enum(STEPS.map(String)).transform(Number).optional().describe('Seconds'),
        series: z
          .string()
          .transform((text) => text.split(','))
          .pipe(z.array(z.enum(NAMES)))
          .optional()
          .describe(`Groups, separated by commas: ${NAMES.join(', ')}; all if not given`),
      }),
      response: { 200: history, ...problems },
    },
    async handler({ query }) {
      const now = nowOf(ledger);
      const to = query.to ?? now;
      const from = query.from ?? new Date(to.getTime() - HOUR_S * 1000);
      const step = stepOf(from, to, query.step);
      const grid = gridOf(from, to, step);
      const first = grid[0] as Date;
      // Rows of hours where the step is made of hours, and of minutes for the hour that is not over.
      const ofHours = step >= HOUR_S ? await readStatsRows(db, HOUR_S, first, to) : [];
      const hoursEnd = ofHours.at(-1)?.at.getTime();
      const minutesFrom = hoursEnd === undefined ? first : new Date(hoursEnd + HOUR_S * 1000);
      // Whole hours that no leader has summed up are read by their minutes, of two days at most.
      const oldest = step >= HOUR_S ? new Date(Math.max(minutesFrom.getTime(), to.getTime() - LONGEST_MINUTES_S * 1000)) : minutesFrom;
      const rows = [...ofHours, ...(await readStatsRows(db, MINUTE_S, oldest, to))];
      return { from, to, step, at: grid, series: seriesOf(grid, step, rows, new Set(query.series ?? NAMES)) };
    },
  });
}

/** Errors: `InputError('stats.bad_range')`. */
function stepOf(from: Date, to: Date, given: number | undefined): number {
  const seconds = (to.getTime() - from.getTime()) / 1000;
  if (seconds <= 0) throw new InputError('stats.bad_range', `"from" (${from.toISOString()}) is not before "to" (${to.toISOString()})`);
  const isByMinutes = (step: number): boolean => step < HOUR_S && seconds > LONGEST_MINUTES_S;
  const step = given ?? STEPS.find((one) => seconds / one <= STANDARD_POINTS && !isByMinutes(one)) ?? (STEPS.at(-1) as number);
  if (isByMinutes(step))
    throw new InputError(
      'stats.bad_range',
      `steps of ${step} s are for a range of two days at most: choose 3600 or more, or a shorter range`,
    );
  if (seconds / step > MOST_POINTS)
    throw new InputError(
      'stats.bad_range',
      `${Math.ceil(seconds / step)} steps of ${step} s are more than ${MOST_POINTS}: choose a longer step or a shorter range`,
    );
  return step;
}

function gridOf(from: Date, to: Date, step: number): Date[] {
  const ms = step * 1000;
  const first = Math.floor(from.getTime() / ms) * ms;
  return Array.from({ length: Math.ceil((to.getTime() - first) / ms) }, (_, index) => new Date(first + index * ms));
}

function seriesOf(
  grid: readonly Date[],
  step: number,
  rows: readonly MeshStats[],
  groups: ReadonlySet<Group>,
): Record<string, (number | null)[]> {
  const byStep = Map.groupBy(rows, ({ at }) => Math.floor(at.getTime() / (step * 1000)) * step * 1000);
  const series = new Map<string, (number | null)[]>();
  for (const [index, at] of grid.entries()) {
    const row = mergeStats(at, byStep.get(at.getTime()) ?? []);
    for (const [name, value] of row === undefined ? [] : valuesOf(row, groups))
      series.getOrInsertComputed(name, () => new Array(grid.length).fill(null))[index] = value;
  }
  return Object.fromEntries(series);
}

function* valuesOf(row: MeshStats, groups: ReadonlySet<Group>): Generator<[name: string, value: number | null]> {
  const { details } = row;
  const perMinute = (count: number): number => Number((count / row.minutes).toFixed(3));
  if (groups.has('depth')) {
    for (const name of ['ready', 'running', 'scheduled', 'blocked', 'oldest_s'] as const) yield [name, row[name]];
    for (const [queue, values] of Object.entries(details.queues))
      for (const name of ['ready', 'running', 'oldest_s'] as const) yield [`${name}.${queue}`, values[name]];
  }
  if (groups.has('rates')) {
    for (const name of ['enqueued', 'completed', 'failed'] as const) yield [name, perMinute(row[name])];
    for (const [type, counts] of Object.entries(details.types))
      for (const name of ['completed', 'failed'] as const) yield [`${name}.${type}`, perMinute(counts[name])];
    for (const [queue, counts] of Object.entries(details.flow ?? {}))
      for (const name of ['in', 'out'] as const) yield [`${name}.${queue}`, perMinute(counts[name])];
  }
  if (groups.has('codes')) for (const [code, count] of Object.entries(details.codes)) yield [`codes.${code}`, perMinute(count)];
  if (groups.has('latency'))
    for (const name of ['wait', 'run', 'login_fresh'] as const) {
      yield [`${name}_p50`, bucketPercentile(details[name], 0.5)];
      yield [`${name}_p99`, bucketPercentile(details[name], 0.99)];
      yield [`${name}_count`, countOf(details[name])];
    }
  if (groups.has('workers')) for (const name of ['workers', 'slots', 'busy'] as const) yield [name, row[name]];
  if (groups.has('sources'))
    for (const [source, { answers, errors, p95_s }] of Object.entries(details.sources)) {
      yield [`sources.${source}.answers`, perMinute(answers)];
      yield [`sources.${source}.errors`, perMinute(errors)];
      yield [`sources.${source}.p95_s`, p95_s];
    }
}
