/** The picks out of a ranking. */
import type { Correlation } from '../universe/correlation.ts';
import type { Scored } from './score.ts';

/** Why a symbol that passed all gates was passed over: too much like a pick, or its sector is full. */
export type PassedOver = { reason: 'correlated'; with: string; correlation: number } | { reason: 'sector_full'; sector: string };

export interface Selection {
  /** Best first. */
  picks: Scored[];
  passedOver: Map<string, PassedOver>;
}

export interface SelectionLimits {
  count: number;
  /** Sectors that the first picks come from. */
  interests: ReadonlySet<string>;
  /** So many of the picks. */
  fromInterests: number;
  /** Picks a sector, among those from the interests and among the others. */
  interestCap: number;
  sectorCap: number;
  mostCorrelated: number;
}

const NO_SECTOR = 'unknown';

/**
 * Takes greedily from `ranked`, which is in the order of `byRank`: first `fromInterests` picks of the interests, then the rest. A symbol without a sector counts as one of a
 * sector of its own kind.
 */
export function select(ranked: readonly Scored[], limits: SelectionLimits, correlation: Correlation): Selection {
  const picks: Scored[] = [];
  const passedOver = new Map<string, PassedOver>();
  const bySector = new Map<string, number>();

  function take(count: number, cap: number, belongs: (sector: string) => boolean): void {
    for (const scored of ranked) {
      if (picks.length >= count) return;
      const { candidate } = scored;
      const sector = candidate.sectorKey ?? NO_SECTOR;
      if (!belongs(sector) || picks.includes(scored)) continue;
      if ((bySector.get(sector) ?? 0) >= cap) {
        passedOver.set(candidate.symbol, { reason: 'sector_full', sector: candidate.sector ?? sector });
        continue;
      }
      const like = picks.find((pick) => correlation(pick.candidate.index, candidate.index) > limits.mostCorrelated);
      if (like !== undefined) {
        const value = correlation(like.candidate.index, candidate.index);
        passedOver.set(candidate.symbol, { reason: 'correlated', with: like.candidate.symbol, correlation: value });
        continue;
      }
      picks.push(scored);
      passedOver.delete(candidate.symbol);
      bySector.set(sector, (bySector.get(sector) ?? 0) + 1);
    }
  }

  if (limits.interests.size > 0) take(limits.fromInterests, limits.interestCap, (sector) => limits.interests.has(sector));
  take(limits.count, limits.sectorCap, () => true);
  return { picks: picks.sort(byRank), passedOver };
}

/** Highest total first, then the most traded, then by symbol. */
export function byRank(a: Scored, b: Scored): number {
  return (
    b.total - a.total ||
    b.candidate.measures.dollarVolume - a.candidate.measures.dollarVolume ||
    // Candidates are numbered in the order of their symbols.
    a.candidate.index - b.candidate.index
  );
}
