import { expect, test } from 'vitest';
import { type Valuation, valueOption } from '../../../../services/market/options/pricing/pricing.ts';
import { optionValues } from './reference/option-values.ts';

/** Rho is not in the reference: `pricing.test.ts` checks it. */
type Field = keyof Omit<Valuation, 'rho'>;
const TOLERANCE: Record<Field, number> = { price: 1e-8, delta: 1e-6, gamma: 1e-6, theta: 1e-6, vega: 1e-6 };

test('the reference covers 1,320 options', () => {
  expect(optionValues).toHaveLength(1320);
});

test.each(Object.keys(TOLERANCE) as Field[])('%s agrees with the integral of the payoff in every case', (field) => {
  for (const option of optionValues) {
    const { spot, strike, years, rate, dividendYield, volatility, isPut } = option;
    const found = valueOption(spot, strike, years, rate, dividendYield, volatility, isPut)[field];
    expect(Math.abs(found - option[field]), `${option.name}: ${found} and ${option[field]}`).toBeLessThan(TOLERANCE[field]);
  }
});

test('an out-of-the-money price keeps ten digits down to 1e-300 dollars', () => {
  for (const { name, spot, strike, years, rate, dividendYield, volatility, isPut, price } of optionValues) {
    const forward = spot * Math.exp((rate - dividendYield) * years);
    if (isPut ? strike > forward : strike < forward) continue;
    if (price < 1e-300) continue;
    const found = valueOption(spot, strike, years, rate, dividendYield, volatility, isPut).price;
    expect(Math.abs(found / price - 1), `${name}: ${found} and ${price}`).toBeLessThan(1e-10);
  }
});
