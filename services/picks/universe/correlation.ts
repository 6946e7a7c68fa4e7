/** Correlation of daily log returns, computed when it is asked for and kept: all users of a universe ask for the same few pairs. */
import type { PriceHistory } from './input.ts';
import { meanOf } from './measures.ts';

/** Pearson's correlation of two symbols over the days that both have; 0 where one of them never moves. */
export type Correlation = (one: number, other: number) => number;

/** `windows[i]`: the bars of symbol i; `returns[i]`: their daily log returns. */
export function correlations(windows: readonly PriceHistory[], returns: readonly Float64Array[]): Correlation {
  const kept = new Map<number, number>();
  const standardized: (Float64Array | undefined)[] = [];
  const standard = (index: number) => (standardized[index] ??= standardize(returns[index]!));

  return (one, other) => {
    const key = Math.min(one, other) * windows.length + Math.max(one, other);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const value = haveSameDays(windows[one]!.days, windows[other]!.days)
      ? productOf(standard(one), standard(other))
      : productOf(...standardizedCommon(windows[one]!, windows[other]!));
    kept.set(key, value);
    return value;
  };
}

function haveSameDays(one: Int32Array, other: Int32Array): boolean {
  if (one.length !== other.length) return false;
  for (let i = one.length - 1; i >= 0; i--) if (one[i] !== other[i]) return false;
  return true;
}

/** Mean 0 and length 1, so that the product of two is their correlation; zeros for values that are all alike. */
function standardize(values: Float64Array): Float64Array {
  const mean = meanOf(values);
  const centred = values.map((value) => value - mean);
  const length = Math.sqrt(productOf(centred, centred));
  return length < 1e-12 ? centred.fill(0) : centred.map((value) => value / length);
}

function standardizedCommon(one: PriceHistory, other: PriceHistory): [Float64Array, Float64Array] {
  const [first, second]: [number[], number[]] = [[], []];
  for (let i = 0, j = 0, a = -1, b = -1; i < one.days.length && j < other.days.length; ) {
    const [left, right] = [one.days[i]!, other.days[j]!];
    if (left === right) {
      if (a >= 0) {
        first.push(Math.log(one.adjusted[i]! / one.adjusted[a]!));
        second.push(Math.log(other.adjusted[j]! / other.adjusted[b]!));
      }
      [a, b] = [i, j];
    }
    if (left <= right) i++;
    if (right <= left) j++;
  }
  return [standardize(Float64Array.from(first)), standardize(Float64Array.from(second))];
}

function productOf(one: Float64Array, other: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += one[i]! * other[i]!;
  return sum;
}
