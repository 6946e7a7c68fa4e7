import { expect, test } from 'vitest';
import { ProfileSchema } from '../../services/picks/profile.ts';

test('a profile without a word is a moderate investor with $500 a month', () => {
  expect(ProfileSchema.parse({})).toEqual({
    risk_tolerance: 'moderate',
    timeline: '5-10',
    experience: 'beginner',
    goals: [],
    monthly_budget: 500,
    fractional: false,
    interests: [],
  });
});

test('a sector is known by its name and by its id, once', () => {
  const { interests } = ProfileSchema.parse({ interests: ['Consumer Cyclical', 'consumer-cyclical', ' TECHNOLOGY'] });
  expect(interests).toEqual(['consumer-cyclical', 'technology']);
});

test('an unknown sector is refused with the names of all', () => {
  const { error } = ProfileSchema.safeParse({ interests: ['crypto'] });
  expect(error!.issues[0]!.message).toMatch(/unknown sector "crypto"; it is one of .*technology/);
});

test.each([
  [{ risk_tolerance: 'yolo' }],
  [{ monthly_budget: 0 }],
  [{ monthly_budget: Number.POSITIVE_INFINITY }],
  [{ timeline: '2-3' }],
  [{ goals: ['yacht'] }],
  [{ interest: ['energy'] }],
])('%j is no profile', (value) => {
  expect(ProfileSchema.safeParse(value).success).toBe(false);
});
