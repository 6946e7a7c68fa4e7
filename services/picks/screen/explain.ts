/** Why a symbol is among the picks, and why it is not. */
import type { DataGate } from '../universe/data-gates.ts';
import { count, type Phrase, phrase, ratio } from '../universe/phrase.ts';
import type { ScreenedUniverse } from '../universe/universe.ts';
import { type Part, partsOf, type Scored } from './score.ts';
import type { Screen } from './screen.ts';
import type { PassedOver } from './select.ts';
import { gateText, type UserGate } from './user-gates.ts';

/** Totals, scores and points in hundredths. */
export interface Explanation {
  symbol: string;
  status: 'picked' | 'excluded' | 'gated' | 'passed_over' | 'outranked' | 'unknown';
  reason: DataGate | UserGate | PassedOver['reason'] | null;
  /** One sentence for people. */
  sentence: Phrase;
  /** Null where it was not scored. */
  total: number | null;
  parts: Part[];
  /** Place among the symbols that passed the user's gates, from 1. */
  rank: number | null;
  /** The pick that stands in its place. */
  instead: string | null;
}

/** `score × weight = points` of a symbol with its rank, or the gate that it did not pass. */
export function explain(universe: ScreenedUniverse, screen: Screen, symbol: string): Explanation {
  const base = { symbol, reason: null, total: null, parts: [], rank: null, instead: null };
  const data = universe.excluded.get(symbol);
  if (data !== undefined) {
    return { ...base, status: 'excluded', reason: data.reason, sentence: phrase`${symbol} is not ranked: ${data.detail}.` };
  }
  const gated = screen.gated.get(symbol);
  if (gated !== undefined) {
    const { gate, scored } = gated;
    const detail = gateText(gate, scored, screen.user, screen.limits, universe.rules);
    const sentence = phrase`${symbol} is not for this profile: ${detail}.`;
    return { ...base, ...scoreParts(scored, screen), status: 'gated', reason: gate, sentence };
  }
  const place = screen.ranked.findIndex(({ candidate }) => candidate.symbol === symbol);
  const scored = screen.ranked[place];
  if (scored === undefined) {
    const size = count('symbols of the universe', universe.size);
    return { ...base, status: 'unknown', sentence: phrase`${symbol} is not in the universe of ${size} symbols.` };
  }
  return { ...base, ...scoreParts(scored, screen), rank: place + 1, ...standing(scored, place + 1, screen) };
}

const scoreParts = (scored: Scored, { weights }: Screen) => ({ total: scored.total, parts: partsOf(scored.candidate, weights) });

function standing(scored: Scored, rank: number, screen: Screen): Pick<Explanation, 'status' | 'reason' | 'sentence' | 'instead'> {
  const { symbol } = scored.candidate;
  const of = phrase`rank ${count('rank', rank)} of ${count('symbols that passed', screen.ranked.length)}`;
  if (screen.picks.includes(scored))
    return { status: 'picked', reason: null, sentence: phrase`${symbol} is a pick: ${of}.`, instead: null };
  const passed = screen.passedOver.get(symbol);
  if (passed?.reason === 'correlated') {
    const value = ratio(`correlation with ${passed.with}`, passed.correlation);
    const sentence = phrase`${symbol} has ${of}, but moves like ${passed.with}: the correlation of a year of daily returns is ${value}.`;
    return { status: 'passed_over', reason: passed.reason, sentence, instead: passed.with };
  }
  const last = screen.picks.at(-1)?.candidate.symbol ?? null;
  if (passed?.reason === 'sector_full') {
    const better = screen.picks.findLast(({ candidate }) => candidate.sectorKey === scored.candidate.sectorKey)?.candidate.symbol ?? last;
    const sentence = phrase`${symbol} has ${of}, but its sector (${passed.sector}) has its full number of picks; ${better ?? 'none'} was taken before it.`;
    return { status: 'passed_over', reason: passed.reason, sentence, instead: better };
  }
  return {
    status: 'outranked',
    reason: null,
    sentence: phrase`${symbol} has ${of}; the last place went to ${last ?? 'none'}.`,
    instead: last,
  };
}

/** The best that were not taken, with the reason of each. */
export function nearMisses(universe: ScreenedUniverse, screen: Screen, count: number): Explanation[] {
  const missed = screen.ranked.filter((scored) => !screen.picks.includes(scored)).slice(0, count);
  return missed.map(({ candidate }) => explain(universe, screen, candidate.symbol));
}
