/** Chains with everything that a ranking is made from, invented: for facts about ranking that do not depend on how prices come about. */
import type { Chain } from '../../../../services/market/options/chain/chain.ts';
import { IV_SOURCE } from '../../../../services/market/options/pricing/greeks.ts';
import type { Position, RankInput } from '../../../../services/market/options/ranking/rank-input.ts';
import type { Mode } from '../../../../services/market/options/scoring/parts.ts';
import type { RankingRules } from '../../../../services/platform/config/ranking.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

export const AT = Temporal.Instant.from('2026-03-02T12:00-05:00');
/** The date of `AT` in New York. */
const TODAY = Temporal.PlainDate.from('2026-03-02');

/** One contract with its past; NaN = unknown. */
export interface Invented {
  strike: number;
  isPut: boolean;
  dte: number;
  bid: number;
  ask: number;
  volume: number;
  openInterest: number;
  iv: number;
  delta: number;
  gamma: number;
  theta: number;
  vega: number;
  rho: number;
  /** Epoch milliseconds. */
  quotedAt: number;
  mid3: number;
  mid5: number;
  meanIv20: number;
  meanVolume20: number;
  oi5: number;
  smileIv: number;
}

/** Everything is known about it, and nothing is at an edge. */
export const ORDINARY: Invented = {
  strike: 100,
  isPut: false,
  dte: 30,
  bid: 3.96,
  ask: 4.04,
  volume: 300,
  openInterest: 3000,
  iv: 0.25,
  delta: 0.5,
  gamma: 0.03,
  theta: -0.04,
  vega: 0.15,
  rho: 0.04,
  quotedAt: AT.epochMilliseconds,
  mid3: 3.8,
  mid5: 3.6,
  meanIv20: 0.27,
  meanVolume20: 200,
  oi5: 2500,
  smileIv: 0.26,
};

interface Surroundings {
  mode?: Mode | undefined;
  spot?: number | undefined;
  trend?: RankInput['trend'] | undefined;
  ivRank?: number | undefined;
  ivPercentile?: number | undefined;
  afterClose?: boolean | undefined;
  positions?: readonly Position[] | undefined;
  rules?: RankingRules | undefined;
}

/** Contracts that are alike get the same symbol; so give those in one chain different strikes, sides or days. */
export function invent(contracts: readonly Partial<Invented>[], around: Surroundings = {}): RankInput {
  const all = contracts.map((contract) => ({ ...ORDINARY, ...contract }));
  const days = [...new Set(all.map(({ dte }) => dte))].toSorted((a, b) => a - b);
  const column = (name: keyof Invented) => Float64Array.from(all, (contract) => Number(contract[name]));
  const chain: Chain = {
    underlying: 'ACME',
    source: 'simulated',
    asOf: AT,
    spot: around.spot ?? 100,
    contracts: all.map(symbolOf),
    expirations: days.map((dte) => TODAY.add({ days: dte }).toString()),
    expiry: Uint16Array.from(all, ({ dte }) => days.indexOf(dte)),
    isPut: Uint8Array.from(all, ({ isPut }) => Number(isPut)),
    strike: column('strike'),
    bid: column('bid'),
    ask: column('ask'),
    volume: column('volume'),
    openInterest: column('openInterest'),
    iv: column('iv'),
    delta: column('delta'),
    gamma: column('gamma'),
    theta: column('theta'),
    vega: column('vega'),
    quotedAt: column('quotedAt'),
  };
  return {
    chain,
    mode: around.mode ?? 'monitor',
    at: AT,
    times: {
      dte: Int32Array.from(days),
      expired: Uint8Array.from(days, (dte) => (dte < 0 || (dte === 0 && around.afterClose === true) ? 1 : 0)),
    },
    greeks: {
      iv: chain.iv,
      delta: chain.delta,
      gamma: chain.gamma,
      theta: chain.theta,
      vega: chain.vega,
      rho: column('rho'),
      ivSource: new Uint8Array(all.length).fill(IV_SOURCE.own),
    },
    trend: around.trend ?? 'neutral',
    ivRank: around.ivRank ?? 20,
    ivPercentile: around.ivPercentile ?? 25,
    history: {
      mid3: column('mid3'),
      mid5: column('mid5'),
      meanIv20: column('meanIv20'),
      meanVolume20: column('meanVolume20'),
      oi5: column('oi5'),
    },
    smileIv: column('smileIv'),
    positions: around.positions,
    rules: around.rules ?? DEFAULT_RULES,
  };
}

export function symbolOf({ dte, isPut, strike }: Pick<Invented, 'dte' | 'isPut' | 'strike'>): string {
  const date = TODAY.add({ days: dte }).toString().slice(2).replaceAll('-', '');
  return `ACME${date}${isPut ? 'P' : 'C'}${String(Math.round(strike * 1000)).padStart(8, '0')}`;
}

/** As many contracts as asked for, of 25 expirations, a tenth of whose numbers are unknown; the same ones every time. */
export function inventMany(count: number, around: Surroundings = {}): RankInput {
  let state = 1;
  // Park and Miller's generator: 16807 and 2^31 - 1.
  const random = () => {
    state = (state * 16_807) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const between = (least: number, most: number) => least + (most - least) * random();
  const sometimes = (value: number) => (random() < 0.1 ? Number.NaN : value);
  const contracts = Array.from({ length: count }, (_, i): Invented => {
    const mid = between(0.1, 30);
    const half = (mid * between(0, 0.12)) / 2;
    const isPut = i % 2 === 1;
    const openInterest = Math.floor(between(0, 5000));
    return {
      strike: 50 + Math.floor(i / 50),
      isPut,
      dte: 1 + 11 * (Math.floor(i / 2) % 25),
      bid: random() < 0.05 ? 0 : mid - half,
      ask: mid + half,
      volume: sometimes(Math.floor(between(0, 2000))),
      openInterest: sometimes(openInterest),
      iv: between(0.1, 0.9),
      delta: sometimes(between(0, 1) * (isPut ? -1 : 1)),
      gamma: sometimes(between(0, 0.05)),
      theta: sometimes(-between(0, 0.3)),
      vega: sometimes(between(0, 0.4)),
      rho: 0.04,
      quotedAt: AT.epochMilliseconds - Math.floor(between(0, 1_850_000)),
      mid3: sometimes(mid * between(0.7, 1.3)),
      mid5: sometimes(mid * between(0.6, 1.4)),
      meanIv20: sometimes(between(0.1, 0.9)),
      meanVolume20: sometimes(between(1, 1000)),
      oi5: sometimes(openInterest * between(0.5, 1.5)),
      smileIv: sometimes(between(0.1, 0.9)),
    };
  });
  return invent(contracts, around);
}

/** A position in every `step`th contract, bought at between half and twice its mid. */
export function holdings({ chain }: RankInput, step: number): Position[] {
  return chain.contracts.flatMap((contract, i): Position[] => {
    if (i % step !== 0) return [];
    const entryPrice = Math.max(0.01, (chain.ask[i]! / 2) * (1 + (i % 7) / 3));
    return [{ id: `p${i}`, contract, entryPrice, entryIv: 0.3, entrySpot: chain.spot * 0.95, target: chain.spot * 1.1 }];
  });
}
