/** When simulated companies report. */
import { usCalendar } from '../../../market/calendar/calendar.ts';
import { hashed } from '../../../market/sources/simulated.ts';
import type { ObjectSpec } from '../../dataset.ts';
import { cents } from './intraday.ts';

const PURPOSE = { month: 1, session: 2, day: 3, level: 4, surprise: 5 } as const;

/**
 * The report of a month, in one month of each quarter and on one of its sessions; none for indexes and in the other months. `days`: those that are over. A report on a later day
 * has no actual earnings yet.
 */
export function* earningsRows({ root, period }: ObjectSpec, days: readonly string[], seed: string): Generator<string> {
  const random = hashed(`${seed}/${root}/earnings`);
  const [year, month] = period.name.split('-').map(Number) as [number, number];
  if (root.startsWith('^') || (month - 1) % 3 !== Math.floor(random(PURPOSE.month, 0) * 3)) return;
  const index = year * 12 + month;
  const sessions = usCalendar.tradingDays(period.from, period.to);
  const date = sessions[Math.floor(random(PURPOSE.day, index) * sessions.length)]!;
  const session = random(PURPOSE.session, 0) < 0.5 ? 'before' : 'after';
  const estimate = cents((0.3 + 3 * random(PURPOSE.level, 0)) * (0.9 + 0.2 * random(PURPOSE.level, index)));
  const actual = cents(estimate * (0.85 + 0.35 * random(PURPOSE.surprise, index)));
  yield `${date},${session},${estimate},${date <= (days.at(-1) ?? '') ? actual : ''},simulated\n`;
}
