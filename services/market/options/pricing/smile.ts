/**
 * The fitted smile of one expiration: total variance w(k) = level + slope · k + curve · k² over log-moneyness k = ln(K / forward), with IV = √(w / years). It does not
 * extrapolate: k is clamped to [lowestK, highestK] and w to [leastVariance, mostVariance] of the fitted points, so w is never negative.
 */
export interface Smile {
  readonly level: number;
  readonly slope: number;
  readonly curve: number;
  readonly lowestK: number;
  readonly highestK: number;
  readonly leastVariance: number;
  readonly mostVariance: number;
  readonly years: number;
  readonly points: number;
}

/** A parabola goes through any three points, so a fit needs more. */
const LEAST_SMILE_POINTS = 5;
/** Below this share of the largest determinant possible, the weights rest on fewer than three points. */
const SINGULAR = 1e-10;

/**
 * Weighted least squares of total variance iv² · years on a parabola in `k`. `weight` is proportional to 1 / the squared error of a point's total variance. Undefined for fewer
 * than five points with a weight above 0, or when they do not determine three coefficients.
 */
export function fitSmile(k: Float64Array, iv: Float64Array, weight: Float64Array, years: number): Smile | undefined {
  let points = 0;
  let lowestK = Number.POSITIVE_INFINITY;
  let highestK = Number.NEGATIVE_INFINITY;
  let leastVariance = Number.POSITIVE_INFINITY;
  let mostVariance = 0;
  for (let i = 0; i < k.length; i++) {
    if (!(weight[i]! > 0)) continue;
    const variance = iv[i]! ** 2 * years;
    points++;
    lowestK = Math.min(lowestK, k[i]!);
    highestK = Math.max(highestK, k[i]!);
    leastVariance = Math.min(leastVariance, variance);
    mostVariance = Math.max(mostVariance, variance);
  }
  if (points < LEAST_SMILE_POINTS) return undefined;

  // In x = (k - middle) / half, from -1 to 1, the normal equations are well conditioned.
  const middle = (lowestK + highestK) / 2;
  const half = (highestK - lowestK) / 2;
  let [s0, s1, s2, s3, s4, t0, t1, t2] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < k.length; i++) {
    const w = weight[i]!;
    if (!(w > 0)) continue;
    const x = (k[i]! - middle) / half;
    const y = w * iv[i]! ** 2 * years;
    s0 += w;
    s1 += w * x;
    s2 += w * x * x;
    s3 += w * x ** 3;
    s4 += w * x ** 4;
    t0 += y;
    t1 += y * x;
    t2 += y * x * x;
  }
  const m0 = s2 * s4 - s3 * s3;
  const m1 = s2 * s3 - s1 * s4;
  const m2 = s1 * s3 - s2 * s2;
  const determinant = s0 * m0 + s1 * m1 + s2 * m2;
  if (!(determinant > SINGULAR * s0 ** 3)) return undefined;
  const a = (t0 * m0 + t1 * m1 + t2 * m2) / determinant;
  const b = (t0 * m1 + t1 * (s0 * s4 - s2 * s2) + t2 * (s1 * s2 - s0 * s3)) / determinant;
  const c = (t0 * m2 + t1 * (s1 * s2 - s0 * s3) + t2 * (s0 * s2 - s1 * s1)) / determinant;
  return {
    level: a - (b * middle) / half + c * (middle / half) ** 2,
    slope: b / half - (2 * c * middle) / half ** 2,
    curve: c / half ** 2,
    lowestK,
    highestK,
    leastVariance,
    mostVariance,
    years,
    points,
  };
}

/** The smile's IV at log-moneyness `k`. */
export function smileIv(smile: Smile, k: number): number {
  const at = Math.min(Math.max(k, smile.lowestK), smile.highestK);
  const variance = smile.level + (smile.slope + smile.curve * at) * at;
  return Math.sqrt(Math.min(Math.max(variance, smile.leastVariance), smile.mostVariance) / smile.years);
}
