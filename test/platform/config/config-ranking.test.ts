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
  [{ 'ranking.watchlist': 'aapl' }, 'must be a symbol in capital letters'],
  [{ 'ranking.retention.chain_days': 10 }, 'ranking.retention.chain_days'],
])('%j is refused, and says why', (overrides, text) => {
  expect(() => load(overrides)).toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining(text) }));
});
