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
  bars: readonly Bar[];
  /** Those of the range that was asked for. */
  actions: readonly CorporateAction[];
}

/**
 * Why the stored history has to be replaced, for people; undefined when the answer continues it. `isWhole`: the answer begins before all stored bars, so what it
 * lacks of the splits and dividends is no longer true. The newest stored bar may have been live: its prices may have moved.
 */
export function differenceOf({ state, bars, actions }: Stored, answer: BarsAnswer, isWhole: boolean): string | undefined {
  if ((state.source === 'simulated') !== (answer.source === 'simulated')) return 'real data replaces made-up data';
  const answered = new Map(answer.bars.map((bar) => [bar.date, bar]));
  for (const old of bars) {
    const bar = answered.get(old.date);
    const fault = answer.bars.length === 0 ? undefined : barFault(old);
    if (fault !== undefined) return `the stored bar of ${old.date} cannot be true (${fault})`;
    if (bar === undefined) continue;
    // The ratio of adjusted to raw close depends on the adjustment alone.
    if (!near(bar.adjustedClose / bar.close, old.adjustedClose / old.close, SAME_ADJUSTMENT))
      return `the adjusted close of ${old.date} has changed from ${old.adjustedClose} to ${bar.adjustedClose}`;
    if (old.date !== state.newestBar && !samePrices(old, bar)) return `the bar of ${old.date} has been repaired: its prices have changed`;
  }
  return actionDifference(actions, answer, isWhole && answer.source === state.source);
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

/** The bars that are not stored yet, or differ from what is stored. */
export function changedBars(stored: readonly Bar[], bars: readonly Bar[]): Bar[] {
  const known = new Map(stored.map((bar) => [bar.date, bar]));
  return bars.filter((bar) => {
    const old = known.get(bar.date);
    return !(
      old !== undefined &&
      samePrices(old, bar) &&
      sameNumber(old.adjustedClose, bar.adjustedClose) &&
      sameNumber(old.volume, bar.volume)
    );
  });
}

function samePrices(a: Bar, b: Bar): boolean {
  return sameNumber(a.open, b.open) && sameNumber(a.high, b.high) && sameNumber(a.low, b.low) && sameNumber(a.close, b.close);
}

const sameNumber = (a: number, b: number): boolean => near(a, b, SAME_NUMBER);

function near(a: number, b: number, share: number): boolean {
  return Math.abs(a - b) <= share * Math.max(Math.abs(a), Math.abs(b));
}
