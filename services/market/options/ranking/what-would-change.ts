/** What would give a contract another rank: what was not measured, the measured part with most to gain, and the next band. */
import type { RankingRules } from '../../../platform/config/ranking.ts';
import type { PartName } from '../scoring/parts.ts';
import { BANDS, type Band } from '../scoring/signals.ts';
import type { Ranked } from './ranked.ts';
import { explain, nameOf } from './why.ts';

export interface Changes {
  /** Not measured, the largest first. `weight`: its share of the whole rank, 0-1; all of them and the data quality add up to 1. */
  missing: { column: string; name: string; weight: number }[];
  /** The measured part with the largest weight × (100 - score), which is `gain`, in points; null where each has 100. */
  largest: { column: string; name: string; score: number; gain: number } | null;
  /** The band above, the rank from which it is reached, and the points to there; null in the highest. */
  next_band: { band: Band; from: number; lacks: number } | null;
}

/** By these rules, which may be newer than the run. */
export function whatWouldChange(ranked: Ranked, rules: RankingRules): Changes {
  return { missing: missingOf(ranked, rules), largest: largestOf(ranked), next_band: nextBand(ranked, rules) };
}

function missingOf({ ranking_mode, missing }: Ranked, { modes, parts }: RankingRules): Changes['missing'] {
  const isMissing = new Set(missing);
  const found = Object.entries<number>(modes[ranking_mode]).flatMap(([part, ofRank]) => {
    const column = `${part}_score`;
    // A part without any score is named alone, and not its components too.
    if (isMissing.has(column)) return [{ column, name: nameOf(column), weight: ofRank }];
    return componentsOf(column as PartName, parts).flatMap(([name, ofPart]) =>
      isMissing.has(name) && ofPart > 0 ? [{ column: name, name: nameOf(name), weight: ofRank * ofPart }] : [],
    );
  });
  return found
    .filter(({ weight }) => weight > 0)
    .map((one) => ({ ...one, weight: rounded(one.weight) }))
    .sort((a, b) => b.weight - a.weight);
}

/** Columns and weights of a part's components. */
function componentsOf(part: PartName, parts: RankingRules['parts']): [string, number][] {
  const own = part === 'protection_score' ? 'profit_protection_score' : part;
  const weights = parts[own.replace(/_score$/, '') as keyof RankingRules['parts']];
  return Object.entries<number>(weights).map(([name, weight]) => [columnOf(own, name), weight]);
}

function columnOf(part: string, name: string): string {
  if (name === 'iv_rank' || name === 'iv_percentile') return name;
  return part === 'greeks_score' && name === 'theta' ? 'theta_penalty' : `${name}_score`;
}

function largestOf(ranked: Ranked): Changes['largest'] {
  const gains = explain(ranked).parts.map(({ column, name, score, weight }) => ({
    ...{ column, name, score },
    gain: rounded(weight * (100 - score)),
  }));
  const [largest] = gains.filter(({ gain }) => gain > 0).sort((a, b) => b.gain - a.gain);
  return largest ?? null;
}

function nextBand(ranked: Ranked, { bands }: RankingRules): Changes['next_band'] {
  const { rank } = explain(ranked);
  const above = BANDS.filter((band): band is keyof typeof bands => band in bands && bands[band as keyof typeof bands] > rank).at(-1);
  return above === undefined ? null : { band: above, from: bands[above], lacks: rounded(bands[above] - rank) };
}

const rounded = (value: number): number => Number(value.toFixed(4));
