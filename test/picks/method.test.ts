/** What docs/picks.md says about the numbers is what the screen does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RISK_TOLERANCES } from '../../services/picks/profile.ts';
import { DEFAULT_RULES, FACTORS } from '../../services/picks/rules.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/picks.md'), 'utf8');

test.each(RISK_TOLERANCES)('the weights of %s stand in the table', (risk) => {
  const row = page.split('\n').find((line) => line.startsWith(`| ${risk} `))!;
  const values = row.split('|').slice(2, -1).map(Number);
  expect(values).toEqual(FACTORS.map((factor) => DEFAULT_RULES.weights[risk][factor]));
});

test('the limits stand in the text', () => {
  const text = page.replace(/\s+/g, ' ');
  const { least_price, least_dollar_volume: volume, volatility_band: band, most_correlated, relaxed, risk_levels: risk } = DEFAULT_RULES;
  const million = (value: number) => value / 1e6;
  for (const said of [
    `a price of at least $${least_price}`,
    `$${million(volume.conservative)}, ${million(volume.moderate)} or ${million(volume.aggressive)} million traded a day`,
    `below the ${band.conservative[1]}th or ${band.moderate[1]}th percentile of the universe, for aggressive profiles above the ${band.aggressive[0]}th`,
    `a correlation above ${most_correlated.toFixed(2)}`,
    `the correlation (${relaxed.most_correlated.toFixed(2)})`,
    `high from a volatility of ${risk.high.sigma * 100} % a year or a fall of ${risk.high.drawdown * 100} % within a year, medium from ${risk.medium.sigma * 100} % or ${risk.medium.drawdown * 100} %`,
    `Below ${DEFAULT_RULES.least_coverage} of 100 weights`,
  ])
    expect(text).toContain(said);
});
