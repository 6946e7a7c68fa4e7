/** Quotes of SPX and SPXW that expire on the same Friday, 2026-12-18, as Yahoo gives them. Invented prices at a volatility of 0.18, the root's own end of trading counted. */
import { expect, test } from 'vitest';
import { rankUnderlying } from '../../../../services/market/options/ranking/run.ts';
import { yahooChains } from '../../../../services/market/options/sources/yahoo.ts';
import { ManualClock } from '../../../../services/platform/clock.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

/** Strike, bid of the call, bid of the put; each ask is 0.2 above. */
type Row = readonly [number, number, number];
const SPX_BEFORE: readonly Row[] = [
  [5900, 101.36, 0.71],
  [5925, 77.86, 2.21],
  [5950, 56.21, 5.56],
  [5975, 37.52, 11.86],
  [6000, 22.78, 22.12],
  [6025, 12.38, 36.72],
  [6050, 5.93, 55.27],
  [6075, 2.45, 76.79],
  [6100, 0.84, 100.17],
];
const SPX_SETTLED: readonly Row[] = [
  [5950, 53.28, 3.15],
  [5975, 30.28, 5.14],
  [6000, 13.26, 13.13],
  [6025, 5.22, 30.08],
  [6050, 3.17, 53.03],
];
const SPXW: readonly Row[] = [
  [5950, 50.28, 0.15],
  [5975, 27.28, 2.14],
  [6000, 10.26, 10.13],
  [6025, 2.22, 27.08],
  [6050, 0.17, 50.03],
];
const SPXW_BEFORE: readonly Row[] = [
  [5950, 65.05, 13.62],
  [5975, 48.15, 21.71],
  [6000, 34.07, 32.63],
  [6025, 22.95, 46.5],
  [6050, 14.65, 63.19],
];

async function rank(now: string, roots: Readonly<Record<string, readonly Row[]>>) {
  const rows = (side: 'C' | 'P') =>
    Object.entries(roots).flatMap(([root, quotes]) =>
      quotes.map(([strike, call, put]) => {
        const bid = side === 'C' ? call : put;
        const contractSymbol = `${root}261218${side}0${strike * 1000}`;
        return {
          contractSymbol,
          strike,
          contractSize: 'REGULAR',
          bid,
          ask: bid + 0.2,
          volume: 50,
          openInterest: 500,
          impliedVolatility: 0.18,
        };
      }),
    );
  const expirationDate = Date.parse('2026-12-18T00:00:00Z') / 1000;
  const quote = { regularMarketPrice: 6000, regularMarketTime: Date.parse(now) / 1000 };
  const result = {
    underlyingSymbol: '^SPX',
    expirationDates: [expirationDate],
    strikes: [],
    quote,
    options: [{ expirationDate, hasMiniOptions: false, calls: rows('C'), puts: rows('P') }],
  };
  const source = yahooChains({
    clock: new ManualClock(now),
    fetch: async (input) => {
      const { pathname } = new URL(String(input));
      if (pathname === '/v1/test/getcrumb') return new Response('crumb');
      if (pathname.startsWith('/v7/finance/options/')) return Response.json({ optionChain: { result: [result], error: null } });
      return new Response('<html>', { headers: { 'set-cookie': 'A3=x; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure' } });
    },
  });
  const chain = await source.chain('^SPX', new AbortController().signal);
  const around = { trend: 'neutral', ivHistory: [], days: [], positions: [], rules: DEFAULT_RULES, dividendYield: 0 } as const;
  return rankUnderlying({ chain, mode: 'monitor', now: Temporal.Instant.from(now), ...around });
}

test('at 11:00 of the day SPX has been settled; the volatility is that of SPXW, 0.18, and not 0.1635', async () => {
  const { atmIv, ranked } = await rank('2026-12-18T16:00:00Z', { SPX: SPX_SETTLED, SPXW });
  expect(Math.abs(atmIv! - 0.18)).toBeLessThan(0.002);
  expect(ranked).toMatchObject({ total: 20, reasons: { expired: 10 } });
  expect(ranked.ranks.map(({ contract }) => contract.slice(0, 4))).toEqual(Array(ranked.eligible).fill('SPXW'));
});

test('a day before, SPX has 24 hours to the opening', async () => {
  const { atmIv } = await rank('2026-12-17T14:30:00Z', { SPX: SPX_BEFORE });
  expect(Math.abs(atmIv! - 0.18)).toBeLessThan(0.001);
});

test('SPXW has until the close', async () => {
  const { atmIv } = await rank('2026-12-16T16:00:00Z', { SPXW: SPXW_BEFORE });
  expect(Math.abs(atmIv! - 0.18)).toBeLessThan(0.001);
});
