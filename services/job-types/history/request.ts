import { createHash } from 'node:crypto';
import type { Download } from '../../history/dataset.ts';
import { noTradingDay, type PlannedObject, planOf } from '../../history/plan.ts';
import type { HistorySourceName } from '../../history/sources/source.ts';
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { bandStart } from '../../ledger/job.ts';
import type { Config } from '../../platform/config/load.ts';
import { type Origin, requestFor, type Work, withPriority } from '../request.ts';

export interface HistoryOptions {
  /** Downloads complete objects again too. */
  force?: boolean | undefined;
  /** Only from this source, in place of those of `history.sources`. */
  source?: HistorySourceName | undefined;
  /** 1-10, in place of `jobs.default_priority`. */
  priority?: number | undefined;
  origin: Origin;
  config: Pick<Config, 'history' | 'jobs'>;
  /** The objects of the download, oldest first, if the caller has them already. */
  plan?: readonly PlannedObject[] | undefined;
}

/**
 * The jobs of a download. The first request is the job that stands for it. A download of more than `history.items_per_job` objects has parts too, the newest days
 * first: the first job needs them and sums them up. The same objects with the same options are the same job while it lives. The caller has checked the range.
 *
 * The parts have no user: they run for hours and would take the slots of the user's other jobs. They never wait in foreground: a quota counts the download as one job, and one
 * caller could fill that queue with parts.
 * Errors: `InputError('history.no_trading_day')`.
 */
export function historyRequests(
  download: Download,
  { force = false, source, priority, origin, config, plan = planOf(download) }: HistoryOptions,
): JobRequest[] {
  const { root } = download;
  if (plan.length === 0) throw noTradingDay(download);
  const options = { force, ...(source !== undefined && { source }) };
  const request = (who: Origin, work: Omit<Work, 'type' | 'symbol'>): JobRequest => {
    const made = requestFor(
      who,
      { type: 'history', symbol: root, ...work },
      { level: config.jobs.default_priority, of: 'jobs.default_priority' },
    );
    return priority === undefined ? made : withPriority(made, priority);
  };
  const payload = { ...download, ...options };
  const dedupeKey = keyOf('history', plan, options);
  const size = config.history.items_per_job;
  if (plan.length <= size) return [request(origin, { payload, dedupeKey, items: keysOf(plan) })];
  const chunks = chunksOf(plan, size);
  const parts = chunks.map((chunk) => {
    const range = { ...payload, from: chunk[0]?.days[0], to: chunk.at(-1)?.days.at(-1), part: true };
    const part = request(
      { ...origin, user: undefined },
      { payload: range, dedupeKey: keyOf('history_part', chunk, options), items: keysOf(chunk) },
    );
    const level = Math.max(part.level, PARTS_FROM);
    return {
      ...part,
      ...{ level, score: part.score / 2 },
      why: { ...part.why, priority: level, text: `${part.why.text}; a part of a long download, which short ones overtake` },
    };
  });
  return [
    request(origin, {
      payload: { ...payload, parts: parts.length },
      dedupeKey,
      parts: parts.flatMap((part) => part.dedupeKey ?? []),
    }),
    ...parts,
  ];
}

const PARTS_FROM = bandStart('background_fetch');

const keysOf = (plan: readonly PlannedObject[]): string[] => plan.map(({ object }) => object.key);

/** Pieces of at most `size` and of about the same length, the newest first. */
function chunksOf(plan: readonly PlannedObject[], size: number): PlannedObject[][] {
  const count = Math.ceil(plan.length / size);
  return Array.from({ length: count }, (_, index) =>
    plan.slice(Math.round((index * plan.length) / count), Math.round(((index + 1) * plan.length) / count)),
  ).reverse();
}

/** Ranges that mean the same objects have the same key: an object is whole, whatever part of its period is asked for. */
function keyOf(prefix: string, plan: readonly PlannedObject[], options: object): string {
  const text = JSON.stringify([plan[0]?.object.key, plan.at(-1)?.object.key, options]);
  return `${prefix}:${createHash('sha256').update(text).digest('hex')}`;
}
