import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest';
import { chainsOf, configuredChains } from '../../../../services/market/options/sources/configured.ts';
import { simulatedChains } from '../../../../services/market/options/sources/simulated.ts';
import type { ChainSource } from '../../../../services/market/options/sources/source.ts';
import { ManualClock } from '../../../../services/platform/clock.ts';
import { TransientError } from '../../../../services/platform/errors.ts';
import { silent } from '../../../broker/peers.ts';
import { databaseOfFile } from '../../../support/database.ts';
import { configWith } from '../../../worker/workshop.ts';

const clock = new ManualClock('2026-03-10T15:00:00Z');
const signal = () => AbortSignal.timeout(10_000);
const { db } = await databaseOfFile();

function source(name: ChainSource['name'], fails: () => boolean = () => false) {
  const made = simulatedChains({ seed: 1, clock, contracts: 50 });
  const counted = {
    name,
    asked: 0,
    async chain(symbol: string, within: AbortSignal) {
      counted.asked++;
      if (fails()) throw new TransientError('source.unavailable', `${name}: HTTP 503`);
      return { ...(await made.chain(symbol, within)), source: name };
    },
  };
  return counted;
}
const of = (sources: ChainSource[], overrides: Record<string, unknown> = {}) =>
  chainsOf(sources, { config: configWith(overrides), clock, log: silent });

test('without a network the configured sources go on to made-up chains, but not for what is real', async () => {
  const config = configWith({
    'ranking.chains.sources': ['simulated'],
    'ranking.chains.simulated.contracts': 100,
    'stock_jobs.data_fetch.simulated.enabled': true,
  });
  const { all, real } = await configuredChains({ config, clock, db, log: silent });
  expect((await all.chain('AAPL', signal())).chain).toMatchObject({ source: 'simulated', underlying: 'AAPL' });
  await expect(real.chain('AAPL', signal())).rejects.toMatchObject({ name: 'PermanentError', code: 'chain.only_simulated' });
});

test('Yahoo has the seconds of the configuration to answer', async () => {
  const expirationDate = Date.parse('2026-03-20T00:00:00Z') / 1000;
  const call = { contractSymbol: 'XYZ260320C00100000', strike: 100, bid: 1, ask: 1.2, contractSize: 'REGULAR' };
  const result = {
    expirationDates: [expirationDate],
    quote: { regularMarketPrice: 100, regularMarketTime: Date.parse('2026-03-10T14:59:00Z') / 1000 },
    options: [{ expirationDate, calls: [call], puts: [] }],
  };
  vi.stubGlobal('fetch', async (input: unknown, init?: RequestInit) => {
    // Far from the seconds that are allowed, and longer than any time that is none.
    await new Promise((resolve) => setTimeout(resolve, 30));
    init?.signal?.throwIfAborted();
    const { pathname } = new URL(String(input));
    if (pathname === '/v1/test/getcrumb') return new Response('crumb');
    if (pathname.startsWith('/v7/finance/options/')) return Response.json({ optionChain: { result: [result], error: null } });
    return new Response('<html>', { headers: { 'set-cookie': 'A3=x; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure' } });
  });
  try {
    const config = configWith({ 'ranking.chains.sources': ['yahoo_finance'], 'stock_jobs.data_fetch.rate_limit': 100 });
    const { real } = await configuredChains({ config, clock, db, log: silent });
    expect((await real.chain('XYZ', signal())).chain).toMatchObject({
      source: 'yahoo_finance',
      contracts: ['XYZ260320C00100000'],
      spot: 100,
    });
  } finally {
    vi.unstubAllGlobals();
  }
});

test('chains that cannot be read of five underlyings cost twenty-four healthy ones nothing', async () => {
  const made = simulatedChains({ seed: 1, clock, contracts: 50 });
  const yahoo: ChainSource = {
    name: 'yahoo_finance',
    async chain(symbol, within) {
      if (symbol.startsWith('BAD'))
        throw new TransientError('source.malformed', `yahoo_finance: no option contract of ${symbol} can be read`);
      return { ...(await made.chain(symbol, within)), source: 'yahoo_finance' };
    },
  };
  const { real } = of([yahoo]);
  const [bad, healthy] = [5, 24].map((count, at) =>
    Array.from({ length: count }, (_, index) => `${at === 0 ? 'BAD' : 'GOOD'}${index}`),
  ) as [string[], string[]];
  for (let attempt = 0; attempt < 4; attempt++)
    for (const symbol of bad) await expect(real.chain(symbol, signal())).rejects.toMatchObject({ code: 'source.all_failed' });
  const answers = await Promise.allSettled(healthy.map((symbol) => real.chain(symbol, signal())));
  expect(answers.filter(({ status }) => status === 'rejected')).toEqual([]);
});

describe('a chain', () => {
  let now: MockInstance<() => number>;
  beforeEach(() => {
    now = vi.spyOn(performance, 'now').mockReturnValue(0);
  });
  afterEach(() => now.mockRestore());

  test('asked for by three modes at once, or soon after one another, is one question', async () => {
    const yahoo = source('yahoo_finance');
    const { real } = of([yahoo]);
    const answers = await Promise.all([1, 2, 3].map(() => real.chain('AAPL', signal())));
    expect(await real.chain('AAPL', signal())).toBe(answers[0]);
    expect(new Set(answers).size).toBe(1);
    expect(yahoo.asked).toBe(1);
    await real.chain('SPY', signal());
    expect(yahoo.asked).toBe(2);
  });

  test('is asked for anew each time where nothing may be used again', async () => {
    const yahoo = source('yahoo_finance');
    const { real } = of([yahoo], { 'ranking.chains.reuse': 0 });
    await real.chain('AAPL', signal());
    await real.chain('AAPL', signal());
    expect(yahoo.asked).toBe(2);
  });

  test('is used again until it is as old as the configuration allows', async () => {
    const yahoo = source('yahoo_finance');
    const { real } = of([yahoo], { 'ranking.chains.reuse': 10 });
    const askedAt = async (ms: number) => {
      now.mockReturnValue(ms);
      await real.chain('AAPL', signal());
      return yahoo.asked;
    };
    expect([await askedAt(1000), await askedAt(10_999), await askedAt(11_000), await askedAt(20_999)]).toEqual([1, 1, 2, 2]);
  });

  test('is remembered among the newest eight', async () => {
    const yahoo = source('yahoo_finance');
    const { real } = of([yahoo], { 'ranking.chains.reuse': 10 });
    const askedFor = async (...symbols: string[]) => {
      const before = yahoo.asked;
      for (const symbol of symbols) await real.chain(symbol, signal());
      return yahoo.asked - before;
    };
    const eight = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'];
    now.mockReturnValue(0);
    expect([await askedFor(...eight), await askedFor(...eight)]).toEqual([8, 0]);
    // A is asked for anew and is the newest; the ninth takes the place of the oldest.
    now.mockReturnValue(10_000);
    expect(await askedFor('A', 'I')).toBe(2);
    expect(await askedFor('A', 'I')).toBe(0);
    now.mockReturnValue(0);
    expect(await askedFor('C', 'D', 'E', 'F', 'G', 'H')).toBe(0);
    expect(await askedFor('B')).toBe(1);
  });

  test('that failed is not remembered', async () => {
    let down = true;
    const { real } = of([source('yahoo_finance', () => down)]);
    await expect(real.chain('AAPL', signal())).rejects.toMatchObject({
      code: 'source.all_failed',
      message: expect.stringContaining('no source has an option chain of AAPL'),
    });
    down = false;
    expect((await real.chain('AAPL', signal())).attempts).toEqual([{ source: 'yahoo_finance', ok: true, ms: 0 }]);
  });

  test('is not asked of a source that failed again and again, for a while', async () => {
    const yahoo = source('yahoo_finance', () => true);
    const { real } = of([yahoo], { 'stock_jobs.data_fetch.breaker.failures': 2 });
    const reasons: string[] = [];
    for (let i = 0; i < 3; i++) await real.chain('AAPL', signal()).catch((error: Error) => reasons.push(error.message));
    expect(yahoo.asked).toBe(2);
    expect(reasons[2]).toContain('not asked after repeated failures, the last: yahoo_finance: HTTP 503');
  });

  test('is asked of it again after that while', async () => {
    let down = true;
    const yahoo = source('yahoo_finance', () => down);
    const { real } = of([yahoo], { 'stock_jobs.data_fetch.breaker.failures': 1, 'stock_jobs.data_fetch.breaker.reset_after': 30 });
    vi.useFakeTimers({ toFake: ['Date'], now: 0 });
    try {
      await expect(real.chain('AAPL', signal())).rejects.toMatchObject({ code: 'source.all_failed' });
      down = false;
      vi.setSystemTime(29_999);
      await expect(real.chain('AAPL', signal())).rejects.toMatchObject({ code: 'source.all_failed' });
      vi.setSystemTime(30_000);
      expect((await real.chain('AAPL', signal())).attempts).toMatchObject([{ ok: true }]);
      expect(yahoo.asked).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });

  test('that does not come in time is given up', async () => {
    const slow: ChainSource = { name: 'yahoo_finance', chain: () => new Promise(() => {}) };
    await expect(of([slow], { 'ranking.chains.timeout': 0.02 }).real.chain('AAPL', signal())).rejects.toMatchObject({
      message: expect.stringContaining('no answer within 20 ms'),
    });
  });
});
