import type { Chain } from '../../../../services/market/options/chain/chain.ts';
import { valueOption } from '../../../../services/market/options/pricing/pricing.ts';

/** One contract of a chain for a test; numbers left out are missing (NaN). */
export interface Quoted {
  expiration: string;
  strike: number;
  isPut?: boolean;
  bid?: number;
  ask?: number;
  iv?: number;
  delta?: number;
  gamma?: number;
  theta?: number;
  vega?: number;
}

/** A chain of the given contracts, quoted on both sides around `mid` where bid and ask are not given. */
export function chainOf(asOf: string, spot: number, quotes: readonly Quoted[]): Chain {
  const expirations = [...new Set(quotes.map(({ expiration }) => expiration))].sort();
  const column = (of: (quote: Quoted) => number | undefined) => Float64Array.from(quotes, (quote) => of(quote) ?? Number.NaN);
  return {
    underlying: 'TEST',
    source: 'file',
    asOf: Temporal.Instant.from(asOf),
    spot,
    contracts: quotes.map(({ expiration, strike, isPut }) => `${expiration} ${strike} ${isPut ? 'P' : 'C'}`),
    expirations,
    expiry: Uint16Array.from(quotes, ({ expiration }) => expirations.indexOf(expiration)),
    isPut: Uint8Array.from(quotes, ({ isPut }) => (isPut ? 1 : 0)),
    strike: column(({ strike }) => strike),
    bid: column(({ bid }) => bid),
    ask: column(({ ask }) => ask),
    volume: column(() => undefined),
    openInterest: column(() => undefined),
    iv: column(({ iv }) => iv),
    delta: column(({ delta }) => delta),
    gamma: column(({ gamma }) => gamma),
    theta: column(({ theta }) => theta),
    vega: column(({ vega }) => vega),
    quotedAt: column(() => undefined),
  };
}

/** A put and a call at each strike, priced by the model at `iv(strike)`, bid and ask `halfSpread` away from it. */
export function pricedPairs(
  model: { expiration: string; years: number; spot: number; rate: number; dividendYield: number; halfSpread?: number },
  strikes: readonly number[],
  iv: (strike: number) => number,
): Quoted[] {
  const { expiration, years, spot, rate, dividendYield, halfSpread = 0 } = model;
  return strikes.flatMap((strike) =>
    [false, true].map((isPut) => {
      const { price } = valueOption(spot, strike, years, rate, dividendYield, iv(strike), isPut);
      return { expiration, strike, isPut, bid: price - halfSpread, ask: price + halfSpread };
    }),
  );
}
