/** What is missing of a range, as downloads to ask for. */
import type { Coverage, CoveredDay, DayState } from './coverage.ts';
import type { Download } from './dataset.ts';

/** `pending` days come with a download when they can be had. */
const GAPS: ReadonlySet<DayState> = new Set(['missing', 'failed', 'partial']);
/** Whether another download may bring a day. */
export const isGap = ({ state }: { state: DayState }): boolean => GAPS.has(state);

/** More are asked for as one from the first gap to the last: objects that are complete are skipped without being asked for. */
const MOST_RANGES = 10;

export interface Gaps {
  /** The days, ascending. */
  days: CoveredDay[];
  /** Each from the first to the last day of gaps that no stored day parts. */
  downloads: Download[];
}

export function gapsOf(download: Download, { days }: Coverage): Gaps {
  const gaps: CoveredDay[] = [];
  const ranges: { from: string; to: string }[] = [];
  let open: { from: string; to: string } | undefined;
  for (const day of days) {
    if (day.state === 'closed') continue;
    if (!isGap(day)) {
      open = undefined;
      continue;
    }
    gaps.push(day);
    if (open === undefined) {
      open = { from: day.date, to: day.date };
      ranges.push(open);
    } else open.to = day.date;
  }
  const [first] = ranges;
  const last = ranges.at(-1);
  const asked = first !== undefined && last !== undefined && ranges.length > MOST_RANGES ? [{ from: first.from, to: last.to }] : ranges;
  return { days: gaps, downloads: asked.map((range) => ({ ...download, ...range })) };
}
