import { describe, expect, test } from 'vitest';
import { queueOfLevel } from '../../services/ledger/job.ts';
import { decisionRules, type Occasion, startDeciding, type Viewer } from '../../services/logins/decision.ts';
import type { SymbolState } from '../../services/market/bars/read.ts';
import { loadConfig } from '../../services/platform/config/load.ts';

const rules = decisionRules(loadConfig({ env: {} }).config);
// A Tuesday, 11:00 in New York: the session has run since 14:30 UTC.
const now = Temporal.Instant.from('2026-03-03T16:00:00Z');
const ago = (minutes: number): Date => new Date(now.epochMilliseconds - minutes * 60_000);

function state(symbol: string, more: Partial<SymbolState> = {}): [string, SymbolState] {
  const fresh: SymbolState = {
    symbol,
    newestBar: '2026-03-03',
    asOf: ago(1),
    checkedAt: ago(1),
    close: 100,
    currency: 'USD',
    timeZone: 'America/New_York',
    source: 'yahoo_finance',
    analysedAt: ago(1),
    analysedBar: '2026-03-03',
    analysedAsOf: ago(1),
    volatility: 0.3,
  };
  return [symbol, { ...fresh, ...more }];
}
const viewer = (user: string, symbols: string[], more: Partial<Viewer> = {}): Viewer => ({
  user,
  logins: 1,
  holdings: symbols.map((symbol) => ({ symbol, quantity: 10, cost: 90 })),
  ...more,
});
const decideFor = (viewers: Viewer[], ...states: [string, SymbolState][]) => decideOn(undefined, viewers, ...states);
function decideOn(occasion: Occasion | undefined, viewers: Viewer[], ...states: [string, SymbolState][]) {
  const { add, requests, of } = startDeciding(new Map(states), now, rules, occasion);
  viewers.forEach(add);
  return { requests: requests(), byUser: new Map(viewers.map((one) => [one.user, of(one)])) };
}

test('what is fresh is not asked for, and the finding says how fresh', () => {
  const { requests, byUser } = decideFor([viewer('alice', ['AAPL'])], state('AAPL'));
  expect(requests).toEqual([]);
  expect(byUser.get('alice')).toEqual([
    {
      symbol: 'AAPL',
      state: 'fresh',
      finding:
        'price fresh: live bar 1 min old, threshold 5 min (market open); analysis fresh: analysis 1 min old, threshold 6 h (market open)',
    },
  ]);
});

test('what the sources have nothing newer of is not asked for again, and is not called fresh', () => {
  const old = state('AAPL', {
    newestBar: '2021-03-31',
    asOf: new Date('2021-03-31T20:00:00Z'),
    checkedAt: ago(2),
    analysedBar: '2021-03-31',
  });
  const { requests, byUser } = decideFor([viewer('alice', ['AAPL'])], old);
  expect(requests).toEqual([]);
  // Sessions of the NYSE: 191 from April to December 2021, then 251, 250, 252 and 250 a year, 41 of 2026 to 3 March.
  expect(byUser.get('alice')).toEqual([
    {
      symbol: 'AAPL',
      state: 'outdated',
      finding:
        'price outdated: newest bar 2021-03-31, 1,235 sessions behind, checked 2 min ago; analysis outdated: analysis 1 min old, of the bar of 2021-03-31, which is not of the newest session',
    },
  ]);
});

test('what the sources have nothing of at all is asked for again after the threshold, and not analysed meanwhile', () => {
  const nothing = { newestBar: null, asOf: null, close: null, analysedAt: null, analysedBar: null, analysedAsOf: null, volatility: null };
  const { requests, byUser } = decideFor([viewer('alice', ['AAPL'])], state('AAPL', { ...nothing, checkedAt: ago(2) }));
  expect(requests).toEqual([]);
  expect(byUser.get('alice')).toMatchObject([{ symbol: 'AAPL', state: 'missing' }]);
  const later = decideFor([viewer('alice', ['AAPL'])], state('AAPL', { ...nothing, checkedAt: ago(6) }));
  expect(later.requests.map(({ type }) => type)).toEqual(['fetch', 'analysis']);
});

test('what was never fetched is fetched in the foreground, then analysed in the background', () => {
  const { requests } = decideFor([viewer('alice', ['AAPL'])]);
  expect(requests).toMatchObject([
    {
      type: 'fetch',
      payload: { symbol: 'AAPL' },
      dedupeKey: 'fetch:AAPL:bars',
      user: 'alice',
      triggeredBy: 'user_login',
      whenFull: 'next_queue',
    },
    { type: 'analysis', payload: { symbol: 'AAPL' }, dedupeKey: 'analysis:AAPL', after: ['fetch:AAPL:bars'] },
  ]);
  expect(requests.map(({ level }) => queueOfLevel(level))).toEqual(['foreground', 'background_analysis']);
});

test('a fresh price with a stale analysis is only analysed', () => {
  const { requests } = decideFor([viewer('alice', ['AAPL'])], state('AAPL', { analysedAt: ago(361) }));
  expect(requests.map(({ type }) => type)).toEqual(['analysis']);
});

test('a stale price is analysed anew, fresh as its analysis may be', () => {
  const { requests } = decideFor([viewer('alice', ['AAPL'])], state('AAPL', { asOf: ago(6), checkedAt: ago(6) }));
  expect(requests.map(({ type }) => type)).toEqual(['fetch', 'analysis']);
});

test('each job is scored by the age of what it renews', () => {
  const { requests } = decideFor([viewer('alice', ['AAPL'])], state('AAPL', { asOf: ago(6), checkedAt: ago(6), analysedAt: ago(72) }));
  // data_age = age / (2 × threshold), weight 0.2: 6 of 10 minutes, 72 of 720.
  expect(requests.map(({ points }) => points[2])).toEqual([expect.closeTo(0.12, 9), expect.closeTo(0.02, 9)]);
});

test('the factors add up to the score, and stand in the reasons of the job', () => {
  const { requests } = decideFor([viewer('alice', ['AAPL'])]);
  for (const { points, score, why } of requests) {
    expect(points.reduce((sum, part) => sum + part, 0)).toBeCloseTo(score, 9);
    expect(why).toMatchObject({
      score,
      text: expect.any(String),
      freshness: expect.any(String),
      factors: { user_activity: { weight: 0.4 } },
    });
  }
});

test('of all who ask for a job the most urgent one carries the factors, in whatever order they come', () => {
  const idle = viewer('idle', ['AAPL'], { logins: 0 });
  const busy = viewer('busy', ['AAPL'], { logins: 10 });
  for (const viewers of [
    [idle, busy],
    [busy, idle],
  ]) {
    const { requests } = decideFor(viewers);
    const best = requests.filter(({ type }) => type === 'fetch').toSorted((a, b) => a.level - b.level || b.score - a.score)[0];
    expect(best).toMatchObject({ user: 'busy', why: { factors: { user_activity: { value: 1 } } } });
  }
});

test('all fetches of a batch come before all analyses', () => {
  const { requests, byUser } = decideFor([viewer('alice', ['AAPL', 'SPY']), viewer('bob', ['IBM'])]);
  expect(requests.map(({ type }) => type)).toEqual(['fetch', 'fetch', 'fetch', 'analysis', 'analysis', 'analysis']);
  const [decision] = byUser.get('bob')!;
  expect([decision!.fetch, decision!.analysis].map((asked) => requests[asked!.at]?.symbol)).toEqual(['IBM', 'IBM']);
});

test('a symbol of which nothing is known counts by what that means: oldest data, unknown price, middling volatility', () => {
  const { requests } = decideFor([viewer('alice', [], { holdings: [{ symbol: 'NEVER', quantity: 1, cost: null }] })]);
  // Weights 0.4, 0.3, 0.2, 0.1: one of ten logins, half, all, half.
  for (const { points } of requests) expect(points).toEqual([0.04, 0.15, 0.2, 0.05]);
});

test('what several want is one request, for all of them, and each is told the own reasons', () => {
  const logins = { idle: 0, busy: 10, usual: 1 };
  const { requests, byUser } = decideFor(Object.entries(logins).map(([user, count]) => viewer(user, ['AAPL'], { logins: count })));
  expect(requests.map(({ type, user, alsoFor }) => [type, user, alsoFor.toSorted()])).toEqual([
    ['fetch', 'busy', ['idle', 'usual']],
    ['analysis', 'busy', ['idle', 'usual']],
  ]);
  const asked = Object.keys(logins).map((user) => byUser.get(user)![0]!.fetch!);
  // Weight 0.4 of none, of all and of one of ten logins.
  expect(asked.map(({ points }) => points[0])).toEqual([0, 0.4, 0.04]);
  for (const { text } of asked) expect(text).toMatch(/^user_login, data missing: priority \d of 1-3; score 0\.\d\d = /);
});

test('work before a login that is expected is background work, and refused where there is no room', () => {
  const occasion = { fetch: 'scheduled_update', analysis: 'background_analysis', triggeredBy: 'predictive', whenFull: 'refuse' } as const;
  const { requests } = decideOn(occasion, [viewer('alice', ['AAPL'])]);
  expect(requests.map(({ level, whenFull, triggeredBy }) => [queueOfLevel(level), whenFull, triggeredBy])).toEqual([
    ['background_fetch', 'refuse', 'predictive'],
    ['background_analysis', 'refuse', 'predictive'],
  ]);
});

describe('the value of a holding', () => {
  // portfolio_value = ln(value / 1000) / ln(1,000,000 / 1000), weight 0.3.
  const pointsOf = (holding: Partial<Viewer['holdings'][number]>, more: Partial<SymbolState>) =>
    decideFor(
      [viewer('alice', [], { holdings: [{ symbol: 'AAPL', quantity: 100, cost: 10, ...holding }] })],
      state('AAPL', { asOf: ago(6), checkedAt: ago(6), ...more }),
    ).requests[0]!.points[1];

  test('is its quantity at the newest close', () => {
    expect(pointsOf({}, { close: 100 })).toBeCloseTo(0.3 * (Math.log(10) / Math.log(1000)), 9);
  });

  test('is what it cost while there is no close', () => {
    expect(pointsOf({ cost: 100 }, { close: null })).toBeCloseTo(0.3 * (Math.log(10) / Math.log(1000)), 9);
  });

  test('is the same for a short position', () => {
    expect(pointsOf({ quantity: -100 }, { close: 100 })).toBeCloseTo(0.1, 9);
  });

  test('counts nothing when the symbol is only watched', () => {
    expect(pointsOf({ quantity: 0 }, {})).toBe(0);
  });

  test.each([
    ['its rate', {}, { close: 100, currency: 'DKK' }],
    ['its price', { cost: null }, { close: null }],
    ['its currency', { symbol: 'VOD.L' }, { currency: null }],
  ])('counts half as long as %s is unknown', (_, holding, more) => {
    expect(pointsOf(holding, more)).toBeCloseTo(0.15, 9);
  });

  // 100 shares at 800 pence are 800 pounds; at 1.25 dollars a pound 1,000 dollars, a hundred times as much 100,000.
  test.each([
    [800, 0],
    [80_000, 0.3 * (Math.log(100) / Math.log(1000))],
  ])('in pence counts in dollars: 100 shares at %d', (close, points) => {
    const { requests } = decideFor(
      [viewer('alice', [], { holdings: [{ symbol: 'VOD.L', quantity: 100, cost: null }] })],
      state('VOD.L', { close, currency: 'GBp', checkedAt: ago(40), asOf: ago(40) }),
      state('GBPUSD=X', { close: 1.25 }),
    );
    expect(requests[0]).toMatchObject({ type: 'fetch', symbol: 'VOD.L' });
    expect(requests[0]!.points[1]).toBeCloseTo(points, 9);
  });
});

describe('the rate of another currency', () => {
  const held = (quantity: number) => viewer('alice', [], { holdings: [{ symbol: 'VOD.L', quantity, cost: null }] });
  const share = state('VOD.L', { currency: 'GBp' });
  const asked = (viewers: Viewer[], ...states: [string, SymbolState][]) =>
    decideFor(viewers, share, ...states).requests.map(({ type, symbol }) => `${type} ${symbol}`);

  test('is fetched like any symbol, and not analysed; it stands beside the holdings', () => {
    const { requests, byUser } = decideFor([held(10)], share);
    expect(requests).toMatchObject([
      { type: 'fetch', symbol: 'GBPUSD=X', dedupeKey: 'fetch:GBPUSD=X:bars', user: 'alice', triggeredBy: 'user_login' },
    ]);
    expect(byUser.get('alice')).toMatchObject([
      { symbol: 'VOD.L', state: 'fresh' },
      { symbol: 'GBPUSD=X', rate: true, fetch: { at: 0 } },
    ]);
  });

  test('is asked for once for all users, and not while it is fresh', () => {
    expect(asked([held(10), { ...held(5), user: 'bob' }])).toEqual(['fetch GBPUSD=X']);
    expect(asked([held(10)], state('GBPUSD=X', { close: 1.25 }))).toEqual([]);
  });

  test('is not needed for a symbol that is only watched', () => {
    expect(asked([held(0)])).toEqual([]);
  });

  test('that the user holds too is one symbol', () => {
    const both = viewer('alice', [], {
      holdings: [
        { symbol: 'GBPUSD=X', quantity: 1, cost: 1 },
        { symbol: 'VOD.L', quantity: 1, cost: 1 },
      ],
    });
    expect(asked([both])).toEqual(['fetch GBPUSD=X', 'analysis GBPUSD=X']);
  });
});

test('a holding that no import would have let in is refused with its user and its symbol', () => {
  expect(() => decideFor([viewer('alice', ['AA PL'])])).toThrow(
    expect.objectContaining({
      code: 'symbol.invalid',
      message: expect.stringContaining('user "alice" holds "AA PL": symbol "AA PL" contains a space'),
    }),
  );
  expect(() => decideFor([viewer('alice', ['aapl'])])).toThrow('it is spelled AAPL');
});
