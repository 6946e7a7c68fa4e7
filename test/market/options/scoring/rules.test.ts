import { expect, test } from 'vitest';
import { rankingRules } from '../../../../services/platform/config/ranking.ts';
import { DEFAULT_RULES } from './design-rules.ts';

/** The first issue of rules that differ from the default in one place. */
function issueOf(change: (rules: Record<'modes' | 'parts' | 'scales' | 'bands', object>) => void) {
  const rules = structuredClone(DEFAULT_RULES);
  change(rules);
  const issue = rankingRules.safeParse(rules).error?.issues[0];
  return { path: issue?.path.join('.'), message: issue?.message, code: issue?.code === 'custom' ? issue.params?.code : issue?.code };
}

test('the defaults are valid as they are', () => expect(rankingRules.parse(DEFAULT_RULES)).toEqual(DEFAULT_RULES));

test('weights of a mode that do not add up to 1 are refused with their key and sum', () => {
  expect(issueOf(({ modes }) => Object.assign(modes, { entry: { entry_value: 0.4, catalyst: 0.35, greeks: 0.35 } }))).toEqual({
    path: 'modes.entry',
    code: 'config.weights_sum',
    message: 'the weights must add up to 1, these add up to 1.1: entry_value 0.4 + catalyst 0.35 + greeks 0.35',
  });
});

test('weights of a part that do not add up to 1 are refused too', () => {
  expect(issueOf(({ parts }) => Object.assign(parts, { value: { iv_rank: 0.6, spread: 0.3 } }))).toMatchObject({
    path: 'parts.value',
    message: expect.stringContaining('add up to 0.9'),
  });
});

test('a weight below 0 is refused even where the sum is 1', () => {
  expect(issueOf(({ parts }) => Object.assign(parts, { value: { iv_rank: 1.5, spread: -0.5 } }))).toMatchObject({ code: 'too_big' });
});

test('an unknown key is refused at every depth', () => {
  expect(issueOf((rules) => Object.assign(rules, { top: 5 }))).toMatchObject({ code: 'unrecognized_keys' });
  expect(issueOf(({ scales }) => Object.assign(scales, { rho: 1 }))).toMatchObject({ path: 'scales', code: 'unrecognized_keys' });
});

test('bands that do not descend are refused', () => {
  expect(issueOf(({ bands }) => Object.assign(bands, { good: 80 }))).toMatchObject({ path: 'bands', code: 'config.out_of_range' });
});

test('an interest rate over 0.5 is refused as a percentage, with the way out', () => {
  expect(issueOf((rules) => Object.assign(rules, { risk_free_rate: 4 }))).toEqual({
    path: 'risk_free_rate',
    code: 'config.out_of_range',
    message: '4 a year is 400 %; write a rate as a share, 0.04 for 4 %',
  });
  expect(issueOf((rules) => Object.assign(rules, { risk_free_rate: 0.51 })).code).toBe('config.out_of_range');
  expect(rankingRules.safeParse({ ...DEFAULT_RULES, risk_free_rate: 0.5 }).success).toBe(true);
});
