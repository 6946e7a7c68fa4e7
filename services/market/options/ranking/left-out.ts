/** Why a held position is not ranked, for people. */
import { usCalendar } from '../../calendar/calendar.ts';
import { parseContract } from '../chain/contract.ts';
import { ELIGIBLE, REASONS, type Reason } from '../chain/eligibility.ts';
import { isAdjusted } from '../chain/roots.ts';
import type { Position, RankInput } from './rank-input.ts';

/** A position that a run of exit mode does not rank. */
export interface LeftOut {
  /** Its id. */
  position: string;
  contract: string;
  reason: Reason;
  /** One sentence. */
  why: string;
}

/**
 * Sorted by contract and position. `reasons` of the positions as `candidatesOf` gives them, `indexes` of their contracts in the chain; `ranked`: the positions that have a
 * rank.
 */
export function leftOutOf(
  input: RankInput,
  reasons: Uint8Array,
  indexes: ReadonlyMap<string, number>,
  ranked: ReadonlySet<Position>,
): LeftOut[] {
  const left = (input.positions ?? []).flatMap((position, i): LeftOut[] => {
    if (ranked.has(position)) return [];
    const reason = reasons[i] === ELIGIBLE ? 'not_measured' : REASONS[reasons[i]! - 1]!;
    const { id, contract } = position;
    return [{ position: id, contract, reason, why: whyOf(reason, position, input, indexes.get(contract)) }];
  });
  return left.sort((one, other) => compareText(one.contract, other.contract) || compareText(one.position, other.position));
}

/** By code units, the same everywhere. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `index` of the contract in the chain. */
function whyOf(reason: Reason, { contract }: Position, { chain, rules }: RankInput, index: number | undefined): string {
  const bid = index === undefined ? Number.NaN : chain.bid[index]!;
  const ask = index === undefined ? Number.NaN : chain.ask[index]!;
  switch (reason) {
    case 'expired':
      return `it expired on ${parseContract(contract).expiry}; remove the position`;
    case 'no_bid':
      return 'nobody bids for it';
    case 'no_price':
      return 'nobody offers it';
    case 'crossed':
      return `its bid ${bid} is above its ask ${ask}`;
    case 'illiquid':
      return `fewer than ${rules.eligibility.volume} were traded and fewer than ${rules.eligibility.open_interest} are open`;
    case 'stale_quote':
      return `its quote is older than ${rules.quote_age} seconds`;
    case 'no_iv':
      return 'its quote gives no volatility';
    case 'not_measured':
      return 'nothing that counts in its rank is known';
    case 'not_quoted':
      return isAdjusted(parseContract(contract).underlying, chain.underlying)
        ? `it is an adjusted contract: it does not deliver 100 shares of ${chain.underlying}, so it is not priced by them`
        : `the chain of ${chain.underlying} (${chain.source}, ${chain.asOf.toZonedDateTimeISO(usCalendar.timeZone).toPlainDate()}) has no such contract`;
  }
}
