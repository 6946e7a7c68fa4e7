import { describe, expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import { bandOf, SIGNALS, type SignalInput, signalsOf } from '../../../../services/market/options/scoring/signals.ts';
import { invent, ORDINARY, symbolOf } from '../chain/invented-chain.ts';
import { DEFAULT_RULES } from './design-rules.ts';

/** Each signal's inputs just inside its limits; nothing else is known. */
const nothing: SignalInput = {
  mode: 'monitor',
  rank: 50,
  iv_rank: Number.NaN,
  momentum_score: Number.NaN,
  spread_pct: Number.NaN,
  volume: Number.NaN,
  volume_oi_ratio: Number.NaN,
  delta: Number.NaN,
  gamma_1pct: Number.NaN,
  pnl_pct: Number.NaN,
  stop_pct: Number.NaN,
};
const discount = { iv_rank: 29.9, momentum_score: 50.1, spread_pct: 1.9 };
const runner = { momentum_score: 75.1, volume: 101, volume_oi_ratio: 0.11, spread_pct: 2.9 };
const greeks = { delta: 0.4, gamma_1pct: 0.021, spread_pct: 1.9 };
const takeProfit = { pnl_pct: 50.1, stop_pct: 50 };
const stopLoss = { pnl_pct: -50, stop_pct: 50 };

const of = (input: Partial<SignalInput>) => signalsOf({ ...nothing, ...input }, DEFAULT_RULES);

test.each([
  ['discount', discount],
  ['runner', runner],
  ['greeks', greeks],
  ['greeks', { ...greeks, delta: -0.7 }],
  ['take_profit', takeProfit],
  ['stop_loss', stopLoss],
])('%s is set by %o', (signal, input) => expect(of(input)).toEqual([signal]));

test.each([
  ['discount', { ...discount, iv_rank: 30 }],
  ['discount', { ...discount, momentum_score: 50 }],
  ['discount', { ...discount, spread_pct: 2 }],
  ['runner', { ...runner, momentum_score: 75 }],
  ['runner', { ...runner, volume: 100 }],
  ['runner', { ...runner, volume_oi_ratio: 0.1 }],
  ['runner', { ...runner, spread_pct: 3 }],
  ['greeks', { ...greeks, delta: 0.39 }],
  ['greeks', { ...greeks, delta: -0.71 }],
  ['greeks', { ...greeks, gamma_1pct: 0.02 }],
  ['greeks', { ...greeks, spread_pct: 2 }],
  ['take_profit', { ...takeProfit, pnl_pct: 50 }],
  ['stop_loss', { ...stopLoss, pnl_pct: -49.9 }],
])('%s is not set by %o', (signal, input) => expect(of(input)).not.toContain(signal));

test.each([discount, runner, greeks, takeProfit, stopLoss])('none is set when one input of %o is missing', (input) => {
  for (const name of Object.keys(input)) {
    if (input === takeProfit && name === 'stop_pct') continue;
    expect(of({ ...input, [name]: Number.NaN }), name).toEqual([]);
  }
});

describe('buy', () => {
  test('needs a rank over 65 and another signal', () => {
    expect(of({ ...greeks, rank: 65.1 })).toEqual(['greeks', 'buy']);
    expect(of({ ...greeks, rank: 65 })).toEqual(['greeks']);
    expect(of({ rank: 99 })).toEqual([]);
  });

  test('stands last, after every other signal', () => {
    const all = of({ ...discount, ...runner, ...greeks, ...takeProfit, rank: 90 });
    expect(all).toEqual(SIGNALS.filter((name) => all.includes(name)));
    expect(all.at(-1)).toBe('buy');
  });

  test('needs a buying signal: a gain or a loss is none', () => {
    expect(of({ ...takeProfit, rank: 90 })).toEqual(['take_profit']);
    expect(of({ ...stopLoss, rank: 90 })).toEqual(['stop_loss']);
  });

  test('is set in entry mode too, and never in exit mode', () => {
    expect(of({ ...greeks, mode: 'entry', rank: 90 })).toEqual(['greeks', 'buy']);
    expect(of({ ...discount, ...runner, ...greeks, mode: 'exit', rank: 99 })).not.toContain('buy');
  });
});

describe('close', () => {
  test('needs an exit rank over 65, and nothing else', () => {
    expect(of({ mode: 'exit', rank: 65.1 })).toEqual(['close']);
    expect(of({ mode: 'exit', rank: 65 })).toEqual([]);
    expect(of({ ...stopLoss, mode: 'exit', rank: 80 })).toEqual(['stop_loss', 'close']);
  });

  test.each(['monitor', 'entry'] as const)('is never set in %s mode', (mode) => {
    expect(of({ ...greeks, mode, rank: 99 })).not.toContain('close');
  });
});

test('bands begin at 75, 60 and 45', () => {
  const ranks = [100, 75, 74.9999, 60, 59.9999, 45, 44.9999, 0];
  expect(ranks.map((rank) => bandOf(rank, DEFAULT_RULES))).toEqual(['strong', 'strong', 'good', 'good', 'fair', 'fair', 'weak', 'weak']);
});

test('a ranked row carries the signals of its own stored values', () => {
  // Spread 1.5 %, IV rank 20, momentum 64.1, gamma·S/100 0.03, delta 0.5: a discount with good Greeks, ranked over 65.
  const tight = { bid: 3.97, ask: 4.03 };
  expect(rankChain(invent([tight])).ranks[0]).toMatchObject({ spread_pct: 1.5, signals: ['discount', 'greeks', 'buy'] });
  expect(rankChain(invent([tight], { ivRank: Number.NaN })).ranks[0]!.signals).not.toContain('discount');
});

test('a ranked row is a runner by its own momentum, volume, volume to open interest and spread', () => {
  // Up 25 % in five days, 300 traded of 1,000 open, twice as many open as before: momentum 50 + (100 - 50) × cbrt(0.82) = 96.8; spread 2 %.
  const runner = { mid5: 3.2, volume: 300, openInterest: 1000, oi5: 500 };
  const isRunner = (change: object) => rankChain(invent([{ ...runner, ...change }])).ranks[0]!.signals.includes('runner');
  expect(isRunner({})).toBe(true);
  expect(isRunner({ volume: 100, openInterest: 500, oi5: 250 })).toBe(false);
  expect(isRunner({ openInterest: 3000, oi5: 1500 })).toBe(false);
  expect(isRunner({ mid5: 4.4 })).toBe(false);
  expect(isRunner({ bid: 3.9, ask: 4.1 })).toBe(false);
  expect(isRunner({ volume: Number.NaN })).toBe(false);
});

test('a ranked row has good Greeks by its own delta, gamma and spread', () => {
  const tight = { bid: 3.97, ask: 4.03 };
  const isGood = (change: object) => rankChain(invent([{ ...tight, ...change }])).ranks[0]!.signals.includes('greeks');
  expect([isGood({}), isGood({ isPut: true, delta: -0.5 })]).toEqual([true, true]);
  expect([isGood({ delta: 0.3 }), isGood({ delta: 0.75 }), isGood({ gamma: 0.02 }), isGood({ bid: 3.96, ask: 4.04 })]).toEqual(
    Array(4).fill(false),
  );
});

test('each position has its own stop and its own signals', () => {
  const contract = symbolOf(ORDINARY);
  const positions = [
    { id: 'gain', contract, entryPrice: 2.5 }, // q = 60 %
    { id: 'loss', contract, entryPrice: 5, stop: 0.2 }, // q = -20 %
    { id: 'held', contract, entryPrice: 5 }, // the default stop is -50 %
  ];
  const { ranks } = rankChain(invent([{ delta: 0.2 }], { mode: 'exit', positions }));
  expect(Object.fromEntries(ranks.map(({ position, signals }) => [position, signals.filter((name) => name !== 'close')]))).toEqual({
    gain: ['take_profit'],
    loss: ['stop_loss'],
    held: [],
  });
});
