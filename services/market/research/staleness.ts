/** When research is fetched again. */
import { createHash } from 'node:crypto';

/** Hours for a symbol that somebody asks for. */
export const FUNDAMENTALS_HOURS = 24;
export const NEWS_HOURS = 1;
/** Days for which research is kept. */
export const RESEARCH_DAYS = 90;

const WEEK_MS = 7 * 86_400_000;

/**
 * Whether the fundamentals of a symbol that nobody asked for are due: once a week, at a moment of the week that is the symbol's own. So a universe that was fetched all at once
 * is fetched again spread over the week, and nothing is older than seven days.
 */
export function isWeeklyDue(symbol: string, fetchedAt: Temporal.Instant | undefined, now: Temporal.Instant): boolean {
  if (fetchedAt === undefined) return true;
  const own = (createHash('sha256').update(symbol).digest().readUInt32BE(0) / 2 ** 32) * WEEK_MS;
  const turn = Math.floor((now.epochMilliseconds - own) / WEEK_MS) * WEEK_MS + own;
  return fetchedAt.epochMilliseconds < turn;
}
