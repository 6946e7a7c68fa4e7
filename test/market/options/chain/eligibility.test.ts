import { describe, expect, test } from 'vitest';
import { CONTRACT_REASONS, countReasons, judgeContracts } from '../../../../services/market/options/chain/eligibility.ts';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import { AT, type Invented, invent, ORDINARY, symbolOf } from './invented-chain.ts';

const AGE = 600;
const LIQUIDITY = { volume: 10, open_interest: 10 };

function reasonOf(contract: Partial<Invented>, afterClose = false) {
  const { chain, greeks, times } = invent([contract], { afterClose });
  const [reason] = judgeContracts({ chain, iv: greeks.iv, times, atMs: AT.epochMilliseconds, quoteAge: AGE, liquidity: LIQUIDITY });
  return reason === 0 ? undefined : CONTRACT_REASONS[reason! - 1];
}

test('an ordinary contract is eligible', () => expect(reasonOf({})).toBeUndefined());

describe('expired', () => {
  test('is a contract of yesterday', () => expect(reasonOf({ dte: -1 })).toBe('expired'));
  test('is one of today after the close, not before', () => {
    expect(reasonOf({ dte: 0 }, true)).toBe('expired');
    expect(reasonOf({ dte: 0 }, false)).toBeUndefined();
  });
  test('is not one of tomorrow, after today’s close', () => expect(reasonOf({ dte: 1 }, true)).toBeUndefined());
});

describe('quote', () => {
  test.each([0, -1, Number.NaN])('a bid of %d is none', (bid) => expect(reasonOf({ bid })).toBe('no_bid'));
  test('a bid above the ask is crossed, one at the ask is not', () => {
    expect(reasonOf({ bid: 4.01, ask: 4 })).toBe('crossed');
    expect(reasonOf({ bid: 4, ask: 4 })).toBeUndefined();
    expect(reasonOf({ bid: 4, ask: 0 })).toBe('crossed');
  });
  test.each([Number.NaN, Number.POSITIVE_INFINITY])('with an ask of %d there is no price', (ask) =>
    expect(reasonOf({ ask })).toBe('no_price'),
  );
  test('one exactly as old as allowed is taken, one a millisecond older is stale', () => {
    expect(reasonOf({ quotedAt: AT.epochMilliseconds - AGE * 1000 })).toBeUndefined();
    expect(reasonOf({ quotedAt: AT.epochMilliseconds - AGE * 1000 - 1 })).toBe('stale_quote');
  });
  test('one without a moment was quoted when the chain was', () => expect(reasonOf({ quotedAt: Number.NaN })).toBeUndefined());
});

describe('liquidity', () => {
  test('volume and open interest both under ten are illiquid, one of them at ten is not', () => {
    expect(reasonOf({ volume: 9, openInterest: 9 })).toBe('illiquid');
    expect(reasonOf({ volume: 0, openInterest: 0 })).toBe('illiquid');
    expect(reasonOf({ volume: 10, openInterest: 0 })).toBeUndefined();
    expect(reasonOf({ volume: 0, openInterest: 10 })).toBeUndefined();
  });
  test.each([Number.NaN, -1])('an unknown count (%d) is missing, not zero', (unknown) => {
    expect(reasonOf({ volume: unknown, openInterest: 0 })).toBeUndefined();
    expect(reasonOf({ volume: 0, openInterest: unknown })).toBeUndefined();
    expect(reasonOf({ volume: unknown, openInterest: unknown })).toBeUndefined();
  });
  test('it comes before the age of the quote', () => expect(reasonOf({ volume: 0, openInterest: 0, quotedAt: 0 })).toBe('illiquid'));
});

test.each([0, -0.2, Number.NaN, Number.POSITIVE_INFINITY])('an IV of %d is none', (iv) => expect(reasonOf({ iv })).toBe('no_iv'));

test('of several reasons the first is stored: an expired contract without a bid is expired', () => {
  expect(reasonOf({ dte: -3, bid: 0, iv: 0 })).toBe('expired');
  expect(reasonOf({ bid: 0, iv: 0 })).toBe('no_bid');
});

test('reasons are counted, with 0 for those that nothing has', () => {
  const { chain, greeks, times } = invent([{ strike: 1, bid: 0 }, { strike: 2, bid: 0 }, { strike: 3, iv: 0 }, { strike: 4 }]);
  const reasons = judgeContracts({ chain, iv: greeks.iv, times, atMs: AT.epochMilliseconds, quoteAge: AGE, liquidity: LIQUIDITY });
  expect(countReasons(reasons)).toEqual({
    expired: 0,
    no_bid: 2,
    no_price: 0,
    crossed: 0,
    illiquid: 0,
    stale_quote: 0,
    no_iv: 1,
    not_quoted: 0,
    not_measured: 0,
  });
});

test('a held contract is ranked for its exit though nobody trades it, and not for an entry', () => {
  const untraded = { volume: 0, openInterest: 2 };
  const contract = symbolOf(ORDINARY);
  const exit = rankChain(invent([untraded], { mode: 'exit', positions: [{ id: '1', contract, entryPrice: 20 }] }));
  expect(exit.ranks[0]).toMatchObject({ contract, signals: ['stop_loss', 'close'] });
  expect(rankChain(invent([untraded], { mode: 'entry' }))).toMatchObject({ eligible: 0, reasons: { illiquid: 1 } });
});
