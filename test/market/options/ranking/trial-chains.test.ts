/** Chains that earlier versions ranked wrongly, from the file to the rank. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Position } from '../../../../services/market/options/ranking/rank-input.ts';
import { rankUnderlying } from '../../../../services/market/options/ranking/run.ts';
import type { Mode } from '../../../../services/market/options/scoring/parts.ts';
import { fileChains } from '../../../../services/market/options/sources/file.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

/** The chain of AAPL at the close of 2026-11-25, in dollars: expiration, strike, bid and ask of the call, bid and ask of the put. Invented prices of American options at 30 %. */
const QUOTES = [
  ['261218', 120, 36.3, 36.4, 0.01, 0.05],
  ['261218', 125, 31.32, 31.42, 0.01, 0.05],
  ['261218', 130, 26.35, 26.45, 0.01, 0.07],
  ['261218', 135, 21.44, 21.54, 0.05, 0.15],
  ['261218', 140, 16.7, 16.8, 0.29, 0.39],
  ['261218', 145, 12.29, 12.39, 0.88, 0.98],
  ['261218', 150, 8.45, 8.55, 2.02, 2.12],
  ['261218', 155, 5.37, 5.47, 3.93, 4.03],
  ['261218', 160, 3.13, 3.23, 6.67, 6.77],
  ['261218', 165, 1.65, 1.75, 10.19, 10.29],
  ['261218', 170, 0.78, 0.88, 14.31, 14.41],
  ['261218', 175, 0.32, 0.42, 18.83, 18.93],
  ['261218', 180, 0.1, 0.2, 23.6, 23.7],
  ['261218', 185, 0.01, 0.11, 28.49, 28.59],
  ['261218', 190, 0.01, 0.07, 33.44, 33.54],
  ['261218', 195, 0.01, 0.06, 38.42, 38.52],
  ['270115', 120, 36.71, 36.81, 0.01, 0.09],
  ['270115', 125, 31.82, 31.92, 0.07, 0.17],
  ['270115', 130, 27.03, 27.13, 0.26, 0.36],
  ['270115', 135, 22.43, 22.53, 0.62, 0.72],
  ['270115', 140, 18.11, 18.21, 1.28, 1.38],
  ['270115', 145, 14.19, 14.29, 2.33, 2.43],
  ['270115', 150, 10.76, 10.86, 3.88, 3.98],
  ['270115', 155, 7.88, 7.98, 5.97, 6.07],
  ['270115', 160, 5.57, 5.67, 8.63, 8.73],
  ['270115', 165, 3.8, 3.9, 11.83, 11.93],
  ['270115', 170, 2.49, 2.59, 15.49, 15.59],
  ['270115', 175, 1.57, 1.67, 19.55, 19.65],
  ['270115', 180, 0.95, 1.05, 23.9, 24.0],
  ['270115', 185, 0.55, 0.65, 28.47, 28.57],
  ['270115', 190, 0.3, 0.4, 33.19, 33.29],
  ['270115', 195, 0.15, 0.25, 38.01, 38.11],
] as const;

const CLOSE = '2026-11-25T21:00:00Z';
const HEADER = 'contract,bid,ask,volume,open_interest,quoted_at,spot';
const contract = (root: string, expiry: string, side: string, strike: number) =>
  `${root}${expiry}${side}${String(strike * 1000).padStart(8, '0')}`;
const line = (symbol: string, bid: number, ask: number, [volume, open]: readonly [number, number] = [150, 900]) =>
  `${symbol},${bid},${ask},${volume},${open},2026-11-25T16:00:00-05:00,156.05`;
const LINES = QUOTES.flatMap(([expiry, strike, callBid, callAsk, putBid, putAsk]) => [
  line(contract('AAPL', expiry, 'C', strike), callBid, callAsk),
  line(contract('AAPL', expiry, 'P', strike), putBid, putAsk),
]);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-trial-chain-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function rank(
  lines: readonly string[],
  { mode = 'monitor', now = CLOSE, positions = [] }: { mode?: Mode; now?: string; positions?: Position[] } = {},
) {
  const path = join(folder, 'chain.csv');
  writeFileSync(path, [HEADER, ...lines, ''].join('\n'));
  const chain = await fileChains(path).chain('AAPL', new AbortController().signal);
  const around = { trend: 'neutral', ivHistory: [], days: [], rules: DEFAULT_RULES, dividendYield: 0 } as const;
  const run = rankUnderlying({ chain, mode, now: Temporal.Instant.from(now), positions, ...around });
  return { ...run, chain, of: (symbol: string) => run.ranked.ranks.find((one) => one.contract === symbol) };
}

test('the volatility of the chain is 30 %, in the money as out of it', async () => {
  const { ranked, atmIv } = await rank(LINES);
  expect(atmIv).toBeCloseTo(0.3, 4);
  expect(ranked.eligible).toBe(64);
  // Within 20 %: further out the quotes are a few cents wide of nothing.
  for (const { contract: symbol, iv, strike } of ranked.ranks)
    if (Math.abs(strike / 156.05 - 1) < 0.13) expect(Math.abs(iv - 0.3), symbol).toBeLessThan(0.005);
});

describe('a quote below the value of exercise', () => {
  const DEEP = contract('AAPL', '261218', 'C', 50);
  const AT_INTRINSIC = contract('AAPL', '261218', 'C', 60);
  const PUT = contract('AAPL', '270115', 'P', 300);
  const lines = [...LINES, line(DEEP, 100, 100.4, [5, 10]), line(AT_INTRINSIC, 96.05, 96.05, [5, 10]), line(PUT, 140, 140.2, [5, 10])];

  test('gives no volatility of its own: without a partner it has that of the smile', async () => {
    const { of } = await rank(lines);
    for (const symbol of [DEEP, AT_INTRINSIC, PUT]) {
      expect(of(symbol)).toMatchObject({ iv_source: 'smile' });
      // The smile of a chain at 30 %, as far out as it is fitted.
      expect(of(symbol)!.iv).toBeGreaterThan(0.28);
      expect(of(symbol)!.iv).toBeLessThan(0.4);
      expect(Math.abs(of(symbol)!.delta!)).toBeGreaterThan(0.99);
    }
  });

  test('is marked, one at that value is not', async () => {
    const { of } = await rank(lines);
    expect([DEEP, AT_INTRINSIC, PUT].map((symbol) => of(symbol)!.marks)).toEqual([['bid_below_intrinsic'], [], ['bid_below_intrinsic']]);
  });

  test('without a smile it has none, and is not ranked', async () => {
    const { ranked } = await rank([line(DEEP, 100, 100.4), line(AT_INTRINSIC, 96.05, 96.05)]);
    expect(ranked).toMatchObject({ eligible: 0, reasons: { no_iv: 2 } });
  });
});

describe('an adjusted contract', () => {
  const ADJUSTED = contract('AAPL1', '261218', 'C', 150);
  const lines = [...LINES, line(ADJUSTED, 9, 9.2, [5, 10]), line(contract('AAPL1', '261218', 'P', 150), 4, 4.2, [5, 10])];

  test('does not stand for the plain one of its strike, and is named', async () => {
    const { of, chain, ranked } = await rank(lines);
    expect(ranked.total).toBe(64);
    expect(of(contract('AAPL', '261218', 'C', 150))).toMatchObject({ bid: 8.45, ask: 8.55 });
    expect(chain.gaps).toEqual([{ contracts: 2, reason: expect.stringMatching(/^the contract is adjusted/) }]);
  });

  test('that is held is counted as not quoted, with why', async () => {
    const positions = [
      { id: '1', contract: ADJUSTED, entryPrice: 8 },
      { id: '2', contract: contract('AAPL', '261218', 'C', 150), entryPrice: 8 },
      { id: '3', contract: contract('AAPL', '261218', 'C', 151), entryPrice: 8 },
      { id: '4', contract: contract('AAPL', '261120', 'C', 150), entryPrice: 8 },
    ];
    const { ranked } = await rank(lines, { mode: 'exit', positions });
    expect(ranked).toMatchObject({ total: 4, eligible: 1, reasons: { not_quoted: 2, expired: 1 } });
    expect(ranked.leftOut).toEqual([
      {
        position: '1',
        contract: ADJUSTED,
        reason: 'not_quoted',
        why: expect.stringMatching(/adjusted contract: it does not deliver 100 shares of AAPL/),
      },
      { position: '4', contract: expect.any(String), reason: 'expired', why: 'it expired on 2026-11-20; remove the position' },
      {
        position: '3',
        contract: expect.any(String),
        reason: 'not_quoted',
        why: 'the chain of AAPL (file, 2026-11-25) has no such contract',
      },
    ]);
  });
});

describe('on the day of its expiration, which closes at 13:00 in New York', () => {
  // Quoted at the close of the day after Thanksgiving, 18:00 UTC.
  const today = [140, 145, 150, 155, 160, 165, 170].flatMap((strike) => {
    const call = 0.02 + Math.max(155 - strike, 0);
    const put = 0.02 + Math.max(strike - 155, 0);
    return [
      `${contract('AAPL', '261127', 'C', strike)},${call.toFixed(2)},${(call + 0.04).toFixed(2)},10,100,2026-11-27T18:00:00Z,155`,
      `${contract('AAPL', '261127', 'P', strike)},${put.toFixed(2)},${(put + 0.04).toFixed(2)},10,100,2026-11-27T18:00:00Z,155`,
    ];
  });

  test('a chain is ranked until the close, also by a clock that is behind that of the quotes', async () => {
    const { ranked } = await rank(today, { now: '2026-11-27T15:00:00Z' });
    expect(ranked.reasons.expired).toBe(0);
    expect(ranked.eligible).toBe(14);
    expect(ranked.ranks.every(({ dte }) => dte === 0)).toBe(true);
  });

  test('and from the close on it has expired', async () => {
    const { ranked, atmIv } = await rank(today, { now: '2026-11-27T18:00:00Z' });
    expect([ranked.eligible, ranked.reasons.expired, atmIv]).toEqual([0, 14, null]);
  });
});
