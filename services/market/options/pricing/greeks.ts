import { type Grid, leadingContract } from './grid.ts';
import { impliedVolatility } from './implied-volatility.ts';
import { noValuation, type Valuation, valueOption } from './pricing.ts';

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

/**
 * Where a contract's IV comes from: `own` from its own quote, `partner` from the out-of-the-money contract of its strike and expiration, `smile` from the fitted smile of
 * its expiration.
 */
export const IV_SOURCES = ['own', 'partner', 'smile'] as const;
export type IvSource = (typeof IV_SOURCES)[number];
/** As they stand in a column: 0 = missing, else 1 + the index in `IV_SOURCES`. */
export const IV_SOURCE = { missing: 0, own: 1, partner: 2, smile: 3 } as const;

/** One entry a contract of the chain, in the chain's units; NaN where there is none. */
export interface FilledGreeks {
  readonly iv: Float64Array;
  readonly delta: Float64Array;
  readonly gamma: Float64Array;
  readonly theta: Float64Array;
  readonly vega: Float64Array;
  /** Dollars a percentage point of the interest rate. */
  readonly rho: Float64Array;
  /** One of `IV_SOURCE`. */
  readonly ivSource: Uint8Array;
  /** 1 where delta, gamma, theta and vega were computed here, 0 where they are the feed's or missing. */
  readonly computed: Uint8Array;
}

/**
 * IV and Greeks of the grid's contracts, with Black-Scholes-Merton, in two steps: first `fillOutOfTheMoney`, then, when a smile is fitted to those, `fillInTheMoney`.
 *
 * Put and call of one strike and expiration have the same IV, and it is the one of the out-of-the-money contract: a price in the money holds the value of early exercise
 * and a wide spread. Solved from itself, a put of strike 120 on a stock at 100 gave 0.32 where 0.25 was true, and a delta of -0.84 for -0.91.
 *
 * Everything is priced on the forward of the expiration: the spot is replaced by forward · exp((yield - rate) · years), which is the spot less the dividends expected
 * until then.
 */
export interface Filling {
  readonly grid: Grid;
  /** By expiration, dollars a share: the forward, and the spot that the model grows to it. */
  readonly forward: Float64Array;
  readonly spot: Float64Array;
  readonly limits: IvLimits;
  readonly filled: FilledGreeks;
}

export function startFilling(grid: Grid, forward: Float64Array, limits: IvLimits = DEFAULT_IV_LIMITS): Filling {
  const contracts = grid.chain.contracts.length;
  const column = () => new Float64Array(contracts).fill(Number.NaN);
  const carry = grid.market.rate - grid.market.dividendYield;
  return {
    grid,
    forward,
    spot: forward.map((price, e) => price * Math.exp(-carry * grid.times.years[e]!)),
    limits,
    filled: {
      iv: column(),
      delta: column(),
      gamma: column(),
      theta: column(),
      vega: column(),
      rho: column(),
      ivSource: new Uint8Array(contracts),
      computed: new Uint8Array(contracts),
    },
  };
}

/** The IV of a contract's own quote, and whether it is the feed's. */
interface OwnIv {
  iv: number;
  fromFeed: boolean;
}

/** Puts below the forward and calls from it upwards: the feed's IV where it is within the limits and explains the quote, else the one solved from the mid. */
export function fillOutOfTheMoney(filling: Filling): void {
  const value = noValuation();
  const own: OwnIv = { iv: Number.NaN, fromFeed: false };
  for (let i = 0; i < filling.grid.usable.length; i++) {
    if (filling.grid.usable[i] === 0 || isInTheMoney(filling, i)) continue;
    solveOwn(filling, i, own, value);
    if (Number.isNaN(own.iv)) continue;
    setGreeks(filling, i, own.iv, IV_SOURCE.own, own.fromFeed, value);
  }
}

/**
 * The other contracts: the IV of the out-of-the-money partner; where it has none, that of the fitted smile (`smileIv`, by contract); where there is no smile, their own:
 * the feed's, or the one solved from the mid if its extrinsic value is more than half of the spread. Without one of these it is missing.
 */
export function fillInTheMoney(filling: Filling, smileIv: Float64Array): void {
  const { grid, forward, filled } = filling;
  const value = noValuation();
  const own: OwnIv = { iv: Number.NaN, fromFeed: false };
  for (let i = 0; i < grid.usable.length; i++) {
    if (grid.usable[i] === 0 || !isInTheMoney(filling, i)) continue;
    const partner = leadingContract(grid, grid.rowOf[i]!, forward[grid.chain.expiry[i]!]!, filled.iv);
    if (partner >= 0) setGreeks(filling, i, filled.iv[partner]!, IV_SOURCE.partner, false, value);
    else if (smileIv[i]! > 0) setGreeks(filling, i, smileIv[i]!, IV_SOURCE.smile, false, value);
    else {
      solveOwn(filling, i, own, value);
      const tells = own.fromFeed || extrinsicValue(filling, i) > (grid.chain.ask[i]! - grid.chain.bid[i]!) / 2;
      if (tells && !Number.isNaN(own.iv)) setGreeks(filling, i, own.iv, IV_SOURCE.own, own.fromFeed, value);
    }
  }
}

function isInTheMoney({ grid: { chain }, forward }: Filling, i: number): boolean {
  return (chain.isPut[i] === 1) === chain.strike[i]! >= forward[chain.expiry[i]!]!;
}

function extrinsicValue({ grid: { chain, mid }, spot }: Filling, i: number): number {
  const side = chain.isPut[i] === 1 ? -1 : 1;
  return mid[i]! - Math.max(side * (spot[chain.expiry[i]!]! - chain.strike[i]!), 0);
}

function solveOwn(filling: Filling, i: number, into: OwnIv, value: Valuation): void {
  const { grid, spot, limits } = filling;
  const { chain, times, mid, market } = grid;
  const given = chain.iv[i]!;
  into.fromFeed = false;
  if (isWithin(given, limits)) {
    const leeway = Math.max(limits.outsideSpreads * (chain.ask[i]! - chain.bid[i]!), limits.outsideDollars);
    const { price } = valueAt(filling, i, given, value);
    if (price >= chain.bid[i]! - leeway && price <= chain.ask[i]! + leeway) {
      into.iv = given;
      into.fromFeed = true;
      return;
    }
  }
  const e = chain.expiry[i]!;
  const solved = impliedVolatility(
    mid[i]!,
    spot[e]!,
    chain.strike[i]!,
    times.years[e]!,
    market.rate,
    market.dividendYield,
    chain.isPut[i] === 1,
  );
  into.iv = isWithin(solved, limits) ? solved : Number.NaN;
}

function isWithin(volatility: number, { lowest, highest }: IvLimits): boolean {
  return volatility > lowest && volatility <= highest;
}

function valueAt({ grid: { chain, times, market }, spot }: Filling, i: number, volatility: number, into: Valuation): Valuation {
  const e = chain.expiry[i]!;
  const isPut = chain.isPut[i] === 1;
  return valueOption(spot[e]!, chain.strike[i]!, times.years[e]!, market.rate, market.dividendYield, volatility, isPut, into);
}

/** The feed's Greeks where its IV was taken and all of them are sound, else computed from the IV. No feed gives rho. */
function setGreeks(filling: Filling, i: number, iv: number, source: number, fromFeed: boolean, value: Valuation): void {
  const { filled, grid } = filling;
  const { chain } = grid;
  const given = fromFeed && hasSoundGreeks(grid, i);
  valueAt(filling, i, iv, value);
  filled.iv[i] = iv;
  filled.ivSource[i] = source;
  filled.delta[i] = given ? chain.delta[i]! : value.delta;
  filled.gamma[i] = given ? chain.gamma[i]! : value.gamma;
  filled.theta[i] = given ? chain.theta[i]! : value.theta;
  filled.vega[i] = given ? chain.vega[i]! : value.vega;
  filled.rho[i] = value.rho;
  filled.computed[i] = given ? 0 : 1;
}

/** A contract that is alive has gamma and vega above 0: feeds write 0 for "not computed". */
function hasSoundGreeks({ chain }: Grid, i: number): boolean {
  const delta = chain.isPut[i] === 1 ? -chain.delta[i]! : chain.delta[i]!;
  return delta >= 0 && delta <= 1 && chain.gamma[i]! > 0 && chain.vega[i]! > 0 && Number.isFinite(chain.theta[i]!);
}
