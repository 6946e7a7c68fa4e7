/** What keeps a symbol out of the ranking, whoever asks. */
import type { ExchangeCalendar } from '../../market/calendar/calendar.ts';
import { dateOf, dayOf, type PriceHistory, type UniverseMember } from './input.ts';
import { WINDOW_BARS } from './measures.ts';
import { count, date, dollars, type Phrase, phrase } from './phrase.ts';

export const DATA_GATES = ['type_unknown', 'not_equity', 'other_currency', 'short_history', 'stale', 'suspect_price', 'simulated'] as const;
export type DataGate = (typeof DATA_GATES)[number];

/** Why a symbol is out, with a part of a sentence for people: "it is of the type ETF, not a share of a company". */
export interface Excluded {
  reason: DataGate;
  detail: Phrase;
}

/** Ratios of usual splits. */
const SPLITS = [2, 3, 4, 5, 10, 20];
const SPLIT_TOLERANCE = 0.02;
/** A split's own jump is this near to it as a share of its size, both as logarithms; a smaller split than 1.4 cannot be told from a day's move. */
const UNRESTATED_TOLERANCE = 0.25;
const LEAST_SPLIT = 1.4;
const MOST_SESSIONS_MISSING = 10;

/** The first reason against a symbol; undefined where there is none. `window`: its newest 253 bars up to the date. */
export function dataGate(
  member: UniverseMember,
  window: PriceHistory | null,
  { dataDate, calendar, allowSimulated }: { dataDate: string; calendar: ExchangeCalendar; allowSimulated: boolean },
): Excluded | undefined {
  const { fundamentals, simulated } = member;
  const type = fundamentals?.quoteType ?? null;
  if (type === null) return out('type_unknown', phrase`no stored fact says that it is a share`);
  if (type !== 'EQUITY') return out('not_equity', phrase`it is of the type ${type}, not a share of a company`);
  const currency = fundamentals?.currency ?? null;
  if (currency !== null && currency !== 'USD') {
    return out('other_currency', phrase`its price is in ${currency}, and the limits are in US dollars`);
  }
  const bars = window?.days.length ?? 0;
  if (window === null || bars < WINDOW_BARS) {
    const [stored, needed] = [count('stored daily bars', bars), count('daily bars that are needed', WINDOW_BARS)];
    return out('short_history', phrase`${stored} of ${needed} daily bars are stored up to ${date('date of the screen', dataDate)}`);
  }
  const newest = dateOf(window.days.at(-1)!);
  if (newest !== dataDate) {
    return out('stale', phrase`its newest bar is of ${date('newest bar', newest)}, not of ${date('date of the screen', dataDate)}`);
  }
  const suspect = suspectPrice(window, member.splits, calendar);
  if (suspect !== undefined) return out('suspect_price', suspect);
  if (simulated && !allowSimulated) return out('simulated', phrase`its data is simulated`);
  return undefined;
}

const out = (reason: DataGate, detail: Phrase): Excluded => ({ reason, detail });

/** What cannot be right about a year of prices: a price that is none, a jump like a split's that no stored split explains, a split that the adjusted prices do not know, a long gap. */
function suspectPrice(
  { days, close, adjusted }: PriceHistory,
  splits: UniverseMember['splits'],
  calendar: ExchangeCalendar,
): Phrase | undefined {
  const known = splits.map(({ date: on, ratio }) => ({ day: dayOf(on), ratio }));
  for (let i = 0; i < days.length; i++) {
    const on = () => date('date of the suspect price', dateOf(days[i]!));
    if (!isPrice(close[i]!) || !isPrice(adjusted[i]!)) return phrase`its price of ${on()} is no price`;
    if (i === 0) continue;
    const [before, day] = [days[i - 1]!, days[i]!];
    const split = known.find((one) => before < one.day && one.day <= day)?.ratio;
    const step = close[i]! / close[i - 1]!;
    if (split === undefined && SPLITS.some((size) => isNear(step, size) || isNear(step * size, 1))) {
      const [from, to] = [dollars('price before the jump', close[i - 1]!), dollars('price after the jump', close[i]!)];
      return phrase`its price went from ${from} to ${to} on ${on()}, like a split that is not stored`;
    }
    if (split !== undefined && isUnrestated(adjusted[i]! / adjusted[i - 1]!, split)) {
      return phrase`its prices before the split of ${on()} are not restated`;
    }
    // So many days hold fewer sessions than the limit: the calendar need not be asked.
    if (day - before <= MOST_SESSIONS_MISSING) continue;
    const missing = calendar.sessionsAfter(dateOf(before), dateOf(day)) - 1;
    if (missing > MOST_SESSIONS_MISSING) return phrase`${count('missing sessions', missing)} sessions are missing before ${on()}`;
  }
  return undefined;
}

const isPrice = (value: number): boolean => Number.isFinite(value) && value > 0;
const isNear = (value: number, to: number): boolean => Math.abs(value / to - 1) <= SPLIT_TOLERANCE;

function isUnrestated(jump: number, split: number): boolean {
  const size = Math.abs(Math.log(split));
  return size >= Math.log(LEAST_SPLIT) && Math.abs(Math.log(jump) + Math.log(split)) < UNRESTATED_TOLERANCE * size;
}
