import type { RankingRules } from '../../../platform/config/ranking.ts';
import type { Chain } from './chain.ts';
import type { ExpiryTimes } from './time.ts';

/** Why a contract is not ranked. They are checked in this order, and the first that applies is stored. */
export const CONTRACT_REASONS = ['expired', 'no_bid', 'no_price', 'crossed', 'illiquid', 'stale_quote', 'no_iv'] as const;
/** `not_quoted`: the chain has no such contract for a position. `not_measured`: no component with a weight could be measured. */
export const REASONS = [...CONTRACT_REASONS, 'not_quoted', 'not_measured'] as const;
export type Reason = (typeof REASONS)[number];

export const ELIGIBLE = 0;

export interface EligibilityInput {
  chain: Chain;
  /** Implied volatility, annual, of every contract; NaN = unknown. */
  iv: Float64Array;
  /** Of the chain's expirations. */
  times: Pick<ExpiryTimes, 'dte' | 'expired'>;
  /** The moment at which the age of quotes is measured, epoch milliseconds. While the market is closed: the newest close, since every quote would be too old now. */
  atMs: number;
  /** Seconds. */
  quoteAge: number;
  /** Contracts: with both volume and open interest below these a contract is illiquid. An unknown one is not below. */
  liquidity: RankingRules['eligibility'];
}

/**
 * Each contract's reason not to be ranked: `ELIGIBLE`, or 1 + its index in `REASONS`. Every comparison is written so that NaN fails it. A contract without a moment of
 * its own was quoted when the chain was; an IV of 0 or less is none.
 */
export function judgeContracts({ chain, iv, times, atMs, quoteAge, liquidity }: EligibilityInput): Uint8Array {
  const { bid, ask, volume, openInterest, quotedAt, expiry } = chain;
  const { dte, expired } = times;
  const oldest = atMs - quoteAge * 1000;
  const chainQuotedAt = chain.asOf.epochMilliseconds;
  const reasons = new Uint8Array(chain.contracts.length);
  for (let i = 0; i < reasons.length; i++) {
    const quoted = quotedAt[i]!;
    const e = expiry[i]!;
    if (!(dte[e]! >= 0) || expired[e] !== 0) reasons[i] = EXPIRED;
    else if (!(bid[i]! > 0)) reasons[i] = NO_BID;
    else if (!Number.isFinite(bid[i]! + ask[i]!)) reasons[i] = NO_PRICE;
    else if (!(bid[i]! <= ask[i]!)) reasons[i] = CROSSED;
    else if (isBelow(volume[i]!, liquidity.volume) && isBelow(openInterest[i]!, liquidity.open_interest)) reasons[i] = ILLIQUID;
    else if (!((Number.isFinite(quoted) ? quoted : chainQuotedAt) >= oldest)) reasons[i] = STALE_QUOTE;
    else if (!(iv[i]! > 0 && iv[i]! < Number.POSITIVE_INFINITY)) reasons[i] = NO_IV;
  }
  return reasons;
}

/** Some feeds write a count below 0 for unknown. */
function isBelow(count: number, least: number): boolean {
  return count >= 0 && count < least;
}

/** How many entries have each reason; all reasons, 0 where none has it. */
export function countReasons(reasons: Uint8Array): Record<Reason, number> {
  const counts = new Uint32Array(REASONS.length + 1);
  for (let i = 0; i < reasons.length; i++) counts[reasons[i]!]!++;
  return Object.fromEntries(REASONS.map((reason, i) => [reason, counts[i + 1]!])) as Record<Reason, number>;
}

const code = (reason: Reason) => REASONS.indexOf(reason) + 1;
export const EXPIRED = code('expired');
const NO_BID = code('no_bid');
const NO_PRICE = code('no_price');
const CROSSED = code('crossed');
const ILLIQUID = code('illiquid');
const STALE_QUOTE = code('stale_quote');
const NO_IV = code('no_iv');
export const NOT_QUOTED = code('not_quoted');
