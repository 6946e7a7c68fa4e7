/** What keeps a symbol from one user's picks. */

import type { Profile } from '../profile.ts';
import type { PickRules } from '../rules.ts';
import { count, dollars, type Figure, type Phrase, percent, phrase } from '../universe/phrase.ts';
import type { Scored } from './score.ts';

export const USER_GATES = ['thin_data', 'low_price', 'illiquid', 'over_budget', 'overweight', 'volatility_band'] as const;
export type UserGate = (typeof USER_GATES)[number];

/** The person a screen is for. */
export interface PickUser {
  profile: Profile;
  /** Share of the portfolio's worth by symbol, 0 to 1. Empty without a portfolio. */
  held: ReadonlyMap<string, number>;
}

/** The limits of one user. `band`: percentiles of volatility, both ends inclusive. */
export interface UserLimits {
  dollarVolume: number;
  price: number;
  band: readonly [number, number];
}

/** `wider`: by how much the band of volatility is relaxed at each end. */
export function limitsOf({ profile }: PickUser, rules: PickRules, wider = 0): UserLimits {
  const [low, high] = rules.volatility_band[profile.risk_tolerance];
  return {
    dollarVolume: rules.least_dollar_volume[profile.risk_tolerance] * (profile.timeline === '<1y' ? rules.short_timeline_factor : 1),
    price: profile.fractional ? Number.POSITIVE_INFINITY : profile.monthly_budget,
    band: [Math.max(0, low - wider), Math.min(100, high + wider)],
  };
}

/** The first reason against a symbol for this user; undefined where there is none. */
export function userGate({ candidate, coverage }: Scored, { held }: PickUser, limits: UserLimits, rules: PickRules): UserGate | undefined {
  const { price, dollarVolume } = candidate.measures;
  if (coverage < rules.least_coverage) return 'thin_data';
  if (price < rules.least_price) return 'low_price';
  if (dollarVolume < limits.dollarVolume) return 'illiquid';
  if (price > limits.price) return 'over_budget';
  if ((held.get(candidate.symbol) ?? 0) > rules.most_held) return 'overweight';
  const { sigmaPercentile } = candidate;
  return sigmaPercentile < limits.band[0] || sigmaPercentile > limits.band[1] ? 'volatility_band' : undefined;
}

const million = (label: string, value: number): Figure => ({ label, value, unit: 'usd', shown: `$${(value / 1e6).toFixed(1)} million` });

/** The same for people, with the value and the limit. Written only when somebody asks: a weekly run gates half a million symbols. */
export function gateText(gate: UserGate, { candidate, coverage }: Scored, user: PickUser, limits: UserLimits, rules: PickRules): Phrase {
  const { price, dollarVolume } = candidate.measures;
  switch (gate) {
    case 'thin_data':
      return phrase`only ${count('weights measured', coverage)} of ${count('all weights', 100)} weights were measured, at least ${count('least weights', rules.least_coverage)} are needed`;
    case 'low_price':
      return phrase`its price of ${dollars('close', price)} is below ${dollars('least price', rules.least_price)}`;
    case 'illiquid':
      return phrase`${million('traded a day', dollarVolume)} of it are traded a day, less than ${million('least traded a day', limits.dollarVolume)}`;
    case 'over_budget':
      return phrase`one share costs ${dollars('close', price)}, more than the monthly budget of ${dollars('monthly budget', limits.price)}`;
    case 'overweight': {
      const [held, most] = [
        percent('share of the portfolio', user.held.get(candidate.symbol) ?? 0),
        percent('most of the portfolio', rules.most_held),
      ];
      return phrase`it is ${held} of the portfolio already, more than ${most}`;
    }
    case 'volatility_band': {
      const calmer = percent('share of the universe that is calmer', candidate.sigmaPercentile / 100);
      const [low, high] = limits.band;
      return phrase`it moves more than ${calmer} of the universe, outside of ${percent('low end', low / 100)} to ${percent('high end', high / 100)}`;
    }
  }
}
