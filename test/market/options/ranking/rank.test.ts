import { describe, expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import type { Position } from '../../../../services/market/options/ranking/rank-input.ts';
import type { Mode } from '../../../../services/market/options/scoring/parts.ts';
import { type Invented, invent, ORDINARY, symbolOf } from '../chain/invented-chain.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

const ordinary = symbolOf(ORDINARY);
/** Profit 25 %: (4 - 3.2) / 3.2. IV up 10 %. Half of the way from 90 to 110. */
const held: Position = { id: 'a', contract: ordinary, entryPrice: 3.2, entryIv: 0.25 / 1.1, entrySpot: 90, target: 110 };
const unknown = Number.NaN;

function rankOne(contract: Partial<Invented>, mode: Mode = 'monitor', position: Partial<Position> = {}) {
  const symbol = symbolOf({ ...ORDINARY, ...contract });
  return rankChain(invent([contract], { mode, positions: [{ ...held, contract: symbol, ...position }] })).ranks[0]!;
}

describe('by hand, of the ordinary contract (mid 4, spread 2 %, 30 days, neutral, IV rank 20, IV percentile 25)', () => {
  test('blocks', () => {
    expect(rankOne({}, 'exit')).toMatchObject({
      spread_pct: 2,
      spread_score: 96,
      iv_discount_score: 37.8668, // 5 × 100 × 0.02 / 0.27 = 37.037; 50 - 12.963 × 0.93599
      price_change_pct: 11.1111, // 0.4 / 3.6
      price_momentum_score: 72.2222,
      momentum_decay_score: 47.193, // 50 + 2 (5.263158 - 0.6 × 11.111111)
      volume_surge_score: 62.5, // 1.5 times
      volume_oi_ratio: 0.1,
      volume_oi_score: 50,
      oi_growth_score: 70, // 500 / 2,500
      liquidity_confidence: 0.93599, // cbrt(1 × 1 × (0.1 + 0.9 × 0.8))
      delta_score: 85.5, // (100 - 5) × 0.9
      gamma_score: 75, // 0.03 / 0.04
      vega_score: 50, // 0.15 / 0.30
      theta_pct: 1, // 0.04 / 4
      theta_penalty: 10,
      pnl_pct: 25,
      pnl_score: 60,
      iv_expansion_score: 50,
      target_score: 50,
      loss_protection: 0,
      dte_score: 40,
      theta_score: 60,
    });
  });

  test('monitor', () => {
    expect(rankOne({})).toMatchObject({
      momentum_score: 64.1438, // 50 + (36.1111 + 15 + 14 - 50) × 0.93599
      value_score: 86.4, // 0.6 × 80 + 0.4 × 96
      greeks_score: 67.8947, // (42.75 + 26.25 + 5) / 0.95 - 10
      composite_rank: 72.8712, // 25.65752 + 30.24 + 16.973675
      entry_rank: null,
      exit_rank: null,
      band: 'good',
      missing: [],
      data_quality: 1,
    });
  });

  test('entry', () => {
    expect(rankOne({}, 'entry')).toMatchObject({
      entry_value_score: 70.16, // 30 + 11.36 + 28.8
      catalyst_score: 68.2639, // 28.88888 + 21.875 + 17.5
      entry_rank: 68.93, // 28.064 + 23.892365 + 16.973675
      composite_rank: 72.8712,
      exit_rank: null,
      data_quality: 1,
    });
  });

  test('exit', () => {
    expect(rankOne({}, 'exit')).toMatchObject({
      position: 'a',
      entry_price: 3.2,
      stop_pct: 50,
      profit_protection_score: 55, // 30 + 15 + 10
      protection_score: 55,
      deterioration_score: 41.3728, // 0.4 × 52.807 + 0.3 × 37.5 + 0.3 × 30
      time_urgency_score: 48, // 0.6 × 40 + 0.4 × 60
      exit_rank: 49.5118, // 27.5 + 12.41184 + 9.6
      composite_rank: 72.8712,
      entry_rank: null,
      band: 'fair',
      data_quality: 1,
    });
  });

  test('a put is measured against the negative target', () => {
    // -0.5 against -0.55, and a bearish trend goes with it: 95.
    const [rank] = rankChain(invent([{ isPut: true, delta: -0.5 }], { trend: 'bearish' })).ranks;
    expect(rank).toMatchObject({ side: 'put', delta_score: 95 });
  });
});

describe('what is missing', () => {
  test('a component is left out, the others share its weight, and quality falls by its share', () => {
    // Without gamma: (0.5 × 85.5 + 0.1 × 50) / 0.6 - 10 = 69.5833. Quality 1 - 0.25 × 0.35.
    expect(rankOne({ gamma: unknown })).toMatchObject({
      gamma: null,
      gamma_score: null,
      greeks_score: 69.5833,
      missing: ['gamma_score'],
      data_quality: 0.9125,
    });
  });

  test('the weights really used are stored: 0.5 and 0.1 of 0.6', () => {
    const { weights } = rankOne({ gamma: unknown });
    expect(weights.greeks_score).toEqual({ delta_score: expect.closeTo(5 / 6, 12), vega_score: expect.closeTo(1 / 6, 12) });
    expect(weights.composite_rank).toEqual({ momentum_score: 0.4, value_score: 0.35, greeks_score: 0.25 });
  });

  test('an entry has the weights of the rank for watching too', () => {
    const { weights } = rankOne({}, 'entry');
    expect(weights.entry_rank).toEqual({ entry_value_score: 0.4, catalyst_score: 0.35, greeks_score: 0.25 });
    expect(weights.composite_rank).toEqual({ momentum_score: 0.4, value_score: 0.35, greeks_score: 0.25 });
  });

  test('what the rules give no weight is not missing when it is unknown', () => {
    const greeks = { delta: 0.6, gamma: 0.4, vega: 0, theta: 0 };
    const rules = { ...DEFAULT_RULES, parts: { ...DEFAULT_RULES.parts, greeks } };
    const [rank] = rankChain(invent([{ vega: unknown, theta: unknown }], { rules })).ranks;
    // 0.6 × 85.5 + 0.4 × 75
    expect(rank).toMatchObject({ greeks_score: 81.3, missing: [], data_quality: 1 });
    expect(rank!.weights.greeks_score).toEqual({ delta_score: 0.6, gamma_score: 0.4 });
  });

  test('weights that add up to 1 but for a rounding stay as the rules have them', () => {
    // In doubles 0.7 + 0.2 + 0.1 is 0.9999999999999999.
    const momentum = { price_momentum: 0.7, volume_oi: 0.2, oi_growth: 0.1 };
    const rules = { ...DEFAULT_RULES, parts: { ...DEFAULT_RULES.parts, momentum } };
    const [rank] = rankChain(invent([{}], { rules })).ranks;
    expect(rank!.weights.momentum_score).toEqual({ price_momentum_score: 0.7, volume_oi_score: 0.2, oi_growth_score: 0.1 });
    expect(rank!.data_quality).toBe(1);
  });

  test('an unknown delta is not one of 0: no limit of the rules makes it a signal', () => {
    const signals = { ...DEFAULT_RULES.signals, greeks: { ...DEFAULT_RULES.signals.greeks, delta_from: 0, spread_below: 3 } };
    const signalsOf = (delta: number) => rankChain(invent([{ delta }], { rules: { ...DEFAULT_RULES, signals } })).ranks[0]!.signals;
    expect(signalsOf(0)).toContain('greeks');
    expect(signalsOf(unknown)).not.toContain('greeks');
  });

  test('theta is a penalty: without it nothing is taken off, and 0.05 of the Greeks counts as not measured', () => {
    expect(rankOne({ theta: unknown })).toMatchObject({ greeks_score: 77.8947, missing: ['theta_penalty'], data_quality: 0.9875 });
  });

  test('a part without any component leaves the rank to the others', () => {
    // (0.4 × 64.1438 + 0.35 × 86.4) / 0.75 = 74.5300
    const rank = rankOne({ delta: unknown, gamma: unknown, theta: unknown, vega: unknown });
    expect(rank).toMatchObject({
      greeks_score: null,
      composite_rank: 74.53,
      missing: ['delta_score', 'gamma_score', 'vega_score', 'greeks_score', 'theta_penalty'],
      data_quality: 0.75,
    });
    expect(rank.weights.composite_rank).toEqual({
      momentum_score: expect.closeTo(0.4 / 0.75, 12),
      value_score: expect.closeTo(0.35 / 0.75, 12),
    });
    expect(rank.weights.greeks_score).toBeUndefined();
  });

  test('unknown volume is not no volume', () => {
    const without = rankOne({ volume: unknown });
    const none = rankOne({ volume: 0 });
    expect(without).toMatchObject({ volume: null, volume_oi_score: null, missing: ['volume_oi_score'] });
    expect(none).toMatchObject({ volume: 0, volume_oi_score: 0, missing: [] });
  });

  test('a volume of -1 is a feed’s word for unknown', () =>
    expect(rankOne({ volume: -1 })).toMatchObject({ volume: null, volume_oi_score: null }));

  test('only the mode’s own rank counts in `missing` and quality', () => {
    expect(rankOne({ meanVolume20: unknown }).missing).toEqual([]);
    expect(rankOne({ meanVolume20: unknown }, 'entry')).toMatchObject({
      missing: ['volume_surge_score'],
      data_quality: 0.8775, // 1 - 0.35 × 0.35
    });
  });

  test('a position without target, entry IV and stop is judged by its profit and the default stop', () => {
    expect(rankOne({}, 'exit', { target: undefined, entryIv: undefined })).toMatchObject({
      profit_protection_score: 60,
      missing: ['iv_expansion_score', 'target_score'],
      data_quality: 0.75, // 1 - 0.5 × (0.3 + 0.2)
    });
  });

  test('nothing in a rank is NaN when everything that may be unknown is', () => {
    const all = {
      volume: unknown,
      openInterest: unknown,
      delta: unknown,
      gamma: unknown,
      theta: unknown,
      vega: unknown,
      quotedAt: unknown,
    };
    const past = { mid3: unknown, mid5: unknown, meanIv20: unknown, meanVolume20: unknown, oi5: unknown, smileIv: unknown };
    const around = { ivRank: unknown, ivPercentile: unknown, spot: unknown };
    const [rank] = rankChain(invent([{ ...all, ...past }], around)).ranks;
    expect(JSON.parse(JSON.stringify(rank))).toEqual(rank);
    expect(rank).toMatchObject({ composite_rank: 96, value_score: 96, data_quality: 0.14 }); // The spread alone: 0.35 × 0.4.
  });

  test('rules that give weight only to what is unknown rank nothing, and say so', () => {
    const rules = { ...DEFAULT_RULES, modes: { ...DEFAULT_RULES.modes, monitor: { momentum: 0, value: 0, greeks: 1 } } };
    const run = rankChain(invent([{ delta: unknown, gamma: unknown, vega: unknown }, { strike: 101 }], { rules }));
    expect(run).toMatchObject({ total: 2, eligible: 1, reasons: { not_measured: 1 } });
  });
});

describe('order', () => {
  const strikes = (contracts: Partial<Invented>[], mode: Mode = 'monitor') =>
    rankChain(invent(contracts, { mode })).ranks.map(({ strike }) => strike);

  test('is by the mode’s own rank, descending', () => {
    // Strike 1 has the better smile and history for an entry, strike 2 the better activity for watching.
    const contracts = [
      { strike: 1, meanIv20: 0.4, volume: 0, meanVolume20: unknown },
      { strike: 2, meanIv20: 0.2, volume: 600, meanVolume20: 4000 },
    ];
    expect(strikes(contracts)).toEqual([2, 1]);
    expect(strikes(contracts, 'entry')).toEqual([1, 2]);
  });

  test('of equal ranks the narrower spread comes first', () => {
    // Both spreads score 0: over 39.5 %.
    expect(
      strikes([
        { strike: 1, bid: 2, ask: 6 },
        { strike: 2, bid: 2.5, ask: 5.5 },
      ]),
    ).toEqual([2, 1]);
  });

  test('then the larger open interest, unknown last', () => {
    const full = { volume: 1e7, oi5: unknown };
    expect(
      strikes([
        { strike: 1, ...full, openInterest: 4000 },
        { strike: 2, ...full, openInterest: 5000 },
      ]),
    ).toEqual([2, 1]);
  });

  test('then the symbol', () => expect(strikes([{ strike: 3 }, { strike: 1 }, { strike: 2 }])).toEqual([1, 2, 3]));

  test('places count from 1 and the best top_n are kept', () => {
    const rules = { ...DEFAULT_RULES, top_n: 2 };
    const run = rankChain(invent([{ strike: 3 }, { strike: 1 }, { strike: 2, bid: 0 }, { strike: 4 }], { rules }));
    expect(run).toMatchObject({ total: 4, eligible: 3, reasons: { no_bid: 1 } });
    expect(run.ranks.map(({ place, strike }) => [place, strike])).toEqual([
      [1, 1],
      [2, 3],
    ]);
  });
});

describe('positions', () => {
  const exit = (positions: Position[], contracts: Partial<Invented>[] = [{}, { strike: 105 }]) =>
    rankChain(invent(contracts, { mode: 'exit', positions }));

  test('only what is held is ranked, and without positions nothing is', () => {
    expect(exit([held]).ranks.map(({ contract }) => contract)).toEqual([ordinary]);
    expect(exit([])).toMatchObject({ total: 0, eligible: 0, ranks: [] });
  });

  test('each position of one contract has its own entry price and its own rank', () => {
    const { ranks, total } = exit([held, { ...held, id: 'b', entryPrice: 2 }]);
    expect(total).toBe(2);
    expect(ranks.map(({ position, pnl_pct, pnl_score }) => [position, pnl_pct, pnl_score])).toEqual([
      ['b', 100, 100],
      ['a', 25, 60],
    ]);
  });

  test('a loss near its own stop is as urgent as a profit', () => {
    // q = (4 - 5) / 5 = -20 %: 40 of the default 50 %, 80 of a stop at 25 %.
    const [tight, wide] = exit([
      { ...held, entryPrice: 5, entryIv: undefined, target: undefined },
      { ...held, id: 'b', entryPrice: 5, entryIv: undefined, target: undefined, stop: 0.25 },
    ]).ranks;
    expect(tight).toMatchObject({ position: 'b', loss_protection: 80, profit_protection_score: 0, protection_score: 80 });
    expect(wide).toMatchObject({ position: 'a', loss_protection: 40, protection_score: 40 });
  });

  test('a position whose contract is not in the chain, or can not be ranked, is counted with its reason', () => {
    const gone = { ...held, id: 'b', contract: 'ACME260401C00999000' };
    expect(exit([held, gone], [{ bid: 0 }])).toMatchObject({ total: 2, eligible: 0, reasons: { not_quoted: 1, no_bid: 1 }, ranks: [] });
  });

  test('the other modes do not look at positions', () => {
    const run = rankChain(invent([{}], { positions: [held] }));
    expect(run.ranks[0]).toMatchObject({ position: null, entry_price: null, pnl_pct: null, protection_score: null });
  });

  test.each([
    [{ entryPrice: 0 }, 'options.bad_position', 'entry price 0'],
    [{ entryPrice: unknown }, 'options.bad_position', 'entry price NaN'],
    [{ stop: -0.5 }, 'options.bad_position', 'stop -0.5'],
  ])('%o is refused', (change, code, text) => {
    expect(() => exit([{ ...held, ...change }])).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }));
  });

  test('two positions with one id are refused', () => {
    expect(() => exit([held, held])).toThrow(expect.objectContaining({ code: 'options.duplicate_position' }));
  });
});
