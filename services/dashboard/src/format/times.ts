/** How moments and durations are written. Moments are in the viewer's zone if nothing else is chosen; `momentHint` has the exchange's and UTC. */
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

/** `local`: in the viewer's zone; `relative`: as an age. */
export type TimeStyle = 'local' | 'utc' | 'relative';
let style: TimeStyle = 'local';
export const timeStyle = (): TimeStyle => style;
/** Chosen for all pages: parts/time-style.ts. */
export function writeTimesAs(chosen: TimeStyle): void {
  style = chosen;
}

const part = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-GB', options);
const zoned = (zone: { timeZone?: string }) => ({
  time: part({ ...zone, hour: '2-digit', minute: '2-digit', second: '2-digit' }),
  minute: part({ ...zone, hour: '2-digit', minute: '2-digit' }),
  dayTime: part({ ...zone, day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }),
  dayMonth: part({ ...zone, day: 'numeric', month: 'short' }),
  // As 2025-11-26.
  day: new Intl.DateTimeFormat('en-CA', { ...zone, year: 'numeric', month: '2-digit', day: '2-digit' }),
});
const LOCAL = zoned({});
const UTC = zoned({ timeZone: 'UTC' });

/** `14:02:10` today, `26 Nov 14:02` this year, else `2025-11-26`; in the style that is chosen for all pages. */
export function moment(at: string | number | null | undefined, now = Date.now()): string {
  if (at == null) return NONE;
  return style === 'relative' ? distance(new Date(at), now) : clock(at, now);
}

/** The same, never as an age: for sentences such as "until 14:02:10". */
export function clock(at: string | number, now = Date.now()): string {
  const date = new Date(at);
  const { time, dayTime, day } = style === 'utc' ? UTC : LOCAL;
  const [written, today] = [day.format(date), day.format(now)];
  const zone = style === 'utc' ? ' UTC' : '';
  if (written === today) return time.format(date) + zone;
  if (written.slice(0, 4) === today.slice(0, 4)) return dayTime.format(date).replace(',', '') + zone;
  return written;
}

function distance(date: Date, now: number): string {
  const seconds = (now - date.getTime()) / 1000;
  return seconds >= 0 ? `${age(seconds)} ago` : `in ${age(-seconds)}`;
}

/** For the axis of a chart: `14:02`, over more than two days `26 Nov`. In the zone in which the page writes its other times. */
export function tick(at: number, isLong: boolean): string {
  const { minute, dayMonth } = style === 'utc' ? UTC : LOCAL;
  return (isLong ? dayMonth : minute).format(at);
}

/** The same moment in the exchange's zone and in UTC, and its age. */
export function momentHint(at: string | number, zone = 'America/New_York', now = Date.now()): string {
  const date = new Date(at);
  const inZone = part({ timeZone: zone, dateStyle: 'medium', timeStyle: 'medium' }).format(date);
  return `${inZone} (${zone})\n${date.toISOString().replace('T', ' ').replace('.000', '')} (UTC)\n${distance(date, now)}`;
}
