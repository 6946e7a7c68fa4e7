import { expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import type { RankInput } from '../../../../services/market/options/ranking/rank-input.ts';
import { AT, invent, ORDINARY, symbolOf } from '../chain/invented-chain.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

const input = invent([{ strike: 95 }, { strike: 105, dte: 60 }]);
const short = new Float64Array(1);
const CHAIN = ['strike', 'bid', 'ask', 'volume', 'openInterest', 'iv', 'delta', 'gamma', 'theta', 'vega', 'quotedAt', 'expiry', 'isPut'];
const CASES: [string, RankInput][] = [
  ...CHAIN.map((name): [string, RankInput] => [`chain.${name}`, { ...input, chain: { ...input.chain, [name]: short } }]),
  ...['iv', 'delta', 'gamma', 'theta', 'vega', 'rho', 'ivSource'].map((name): [string, RankInput] => [
    name,
    { ...input, greeks: { ...input.greeks, [name]: short } },
  ]),
  ...['mid3', 'mid5', 'meanIv20', 'meanVolume20', 'oi5'].map((name): [string, RankInput] => [
    name,
    { ...input, history: { ...input.history, [name]: short } },
  ]),
  ...['dte', 'expired'].map((name): [string, RankInput] => [`times.${name}`, { ...input, times: { ...input.times, [name]: short } }]),
  ['smileIv', { ...input, smileIv: short }],
];

test.each(CASES)('a column %s that is too short is refused by its name, not read as numbers', (name, broken) => {
  expect(() => rankChain(broken)).toThrow(
    expect.objectContaining({ code: 'options.column_length', message: expect.stringContaining(`${name} has 1 entries, not 2`) }),
  );
});

test('a row has the side, the days and the numbers of its own contract', () => {
  const contracts = [
    { strike: 95, isPut: true, dte: 10, delta: -0.4, iv: 0.3, volume: 30 },
    { strike: 105, dte: 60, delta: 0.6, iv: 0.2, volume: 60 },
    { strike: 100, bid: 0 },
  ];
  const { ranks } = rankChain(invent(contracts.toReversed()));
  const rows = Object.fromEntries(ranks.map((rank) => [rank.strike, rank]));
  expect(rows[95]).toMatchObject({ side: 'put', dte: 10, delta: -0.4, iv: 0.3, volume: 30, expiration: '2026-03-12' });
  expect(rows[105]).toMatchObject({ side: 'call', dte: 60, delta: 0.6, iv: 0.2, volume: 60, expiration: '2026-05-01' });
});

test('a contract without a moment of its own shows that of the chain', () => {
  const own = AT.epochMilliseconds - 60_000;
  const { ranks } = rankChain(
    invent([
      { strike: 95, quotedAt: Number.NaN },
      { strike: 105, quotedAt: own },
    ]),
  );
  expect(Object.fromEntries(ranks.map(({ strike, quoted_at }) => [strike, quoted_at]))).toEqual({ 95: AT.epochMilliseconds, 105: own });
});

test('a spot that is no price is unknown, and so is what is measured by it', () => {
  for (const spot of [0, -1, Number.POSITIVE_INFINITY])
    expect(rankChain(invent([{}], { spot })).ranks[0]).toMatchObject({ spot: null, gamma_score: null, vega_score: null });
  // A penny stock has a price: gamma · S / 100 = 0.03 · 0.5 / 100, 0.375 % of 0.04.
  expect(rankChain(invent([{}], { spot: 0.5 })).ranks[0]).toMatchObject({ spot: 0.5, gamma_score: 0.375 });
});

test('a position that is gone from the chain has expired only after its last trading moment', () => {
  const gone = (contract: string) => {
    const positions = [{ id: '1', contract, entryPrice: 4 }];
    return rankChain(invent([{}], { mode: 'exit', positions })).leftOut[0]!.reason;
  };
  // The invented chain is of noon on 2026-03-02.
  expect(gone('ACME260302C00999000')).toBe('not_quoted');
  expect(gone('ACME260227C00999000')).toBe('expired');
});

test('positions are refused by the number that is wrong, and a stop may be left to the rules', () => {
  const exit = (position: object) =>
    rankChain(invent([{}], { mode: 'exit', positions: [{ id: 'x', contract: symbolOf(ORDINARY), entryPrice: 4, ...position }] }));
  expect(() => exit({ stop: 0 })).toThrow(/position x in ACME\d{6}C00100000 has the stop 0; it is a share .* above 0/);
  expect(() => exit({ stop: Number.POSITIVE_INFINITY })).toThrow(/the stop Infinity/);
  expect(() => exit({ entryPrice: -1 })).toThrow(/the entry price -1; it must be a number of dollars/);
  expect(exit({ stop: 0.25 }).ranks[0]!.stop_pct).toBe(25);
  expect(exit({}).ranks[0]!.stop_pct).toBe(100 * DEFAULT_RULES.stop_loss);
});
