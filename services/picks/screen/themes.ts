/** Themes without a model: the industries, sectors or traits whose symbols have the best totals for this user. */

import type { Factor } from '../rules.ts';
import { compareText } from '../universe/input.ts';
import { medianOf } from '../universe/measures.ts';
import type { Scored } from './score.ts';
import type { Screen } from './screen.ts';

export const THEMES = 4;
const LEAST_SYMBOLS = 3;
const MOST_SYMBOLS = 5;

export interface Theme {
  kind: 'industry' | 'sector' | 'trait';
  /** The industry's or sector's id, or the factor. */
  key: string;
  /** For people. */
  name: string;
  /** Number of symbols that it rests on. */
  count: number;
  /** Median total of them, in hundredths. */
  median: number;
  /** Three to five, best first. */
  top: readonly Scored[];
}

/** Lists by one trait, in this order; those after `income` only where fundamentals are missing. */
const TRAITS: readonly (readonly [Factor, string])[] = [
  ['momentum', 'Strong price momentum'],
  ['low_volatility', 'Calm price moves'],
  ['value', 'Low price for value'],
  ['income', 'Paying dividends'],
  ['trend', 'Above the average'],
  ['low_drawdown', 'Small falls'],
  ['quality', 'Sound business figures'],
];

/**
 * The best four: industries of three or more symbols by their median total, then sectors, then traits. From the symbols that passed the user's gates; traits take all the
 * scored symbols where fewer than three passed. Fewer than four only where the universe has fewer than three symbols.
 */
export function themesOf(screen: Screen): Theme[] {
  const found: Theme[] = [];
  // A sector with one industry would tell the same story twice.
  const isNew = (theme: Theme) => !found.some(({ name, top }) => name === theme.name || sameSymbols(top, theme.top));
  const take = (themes: readonly Theme[], fits: (theme: Theme) => boolean) => {
    for (const theme of themes) if (found.length < THEMES && fits(theme)) found.push(theme);
  };
  take(groups(screen.ranked, 'industry'), isNew);
  take(groups(screen.ranked, 'sector'), isNew);
  if (found.length === THEMES) return found;
  const gated = screen.ranked.length >= LEAST_SYMBOLS ? [] : Array.from(screen.gated.values(), ({ scored }) => scored);
  const lists = traits([...screen.ranked, ...gated]);
  take(lists, isNew);
  take(lists, (theme) => !found.some(({ key }) => key === theme.key));
  return found;
}

function groups(ranked: readonly Scored[], kind: 'industry' | 'sector'): Theme[] {
  const by = Map.groupBy(ranked, ({ candidate }) => (kind === 'industry' ? candidate.industryKey : candidate.sectorKey));
  const themes = [...by].flatMap(([key, members]): Theme[] => {
    if (key === null || members.length < LEAST_SYMBOLS) return [];
    const name = (kind === 'industry' ? members[0]!.candidate.industry : members[0]!.candidate.sector) ?? key;
    return [{ kind, key, name, ...statistics(members) }];
  });
  return themes.sort((a, b) => b.median - a.median || compareText(a.key, b.key));
}

function traits(pool: readonly Scored[]): Theme[] {
  return TRAITS.flatMap(([key, name]): Theme[] => {
    const scored = pool.filter(({ candidate }) => candidate.scores[key] !== null);
    // Without a dividend a symbol is no example of dividends, however many have none.
    const members = key === 'income' ? scored.filter(({ candidate }) => (candidate.items?.dividendYield ?? 0) > 0) : scored;
    if (members.length < LEAST_SYMBOLS) return [];
    // The sort keeps the order of totals among equals.
    const best = members.toSorted((a, b) => b.candidate.scores[key]! - a.candidate.scores[key]!).slice(0, MOST_SYMBOLS);
    return [{ kind: 'trait', key, name, ...statistics(best) }];
  });
}

function statistics(members: readonly Scored[]): Pick<Theme, 'count' | 'median' | 'top'> {
  return { count: members.length, median: Math.round(medianOf(members.map(({ total }) => total))), top: members.slice(0, MOST_SYMBOLS) };
}

function sameSymbols(one: readonly Scored[], other: readonly Scored[]): boolean {
  return one.length === other.length && one.every((scored) => other.includes(scored));
}
