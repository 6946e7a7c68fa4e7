import type { RankingRules } from '../../../platform/config/ranking.ts';
import type { Mode } from './parts.ts';

export const SIGNALS = ['discount', 'runner', 'greeks', 'take_profit', 'stop_loss', 'buy', 'close'] as const;
export type Signal = (typeof SIGNALS)[number];

export const BANDS = ['strong', 'good', 'fair', 'weak'] as const;
export type Band = (typeof BANDS)[number];

/** The stored numbers of one contract from which its signals follow; NaN = missing. */
export interface SignalInput {
  mode: Mode;
  /** The rank in the run's own mode. */
  rank: number;
  iv_rank: number;
  momentum_score: number;
  spread_pct: number;
  volume: number;
  volume_oi_ratio: number;
  delta: number;
  gamma_1pct: number;
  /** Profit of the position in percent of its entry price; NaN without a position. */
  pnl_pct: number;
  /** Loss in percent at which the position is stopped. */
  stop_pct: number;
}

/** Signals to buy, one of which `buy` needs beside a high rank. */
const BUYING: readonly Signal[] = ['discount', 'runner', 'greeks'];

/** The signals that are set. NaN fails every comparison, so none is set on a missing input. A high exit rank says `close` and never `buy`. */
export function signalsOf(input: SignalInput, { signals }: RankingRules): Signal[] {
  const { discount, runner, greeks, buy, close, take_profit } = signals;
  const delta = Math.abs(input.delta);
  const isSet: Record<Exclude<Signal, 'buy' | 'close'>, boolean> = {
    discount:
      input.iv_rank < discount.iv_rank_below && input.momentum_score > discount.momentum_over && input.spread_pct < discount.spread_below,
    runner:
      input.momentum_score > runner.momentum_over &&
      input.volume > runner.volume_over &&
      input.volume_oi_ratio > runner.volume_oi_over &&
      input.spread_pct < runner.spread_below,
    greeks:
      delta >= greeks.delta_from &&
      delta <= greeks.delta_to &&
      input.gamma_1pct > greeks.gamma_over &&
      input.spread_pct < greeks.spread_below,
    take_profit: input.pnl_pct > take_profit.gain_over,
    stop_loss: input.pnl_pct <= -input.stop_pct,
  };
  const set = SIGNALS.filter((name) => name !== 'buy' && name !== 'close' && isSet[name]);
  if (input.mode === 'exit') return input.rank > close.rank_over ? [...set, 'close'] : set;
  return input.rank > buy.rank_over && set.some((name) => BUYING.includes(name)) ? [...set, 'buy'] : set;
}

export function bandOf(rank: number, { bands }: RankingRules): Band {
  return rank >= bands.strong ? 'strong' : rank >= bands.good ? 'good' : rank >= bands.fair ? 'fair' : 'weak';
}
