import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { yahooChains } from '../../../../services/market/options/sources/yahoo.ts';
import { ManualClock } from '../../../../services/platform/clock.ts';
import { TransientError } from '../../../../services/platform/errors.ts';
import { describeWithData, sharedData } from '../../../support/shared-data.ts';

const recordings = sharedData('yahoo');
const signal = new AbortController().signal;
/** The recordings were made on this Monday before New York opened; the last trade of a share was on Friday. */
const NOW = '2025-02-24T12:00:00Z';

interface Result {
  expirationDates: number[];
  quote: Record<string, unknown>;
  options: { expirationDate: number; calls: Record<string, unknown>[]; puts: Record<string, unknown>[] }[];
}

function recording(symbol: string): Result {
  return JSON.parse(readFileSync(`${recordings}/options-${symbol}.json`, 'utf8')).body.optionChain.result[0];
}

const chainAnswer = (result: unknown) => Response.json({ optionChain: { result: result === undefined ? [] : [result], error: null } });
const seconds = (day: string) => Date.parse(`${day}T00:00:00Z`) / 1000;

/** A source whose questions `respond` answers; cookie and crumb are given to all who ask. `asked` has the dates of the questions, `paid` the tokens. */
function replay(respond: (date: number | undefined, init: RequestInit | undefined) => Response | Promise<Response>, concurrency?: number) {
  const asked: (number | undefined)[] = [];
  const seen = { requests: 0, paid: 0, crumbs: 0, asked };
  const source = yahooChains({
    clock: new ManualClock(NOW),
    ...(concurrency !== undefined && { concurrency }),
    budget: async (name) => {
      expect(name).toBe('yahoo_finance');
      seen.paid++;
    },
    fetch: async (input, init) => {
      const url = new URL(String(input));
      seen.requests++;
      if (url.pathname === '/v1/test/getcrumb') {
        seen.crumbs++;
        return new Response('crumb');
      }
      if (!url.pathname.startsWith('/v7/finance/options/')) {
        return new Response('<html>', { headers: { 'set-cookie': 'A3=x; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure' } });
      }
      const date = url.searchParams.get('date');
      asked.push(date === null ? undefined : Number(date));
      return respond(date === null ? undefined : Number(date), init);
    },
  });
  return { source, seen };
}

/** A chain of `days`, of which each answer holds one: calls and puts of two strikes. */
function resultOf(days: string[], day: string | undefined = days[0], time = '2025-02-24T15:00:00Z'): Result {
  const row = (side: 'C' | 'P', strike: number) => ({
    contractSymbol: `XYZ${day?.slice(2).replaceAll('-', '')}${side}${String(strike * 1000).padStart(8, '0')}`,
    strike,
    bid: 1,
    ask: 1.2,
    volume: 7,
    openInterest: 70,
    impliedVolatility: 0.3,
    contractSize: 'REGULAR',
    lastTradeDate: 1,
  });
  return {
    expirationDates: days.map(seconds),
    quote: { regularMarketPrice: 100, regularMarketTime: Date.parse(time) / 1000 },
    options:
      day === undefined
        ? []
        : [{ expirationDate: seconds(day), calls: [row('C', 95), row('C', 105)], puts: [row('P', 95), row('P', 105)] }],
  };
}
const DAYS = ['2025-02-28', '2025-03-07', '2025-03-14', '2025-03-21', '2025-03-28', '2025-04-04', '2025-04-17'];
const dayOf = (date: number | undefined) => (date === undefined ? DAYS[0] : new Date(date * 1000).toISOString().slice(0, 10));

describeWithData('yahoo', 'recorded answers of Yahoo', () => {
  /** A recording holds the first expiration; for each other one Yahoo answers with nothing. */
  const replayRecording = (symbol: string) => {
    const first = recording(symbol);
    return replay((date) =>
      chainAnswer(date === undefined ? first : { ...first, options: [{ expirationDate: date, calls: [], puts: [] }] }),
    );
  };

  // Counted in the recordings with Python's json.
  test.each([
    ['AAPL', 102, 1, 1, 19],
    ['ABBV', 47, 0, 0, 15],
    ['AMZN', 106, 0, 0, 19],
    ['BABA', 196, 1, 0, 19],
    ['BEKE', 36, 0, 0, 12],
    ['BFLY', 17, 0, 0, 3],
    ['CRON', 11, 1, 3, 5],
    ['EBAY', 47, 0, 1, 14],
    ['EPAC', 1, 0, 0, 2],
  ])('%s: %i contracts, %i with a bid, %i with an IV, %i expirations without an answer', async (symbol, contracts, bids, ivs, gaps) => {
    const chain = await replayRecording(symbol).source.chain(symbol, signal);
    expect({
      contracts: chain.contracts.length,
      bids: chain.bid.filter((bid) => bid > 0).length,
      ivs: chain.iv.filter((iv) => iv > 0).length,
      gaps: chain.gaps?.length,
    }).toEqual({ contracts, bids, ivs, gaps });
  });

  test('the one quoted contract of AAPL, as of the underlying’s last trade', async () => {
    const chain = await replayRecording('AAPL').source.chain('aapl', signal);
    const i = chain.contracts.indexOf('AAPL250228C00110000');
    expect(chain).toMatchObject({ underlying: 'AAPL', source: 'yahoo_finance', spot: 245.55, expirations: ['2025-02-28'] });
    expect(chain.asOf.toString()).toBe('2025-02-21T21:00:02Z');
    expect([chain.bid[i], chain.ask[i], chain.iv[i], chain.strike[i], chain.isPut[i], chain.quotedAt[i]]).toEqual([
      135.9,
      136.65,
      3.58593853515625,
      110,
      0,
      Date.parse('2025-02-21T21:00:02Z'),
    ]);
    expect(chain.delta[i]).toBeNaN();
  });

  test('without a quote there is no bid of 0 and no IV', async () => {
    const { contracts, bid, ask, iv, volume } = await replayRecording('AAPL').source.chain('AAPL', signal);
    const i = contracts.indexOf('AAPL250228P00212500');
    expect([bid[i], ask[i], iv[i], volume[i]]).toEqual([Number.NaN, Number.NaN, Number.NaN, 2640]);
  });

  test('every underlying without listed options is permanent', async () => {
    const symbols = readdirSync(recordings).flatMap((name) => /^options-(.+)\.json$/.exec(name)?.[1] ?? []);
    const empty = symbols.filter((symbol) => recording(symbol).expirationDates.length === 0);
    expect(empty).toHaveLength(9);
    for (const symbol of empty) {
      await expect(replayRecording(symbol).source.chain(symbol, signal), symbol).rejects.toMatchObject({
        name: 'PermanentError',
        code: 'chain.empty',
        message: expect.stringContaining(symbol),
      });
    }
  });
});

describe('a chain of several expirations', () => {
  test('is asked for once without a date and once for each other expiration, at most so many at a time', async () => {
    let running = 0;
    let most = 0;
    const { source, seen } = replay(async (date) => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running--;
      return chainAnswer(resultOf(DAYS, dayOf(date)));
    }, 3);
    const chain = await source.chain('XYZ', signal);
    expect(seen.asked).toEqual([undefined, ...DAYS.slice(1).map(seconds)]);
    expect(most).toBe(3);
    expect(chain.expirations).toEqual(DAYS);
    expect(chain.contracts).toHaveLength(28);
    expect(chain.gaps).toBeUndefined();
  });

  test('is asked for four expirations at a time unless told otherwise', async () => {
    let running = 0;
    let most = 0;
    const { source } = replay(async (date) => {
      most = Math.max(most, ++running);
      for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
      running--;
      return chainAnswer(resultOf(DAYS, dayOf(date)));
    });
    await source.chain('XYZ', signal);
    expect(most).toBe(4);
  });

  test('is of now where Yahoo stamps it ahead of this clock', async () => {
    const { source } = replay((date) => chainAnswer(resultOf(DAYS.slice(0, 1), dayOf(date), '2025-02-24T12:00:05Z')));
    const { asOf, quotedAt } = await source.chain('XYZ', signal);
    expect([asOf.toString(), new Date(quotedAt[0]!).toISOString()]).toEqual([NOW, '2025-02-24T12:00:00.000Z']);
  });

  test('has an expiration of puts alone, and a quote of one side alone', async () => {
    const { source } = replay((date) => {
      const result = resultOf(DAYS.slice(0, 1), dayOf(date));
      result.options[0]!.calls = [];
      Object.assign(result.options[0]!.puts[0]!, { bid: 0, ask: 1.2 });
      Object.assign(result.options[0]!.puts[1]!, { bid: 1, ask: undefined });
      return chainAnswer(result);
    });
    const { contracts, bid, ask, iv, gaps } = await source.chain('XYZ', signal);
    expect(gaps).toBeUndefined();
    expect(contracts).toEqual(['XYZ250228P00095000', 'XYZ250228P00105000']);
    expect([[...bid], [...ask], [...iv]]).toEqual([
      [0, 1],
      [1.2, Number.NaN],
      [0.3, 0.3],
    ]);
  });

  test('costs what the newest answer with a price says', async () => {
    const { source } = replay((date) => {
      const result = resultOf(DAYS.slice(0, 2), dayOf(date), date === undefined ? '2025-02-24T11:00:00Z' : '2025-02-24T11:00:09Z');
      if (date !== undefined) result.quote.regularMarketPrice = null;
      return chainAnswer(result);
    });
    const { spot, asOf } = await source.chain('XYZ', signal);
    expect([spot, asOf.toString()]).toEqual([100, '2025-02-24T11:00:00Z']);
  });

  test('has quotes of cents, and no volatility where a row has no quote at all', async () => {
    const { source } = replay(() => {
      const result = resultOf(DAYS.slice(0, 1));
      const [cheap, none] = result.options[0]!.calls as [Record<string, unknown>, Record<string, unknown>];
      Object.assign(cheap, { bid: 0.5, ask: 0.8 });
      Object.assign(none, { bid: undefined, ask: undefined });
      Object.assign(result.options[0]!.puts[0]!, { bid: 0, ask: 0.05 });
      Object.assign(result.options[0]!.puts[1]!, { contractSize: undefined });
      return chainAnswer(result);
    });
    const { bid, ask, iv, contracts } = await source.chain('XYZ', signal);
    expect(contracts).toHaveLength(4);
    expect([[...bid], [...ask], [...iv]]).toEqual([
      [0.5, Number.NaN, 0, 1],
      [0.8, Number.NaN, 0.05, 1.2],
      [0.3, Number.NaN, 0.3, 0.3],
    ]);
  });

  test('takes one token of the budget for each HTTP request', async () => {
    const { source, seen } = replay((date) => chainAnswer(resultOf(DAYS, dayOf(date))));
    await source.chain('XYZ', signal);
    expect(seen.paid).toBe(seen.requests);
    expect(seen.paid).toBeGreaterThanOrEqual(DAYS.length);
  });

  test('is one for all who ask meanwhile', async () => {
    const { source, seen } = replay((date) => chainAnswer(resultOf(DAYS, dayOf(date))));
    const [one, two] = await Promise.all([source.chain('XYZ', signal), source.chain('xyz', signal)]);
    expect(two).toBe(one);
    expect(seen.asked).toHaveLength(DAYS.length);
  });

  test('costs what the newest of its answers says, each contract quoted at the time of its own', async () => {
    const { source } = replay((date) => {
      const result = resultOf(DAYS.slice(0, 2), dayOf(date), date === undefined ? '2025-02-24T11:00:00Z' : '2025-02-24T11:00:09Z');
      if (date !== undefined) result.quote.regularMarketPrice = 101;
      return chainAnswer(result);
    });
    const chain = await source.chain('XYZ', signal);
    expect([chain.spot, chain.asOf.toString()]).toEqual([101, '2025-02-24T11:00:09Z']);
    expect([...chain.quotedAt].map((ms) => new Date(ms).toISOString().slice(11, 19))).toEqual([
      ...Array(4).fill('11:00:00'),
      ...Array(4).fill('11:00:09'),
    ]);
  });

  test('goes on without an expiration that Yahoo has nothing for, and says so', async () => {
    const { source } = replay((date) => {
      const result = resultOf(DAYS, dayOf(date));
      if (date === seconds('2025-03-14')) result.options = [{ expirationDate: date, calls: [], puts: [] }];
      return chainAnswer(result);
    });
    const chain = await source.chain('XYZ', signal);
    expect(chain.expirations).not.toContain('2025-03-14');
    expect(chain.gaps).toEqual([{ expiry: '2025-03-14', reason: 'Yahoo lists this expiration without contracts' }]);
  });

  test('fails as a whole when one expiration fails, and asks no further', async () => {
    const { source, seen } = replay(
      (date) => (date === seconds('2025-03-07') ? new Response('', { status: 503 }) : chainAnswer(resultOf(DAYS, dayOf(date)))),
      1,
    );
    await expect(source.chain('XYZ', signal)).rejects.toMatchObject({ name: 'TransientError', code: 'source.unavailable' });
    expect(seen.asked).toHaveLength(2);
  });

  test('drops rows that cannot be read, minis and adjusted contracts, and counts them', async () => {
    const { source } = replay(() => {
      const result = resultOf(DAYS.slice(0, 1));
      const [calls, puts] = [result.options[0]!.calls, result.options[0]!.puts];
      calls[0]!.bid = 'cheap';
      puts[0]!.contractSize = 'MINI';
      puts[1]!.contractSymbol = 'XYZ1250228P00105000';
      return chainAnswer(result);
    });
    const chain = await source.chain('XYZ', signal);
    expect(chain.contracts).toEqual(['XYZ250228C00105000']);
    expect(chain.gaps?.map(({ contracts, reason }) => [contracts, reason.slice(0, 40)])).toEqual([
      [1, 'a field of the row cannot be read: bid'],
      [1, 'the contract is not for 100 shares: MINI'],
      [1, 'the contract is adjusted: it does not de'],
    ]);
  });

  test('an IV at the floor of Yahoo’s solver is none', async () => {
    const { source } = replay(() => {
      const result = resultOf(DAYS.slice(0, 1));
      result.options[0]!.calls[0]!.impliedVolatility = 1.0000000000000003e-5;
      return chainAnswer(result);
    });
    const { contracts, iv } = await source.chain('XYZ', signal);
    expect(iv[contracts.indexOf('XYZ250228C00095000')]).toBeNaN();
    expect(iv[contracts.indexOf('XYZ250228C00105000')]).toBe(0.3);
  });
});

describe('errors', () => {
  const refusal = (status: number, code: string, description: string, key = 'optionChain') =>
    Response.json({ [key]: { result: null, error: { code, description } } }, { status });

  test.each<[string, () => Response, string, string]>([
    ['an empty result', () => chainAnswer(undefined), 'PermanentError', 'source.unknown_symbol'],
    ['Yahoo’s own 404', () => refusal(404, 'Not Found', 'No data found'), 'PermanentError', 'source.unknown_symbol'],
    ['500', () => new Response('oops', { status: 500 }), 'TransientError', 'source.unavailable'],
    ['a proxy’s 404', () => new Response('<html>', { status: 404 }), 'TransientError', 'source.refused'],
    ['a page instead of JSON', () => new Response('<html>consent</html>'), 'TransientError', 'source.malformed'],
    ['JSON of another kind', () => Response.json({ quoteResponse: {} }), 'TransientError', 'source.malformed'],
    ['a chain without a price', () => chainAnswer({ ...resultOf(DAYS.slice(0, 1)), quote: {} }), 'TransientError', 'source.malformed'],
    [
      'expirations that are words',
      () => chainAnswer({ ...resultOf(DAYS), expirationDates: ['soon'] }),
      'TransientError',
      'source.malformed',
    ],
  ])('%s', async (_, respond, name, code) => {
    await expect(replay(respond).source.chain('XYZ', signal)).rejects.toMatchObject({
      name,
      code,
      message: expect.stringMatching(/^yahoo_finance: /),
    });
  });

  test('429 is transient and says when to come again', async () => {
    const { source } = replay(() => new Response('', { status: 429, headers: { 'retry-after': '17' } }));
    await expect(source.chain('XYZ', signal)).rejects.toMatchObject({
      name: 'TransientError',
      code: 'source.rate_limited',
      retryAfterMs: 17_000,
    });
  });

  test('a used-up budget is what it is', async () => {
    const source = yahooChains({
      clock: new ManualClock(NOW),
      fetch: () => Promise.reject(new Error('nobody may ask')),
      budget: () => Promise.reject(new TransientError('source.rate_limited', 'used up', { retryAfterMs: 9 })),
    });
    await expect(source.chain('XYZ', signal)).rejects.toMatchObject({ code: 'source.rate_limited', retryAfterMs: 9 });
  });

  test('a crumb that Yahoo takes no more is transient, and a new one is fetched for the next question', async () => {
    let refused = false;
    const { source, seen } = replay((date) => {
      if (refused) return chainAnswer(resultOf(DAYS, dayOf(date)));
      refused = true;
      return refusal(401, 'Unauthorized', 'Invalid Crumb', 'finance');
    });
    await expect(source.chain('XYZ', signal)).rejects.toMatchObject({ name: 'TransientError', code: 'source.blocked' });
    const before = seen.crumbs;
    expect((await source.chain('XYZ', signal)).expirations).toHaveLength(DAYS.length);
    expect(seen.crumbs).toBe(before + 1);
  });

  test('any other error keeps the crumb', async () => {
    let down = true;
    const { source, seen } = replay((date) => (down ? new Response('', { status: 503 }) : chainAnswer(resultOf(DAYS, dayOf(date)))));
    await expect(source.chain('XYZ', signal)).rejects.toMatchObject({ code: 'source.unavailable' });
    const before = seen.crumbs;
    down = false;
    await source.chain('XYZ', signal);
    expect(seen.crumbs).toBe(before);
  });

  test('a cookie page without a cookie is about the caller, not about the symbol', async () => {
    const source = yahooChains({ clock: new ManualClock(NOW), fetch: async () => new Response('<html>consent</html>') });
    await expect(source.chain('XYZ', signal)).rejects.toMatchObject({ name: 'TransientError', code: 'source.blocked' });
  });

  test("an abort rejects with the caller's reason and stops the request", async () => {
    const controller = new AbortController();
    const { source } = replay((_, init) => {
      queueMicrotask(() => controller.abort(new Error('cancelled by hand')));
      return new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
    });
    await expect(source.chain('XYZ', controller.signal)).rejects.toThrow('cancelled by hand');
  });
});
