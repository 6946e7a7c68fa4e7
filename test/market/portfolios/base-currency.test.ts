import { describe, expect, test } from 'vitest';
import { currencyOf, rateSymbolOf, rateSymbols, toBase } from '../../../services/market/portfolios/base-currency.ts';

const rates: Record<string, number> = { 'GBPUSD=X': 1.25, 'EURUSD=X': 1.1, 'ZARUSD=X': 0.05, 'ILSUSD=X': 0.25, 'USDEUR=X': 0.9 };
const inDollars = (amount: number | null, currency: string | null) => toBase(amount, currency, 'USD', (symbol) => rates[symbol]);

describe('an amount in the base currency', () => {
  // By hand: 400 pence are 4 pounds, 5 dollars at 1.25.
  test.each([
    [100, 'USD', 100],
    [100, 'GBP', 125],
    [400, 'GBp', 5],
    [400, 'GBX', 5],
    [2_000, 'ZAc', 1],
    [400, 'ILA', 1],
    [150, 'USX', 1.5],
    [-10, 'EUR', -11],
  ])('%d %s are %d dollars', (amount, currency, dollars) => {
    expect(inDollars(amount, currency)).toBeCloseTo(dollars, 9);
  });

  test.each([
    ['the amount', null, 'USD'],
    ['the currency', 1, null],
    ['the rate', 1, 'DKK'],
    ['a text that is no currency', 1, 'usd?'],
  ])('is unknown without %s', (_, amount, currency) => {
    expect(inDollars(amount, currency)).toBeNull();
  });

  test('is unknown at a rate of nothing', () => {
    expect(toBase(1, 'GBP', 'USD', () => 0)).toBeNull();
    expect(toBase(1, 'GBP', 'USD', () => Number.NaN)).toBeNull();
  });

  test('may be in euros: dollars need a rate then', () => {
    expect(toBase(10, 'USD', 'EUR', (symbol) => rates[symbol])).toBeCloseTo(9, 9);
    expect(toBase(10, 'EUR', 'EUR', () => undefined)).toBe(10);
  });
});

test('each rate is needed once, pence need that of pounds, the base currency none', () => {
  const quoted = [
    { symbol: 'BP.L', currency: 'GBp' },
    { symbol: 'A.L', currency: 'GBP' },
    { symbol: 'SAP.DE', currency: 'EUR' },
    { symbol: 'AAPL', currency: 'USD' },
    { symbol: 'CORN', currency: 'USX' },
    { symbol: 'NEW', currency: null },
  ];
  expect(rateSymbols(quoted, 'USD')).toEqual(['EURUSD=X', 'GBPUSD=X']);
  expect(rateSymbols(quoted, 'GBP')).toEqual(['EURGBP=X', 'USDGBP=X']);
  expect(rateSymbolOf(null, 'USD')).toBeUndefined();
});

test('the currency of a US symbol is dollars as long as none is known, that of others is unknown', () => {
  expect([currencyOf('AAPL', null), currencyOf('VOD.L', undefined), currencyOf('VOD.L', 'GBp')]).toEqual(['USD', null, 'GBp']);
});
