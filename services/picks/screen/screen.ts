/** One user's screen: weights, gates and selection over the universe that all users share. Pure: the same inputs give the same picks. */

import type { PickRules, Weights } from '../rules.ts';
import { weightsFor } from '../rules.ts';
import type { DataGate } from '../universe/data-gates.ts';
import type { ScreenedUniverse } from '../universe/universe.ts';
import { type Scored, scoreOf } from './score.ts';
import { byRank, type PassedOver, type Selection, type SelectionLimits, select } from './select.ts';
import { limitsOf, type PickUser, type UserGate, type UserLimits, userGate } from './user-gates.ts';

/** What was relaxed because too few were left, in this order. Data gates, price, budget and overweight never are. */
export const RELAXATIONS = ['correlation', 'sector_cap', 'volatility_band'] as const;
export type Relaxation = (typeof RELAXATIONS)[number];

/** Why there are fewer picks than asked for, or fewer of the user's sectors. */
export interface Shortfall {
  reason: 'too_few_candidates' | 'too_few_in_interests';
  wanted: number;
  found: number;
}

export interface Screen {
  user: PickUser;
  weights: Weights;
  limits: UserLimits;
  /** Best first; fewer than `rules.least_picks` are no report. */
  picks: readonly Scored[];
  /** All that passed the user's gates, best first, the picks among them. */
  ranked: readonly Scored[];
  gated: ReadonlyMap<string, { gate: UserGate; scored: Scored }>;
  passedOver: ReadonlyMap<string, PassedOver>;
  relaxed: readonly Relaxation[];
  shortfall: Shortfall | null;
  /** Number of excluded symbols by reason: the universe's gates and the user's. */
  excluded: Partial<Record<DataGate | UserGate, number>>;
}

/** Screens a universe for one user. Throws `PermanentError('picks.bad_weights')`. */
export function screenFor(universe: ScreenedUniverse, user: PickUser): Screen {
  const { rules } = universe;
  const weights = weightsFor(user.profile, rules);
  const scored = universe.candidates.map((candidate) => scoreOf(candidate, weights)).sort(byRank);
  const attempt = (relaxed: readonly Relaxation[]) => attemptWith(universe, user, scored, relaxed);

  // One after the other, the earlier ones stay: a wider band alone brings nobody into a sector that is full.
  let best = attempt([]);
  for (let count = 1; count <= RELAXATIONS.length && best.picks.length < rules.picks; count++) {
    const wider = attempt(RELAXATIONS.slice(0, count));
    if (wider.picks.length > best.picks.length) best = wider;
  }
  // What did not help, or was made needless by a later one, is taken back.
  for (const relaxation of best.relaxed) {
    const narrower = attempt(best.relaxed.filter((other) => other !== relaxation));
    if (narrower.picks.length >= best.picks.length) best = narrower;
  }

  const excluded: Screen['excluded'] = {};
  for (const { reason } of universe.excluded.values()) excluded[reason] = (excluded[reason] ?? 0) + 1;
  for (const { gate } of best.gated.values()) excluded[gate] = (excluded[gate] ?? 0) + 1;
  return { user, weights, ...best, shortfall: shortfallOf(best.picks, user, rules), excluded };
}

type Attempt = Pick<Screen, 'limits' | 'ranked' | 'gated' | 'relaxed'> & Selection;

function attemptWith(
  { rules, correlation }: ScreenedUniverse,
  user: PickUser,
  scored: readonly Scored[],
  relaxed: readonly Relaxation[],
): Attempt {
  const limits = limitsOf(user, rules, relaxed.includes('volatility_band') ? rules.relaxed.volatility_band : 0);
  const gated = new Map<string, { gate: UserGate; scored: Scored }>();
  const ranked = scored.filter((one) => {
    const gate = userGate(one, user, limits, rules);
    if (gate !== undefined) gated.set(one.candidate.symbol, { gate, scored: one });
    return gate === undefined;
  });
  return { limits, ranked, gated, relaxed, ...select(ranked, selectionLimits(user, rules, relaxed), correlation) };
}

function selectionLimits({ profile }: PickUser, rules: PickRules, relaxed: readonly Relaxation[]): SelectionLimits {
  const interests = new Set<string>(profile.interests);
  const uncapped = relaxed.includes('sector_cap');
  return {
    count: rules.picks,
    interests,
    fromInterests: Math.ceil(rules.picks * rules.interests_share),
    interestCap: uncapped ? rules.picks : Math.max(rules.sector_cap, Math.ceil(rules.picks / Math.max(1, interests.size))),
    sectorCap: uncapped ? rules.picks : rules.sector_cap,
    mostCorrelated: relaxed.includes('correlation') ? rules.relaxed.most_correlated : rules.most_correlated,
  };
}

/** The share of the interests is of the picks that there are: three of five are enough. */
function shortfallOf(picks: readonly Scored[], { profile }: PickUser, rules: PickRules): Shortfall | null {
  if (picks.length < rules.picks) return { reason: 'too_few_candidates', wanted: rules.picks, found: picks.length };
  if (profile.interests.length === 0) return null;
  const wanted = Math.ceil(picks.length * rules.interests_share);
  const found = picks.filter(({ candidate }) => profile.interests.some((sector) => sector === candidate.sectorKey)).length;
  return found < wanted ? { reason: 'too_few_in_interests', wanted, found } : null;
}
