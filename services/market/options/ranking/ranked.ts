import type { Chain } from '../chain/chain.ts';
import type { Reason } from '../chain/eligibility.ts';
import { IV_SOURCES, type IvSource } from '../pricing/greeks.ts';
import { type BlockName, type Blocks, measure, type Rows } from '../scoring/measure.ts';
import { coverage, type Mode, PARTS, type Part, type PartName, type Parts, RANK_COLUMN, rankBy, scorePart } from '../scoring/parts.ts';
import { type Band, bandOf, type Signal, signalsOf } from '../scoring/signals.ts';
import type { LeftOut } from './left-out.ts';
import { type RankInput, rowsOf, type Selection } from './rank-input.ts';

/** The ranking of one underlying's contracts, or of the positions in them, at one moment. */
export interface RankedRun {
  mode: Mode;
  /** Contracts of the chain; in exit mode positions. `eligible` plus all `reasons`. */
  total: number;
  eligible: number;
  /** How many were not ranked, by reason; every reason is there. */
  reasons: Record<Reason, number>;
  /** In exit mode each position that has no rank, and why. */
  leftOut: LeftOut[];
  /** Best first, at most `top_n`. */
  ranks: Ranked[];
}

/**
 * One ranked contract, or position, as it is stored, with everything from which its rank was computed. null = missing. Scores have four decimals and each is computed from the stored ones
 * below it, so `Σ weights[rank][part] × part`, rounded to four decimals, is the rank.
 */
export interface Ranked extends Quoted, Readonly<Record<BlockName | PartName, number | null>> {
  /** From 1. */
  place: number;
  ranking_mode: Mode;
  /** The monitor rank, in every mode. null only where no measured component has a weight. */
  composite_rank: number | null;
  /** In entry mode only; `exit_rank` in exit mode only: a run keeps the best contracts of its own mode, which are not the best of another. */
  entry_rank: number | null;
  exit_rank: number | null;
  /** The band of the mode's own rank. */
  band: Band;
  signals: Signal[];
  /** Components and parts of the mode's own rank that were not measured, by column. */
  missing: string[];
  /** The weights after renormalisation, by rank or part and then by column; absent for parts that are missing. */
  weights: Record<string, Readonly<Record<string, number>>>;
  /** 0-1: the measured share of the full weight of the mode's own rank. */
  data_quality: number;
}

/** The contract, the quote that it was ranked on, its Greeks (units as in `Chain`), and the position in it. */
interface Quoted {
  contract: string;
  underlying: string;
  expiration: string;
  side: 'call' | 'put';
  strike: number;
  /** Whole calendar days. */
  dte: number;
  spot: number | null;
  bid: number;
  ask: number;
  mid: number;
  volume: number | null;
  open_interest: number | null;
  /** Epoch milliseconds. */
  quoted_at: number;
  iv: number;
  delta: number | null;
  gamma: number | null;
  theta: number | null;
  vega: number | null;
  rho: number | null;
  iv_source: IvSource;
  /** What is doubtful about the quote. */
  marks: QuoteMark[];
  /** The next three in exit mode only. Id of the position. */
  position: string | null;
  /** Dollars a share. */
  entry_price: number | null;
  /** Loss in percent at which the position is stopped. */
  stop_pct: number | null;
}

/** `bid_below_intrinsic`: the bid is below what the contract is worth when it is exercised now, so quote or spot are not of the same moment, or nobody trades it. */
export const QUOTE_MARKS = ['bid_below_intrinsic'] as const;
export type QuoteMark = (typeof QUOTE_MARKS)[number];

/** Everything that was computed for some rows. */
interface Scored {
  rows: Rows;
  blocks: Blocks;
  parts: Parts;
  composite: Part;
  /** The mode's own rank. */
  rank: Part;
}

/** A selection as objects, with all parts and blocks, in its order. Called only for the rows that are stored. */
export function rankedRows(input: RankInput, selection: Selection): Ranked[] {
  const { mode, rules } = input;
  const rows = rowsOf(input, selection);
  const blocks = measure(rows, rules);
  const parts = Object.fromEntries(PARTS.map((name) => [name, scorePart(name, blocks, rules)])) as Record<PartName, Part>;
  const composite = rankBy('monitor', parts, rules, rows.count);
  const rank = mode === 'monitor' ? composite : rankBy(mode, parts, rules, rows.count);
  return Array.from(selection.contracts, (_, i) => rankedRow(input, selection, { rows, blocks, parts, composite, rank }, i));
}

function rankedRow(input: RankInput, selection: Selection, scored: Scored, i: number): Ranked {
  const { mode, rules } = input;
  const { rows, blocks, parts, composite, rank } = scored;
  const quoted = quotedOf(input, selection, rows, i);
  const own = rank.score[i]!;
  const { quality, missing } = coverage(rank, parts, i);
  const signalInput = {
    mode,
    rank: own,
    iv_rank: blocks.iv_rank[i]!,
    momentum_score: parts.momentum_score.score[i]!,
    spread_pct: blocks.spread_pct[i]!,
    volume: rows.numbers.volume[i]!,
    volume_oi_ratio: blocks.volume_oi_ratio[i]!,
    delta: rows.numbers.delta[i]!,
    gamma_1pct: blocks.gamma_1pct[i]!,
    pnl_pct: blocks.pnl_pct[i]!,
    stop_pct: rows.numbers.stop[i]!,
  };
  return {
    place: i + 1,
    ranking_mode: mode,
    ...quoted,
    composite_rank: known(composite.score[i]!),
    entry_rank: mode === 'entry' ? own : null,
    exit_rank: mode === 'exit' ? own : null,
    band: bandOf(own, rules),
    signals: signalsOf(signalInput, rules),
    ...measuredOf(scored, i),
    missing,
    weights: weightsOf(scored, RANK_COLUMN[mode], i),
    data_quality: quality,
  };
}

/** Written as one literal: objects filled name by name take ten times as long. */
function measuredOf({ blocks, parts }: Scored, i: number): Record<BlockName | PartName, number | null> {
  return {
    spread_pct: known(blocks.spread_pct[i]!),
    spread_score: known(blocks.spread_score[i]!),
    iv_rank: known(blocks.iv_rank[i]!),
    iv_percentile: known(blocks.iv_percentile[i]!),
    iv_discount_score: known(blocks.iv_discount_score[i]!),
    price_change_pct: known(blocks.price_change_pct[i]!),
    price_momentum_score: known(blocks.price_momentum_score[i]!),
    momentum_decay_score: known(blocks.momentum_decay_score[i]!),
    volume_surge_score: known(blocks.volume_surge_score[i]!),
    volume_oi_ratio: known(blocks.volume_oi_ratio[i]!),
    volume_oi_score: known(blocks.volume_oi_score[i]!),
    oi_growth_score: known(blocks.oi_growth_score[i]!),
    liquidity_confidence: known(blocks.liquidity_confidence[i]!),
    delta_score: known(blocks.delta_score[i]!),
    gamma_1pct: known(blocks.gamma_1pct[i]!),
    gamma_score: known(blocks.gamma_score[i]!),
    vega_score: known(blocks.vega_score[i]!),
    theta_pct: known(blocks.theta_pct[i]!),
    theta_penalty: known(blocks.theta_penalty[i]!),
    pnl_pct: known(blocks.pnl_pct[i]!),
    pnl_score: known(blocks.pnl_score[i]!),
    iv_expansion_score: known(blocks.iv_expansion_score[i]!),
    target_score: known(blocks.target_score[i]!),
    loss_protection: known(blocks.loss_protection[i]!),
    dte_score: known(blocks.dte_score[i]!),
    theta_score: known(blocks.theta_score[i]!),
    momentum_score: known(parts.momentum_score.score[i]!),
    value_score: known(parts.value_score.score[i]!),
    greeks_score: known(parts.greeks_score.score[i]!),
    entry_value_score: known(parts.entry_value_score.score[i]!),
    catalyst_score: known(parts.catalyst_score.score[i]!),
    profit_protection_score: known(parts.profit_protection_score.score[i]!),
    protection_score: known(parts.protection_score.score[i]!),
    deterioration_score: known(parts.deterioration_score.score[i]!),
    time_urgency_score: known(parts.time_urgency_score.score[i]!),
  };
}

function quotedOf({ chain, mode, greeks }: RankInput, { contracts, positions }: Selection, rows: Rows, i: number): Quoted {
  const index = contracts[i]!;
  const { bid, ask, volume, openInterest, iv, delta, gamma, theta, vega, rho, entryPrice, stop } = rows.numbers;
  const quotedAt = chain.quotedAt[index]!;
  return {
    contract: chain.contracts[index]!,
    underlying: chain.underlying,
    expiration: chain.expirations[chain.expiry[index]!]!,
    side: chain.isPut[index] === 1 ? 'put' : 'call',
    strike: chain.strike[index]!,
    dte: rows.dte[i]!,
    spot: known(rows.spot),
    bid: bid[i]!,
    ask: ask[i]!,
    mid: (bid[i]! + ask[i]!) / 2,
    volume: known(volume[i]!),
    open_interest: known(openInterest[i]!),
    quoted_at: known(quotedAt) ?? chain.asOf.epochMilliseconds,
    iv: iv[i]!,
    delta: known(delta[i]!),
    gamma: known(gamma[i]!),
    theta: known(theta[i]!),
    vega: known(vega[i]!),
    rho: known(rho[i]!),
    iv_source: IV_SOURCES[greeks.ivSource[index]! - 1]!,
    marks: marksOf(chain, index, bid[i]!),
    position: positions?.[i]?.id ?? null,
    entry_price: mode === 'exit' ? known(entryPrice[i]!) : null,
    stop_pct: mode === 'exit' ? known(stop[i]!) : null,
  };
}

function marksOf({ spot, strike, isPut }: Chain, index: number, bid: number): QuoteMark[] {
  const intrinsic = isPut[index] === 1 ? strike[index]! - spot : spot - strike[index]!;
  // A difference of two decimals is off in its last digit.
  return intrinsic - bid > 1e-9 * spot ? ['bid_below_intrinsic'] : [];
}

function weightsOf({ parts, composite, rank }: Scored, own: string, i: number): Ranked['weights'] {
  const weights: Ranked['weights'] = {};
  const add = (name: string, { weighed: { weighting, masks } }: Part) => {
    if (masks[i] !== 0) weights[name] = weighting.cases[masks[i]!]!.used;
  };
  add(own, rank);
  add('composite_rank', composite);
  // Protection is the larger of two and has no weights of its own.
  for (const name of PARTS) if (name !== 'protection_score') add(name, parts[name]);
  return weights;
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
