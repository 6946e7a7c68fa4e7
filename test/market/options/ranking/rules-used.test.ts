import { expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import { MODES } from '../../../../services/market/options/scoring/parts.ts';
import type { RankingRules } from '../../../../services/platform/config/ranking.ts';
import { holdings, inventMany } from '../chain/invented-chain.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

type Path = readonly string[];

/** Rules that are read before a chain is ranked: where IVs and Greeks are computed. */
const READ_BEFORE = ['risk_free_rate'];

function leavesOf(rules: object, path: Path = []): Path[] {
  return Object.entries(rules).flatMap(([name, value]) =>
    typeof value === 'object' ? leavesOf(value, [...path, name]) : [[...path, name]],
  );
}

/** The rules with one number changed: some of the contracts lie between the old and the new one. */
function changed(from: RankingRules, [...path]: Path, factor: number): RankingRules {
  const rules = structuredClone(from);
  const name = path.pop()!;
  const section = path.reduce((node: object, key) => Reflect.get(node, key), rules);
  Reflect.set(section, name, factor * Reflect.get(section, name));
  return rules;
}

/** What every mode makes of a hundred and fifty contracts under each trend. */
function rankings(rules: RankingRules): string {
  const runs = MODES.flatMap((mode) =>
    (['bullish', 'neutral', 'bearish'] as const).map((trend) => {
      const input = inventMany(150, { mode, trend, rules, ivRank: 25 });
      return rankChain({ ...input, positions: mode === 'exit' ? holdings(input, 10) : [] });
    }),
  );
  return JSON.stringify(runs);
}

/** Some invented contracts have both fewer traded and fewer open than these. */
const eligibility = { volume: 400, open_interest: 1000 };
const rules = { ...DEFAULT_RULES, top_n: 150, eligibility };
const before = rankings(rules);
const leaves = leavesOf(rules).filter((path) => !READ_BEFORE.includes(path.join('.')));

test.each(leaves.map((path) => [path.join('.'), path] as const))('%s has a say in how contracts are ranked', (_, path) => {
  expect([0.4, 8].some((factor) => rankings(changed(rules, path, factor)) !== before)).toBe(true);
});
