import type { Bar, CorporateAction } from './bars.ts';

/** A split changes the price by at least this factor, or the jump that it would leave cannot be told from a day's move. */
const LEAST_RATIO = 1.4;
/** A jump is the split's own when it is this near to it, as a share of the split's size (both as logarithms): a price of 10 after 1:10 is 100, and 56 to 178 is near. */
const NEAR = 0.25;
/** Before its ex-date the price of a source that restated only a part of the days jumps by the ratio too. Only a large one, and more exactly, is taken for that. */
const LEAST_RATIO_BEFORE = 3;
const NEAR_BEFORE = 0.1;

/**
 * The ex-date of the newest split for which the older adjusted closes were not restated, or only some of them; undefined when there is none. Restated prices move
 * across a split as on any other day; prices that were not restated jump by its ratio: after one new share for ten old, from 10 to 100.
 */
export function unrestatedSplit(bars: readonly Bar[], actions: readonly CorporateAction[]): string | undefined {
  const newest = bars.at(-1)?.date ?? '';
  const splits = actions
    .filter(({ date, kind, value }) => date <= newest && kind === 'split' && sizeOf(value) >= Math.log(LEAST_RATIO))
    .reverse();
  return splits.find((split) =>
    bars.some((bar, index) => {
      const before = bars[index - 1];
      return before !== undefined && before.date < split.date && isSplitJump(before, bar, split);
    }),
  )?.date;
}

const sizeOf = (ratio: number): number => Math.abs(Math.log(ratio));

function isSplitJump(before: Bar, bar: Bar, { date, value }: CorporateAction): boolean {
  const size = sizeOf(value);
  const jump = Math.log(bar.adjustedClose / before.adjustedClose);
  if (bar.date >= date) return Math.abs(jump + Math.log(value)) < NEAR * size;
  return size >= Math.log(LEAST_RATIO_BEFORE) && Math.abs(Math.abs(jump) - size) < NEAR_BEFORE * size;
}

/** What is wrong with the symbol, for people. */
export function unrestatedReason(exDate: string, split?: CorporateAction): string {
  return `the source has not restated the prices before the ${split === undefined ? '' : `${ratioText(split.value)} `}split of ${exDate}: there is no signal until it has`;
}

function ratioText(ratio: number): string {
  const shares = (value: number) => String(Number(value.toPrecision(5)));
  return ratio >= 1 ? `${shares(ratio)}-for-1` : `1-for-${shares(1 / ratio)}`;
}
