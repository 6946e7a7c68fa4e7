/** What the configuration says about picks, as the screen takes it. */
import type { Config } from '../platform/config/load.ts';
import type { RiskTolerance } from './profile.ts';
import type { Operator } from './report/disclosures.ts';
import type { PickRules } from './rules.ts';

type PicksConfig = Config['picks'];

/** The rules of the screen. */
export function rulesOf({ rules }: PicksConfig): PickRules {
  const bands = Object.entries(rules.volatility_band).map(([risk, { from, to }]) => [risk, [from, to] as const] as const);
  return { ...rules, volatility_band: Object.fromEntries(bands) as Record<RiskTolerance, readonly [number, number]> };
}

/** What stands beside each report. */
export function operatorOf({ audience, disclosure }: PicksConfig): Operator {
  return { name: disclosure.operator, audience, interests: disclosure.interests, methodUrl: disclosure.method_url, delayMinutes: null };
}
