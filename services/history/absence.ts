/** What an answer without rows, or without those of some days, means. */
import { emptyCountsFrom } from './availability.ts';
import type { Absence, ManifestRow } from './manifest.ts';

export interface AbsenceRules {
  /** Seconds after which an empty answer beside a day with rows is asked for once more. */
  askAgainAfter: number;
  /** Hours for which an object counts as empty. */
  emptyTtl: number;
}

/** `not_yet`: the source may not have loaded it. `again`: to be asked once more from `until` on. `empty`: there is nothing, and it is not asked for until then. */
export type Verdict = { kind: 'not_yet'; from: Temporal.Instant } | { kind: 'again' | 'empty'; until: Temporal.Instant };

/**
 * What an empty answer for the `days` of an object (ascending, at least one) means. `beside`: whether an object before or after it has rows. `earlier`: what was known of it
 * before it was asked for. A source that is overloaded sometimes answers with nothing, so beside rows the first empty answer does not count.
 */
export function verdictOf(
  { days, now, beside, earlier }: { days: readonly string[]; now: Temporal.Instant; beside: boolean; earlier: Absence | undefined },
  { askAgainAfter, emptyTtl }: AbsenceRules,
): Verdict {
  const from = emptyCountsFrom(days.at(-1) as string);
  if (Temporal.Instant.compare(now, from) < 0) return { kind: 'not_yet', from };
  if (beside && earlier?.state !== 'asked_once' && earlier?.state !== 'empty')
    return { kind: 'again', until: now.add({ seconds: askAgainAfter }) };
  return { kind: 'empty', until: now.add({ hours: emptyTtl }) };
}

/**
 * Whether days without rows count as days of which there are none: an answer that was given `askAgainAfter` seconds earlier had none of them either, and the last of them is
 * over for long enough. Until then the object is partial.
 */
export function isSettled(
  missing: readonly string[],
  { now, earlier }: { now: Temporal.Instant; earlier: Pick<ManifestRow, 'days' | 'asOf' | 'object'> | undefined },
  { askAgainAfter }: Pick<AbsenceRules, 'askAgainAfter'>,
): boolean {
  const last = missing.at(-1);
  if (last === undefined) return true;
  if (earlier === undefined || Temporal.Instant.compare(now, emptyCountsFrom(last)) < 0) return false;
  return (
    now.epochMilliseconds - earlier.asOf.getTime() >= askAgainAfter * 1000 &&
    earlier.asOf.getTime() >= emptyCountsFrom(last).epochMilliseconds &&
    missing.every((day) => earlier.days[day] === undefined)
  );
}

/** Days as text for people, the first few by name. */
export function daysText(days: readonly string[]): string {
  const shown = days.slice(0, 3).join(', ');
  return days.length <= 3 ? shown : `${shown} and ${days.length - 3} more days, the last ${days.at(-1)}`;
}
