/** Finds that a source has changed bars, splits or dividends that are stored already, so that the history has to be fetched again. */
import type { Bar, BarsAnswer, CorporateAction } from './bars.ts';
import type { SymbolState } from './read.ts';
import { barFault } from './sense.ts';

/** Adjusted closes that differ by more than this share were adjusted for different events; the smallest dividends move them by 1e-4, a source's own rounding by 1e-7. */
const SAME_ADJUSTMENT = 1e-6;
/** The columns keep doubles. */
const SAME_NUMBER = 1e-12;
/** A split or dividend of another source has other last digits. */
const SAME_ACTION = 1e-6;

export interface Stored {
  state: SymbolState;
  /** Ascending. */
  bars: readonly Bar[];
  /** Those of the range that was asked for; undefined where they are known to be the answer's. */
  actions: readonly CorporateAction[] | undefined;
}

/**
 * Why the stored history has to be replaced, for people; undefined when the answer continues it. `isWhole`: the answer begins before all stored bars, so what it
 * lacks of the splits and dividends is no longer true. `same`: so many of the answer's first bars are known to be stored, and `bars` are those behind them. The newest
 * stored bar may have been live: its prices may have moved.
 */
export function differenceOf({ state, bars, actions }: Stored, answer: BarsAnswer, isWhole: boolean, same = 0): string | undefined {
  if ((state.source === 'simulated') !== (answer.source === 'simulated')) return 'real data replaces made-up data';
  const answered = answer.bars;
  let at = same;
  for (const old of bars) {
    const fault = answered.length === 0 ? undefined : barFault(old);
    if (fault !== undefined) return `the stored bar of ${old.date} cannot be true (${fault})`;
    at = nextAt(answered, at, old.date);
    const bar = answered[at];
    if (bar?.date !== old.date) continue;
    // The ratio of adjusted to raw close depends on the adjustment alone.
    if (!near(bar.adjustedClose / bar.close, old.adjustedClose / old.close, SAME_ADJUSTMENT))
      return `the adjusted close of ${old.date} has changed from ${old.adjustedClose} to ${bar.adjustedClose}`;
    if (old.date !== state.newestBar && !samePrices(old, bar)) return `the bar of ${old.date} has been repaired: its prices have changed`;
  }
  return actions && actionDifference(actions, answer, isWhole && answer.source === state.source);
}

/** The first place from `at` on whose bar is not before the day. */
function nextAt(bars: readonly Bar[], at: number, date: string): number {
  let next = at;
  while (next < bars.length && (bars[next] as Bar).date < date) next++;
  return next;
}

function actionDifference(stored: readonly CorporateAction[], answer: BarsAnswer, complete: boolean): string | undefined {
  const keyOf = ({ date, kind }: CorporateAction): string => `${kind} of ${date}`;
  const known = new Map(stored.map((action) => [keyOf(action), action.value]));
  for (const action of answer.actions) {
    const value = known.get(keyOf(action));
    if (value === undefined) return `the ${keyOf(action)} is new`;
    if (!near(value, action.value, SAME_ACTION)) return `the ${keyOf(action)} has changed from ${value} to ${action.value}`;
  }
  const first = answer.bars[0]?.date;
  if (!complete || first === undefined) return undefined;
  const answered = new Set(answer.actions.map(keyOf));
  const withdrawn = stored.find((action) => action.date >= first && !answered.has(keyOf(action)));
  return withdrawn && `the ${keyOf(withdrawn)} is no longer among the source's`;
}

/** The bars that are not stored yet, or differ from what is stored. Both are ascending; the first `same` are known to be stored. */
export function changedBars(stored: readonly Bar[], bars: readonly Bar[], same = 0): Bar[] {
  const changed: Bar[] = [];
  let at = 0;
  for (let i = same; i < bars.length; i++) {
    const bar = bars[i] as Bar;
    at = nextAt(stored, at, bar.date);
    const old = stored[at];
    const isStored =
      old?.date === bar.date &&
      samePrices(old, bar) &&
      sameNumber(old.adjustedClose, bar.adjustedClose) &&
      sameNumber(old.volume, bar.volume);
    if (!isStored) changed.push(bar);
  }
  return changed;
}

/** The splits and dividends that are not stored yet, or differ from what is stored. */
export function changedActions(stored: readonly CorporateAction[], actions: readonly CorporateAction[]): CorporateAction[] {
  return actions.filter(
    (action) => !stored.some(({ date, kind, value }) => date === action.date && kind === action.kind && value === action.value),
  );
}

function samePrices(a: Bar, b: Bar): boolean {
  return sameNumber(a.open, b.open) && sameNumber(a.high, b.high) && sameNumber(a.low, b.low) && sameNumber(a.close, b.close);
}

const sameNumber = (a: number, b: number): boolean => near(a, b, SAME_NUMBER);

function near(a: number, b: number, share: number): boolean {
  return Math.abs(a - b) <= share * Math.max(Math.abs(a), Math.abs(b));
}
