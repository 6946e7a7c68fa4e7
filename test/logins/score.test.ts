import { describe, expect, test } from 'vitest';
import { bandOf, decay, FACTORS, type ScoreConfig, type ScoreInput, scoreFactors } from '../../services/logins/score.ts';
import fc from '../support/fast-check.ts';

const config: ScoreConfig = {
  priority_factors: { user_activity: 0.4, portfolio_value: 0.3, data_age: 0.2, market_volatility: 0.1 },
  factor_scales: {
    activity_half_life_days: 7,
    activity_saturation: 10,
    value_floor: 100,
    value_ceiling: 1_000_000,
    volatility_floor: 0.1,
    volatility_ceiling: 0.6,
  },
  priority_rules: { user_login: 1, user_request: 3, scheduled_update: 5, background_analysis: 8 },
  portfolio_priority_boost: 2,
};

const middling: ScoreInput = {
  cause: 'user_login',
  decayedLogins: 5,
  marketValue: 10_000,
  freshness: { state: 'stale', ageMinutes: 5, thresholdMinutes: 5 },
  volatility: 0.35,
};
const most: ScoreInput = {
  ...middling,
  decayedLogins: 10,
  marketValue: 1e6,
  freshness: { state: 'missing', ageMinutes: null, thresholdMinutes: 5 },
  volatility: 0.6,
};
const least: ScoreInput = {
  ...middling,
  decayedLogins: 0,
  marketValue: 0,
  freshness: { state: 'fresh', ageMinutes: 0, thresholdMinutes: 5 },
  volatility: 0.1,
};

const score = (input: Partial<ScoreInput>) => scoreFactors({ ...middling, ...input }, config);

describe('the factors', () => {
  test('in the middle of every scale each is one half, and so is the score', () => {
    const { factors, score: total } = score({});
    for (const name of FACTORS) expect(factors[name].value, name).toBeCloseTo(0.5, 12);
    expect(total).toBeCloseTo(0.5, 12);
  });

  test.each<[keyof typeof config.priority_factors, Partial<ScoreInput>, number]>([
    ['user_activity', { decayedLogins: 0 }, 0],
    ['user_activity', { decayedLogins: 2.5 }, 0.25],
    ['user_activity', { decayedLogins: 400 }, 1],
    ['portfolio_value', { marketValue: null }, 0.5],
    ['portfolio_value', { marketValue: 0 }, 0],
    ['portfolio_value', { marketValue: 100 }, 0],
    ['portfolio_value', { marketValue: 1000 }, 0.25],
    ['portfolio_value', { marketValue: 1e9 }, 1],
    ['data_age', { freshness: { state: 'missing', ageMinutes: null, thresholdMinutes: 60 } }, 1],
    ['data_age', { freshness: { state: 'fresh', ageMinutes: 0, thresholdMinutes: 60 } }, 0],
    ['data_age', { freshness: { state: 'stale', ageMinutes: 90, thresholdMinutes: 60 } }, 0.75],
    ['data_age', { freshness: { state: 'stale', ageMinutes: 500, thresholdMinutes: 60 } }, 1],
    ['data_age', { freshness: { state: 'stale', ageMinutes: 0, thresholdMinutes: 0 } }, 1],
    ['market_volatility', { volatility: null }, 0.5],
    ['market_volatility', { volatility: 0.05 }, 0],
    ['market_volatility', { volatility: 0.225 }, 0.25],
    ['market_volatility', { volatility: 3 }, 1],
    ['market_volatility', { volatility: Number.NaN }, 0],
  ])('%s of %o is %d', (name, input, value) => {
    expect(score(input).factors[name].value).toBeCloseTo(value, 12);
  });

  test('activity halves in a half-life and quarters in two', () => {
    const day = 86_400_000;
    expect(decay(8, 0, 7 * day, 7)).toBeCloseTo(4, 12);
    expect(decay(8, 0, 14 * day, 7)).toBeCloseTo(2, 12);
    expect(decay(8, 0, 0, 7)).toBe(8);
  });

  test('a login that arrives late does not grow what is already counted', () => {
    expect(decay(8, 1000, 0, 7)).toBe(8);
  });

  test('a login a day for ever settles at 1 / (1 - 2^(-1/7)) logins', () => {
    let count = 0;
    for (let day = 0; day < 400; day++) count = decay(count, (day - 1) * 86_400_000, day * 86_400_000, 7) + 1;
    expect(count).toBeCloseTo(1 / (1 - 2 ** (-1 / 7)), 9);
  });
});

describe('the priority', () => {
  // base + (1 - score) × (band end - base), rounded.
  test.each<[ScoreInput['cause'], number, number, number]>([
    ['user_login', 1, 2, 3],
    ['user_request', 3, 3, 3],
    ['scheduled_update', 5, 6, 6],
    ['background_analysis', 8, 9, 10],
  ])('%s: %d with the highest score, %d in the middle, %d with the lowest', (cause, high, middle, low) => {
    expect(scoreFactors({ ...most, cause }, config)).toMatchObject({ score: 1, priority: high });
    expect(scoreFactors({ ...middling, cause }, config).priority).toBe(middle);
    expect(scoreFactors({ ...least, cause }, config)).toMatchObject({ score: 0, priority: low });
  });

  test.each([
    [1, 'foreground', 1, 3],
    [3, 'foreground', 1, 3],
    [4, 'background_fetch', 4, 6],
    [6, 'background_fetch', 4, 6],
    [7, 'background_analysis', 7, 10],
    [10, 'background_analysis', 7, 10],
  ])('level %d lies in the band %s, %d to %d', (level, queue, from, to) => {
    expect(bandOf(level)).toEqual({ queue, from, to });
  });

  test('the analysis of a portfolio symbol moves up by the boost', () => {
    const analysis = scoreFactors({ ...least, cause: 'background_analysis', portfolioAnalysis: true }, config);
    expect(analysis).toMatchObject({ priority: 8, boost: 2, base: 8 });
  });

  test('the boost never leaves the band, and says what it gave', () => {
    const analysis = scoreFactors({ ...most, cause: 'background_analysis', portfolioAnalysis: true }, config);
    expect(analysis).toMatchObject({ priority: 7, boost: 1 });
  });
});

describe('the weights', () => {
  test('that add up to 0.9 are refused, with the sum', () => {
    const wrong = { ...config, priority_factors: { ...config.priority_factors, user_activity: 0.3 } };
    expect(() => scoreFactors(middling, wrong)).toThrow(
      expect.objectContaining({ code: 'config.weights_sum', message: expect.stringContaining('add up to 0.9:') }),
    );
  });

  test('may differ from 1 by rounding', () => {
    const thirds = { user_activity: 0.1, portfolio_value: 0.2, data_age: 0.3, market_volatility: 0.4 };
    expect(scoreFactors(most, { ...config, priority_factors: thirds }).score).toBe(1);
  });
});

test('the reason names cause, state, place in the band, and parts that add up', () => {
  const why = scoreFactors({ ...middling, cause: 'background_analysis', volatility: null, portfolioAnalysis: true }, config);
  expect(why.reason).toBe(
    'background_analysis, data stale: priority 7 of 7-10, 2 up for a portfolio symbol; score 0.50 = 0.20 activity + 0.15 value + 0.10 data age + 0.05 volatility',
  );
});

const anyInput = fc.record({
  cause: fc.constantFrom<ScoreInput['cause']>('user_login', 'user_request', 'scheduled_update', 'background_analysis'),
  decayedLogins: fc.double({ min: 0, max: 1000, noNaN: true }),
  marketValue: fc.option(fc.double({ min: 0, max: 1e12, noNaN: true })),
  freshness: fc.record({
    state: fc.constantFrom('fresh' as const, 'stale' as const, 'missing' as const),
    ageMinutes: fc.option(fc.double({ min: 0, max: 1e7, noNaN: true })),
    thresholdMinutes: fc.double({ min: 0, max: 1000, noNaN: true }),
  }),
  volatility: fc.option(fc.double({ min: 0, max: 10, noNaN: true })),
  portfolioAnalysis: fc.boolean(),
});
const anyWeights = fc.tuple(fc.nat(100), fc.nat(100), fc.nat(100), fc.integer({ min: 1, max: 100 })).map(([a, b, c, d]) => {
  const sum = a + b + c + d;
  return { user_activity: a / sum, portfolio_value: b / sum, data_age: c / sum, market_volatility: d / sum };
});

describe('for any input and weights', () => {
  test('points are weight × value, add up to the score, and all stay between 0 and 1', () => {
    fc.assert(
      fc.property(anyInput, anyWeights, (input, priority_factors) => {
        const { factors, score: total } = scoreFactors(input, { ...config, priority_factors });
        let sum = 0;
        for (const name of FACTORS) {
          const { value, weight, points } = factors[name];
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1);
          expect(points).toBeCloseTo(weight * value, 11);
          sum += points;
        }
        expect(total).toBeCloseTo(sum, 9);
        expect(total).toBeGreaterThanOrEqual(0);
        expect(total).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('the priority is a whole level inside the band of its base', () => {
    fc.assert(
      fc.property(anyInput, anyWeights, (input, priority_factors) => {
        const { priority, band, base } = scoreFactors(input, { ...config, priority_factors });
        expect(Number.isInteger(priority)).toBe(true);
        expect(band).toEqual(bandOf(base));
        expect(priority).toBeGreaterThanOrEqual(band.from);
        expect(priority).toBeLessThanOrEqual(band.to);
      }),
    );
  });

  test('more activity, value, age or volatility never lowers the score nor worsens the priority', () => {
    const more = fc.record({
      logins: fc.nat(20),
      value: fc.nat(100_000),
      age: fc.nat(100),
      volatility: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(anyInput, more, (input, step) => {
        const { ageMinutes } = input.freshness;
        const higher: ScoreInput = {
          ...input,
          decayedLogins: input.decayedLogins + step.logins,
          // An unknown value counts half, so a known small one may count less.
          marketValue: input.marketValue === null ? null : input.marketValue + step.value,
          freshness: { ...input.freshness, ageMinutes: ageMinutes === null ? null : ageMinutes + step.age },
          volatility: input.volatility === null ? null : input.volatility + step.volatility,
        };
        const before = scoreFactors(input, config);
        const after = scoreFactors(higher, config);
        expect(after.score).toBeGreaterThanOrEqual(before.score);
        expect(after.priority).toBeLessThanOrEqual(before.priority);
      }),
    );
  });

  test('the parts that the reason shows add up to the score that it shows', () => {
    fc.assert(
      fc.property(anyInput, anyWeights, (input, priority_factors) => {
        const [, text] = scoreFactors(input, { ...config, priority_factors }).reason.split('; score ');
        const [shown, ...parts] = text!.match(/\d\.\d\d/g)!.map((figure) => Math.round(Number(figure) * 100));
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(shown);
      }),
    );
  });
});

test('twenty thousand scores take less than two seconds', () => {
  const started = performance.now();
  for (let i = 0; i < 20_000; i++) scoreFactors({ ...middling, marketValue: i }, config);
  expect(performance.now() - started).toBeLessThan(2_000);
});
