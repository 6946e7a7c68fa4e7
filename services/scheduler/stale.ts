/** The held and watched symbols whose price data is an alert's matter. */
import type { HeldFreshness } from '../market/freshness/held.ts';

export interface StaleData {
  /** Stale by the rules of freshness and older than `portfolio.stale_alert_hours`, the oldest first. */
  symbols: string[];
  /** Age of the oldest, 0 when there is none. */
  oldestHours: number;
  /** The sources were asked and have nothing of the last two sessions or more; the one that is furthest behind first. */
  outdated: string[];
  /** Symbols of which bars are stored. */
  withBars: number;
}

/** A source of daily bars has a session's bar only after its close, some the next morning. So one session is no sign that a source has fallen silent. */
const SILENT_SESSIONS = 2;

/** A symbol that was never fetched has no age: it is missing, not stale, and is fetched at its user's next login. */
export function staleData({ judged }: Pick<HeldFreshness, 'judged'>, { stale_alert_hours }: { stale_alert_hours: number }): StaleData {
  const hoursOf = ({ price }: HeldFreshness['judged'][number]): number => (price.ageMinutes ?? 0) / 60;
  const behind = ({ price }: HeldFreshness['judged'][number]): number => price.sessionsBehind ?? 0;
  const stale = judged
    .filter((one) => one.price.state === 'stale' && hoursOf(one) > stale_alert_hours)
    .sort((a, b) => hoursOf(b) - hoursOf(a));
  const outdated = judged
    .filter((one) => one.price.state === 'outdated' && behind(one) >= SILENT_SESSIONS)
    .sort((a, b) => behind(b) - behind(a));
  return {
    symbols: stale.map(({ symbol }) => symbol),
    oldestHours: stale[0] === undefined ? 0 : hoursOf(stale[0]),
    outdated: outdated.map(({ symbol }) => symbol),
    withBars: judged.length,
  };
}
