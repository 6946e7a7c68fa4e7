/** What the address says: mode, tab, contract, filters. */
import type { Mode, Rank } from './queries.ts';
import { MODE_NAMES, rankOf, SIGNAL_NAMES, type Signal } from './words.ts';

export const TABS = { ranked: 'Ranked', chain: 'Chain', volatility: 'Volatility', positions: 'Positions' } as const;
export type Tab = keyof typeof TABS;

export interface Filters {
  expiry: string | undefined;
  side: Rank['side'] | undefined;
  signal: Signal | undefined;
  minRank: number | undefined;
  /** 0-1. */
  quality: number | undefined;
}
export type Search = Record<string, string | undefined>;
export const FILTER_NAMES = ['expiry', 'side', 'signal', 'min_rank', 'quality'] as const;

const oneOf = <T extends string>(list: readonly T[], value: string | undefined): T | undefined => list.find((one) => one === value);

export const modeOf = ({ mode }: Search): Mode => oneOf(MODE_NAMES, mode) ?? 'entry';
export const tabOf = ({ tab }: Search): Tab => oneOf(Object.keys(TABS) as Tab[], tab) ?? 'ranked';

function number(text: string | undefined, most: number): number | undefined {
  const value = Number(text);
  return text && Number.isFinite(value) && value >= 0 && value <= most ? value : undefined;
}

export function filtersOf(search: Search): Filters {
  const quality = number(search.quality, 100);
  return {
    expiry: /^\d{4}-\d\d-\d\d$/.test(search.expiry ?? '') ? search.expiry : undefined,
    side: oneOf(['call', 'put'], search.side),
    signal: oneOf(SIGNAL_NAMES, search.signal),
    minRank: number(search.min_rank, 100),
    quality: quality === undefined ? undefined : quality / 100,
  };
}

export function passes(rank: Rank, { expiry, side, signal, minRank, quality }: Filters): boolean {
  if (expiry !== undefined && rank.expiration !== expiry) return false;
  if (side !== undefined && rank.side !== side) return false;
  if (signal !== undefined && !rank.signals.includes(signal)) return false;
  if (minRank !== undefined && rankOf(rank) < minRank) return false;
  return quality === undefined || rank.data_quality >= quality;
}
