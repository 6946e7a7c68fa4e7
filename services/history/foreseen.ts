/** What a download makes of an object, by what is known of it before a source is asked. A job goes by it, and so does the preview of one. */
import { availableDays, completeAt } from './availability.ts';
import type { ObjectSpec } from './dataset.ts';
import type { Absence, ManifestRow } from './manifest.ts';
import { daysOf } from './plan.ts';

/**
 * `skipped`: it is stored. `not_yet`: none of its days can be had before `from`. `no_data`: the source has lately said that it has nothing. `ask`: the source is asked for these
 * days, not before `from` if that is given.
 */
export type Foreseen =
  | { kind: 'skipped' | 'no_data' }
  | { kind: 'not_yet'; from: Temporal.Instant }
  | { kind: 'ask'; days: readonly string[]; from?: Temporal.Instant };

/** `since`: only an object that was stored since then counts, and no absence does: the download is forced. */
export function foresee(
  object: ObjectSpec,
  row: Pick<ManifestRow, 'isPartial' | 'days' | 'storedAt'> | undefined,
  absence: Pick<Absence, 'state' | 'until'> | undefined,
  { now, since }: { now: Temporal.Instant; since: Date | undefined },
): Foreseen {
  const days = availableDays(object, now);
  const counts = row !== undefined && (since === undefined || row.storedAt >= since);
  if (counts && (!row.isPartial || days.every((day) => row.days[day] !== undefined))) return { kind: 'skipped' };
  // Of a trading day it is known.
  if (days.length === 0) return { kind: 'not_yet', from: completeAt(object, daysOf(object)[0] as string) as Temporal.Instant };
  if (absence?.until == null || absence.until.getTime() <= now.epochMilliseconds || since !== undefined) return { kind: 'ask', days };
  if (absence.state === 'asked_once') return { kind: 'ask', days, from: Temporal.Instant.fromEpochMilliseconds(absence.until.getTime()) };
  return absence.state === 'empty' ? { kind: 'no_data' } : { kind: 'ask', days };
}
