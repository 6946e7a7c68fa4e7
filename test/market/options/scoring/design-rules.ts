import type { RankingRules } from '../../../../services/platform/config/ranking.ts';

/** The numbers of the design, written down once more: a test holds `config/default.yaml` to them. */
export const DEFAULT_RULES: RankingRules = {
  top_n: 100,
  quote_age: 1800,
  eligibility: { volume: 10, open_interest: 10 },
  risk_free_rate: 0.04,
  stop_loss: 0.5,
  modes: {
    monitor: { momentum: 0.4, value: 0.35, greeks: 0.25 },
    entry: { entry_value: 0.4, catalyst: 0.35, greeks: 0.25 },
    exit: { protection: 0.5, deterioration: 0.3, time_urgency: 0.2 },
  },
  parts: {
    momentum: { price_momentum: 0.5, volume_oi: 0.3, oi_growth: 0.2 },
    value: { iv_rank: 0.6, spread: 0.4 },
    greeks: { delta: 0.5, gamma: 0.35, vega: 0.1, theta: 0.05 },
    entry_value: { iv_percentile: 0.4, iv_discount: 0.3, spread: 0.3 },
    catalyst: { price_momentum: 0.4, volume_surge: 0.35, oi_growth: 0.25 },
    profit_protection: { pnl: 0.5, iv_expansion: 0.3, target: 0.2 },
    deterioration: { momentum_decay: 0.4, volume_surge: 0.3, oi_growth: 0.3 },
    time_urgency: { dte: 0.6, theta: 0.4 },
  },
  delta_targets: { over_45: 0.5, over_21: 0.55, over_7: 0.6, rest: 0.65 },
  trend_factors: { with: 1, neutral: 0.9, against: 0.7 },
  theta_caps: { over_45: 25, over_21: 40, rest: 50 },
  scales: { volume_oi: 0.2, gamma: 0.04, vega: 0.3, volume: 100, open_interest: 500, price: 5 },
  signals: {
    discount: { iv_rank_below: 30, momentum_over: 50, spread_below: 2 },
    runner: { momentum_over: 75, volume_over: 100, volume_oi_over: 0.1, spread_below: 3 },
    greeks: { delta_from: 0.4, delta_to: 0.7, gamma_over: 0.02, spread_below: 2 },
    buy: { rank_over: 65 },
    close: { rank_over: 65 },
    take_profit: { gain_over: 50 },
  },
  bands: { strong: 75, good: 60, fair: 45 },
};
