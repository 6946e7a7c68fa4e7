/** Durations as counts by logarithmic buckets: percentiles of minutes cannot be added to those of an hour, such counts can. */

const FIRST_S = 0.01;
const LAST_S = 600;
const BOUNDED = 24;
/** 24 bounds from 10 ms to 10 minutes: each is 1.61 of the one before, so a percentile is right within a quarter. */
const RATIO = (LAST_S / FIRST_S) ** (1 / (BOUNDED - 1));

/** Upper bounds in seconds, each inclusive. */
export const BOUNDS: readonly number[] = Array.from({ length: BOUNDED }, (_, index) => Number((FIRST_S * RATIO ** index).toPrecision(4)));

/** Counts by bucket; the last one is of what is above all bounds. */
export type Buckets = number[];

export const noBuckets = (): Buckets => new Array(BOUNDED + 1).fill(0);

/** `durations`: in seconds. */
export function bucketsOf(durations: Iterable<number>): Buckets {
  const counts = noBuckets();
  for (const seconds of durations) {
    const at = BOUNDS.findIndex((bound) => seconds <= bound);
    counts[at === -1 ? BOUNDED : at]!++;
  }
  return counts;
}

export function addBuckets(all: Iterable<readonly number[]>): Buckets {
  const sum = noBuckets();
  for (const counts of all) for (const [index, count] of counts.entries()) if (index < sum.length) sum[index]! += count;
  return sum;
}

export const countOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

/**
 * The percentile by nearest rank, in seconds: the geometric middle of its bucket. Null without any; above the last bound that bound, since how far above is not known.
 */
export function bucketPercentile(counts: readonly number[], share: number): number | null {
  const rank = Math.ceil(share * countOf(counts));
  if (rank === 0) return null;
  let seen = 0;
  const at = counts.findIndex((count) => {
    seen += count;
    return seen >= rank;
  });
  if (at >= BOUNDED) return LAST_S;
  const upper = BOUNDS[at] as number;
  return Number((upper / Math.sqrt(RATIO)).toPrecision(3));
}
