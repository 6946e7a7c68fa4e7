import { FACTORS, type Factor, type Weights } from '../rules.ts';
import type { Candidate } from '../universe/universe.ts';

/** One line of a total. Points and scores are in hundredths: 7350 = 73.5. */
export interface Part {
  factor: Factor;
  /** Null where nothing was measured: it gives 0 points. */
  score: number | null;
  weight: number;
  points: number;
}

export interface Scored {
  candidate: Candidate;
  /** In hundredths: 5000 and the points. */
  total: number;
  /** Sum of the weights that were measured, 0 to 100. */
  coverage: number;
}

/** The middle of the scale. Missing data leaves a symbol there: weights that were spread over the rest would reward thin data at the top. */
const MIDDLE = 5000;

/** Hundredths of points. They are rounded one by one, so that the parts of a total add up to it. */
function pointsOf(score: number, weight: number): number {
  return Math.round((weight * (score - MIDDLE)) / 100) + 0;
}

/** The parts of a candidate's total that have a weight. */
export function partsOf({ scores }: Pick<Candidate, 'scores'>, weights: Weights): Part[] {
  return FACTORS.filter((factor) => weights[factor] > 0).map((factor) => {
    const [score, weight] = [scores[factor], weights[factor]];
    return { factor, score, weight, points: score === null ? 0 : pointsOf(score, weight) };
  });
}

/** The total = 50 + Σ weight × (score − 50) / 100, each term rounded to a hundredth. */
export function scoreOf(candidate: Candidate, weights: Weights): Scored {
  let [total, coverage] = [MIDDLE, 0];
  for (const factor of FACTORS) {
    const [score, weight] = [candidate.scores[factor], weights[factor]];
    if (score === null || weight === 0) continue;
    total += pointsOf(score, weight);
    coverage += weight;
  }
  return { candidate, total, coverage };
}
