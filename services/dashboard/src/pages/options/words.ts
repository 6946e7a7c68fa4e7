/** The words of options: modes, contracts, bands, signals, reasons. Each signal and mode has a sentence for those who do not know it. */
import type { Mode, Rank, Ranking } from './queries.ts';

export const MODES: Record<Mode, { name: string; about: string; rank: 'entry_rank' | 'exit_rank' | 'composite_rank' }> = {
  entry: { name: 'Find entry', about: 'What is worth buying now', rank: 'entry_rank' },
  exit: { name: 'Manage exit', about: 'Which held position to close', rank: 'exit_rank' },
  monitor: { name: 'Monitor', about: 'What is worth watching', rank: 'composite_rank' },
};
export const MODE_NAMES = Object.keys(MODES) as Mode[];

/** The rank of the mode's own. */
export const rankOf = (rank: Rank): number => rank[MODES[rank.ranking_mode].rank] ?? 0;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `17 Jan 27` of `2027-01-17`. */
export function dayName(date: string): string {
  const [year = '', month, day] = date.split('-');
  return `${Number(day)} ${MONTHS[Number(month) - 1]} ${year.slice(2)}`;
}

/** `AAPL 17 Jan 27 250 C` of an OCC symbol; another text stays as it is. */
export function contractName(occ: string): string {
  const parts = partsOf(occ);
  return parts === undefined ? occ : `${parts.root} ${dayName(parts.expiry)} ${parts.strike} ${parts.isPut ? 'P' : 'C'}`;
}

export function partsOf(occ: string): { root: string; expiry: string; strike: number; isPut: boolean } | undefined {
  const [, root, year, month, day, side, thousandths] =
    /^([A-Z0-9]{1,6}?)\s*(\d\d)(\d\d)(\d\d)([CP])(\d{8})$/.exec(occ.trim().toUpperCase()) ?? [];
  if (root === undefined) return undefined;
  return { root, expiry: `20${year}-${month}-${day}`, strike: Number(thousandths) / 1000, isPut: side === 'P' };
}

export const BANDS: Record<Rank['band'], { tone: string; mark: string }> = {
  strong: { tone: 'good', mark: '◆' },
  good: { tone: 'good', mark: '◈' },
  fair: { tone: 'calm', mark: '◇' },
  weak: { tone: 'warn', mark: '▽' },
};

export type Signal = Rank['signals'][number];
export const SIGNALS: Record<Signal, string> = {
  buy: 'A high rank, and one of discount, runner, greeks',
  discount: 'Volatility is low for this symbol, the price rises, and the spread is small',
  runner: 'The price rises and much is traded, also against what is open',
  greeks: 'Moves well with the underlying, and ever more so',
  take_profit: 'The gain of the position is over the limit at which it is taken',
  stop_loss: 'The loss of the position has reached its stop',
  close: 'A high exit rank: closing is worth it',
};
export const SIGNAL_NAMES = Object.keys(SIGNALS) as Signal[];
export const signalWord = (signal: Signal): string => signal.replaceAll('_', ' ');

export const REASONS: Record<keyof NonNullable<Ranking['reasons']>, string> = {
  expired: 'expired',
  no_bid: 'nobody bids',
  no_price: 'no price',
  crossed: 'bid above ask',
  illiquid: 'hardly traded',
  stale_quote: 'quote too old',
  no_iv: 'no volatility',
  not_quoted: 'not in the chain',
  not_measured: 'nothing measured',
};

/** When a thing that was not measured will be. */
export const NEEDS: Record<string, string> = {
  iv_rank: 'needs 20 sessions of rankings',
  iv_percentile: 'needs 20 sessions of rankings',
  price_momentum_score: 'needs the chain of 5 sessions ago',
  momentum_decay_score: 'needs the chains of 3 and 5 sessions ago',
  oi_growth_score: 'needs the chain of 5 sessions ago',
  volume_surge_score: 'needs the chains of earlier sessions',
  catalyst_score: 'needs the chains of the 5 sessions before',
  deterioration_score: 'needs the chains of the 5 sessions before',
  iv_expansion_score: 'needs the volatility at the entry',
  target_score: 'needs a target price of the underlying',
  volume_oi_score: 'the source gives no open interest',
};
