/** Scores of 0 to 100 by rank: no outlier pulls them, and ties are exact. */

/** 100 × (number of smaller + half the number of equal, itself included) / n for each value; null for null, and for all where fewer than two are known. */
export function percentiles(values: readonly (number | null)[]): (number | null)[] {
  const known = Float64Array.from(values.filter((value) => value !== null)).sort();
  const count = known.length;
  if (count < 2) return values.map(() => null);
  const scores = new Map<number, number>();
  for (let start = 0; start < count; ) {
    let end = start + 1;
    while (end < count && known[end] === known[start]) end++;
    scores.set(known[start]!, (100 * (start + (end - start) / 2)) / count);
    start = end;
  }
  return values.map((value) => (value === null ? null : scores.get(value)!));
}

/**
 * λ × percentile in the group + (1 − λ) × percentile in the universe with λ = n / (n + shrinkage), n the known values of the group: no cliff between a small sector and a
 * large one. A value without a group, or alone in it, has its percentile in the universe.
 */
export function blendedPercentiles(
  values: readonly (number | null)[],
  groups: readonly (string | null)[],
  shrinkage: number,
): (number | null)[] {
  const overall = percentiles(values);
  const blended = [...overall];
  const members = Map.groupBy(values.keys(), (index) => groups[index] ?? null);
  for (const [group, indexes] of members) {
    if (group === null) continue;
    const within = percentiles(indexes.map((index) => values[index]!));
    const known = indexes.filter((index) => values[index] !== null).length;
    const share = known / (known + shrinkage);
    within.forEach((score, place) => {
      const index = indexes[place]!;
      if (score !== null) blended[index] = share * score + (1 - share) * overall[index]!;
    });
  }
  return blended;
}
