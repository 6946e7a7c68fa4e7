import { describe, expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import { AT, type Invented, invent, ORDINARY, symbolOf } from '../chain/invented-chain.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

const hold = (contract: Partial<Invented>, id = '1') => ({ id, contract: symbolOf({ ...ORDINARY, ...contract }), entryPrice: 4 });
const exit = (contracts: Partial<Invented>[], positions = contracts.map((one, i) => hold(one, String(i + 1))), rules = DEFAULT_RULES) =>
  rankChain(invent(contracts, { mode: 'exit', positions, rules }));

describe('a position that is not ranked is named with a reason', () => {
  test.each<[string, Partial<Invented>, string]>([
    ['no_bid', { bid: 0 }, 'nobody bids for it'],
    ['no_price', { ask: Number.NaN }, 'nobody offers it'],
    ['crossed', { bid: 4.5, ask: 4.25 }, 'its bid 4.5 is above its ask 4.25'],
    ['stale_quote', { quotedAt: AT.epochMilliseconds - 1_800_001 }, 'its quote is older than 1800 seconds'],
    ['no_iv', { iv: Number.NaN }, 'its quote gives no volatility'],
    ['expired', { dte: -1 }, 'it expired on 2026-03-01; remove the position'],
  ])('%s', (reason, contract, why) => {
    const { contract: symbol } = hold(contract);
    expect(exit([contract]).leftOut).toEqual([{ position: '1', contract: symbol, reason, why }]);
  });

  test('that nothing of it could be measured', () => {
    const modes = { ...DEFAULT_RULES.modes, exit: { protection: 0, deterioration: 1, time_urgency: 0 } };
    const unknown = { mid3: Number.NaN, meanVolume20: Number.NaN, oi5: Number.NaN };
    const run = exit([unknown], undefined, { ...DEFAULT_RULES, modes });
    expect(run.leftOut).toMatchObject([{ reason: 'not_measured', why: 'nothing that counts in its rank is known' }]);
    expect(run).toMatchObject({ total: 1, eligible: 0, reasons: { not_measured: 1 } });
  });
});

test('they stand by contract, then by position', () => {
  const [dear, cheap] = [
    { strike: 200, bid: 0 },
    { strike: 100, bid: 0 },
  ];
  const run = exit([dear, cheap], [hold(dear, 'a'), hold(cheap, 'c'), hold(cheap, 'b')]);
  expect(run.leftOut.map(({ position }) => position)).toEqual(['b', 'c', 'a']);
});

test('one that is ranked is not among them, also where fewer are kept', () => {
  const contracts = [{}, { strike: 105 }, { strike: 110, bid: 0 }];
  const run = exit(contracts, undefined, { ...DEFAULT_RULES, top_n: 1 });
  expect(run.ranks).toHaveLength(1);
  expect(run.leftOut.map(({ reason }) => reason)).toEqual(['no_bid']);
});

test('without a word of positions there is nothing to rank', () => {
  expect(rankChain(invent([{}], { mode: 'exit' }))).toMatchObject({ total: 0, eligible: 0, leftOut: [], ranks: [] });
});

test('outside of exit mode nobody’s position is left out', () => {
  const contracts = [{ bid: 0 }];
  expect(rankChain(invent(contracts, { positions: [hold({ bid: 0 })] })).leftOut).toEqual([]);
});

test('two positions alike in everything are ordered by their ids', () => {
  const { ranks } = exit([{}], [hold({}, 'b'), hold({}, 'a'), hold({}, 'c')]);
  expect(ranks.map(({ position }) => position)).toEqual(['a', 'b', 'c']);
});
