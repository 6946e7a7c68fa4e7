/** How moments and durations are written. Moments are in the viewer's zone; `momentHint` has the exchange's and UTC. */
import { NONE } from './numbers.ts';

const THIN = '\u2009';

/** One unit under 100: `47 s`, `12 min`, `3.1 h`, `4 d`. */
export function age(seconds: number | null | undefined): string {
  if (seconds == null) return NONE;
  const s = Math.max(0, seconds);
  if (s < 100) return `${Math.floor(s)}${THIN}s`;
  if (s < 6_000) return `${Math.round(s / 60)}${THIN}min`;
  if (s < 100 * 3_600) return `${(s / 3_600).toFixed(s < 36_000 ? 1 : 0)}${THIN}h`;
  return `${Math.round(s / 86_400)}${THIN}d`;
}

/** A wait, two digits: `0.31 s`, `4.2 s`, `47 s`, then as an age. */
export function wait(seconds: number | null | undefined): string {
  if (seconds == null) return NONE;
  const s = Math.max(0, seconds);
  return s < 10 ? `${s.toFixed(s < 1 ? 2 : 1)}${THIN}s` : age(s);
}

export const secondsBetween = (from: string, to: string | number): number => (new Date(to).getTime() - new Date(from).getTime()) / 1000;

const part = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-GB', options);
const time = part({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayTime = part({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

/** `14:02:10` today, `26 Nov 14:02` this year, else `2025-11-26`. */
export function moment(at: string | number | null | undefined, now = Date.now()): string {
  if (at == null) return NONE;
  const date = new Date(at);
  const today = new Date(now);
  if (date.toDateString() === today.toDateString()) return time.format(date);
  if (date.getFullYear() === today.getFullYear()) return dayTime.format(date).replace(',', '');
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
}

/** The same moment in the exchange's zone and in UTC, and its age. */
export function momentHint(at: string | number, zone = 'America/New_York', now = Date.now()): string {
  const date = new Date(at);
  const inZone = part({ timeZone: zone, dateStyle: 'medium', timeStyle: 'medium' }).format(date);
  const seconds = (now - date.getTime()) / 1000;
  const distance = seconds >= 0 ? `${age(seconds)} ago` : `in ${age(-seconds)}`;
  return `${inZone} (${zone})\n${date.toISOString().replace('T', ' ').replace('.000', '')} (UTC)\n${distance}`;
}
