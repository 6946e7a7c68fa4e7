import { type Grid, leadingContract } from './grid.ts';
import { impliedVolatility } from './implied-volatility.ts';
import { type Valuation, valueOption } from './pricing.ts';

/** The limits within which the IV of a feed is used. */
export interface IvLimits {
  /** Annual. An IV outside of these, from a feed or solved, counts as missing: feeds write 0 or 1e-5 for "not computed". */
  readonly lowest: number;
  readonly highest: number;
  /** A feed's IV is not used when its price lies outside of bid and ask by more than this many spreads, or by more than this many dollars if that is more. */
  readonly outsideSpreads: number;
  readonly outsideDollars: number;
}

export const DEFAULT_IV_LIMITS: IvLimits = { lowest: 0.01, highest: 5, outsideSpreads: 1, outsideDollars: 0.01 };

/** Where a contract's IV comes from. `twin`: the contract of the other side at the same strike and expiration. */
export const IV_ORIGIN = { missing: 0, feed: 1, mid: 2, twin: 3 } as const;

/** One entry a contract of the chain, in the chain's units; NaN where there is none. */
export interface FilledGreeks {
  readonly iv: Float64Array;
  readonly delta: Float64Array;
  readonly gamma: Float64Array;
  readonly theta: Float64Array;
  readonly vega: Float64Array;
  /** One of `IV_ORIGIN`. */
  readonly ivOrigin: Uint8Array;
  /** 1 where the Greeks were computed here, 0 where they are the feed's or missing. */
  readonly computed: Uint8Array;
}

/**
 * IV and Greeks of the grid's contracts, with Black-Scholes-Merton.
 *
 * - IV: the feed's where it is within `limits` and explains the quote; else solved from the mid; else, in the money only, that of the out-of-the-money contract of the same
 *   strike and expiration: American contracts deep in the money trade at or below the lowest price of the European formula.
 * - Greeks: the feed's where its IV was taken and all four are sound, else computed from the IV.
 *
 * Everything is priced on the forward of the expiration: the spot is replaced by forward · exp((yield - rate) · years), which is the spot less the dividends expected
 * until then. With it put and call of one strike agree on their IV.
 */
export function fillGreeks(grid: Grid, forward: Float64Array, limits: IvLimits = DEFAULT_IV_LIMITS): FilledGreeks {
  const { chain, times, usable, mid } = grid;
  const contracts = chain.contracts.length;
  const column = () => new Float64Array(contracts).fill(Number.NaN);
  const iv = column();
  const ivOrigin = new Uint8Array(contracts);
  const spot = spotsOf(grid, forward);
  const { rate, dividendYield } = grid.market;
  const value: Valuation = { price: 0, delta: 0, gamma: 0, theta: 0, vega: 0 };
  const valueAt = (i: number, e: number, volatility: number) =>
    valueOption(spot[e]!, chain.strike[i]!, times.years[e]!, rate, dividendYield, volatility, chain.isPut[i] === 1, value);
  const isWithin = (volatility: number) => volatility > limits.lowest && volatility <= limits.highest;

  for (let i = 0; i < contracts; i++) {
    if (usable[i] === 0) continue;
    const e = chain.expiry[i]!;
    const given = chain.iv[i]!;
    if (isWithin(given)) {
      const bid = chain.bid[i]!;
      const ask = chain.ask[i]!;
      const leeway = Math.max(limits.outsideSpreads * (ask - bid), limits.outsideDollars);
      const { price } = valueAt(i, e, given);
      if (price >= bid - leeway && price <= ask + leeway) {
        iv[i] = given;
        ivOrigin[i] = IV_ORIGIN.feed;
        continue;
      }
    }
    const solved = impliedVolatility(mid[i]!, spot[e]!, chain.strike[i]!, times.years[e]!, rate, dividendYield, chain.isPut[i] === 1);
    if (isWithin(solved)) {
      iv[i] = solved;
      ivOrigin[i] = IV_ORIGIN.mid;
    }
  }
  takeFromTwins(grid, forward, iv, ivOrigin);

  const filled = { iv, delta: column(), gamma: column(), theta: column(), vega: column(), ivOrigin, computed: new Uint8Array(contracts) };
  for (let i = 0; i < contracts; i++) {
    if (ivOrigin[i] === IV_ORIGIN.missing) continue;
    const fromFeed = ivOrigin[i] === IV_ORIGIN.feed && hasSoundGreeks(grid, i);
    const greeks = fromFeed ? undefined : valueAt(i, chain.expiry[i]!, iv[i]!);
    filled.delta[i] = greeks === undefined ? chain.delta[i]! : greeks.delta;
    filled.gamma[i] = greeks === undefined ? chain.gamma[i]! : greeks.gamma;
    filled.theta[i] = greeks === undefined ? chain.theta[i]! : greeks.theta;
    filled.vega[i] = greeks === undefined ? chain.vega[i]! : greeks.vega;
    filled.computed[i] = fromFeed ? 0 : 1;
  }
  return filled;
}

/** For each expiration the spot that the model grows to its forward. */
function spotsOf(grid: Grid, forward: Float64Array): Float64Array {
  const carry = grid.market.rate - grid.market.dividendYield;
  return forward.map((price, e) => price * Math.exp(-carry * grid.times.years[e]!));
}

function takeFromTwins(grid: Grid, forward: Float64Array, iv: Float64Array, ivOrigin: Uint8Array): void {
  const { chain, usable } = grid;
  for (let i = 0; i < iv.length; i++) {
    if (usable[i] === 0 || ivOrigin[i] !== IV_ORIGIN.missing) continue;
    const price = forward[chain.expiry[i]!]!;
    const inTheMoney = chain.isPut[i] === 1 ? chain.strike[i]! > price : chain.strike[i]! < price;
    const twin = leadingContract(grid, grid.rowOf[i]!, price, iv);
    if (!inTheMoney || twin < 0) continue;
    iv[i] = iv[twin]!;
    ivOrigin[i] = IV_ORIGIN.twin;
  }
}

/** A contract that is alive has gamma and vega above 0: feeds write 0 for "not computed". */
function hasSoundGreeks({ chain }: Grid, i: number): boolean {
  const delta = chain.isPut[i] === 1 ? -chain.delta[i]! : chain.delta[i]!;
  return delta >= 0 && delta <= 1 && chain.gamma[i]! > 0 && chain.vega[i]! > 0 && Number.isFinite(chain.theta[i]!);
}
