import { expect, test } from 'vitest';
import { priceText } from '../../../services/market/bars/price-text.ts';

test.each([
  [189.5, '189.50'],
  [17.37, '17.37'],
  [1.0842, '1.0842'],
  [75.0875, '75.0875'],
  [123.456789012, '123.45679'],
  [0.00000516, '0.00000516'],
  [3.2e-7, '0.00000032'],
  [1.2345678e-12, '0.0000000000012345678'],
  [987654321.12, '987654321.12'],
  [1e21, '1e+21'],
  [0, '0.00'],
  [-0.25, '-0.25'],
  [-1234.5, '-1234.50'],
  [1, '1.00'],
  [10, '10.00'],
  [0.1, '0.10'],
  [999999.996, '1000000.00'],
  [9.99e20, '999000000000000000000.00'],
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, 'Infinity'],
  [1e-100, `0.${'0'.repeat(99)}1`],
])('%d is %s', (price, text) => {
  expect(priceText(price)).toBe(text);
});

test('eight digits from 1e-12 to 1e9 come back', () => {
  for (let exponent = -12; exponent <= 9; exponent++) {
    const price = Number(`1.2345678e${exponent}`);
    expect(Number(priceText(price))).toBe(price);
  }
});
