import { DAYS_PER_YEAR } from '../chain/time.ts';
import { type Grid, leadingContract } from './grid.ts';

/** Log-moneyness. A strike further from the forward is not used for the at-the-money IV. */
const WIDEST_STEP = 0.25;

/**
 * The at-the-money implied volatility of each expiration: between the quoted strikes on either side of the forward, linear in log-moneyness ln(K / forward). NaN where
 * one side has no IV within 25 %.
 */
export function atTheMoneyIvs(grid: Grid, forward: Float64Array, iv: Float64Array): Float64Array {
  const ivs = new Float64Array(forward.length).fill(Number.NaN);
  for (let e = 0; e < ivs.length; e++) {
    const F = forward[e]!;
    let below = -1;
    let above = -1;
    for (let row = grid.firstRow[e]!; row < grid.firstRow[e + 1]! && above < 0; row++) {
      if (leadingContract(grid, row, F, iv) < 0) continue;
      if (grid.strike[row]! < F) below = row;
      else above = row;
    }
    if (above < 0) continue;
    const up = Math.log(grid.strike[above]! / F);
    const upIv = iv[leadingContract(grid, above, F, iv)]!;
    if (up === 0) ivs[e] = upIv;
    if (up === 0 || below < 0) continue;
    const down = Math.log(grid.strike[below]! / F);
    if (up > WIDEST_STEP || -down > WIDEST_STEP) continue;
    const downIv = iv[leadingContract(grid, below, F, iv)]!;
    ivs[e] = (upIv * -down + downIv * up) / (up - down);
  }
  return ivs;
}

/**
 * The IV of a constant maturity: total variance iv² · years is linear in time between the nearest expirations on both sides of it. With all expirations on one
 * side: the IV of the nearest one. NaN where none has an IV. `years` ascending.
 */
export function constantMaturityIv(years: Float64Array, ivs: Float64Array, days = 30): number {
  const target = days / DAYS_PER_YEAR;
  let below = -1;
  let above = -1;
  for (let e = 0; e < years.length && above < 0; e++) {
    if (!(years[e]! > 0) || !(ivs[e]! > 0)) continue;
    if (years[e]! <= target) below = e;
    else above = e;
  }
  if (below < 0) return above < 0 ? Number.NaN : ivs[above]!;
  if (above < 0) return ivs[below]!;
  const early = ivs[below]! ** 2 * years[below]!;
  const late = ivs[above]! ** 2 * years[above]!;
  const share = (target - years[below]!) / (years[above]! - years[below]!);
  return Math.sqrt((early + (late - early) * share) / target);
}
