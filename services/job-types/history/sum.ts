/** How a download ends: its counts, and why it has not everything. */
import type { z } from 'zod';
import { planOf } from '../../history/plan.ts';
import { isDone } from '../../ledger/job.ts';
import { type PartState, partsOf, readParts } from '../../ledger/parts.ts';
import { type ItemCounts, sumItems } from '../../ledger/run/items.ts';
import { COMMAND } from '../../platform/command-name.ts';
import type { Sql } from '../../platform/database/database.ts';
import { PermanentError } from '../../platform/errors.ts';
import type { JobContext, JobOutput } from '../handler.ts';
import type { HistoryPayload } from './definition.ts';

type Payload = z.output<typeof HistoryPayload>;

/** Reasons of parts that are told. */
const TOLD = 3;

/**
 * The end of a job whose parts have ended. Parts that were cancelled or failed before their end leave items that were not tried. Errors:
 * `PermanentError('history.parts_failed')` when nothing at all was done.
 */
export async function sumUp(
  download: Payload,
  context: Pick<JobContext<never>, 'job' | 'countItems'>,
  sql: Sql,
): Promise<JobOutput<never>> {
  const [counts, parts] = await Promise.all([context.countItems(), readParts(sql, context.job.id)]);
  const open = parts.filter(({ state }) => !isDone(state));
  if (counts.total === counts.pending)
    throw new PermanentError(
      'history.parts_failed',
      `none of the ${counts.total} objects was downloaded: ${reasonsOf(open)}${wayOut(context.job.id)}`,
    );
  return endOf(download, context, sql, counts, open);
}

/** The output of a job with no item left to try. `open`: parts that ended before their items were all tried. */
export async function endOf(
  download: Payload,
  { job }: Pick<JobContext<never>, 'job'>,
  sql: Sql,
  { total, pending, ...counts }: ItemCounts,
  open: readonly PartState[] = [],
): Promise<JobOutput<never>> {
  const { rows, bytes } = await sumItems(sql, job.id, ...(await partsOf(sql, job.id)));
  const { root, asset, schema, interval, from, to } = download;
  const days = planOf(download).reduce((sum, one) => sum + one.days.length, 0);
  const errors = [
    counts.failed > 0 ? `${counts.failed} of ${total} objects failed` : undefined,
    counts.not_entitled > 0 ? `${counts.not_entitled} of ${total} are not in the subscription of the source` : undefined,
    pending > 0 ? `${pending} of ${total} were not tried (${reasonsOf(open)})` : undefined,
  ].filter((text) => text !== undefined);
  return {
    rows: [],
    dataMessages: [],
    result: { root, asset, schema, interval, from, to, objects: total, ...counts, ...(pending > 0 && { pending }), days, rows, bytes },
    withErrors: errors.length === 0 ? undefined : `${errors.join(', ')}${wayOut(job.id)}`,
  };
}

const wayOut = (id: string): string => ` ("${COMMAND} job ${id}" lists them, "${COMMAND} retry ${id}" tries them again)`;

/** What several parts have in common is told once. */
function reasonsOf(parts: readonly PartState[]): string {
  const alike = [...Map.groupBy(parts, ({ state, reason }) => `ended as ${state}${reason === null ? '' : `: ${reason}`}`)];
  const told = alike
    .slice(0, TOLD)
    .map(([end, [first, ...more]]) => `part ${first?.id}${more.length === 0 ? '' : ` and ${more.length} more`} ${end}`);
  return [...told, ...(alike.length > TOLD ? [`and ${alike.length - TOLD} other reasons`] : [])].join('; ');
}
