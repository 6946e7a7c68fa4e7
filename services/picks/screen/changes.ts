/** What changed from one week's picks to the next. */

import { FACTORS, type Factor } from '../rules.ts';
import type { Phrase } from '../universe/phrase.ts';
import type { ScreenedUniverse } from '../universe/universe.ts';
import { explain } from './explain.ts';
import type { Part, Scored } from './score.ts';
import type { Screen } from './screen.ts';

/** A pick of an earlier report. Total and points in hundredths. */
export interface EarlierPick {
  symbol: string;
  total: number;
  parts: readonly Pick<Part, 'factor' | 'points'>[];
}

export interface Change {
  symbol: string;
  change: 'kept' | 'new' | 'dropped';
  /** Hundredths; null where the symbol has no total on that side. */
  before: number | null;
  after: number | null;
  /** The factor whose points moved most, with the movement in hundredths. Null where one side is missing, or nothing moved. */
  factor: Factor | null;
  moved: number | null;
  /** Of a dropped symbol: why it is no pick any more. */
  reason: Phrase | null;
}

/** The picks first, best first, then what was dropped, in its earlier order. */
export function changesSince(earlier: readonly EarlierPick[], universe: ScreenedUniverse, screen: Screen): Change[] {
  const now = screen.picks.map((scored): Change => {
    const before = earlier.find(({ symbol }) => symbol === scored.candidate.symbol);
    const both = { symbol: scored.candidate.symbol, before: before?.total ?? null, after: scored.total, reason: null };
    if (before === undefined) return { ...both, change: 'new', factor: null, moved: null };
    return { ...both, change: 'kept', ...mostMoved(before, explain(universe, screen, before.symbol).parts) };
  });
  const isPick = (symbol: string) => screen.picks.some(({ candidate }: Scored) => candidate.symbol === symbol);
  const dropped = earlier
    .filter(({ symbol }) => !isPick(symbol))
    .map((before): Change => {
      const { symbol, total, parts, sentence } = explain(universe, screen, before.symbol);
      const movement = total === null ? { factor: null, moved: null } : mostMoved(before, parts);
      return { symbol, change: 'dropped', before: before.total, after: total, ...movement, reason: sentence };
    });
  return [...now, ...dropped];
}

function mostMoved(before: EarlierPick, after: readonly Part[]): Pick<Change, 'factor' | 'moved'> {
  let most: Pick<Change, 'factor' | 'moved'> = { factor: null, moved: null };
  for (const factor of FACTORS) {
    const moved = pointsIn(after, factor) - pointsIn(before.parts, factor);
    if (Math.abs(moved) > Math.abs(most.moved ?? 0)) most = { factor, moved };
  }
  return most;
}

const pointsIn = (parts: EarlierPick['parts'], factor: Factor): number => parts.find((part) => part.factor === factor)?.points ?? 0;
