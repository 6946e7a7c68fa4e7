import { expect, test } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { rankingRules } from '../../../services/platform/config/ranking.ts';
import { DEFAULT_RULES } from '../../market/options/scoring/design-rules.ts';

const load = (overrides: Record<string, unknown>, environment = 'development') =>
  loadConfig({
    environment,
    files: [],
    env: {},
    overrides: Object.fromEntries(Object.entries(overrides).map(([key, value]) => [key, { value, option: key }])),
  }).config;

test('the rules of the default file are those of the design', () => {
  expect(load({}).ranking.rules).toEqual(DEFAULT_RULES);
  expect(rankingRules.parse(load({}).ranking.rules)).toEqual(DEFAULT_RULES);
});

test('the demonstration ranks without a network', () => {
  const { ranking, stock_jobs } = load({}, 'demo');
  expect(ranking.chains.sources.at(-1)).toBe('simulated');
  expect(stock_jobs.data_fetch.simulated.enabled).toBe(true);
});

test.each([
  [{ 'ranking.chains.sources': 'lean' }, 'stock_jobs.data_fetch.lean.path must name its data folder'],
  [{ 'ranking.chains.sources': 'file' }, 'ranking.chains.file.path must name a CSV or JSON file'],
  [{ 'ranking.chains.sources': 'simulated' }, 'stock_jobs.data_fetch.simulated.enabled must be true for it'],
  [{ 'ranking.chains.sources': 'yahoo_finance,yahoo_finance' }, 'names one twice'],
  [{ 'ranking.rules.modes.entry.catalyst': 0.5 }, 'the weights must add up to 1'],
  [{ 'ranking.rules.risk_free_rate': 4 }, '4 a year is 400 %; write a rate as a share, 0.04 for 4 %'],
  [{ 'ranking.rules.risk_free_rate': -0.11 }, 'ranking.rules.risk_free_rate: must be at least -0.1'],
  [{ 'ranking.rules.delta_targets.rest': 1.01 }, 'must be at most 1'],
  [{ 'ranking.rules.delta_targets.rest': -0.01 }, 'must be at least 0'],
  [{ 'ranking.rules.theta_caps.rest': 100.5 }, 'must be at most 100'],
  [{ 'ranking.rules.stop_loss': 1.01 }, 'must be at most 1'],
  [{ 'ranking.rules.top_n': 0 }, 'must be at least 1'],
  [{ 'ranking.rules.eligibility.volume': -1 }, 'must be at least 0'],
  [{ 'ranking.rules.scales.vega': 0 }, 'must be more than 0'],
  [{ 'ranking.rules.bands.good': 60, 'ranking.rules.bands.strong': 60 }, 'strong must be above good, and good above fair'],
  [{ 'ranking.rules.bands.good': 60, 'ranking.rules.bands.fair': 60 }, 'strong must be above good, and good above fair'],
  [{ 'ranking.watchlist': 'aapl' }, 'must be a symbol in capital letters'],
  [{ 'ranking.retention.chain_days': 10 }, 'ranking.retention.chain_days'],
])('%j is refused, and says why', (overrides, text) => {
  expect(() => load(overrides)).toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining(text) }));
});

test.each([
  ['risk_free_rate', 0.5],
  ['delta_targets.rest', 0],
  ['delta_targets.rest', 1],
  ['theta_caps.rest', 0],
  ['theta_caps.rest', 100],
  ['stop_loss', 1],
  ['top_n', 1],
  ['eligibility.volume', 0],
])('%s may be %d, its limit', (key, value) => {
  expect(load({ [`ranking.rules.${key}`]: value })).toBeDefined();
});
