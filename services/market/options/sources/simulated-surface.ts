/**
 * A simulated implied volatility surface without static arbitrage: SSVI with a power-law curvature (Gatheral and Jacquier, Arbitrage-free SVI volatility surfaces, Quantitative
 * Finance 14:1, 2014).
 *
 *     w(k, T) = θ/2 (1 + ρ φ k + √((φ k + ρ)² + 1 − ρ²)),   φ = η / √(θ (1 + θ)),   k = ln(K / F)
 *
 * is the total variance σ² T. With η (1 + |ρ|) ≤ 2 no smile has a butterfly arbitrage and, as θ grows with T, no two have a calendar arbitrage (remark 4.4 there, γ = 1/2).
 */
export interface Surface {
  /** Annual volatility of the coming days, and the long-run volatility to which it returns. */
  today: number;
  longRun: number;
  /** ρ: negative where puts cost more than calls that are equally far out of the money. */
  skew: number;
  /** η. */
  curvature: number;
}

/** Half of a deviation from the long run is gone after three months. */
const REVERSION = Math.log(2) / 0.25;

/** Total variance at the money: the time integral of a variance that starts at `today`² and goes back to `longRun`². Grows with `years`, as both are above 0. */
export function varianceAtTheMoney({ today, longRun }: Surface, years: number): number {
  return longRun ** 2 * years + ((today ** 2 - longRun ** 2) * -Math.expm1(-REVERSION * years)) / REVERSION;
}

/** Implied volatility a year, at `moneyness` ln(K / F) and `years` above 0. Throws RangeError for a surface with arbitrage. */
export function volatilityAt(surface: Surface, moneyness: number, years: number): number {
  const { skew, curvature } = surface;
  if (!(curvature > 0 && Math.abs(skew) < 1 && curvature * (1 + Math.abs(skew)) <= 2)) {
    throw new RangeError(`SSVI with skew ${skew} and curvature ${curvature} has arbitrage: curvature × (1 + |skew|) must be at most 2`);
  }
  const theta = varianceAtTheMoney(surface, years);
  const x = (curvature / Math.sqrt(theta * (1 + theta))) * moneyness;
  const variance = (theta / 2) * (1 + skew * x + Math.sqrt((x + skew) ** 2 + 1 - skew ** 2));
  return Math.sqrt(variance / years);
}
