import { describe, expect, test } from 'vitest';
import { DEFAULT_RULES, FACTORS, type Factor, riskLevelOf, weightsFor } from '../../../services/picks/rules.ts';
import { partsOf, scoreOf } from '../../../services/picks/screen/score.ts';
import type { Candidate } from '../../../services/picks/universe/universe.ts';
import fc from '../../support/fast-check.ts';
import { inventedMembers, screened, user } from '../invented-universe.ts';

const withScores = (scores: Partial<Record<Factor, number | null>>): Candidate => ({
  ...screened(inventedMembers(3)).candidates[0]!,
  scores: { ...(Object.fromEntries(FACTORS.map((factor) => [factor, null])) as Record<Factor, null>), ...scores },
});
const moderate = weightsFor(user().profile, DEFAULT_RULES);

describe('weights', () => {
  test.each(['conservative', 'moderate', 'aggressive'] as const)('the weights of %s add up to 100', (risk_tolerance) => {
    const weights = weightsFor(user({ risk_tolerance }).profile, DEFAULT_RULES);
    expect(Object.values(weights).reduce((sum, weight) => sum + weight)).toBe(100);
  });

  test('the goal of extra income takes ten from momentum', () => {
    expect(weightsFor(user({ goals: ['extra_income', 'travel'] }).profile, DEFAULT_RULES)).toMatchObject({ momentum: 15, income: 10 });
  });

  test('more than there is cannot be taken from momentum', () => {
    const rules = { ...DEFAULT_RULES, extra_income_shift: 40 };
    expect(weightsFor(user({ goals: ['extra_income'], risk_tolerance: 'conservative' }).profile, rules)).toMatchObject({
      momentum: 0,
      income: 20,
    });
  });

  test('weights that do not add up to 100 are refused with their sum', () => {
    const rules = { ...DEFAULT_RULES, weights: { ...DEFAULT_RULES.weights, moderate: { ...moderate, value: 21 } } };
    expect(() => weightsFor(user().profile, rules)).toThrow(
      expect.objectContaining({ code: 'picks.bad_weights', message: expect.stringContaining('101') }),
    );
  });
});

describe('a total', () => {
  test('is 50 and weight × (score − 50) / 100 of each factor', () => {
    // By hand: 25 × 0.4 = 10; 10 × −0.5 = −5; 20 × 0.2501 = 5.002, so 5.
    const candidate = withScores({ momentum: 9000, trend: 0, quality: 7501 });
    expect(scoreOf(candidate, moderate)).toMatchObject({ total: 6000, coverage: 55 });
    expect(partsOf(candidate, moderate).map(({ factor, points }) => [factor, points])).toEqual([
      ['momentum', 1000],
      ['trend', -500],
      ['low_volatility', 0],
      ['low_drawdown', 0],
      ['quality', 500],
      ['value', 0],
    ]);
  });

  test('of the middle of every factor is 50, of the best of every factor 100, of the worst 0', () => {
    const all = (score: number) => withScores(Object.fromEntries(FACTORS.map((factor) => [factor, score])));
    expect([5000, 10_000, 0].map((score) => scoreOf(all(score), moderate).total)).toEqual([5000, 10_000, 0]);
  });

  const score = fc.option(fc.integer({ min: 0, max: 10_000 }));
  const scores = fc.record(Object.fromEntries(FACTORS.map((factor) => [factor, score])) as Record<Factor, typeof score>);
  const profiles = fc
    .constantFrom(...(['conservative', 'moderate', 'aggressive'] as const))
    .map((risk_tolerance) => user({ risk_tolerance }).profile);

  test('is exactly the sum of its points, in whole hundredths', () => {
    fc.assert(
      fc.property(scores, profiles, (invented, profile) => {
        const weights = weightsFor(profile, DEFAULT_RULES);
        const candidate = withScores(invented);
        const points = partsOf(candidate, weights).map((part) => part.points);
        expect(points.every(Number.isInteger)).toBe(true);
        expect(scoreOf(candidate, weights).total).toBe(points.reduce((sum, point) => sum + point, 5000));
      }),
    );
  });

  test('never rises above that of a score of 50 when a value is missing', () => {
    fc.assert(
      fc.property(scores, profiles, fc.constantFrom(...FACTORS), (invented, profile, factor) => {
        const weights = weightsFor(profile, DEFAULT_RULES);
        const missing = scoreOf(withScores({ ...invented, [factor]: null }), weights).total;
        expect(missing).toBeLessThanOrEqual(scoreOf(withScores({ ...invented, [factor]: 5000 }), weights).total);
      }),
    );
  });
});

test.each([
  [0.199, 0.349, 'low'],
  [0.2, 0, 'medium'],
  [0, 0.35, 'medium'],
  [0.299, 0.499, 'medium'],
  [0.3, 0, 'high'],
  [0.1, 0.5, 'high'],
] as const)('a volatility of %f and a fall of %f are a risk level of %s', (sigma, drawdown, level) => {
  expect(riskLevelOf(sigma, drawdown, DEFAULT_RULES)).toBe(level);
});
