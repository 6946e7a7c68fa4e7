import { expect, test } from 'vitest';
import { expiryTimes } from '../../../../services/market/options/chain/time.ts';
import { type Forwards, forwardsOf } from '../../../../services/market/options/pricing/forward.ts';
import { gridOf } from '../../../../services/market/options/pricing/grid.ts';
import { chainOf, pricedPairs, type Quoted } from '../chain/quoted-chain.ts';

// 2026-06-16 16:00 to 2027-06-16 16:00 in New York: exactly one year of 365 days.
const NOW = '2026-06-16T20:00:00Z';
const EXPIRATION = '2027-06-16';

function forwards(spot: number, quotes: Quoted[], rate = 0.05, dividendYield = 0): Forwards {
  const chain = chainOf(NOW, spot, quotes);
  return forwardsOf(gridOf(chain, expiryTimes(chain.expirations, chain.asOf), { rate, dividendYield }));
}

const pair = (strike: number, call: number, put: number): Quoted[] => [
  { expiration: EXPIRATION, strike, bid: call - 0.1, ask: call + 0.1 },
  { expiration: EXPIRATION, strike, isPut: true, bid: put - 0.1, ask: put + 0.1 },
];

test('the forward is strike + exp(rate · years) · (call - put), the median over three strikes', () => {
  // By hand, e^0.05 = 1.0512711: 95 + 8.41017, 100 + 3.15381, 105 - 2.10254; the middle one of 103.41, 103.15 and 102.90.
  const found = forwards(98, [...pair(95, 12, 4), ...pair(100, 9, 6), ...pair(105, 6, 8)]);
  expect(found.price[0]).toBeCloseTo(100 + 3 * 1.0512710963760241, 10);
  expect(found.fromParity[0]).toBe(1);
});

test('dividends that the quotes expect are found', () => {
  // The quotes are priced with a yield of 3 %, the market is told none: 100 · exp(0.05 - 0.03).
  const quotes = pricedPairs(
    { expiration: EXPIRATION, years: 1, spot: 100, rate: 0.05, dividendYield: 0.03 },
    [90, 95, 100, 105, 110],
    () => 0.3,
  );
  expect(forwards(100, quotes).price[0]).toBeCloseTo(100 * Math.exp(0.02), 9);
});

test('two bad quotes of five do not move it, nor do strikes further from the money', () => {
  // Priced with a yield of 3 % that the market is not told, so that the model's own forward would show.
  const model = { expiration: EXPIRATION, years: 1, spot: 100, rate: 0.05, dividendYield: 0.03 };
  const quotes = pricedPairs(model, [60, 95, 100, 105, 110, 115, 180], () => 0.3);
  const broken = quotes.map((quote) => {
    const isBad = [60, 100, 110, 180].includes(quote.strike) && !quote.isPut;
    return isBad ? { ...quote, bid: quote.bid! + 5, ask: quote.ask! + 5 } : quote;
  });
  expect(forwards(100, broken).price[0]).toBeCloseTo(100 * Math.exp(0.02), 9);
});

test('with fewer than three quoted pairs it is the spot carried by rate and yield', () => {
  const found = forwards(100, [...pair(95, 12, 4), ...pair(100, 9, 6)], 0.05, 0.02);
  expect(found.price[0]).toBeCloseTo(100 * Math.exp(0.03), 12);
  expect(found.fromParity[0]).toBe(0);
});

test('crossed, one-sided and untrusted quotes are no pairs', () => {
  const [call, put] = pair(100, 9, 6) as [Quoted, Quoted];
  const quotes = [...pair(95, 12, 4), ...pair(105, 6, 8)];
  for (const bad of [
    { bid: 9.2, ask: 9.1 },
    { bid: 0, ask: 9 },
    { bid: 9, ask: Number.NaN },
    { bid: 9, ask: Number.POSITIVE_INFINITY },
  ]) {
    for (const order of [
      [...quotes, put, { ...call, ...bad }],
      [{ ...call, ...bad }, put, ...quotes],
    ])
      expect(forwards(98, order).fromParity[0], JSON.stringify(order)).toBe(0);
  }
  const chain = chainOf(NOW, 98, [...quotes, call, put]);
  const times = expiryTimes(chain.expirations, chain.asOf);
  const trusted = Uint8Array.of(1, 1, 1, 1, 0, 1);
  expect(forwardsOf(gridOf(chain, times, { rate: 0.05, dividendYield: 0 }, trusted)).fromParity[0]).toBe(0);
});

test('quotes that tell a forward far from the spot are not believed', () => {
  // By hand: the quotes say 100, the spot grown at 5 % says 126: a gap of ln 1.26 = 0.23, over the 0.1 that a year is allowed.
  const found = forwards(120, [...pair(95, 11, 6), ...pair(100, 8, 8), ...pair(105, 6, 11)]);
  expect(found.price[0]).toBeCloseTo(120 * Math.exp(0.05), 10);
  expect(found.fromParity[0]).toBe(0);
});
