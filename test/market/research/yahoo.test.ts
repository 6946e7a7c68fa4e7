/** Yahoo's `quoteSummary` and `search`, through yahoo-finance2. The shapes are those of its types (`quoteSummary-iface.d.ts`, `search.d.ts`), as the HTTP API sends them without `formatted`. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { yahooResearch } from '../../../services/market/research/yahoo.ts';
import { ManualClock } from '../../../services/platform/clock.ts';

const NOW = '2026-03-03T16:00:00Z';
const signal = new AbortController().signal;
const seconds = (moment: string): number => Date.parse(moment) / 1000;

const AAPL = {
  assetProfile: {
    sector: 'Technology',
    sectorKey: 'technology',
    industry: 'Consumer Electronics',
    industryKey: 'consumer-electronics',
    maxAge: 86400,
  },
  price: { quoteType: 'EQUITY', longName: 'Apple Inc.', currency: 'USD', marketCap: 3.2e12, maxAge: 1 },
  summaryDetail: { trailingPE: 31.2, dividendYield: 0.0041, fiveYearAvgDividendYield: 0.6, maxAge: 1 },
  defaultKeyStatistics: { trailingEps: 6.4, bookValue: 4.4, priceToBook: 49.1, maxAge: 1 },
  financialData: {
    financialCurrency: 'USD',
    returnOnEquity: 1.36,
    operatingMargins: 0.31,
    debtToEquity: 154.5,
    freeCashflow: 9.8e10,
    recommendationMean: 1.9,
    recommendationKey: 'buy',
    numberOfAnalystOpinions: 40,
    maxAge: 86400,
  },
  calendarEvents: {
    earnings: { earningsDate: [seconds('2026-04-30T20:00:00Z'), seconds('2026-05-04T20:00:00Z')], isEarningsDateEstimate: true },
    maxAge: 1,
  },
};

type Answer = unknown | ((url: URL) => Response);

/** Yahoo with these answers: `summary` is the first result, `news` the list. */
function yahoo({ summary = AAPL, news = [] }: { summary?: Answer; news?: unknown[] } = {}) {
  const asked: URL[] = [];
  let crumbs = 0;
  const source = yahooResearch({
    clock: new ManualClock(NOW),
    fetch: async (given) => {
      const url = new URL(String(given));
      if (url.pathname === '/v1/test/getcrumb') return new Response(`crumb-${++crumbs}`);
      if (url.pathname.startsWith('/v10/finance/quoteSummary')) {
        asked.push(url);
        return typeof summary === 'function' ? summary(url) : Response.json({ quoteSummary: { result: [summary], error: null } });
      }
      if (url.pathname === '/v1/finance/search') {
        asked.push(url);
        return Response.json({
          explains: [],
          count: news.length,
          quotes: [],
          news,
          nav: [],
          lists: [],
          researchReports: [],
          totalTime: 20,
        });
      }
      return new Response('<html>', { headers: { 'set-cookie': 'A3=x; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure' } });
    },
  });
  return { source, asked };
}

const fundamentalsOf = (summary: Answer, symbol = 'AAPL') => yahoo({ summary }).source.fundamentals(symbol, signal);

test('a whole answer: every figure in its unit, a debt of 154.5 percent as 1.545, a yield as a fraction, both ends of the earnings date', async () => {
  const { source, asked } = yahoo();
  const found = await source.fundamentals('AAPL', signal);
  expect(found).toMatchObject({
    ...{ symbol: 'AAPL', source: 'yahoo_finance', name: 'Apple Inc.', quoteType: 'EQUITY', currency: 'USD', financialCurrency: 'USD' },
    ...{ sectorKey: 'technology', sector: 'Technology', industryKey: 'consumer-electronics' },
    earnings: { from: '2026-04-30', to: '2026-05-04', isEstimate: true },
  });
  expect(found.values).toEqual({
    ...{
      marketCap: 3.2e12,
      trailingPe: 31.2,
      trailingEps: 6.4,
      bookValue: 4.4,
      priceToBook: 49.1,
      dividendYield: 0.0041,
      returnOnEquity: 1.36,
    },
    ...{ operatingMargins: 0.31, debtToEquity: 1.545, freeCashflow: 9.8e10, recommendationMean: 1.9, analysts: 40 },
  });
  expect(asked.length).toBe(1);
});

test('numbers as {raw, fmt} are read, and {} , null, text and infinity are none: no bad field costs another', async () => {
  const found = await fundamentalsOf({
    ...AAPL,
    price: { ...AAPL.price, marketCap: { raw: 5e9, fmt: '5B', longFmt: '5,000,000,000' } },
    summaryDetail: { trailingPE: {}, dividendYield: { raw: 0.02, fmt: '2.00%' } },
    defaultKeyStatistics: { trailingEps: null, bookValue: 'Infinity', priceToBook: { raw: null } },
    calendarEvents: { earnings: { earningsDate: [{ raw: seconds('2026-04-30T20:00:00Z'), fmt: '2026-04-30' }, {}, 1e20, 'soon'] } },
  });
  expect(found.values).toMatchObject({
    marketCap: 5e9,
    trailingPe: null,
    dividendYield: 0.02,
    trailingEps: null,
    bookValue: null,
    priceToBook: null,
    returnOnEquity: 1.36,
  });
  expect(found.earnings).toEqual({ from: '2026-04-30', to: '2026-04-30', isEstimate: true });
});

test.each([
  ['missing', {}],
  ['null', Object.fromEntries(Object.keys(AAPL).map((name) => [name, null]))],
  ['a text', Object.fromEntries(Object.keys(AAPL).map((name) => [name, 'n/a']))],
])('where every module is %s, all is null and nothing fails', async (_, summary) => {
  // The library itself prints what does not fit its schemas.
  vi.spyOn(console, 'log').mockReturnValue();
  onTestFinished(() => void vi.restoreAllMocks());
  const found = await fundamentalsOf(summary);
  expect(
    [...Object.values(found.values), found.sector, found.quoteType, found.earnings].filter((value) => value !== null && value !== 0),
  ).toEqual([]);
});

test('an ETF has no sector and no statements', async () => {
  const found = await fundamentalsOf(
    {
      price: { quoteType: 'ETF', longName: 'SPDR S&P 500 ETF Trust', currency: 'USD' },
      summaryDetail: { dividendYield: 0.011, trailingPE: 27 },
      defaultKeyStatistics: {},
    },
    'SPY',
  );
  expect(found).toMatchObject({ quoteType: 'ETF', sector: null, sectorKey: null, financialCurrency: null, earnings: null });
  expect(found.values).toMatchObject({ dividendYield: 0.011, returnOnEquity: null, freeCashflow: null });
});

test('a company of which Yahoo gives no yield pays none', async () => {
  expect((await fundamentalsOf({ ...AAPL, summaryDetail: { trailingPE: 20 } })).values.dividendYield).toBe(0);
});

test('after a refused crumb the request is made once more with a new one, and no message has a crumb', async () => {
  const { source, asked } = yahoo({
    summary: (url: URL) =>
      url.searchParams.get('crumb') === 'crumb-1'
        ? Response.json({ finance: { result: null, error: { code: 'Unauthorized', description: 'Invalid Crumb' } } }, { status: 401 })
        : Response.json({ quoteSummary: { result: [AAPL], error: null } }),
  });
  expect((await source.fundamentals('AAPL', signal)).name).toBe('Apple Inc.');
  expect(asked.map((url) => url.searchParams.get('crumb'))).toEqual(['crumb-1', 'crumb-2']);
});

test('a crumb that is always refused is tried twice, and then the caller is blocked', async () => {
  const { source, asked } = yahoo({
    summary: () =>
      Response.json({ finance: { result: null, error: { code: 'Unauthorized', description: 'Invalid Crumb' } } }, { status: 401 }),
  });
  const refusal = await source.fundamentals('AAPL', signal).catch((error: Error) => error);
  expect(refusal).toMatchObject({ code: 'source.blocked', message: expect.not.stringContaining('crumb-') });
  expect(asked.length).toBe(2);
});

test.each([
  ['429', () => new Response('Too Many Requests', { status: 429 }), 'source.rate_limited', 1],
  ['a page', () => new Response('<html>Will be right back'), 'source.malformed', 1],
  [
    'an unknown symbol',
    () =>
      Response.json(
        { quoteSummary: { result: null, error: { code: 'Not Found', description: 'Quote not found for symbol: AAPL' } } },
        { status: 404 },
      ),
    'source.unknown_symbol',
    1,
  ],
] as const)('%s is an error of its own and not asked again at once', async (_, respond, code, times) => {
  const { source, asked } = yahoo({ summary: respond });
  await expect(source.fundamentals('AAPL', signal)).rejects.toMatchObject({ code });
  expect(asked.length).toBe(times);
});

const article = (more: Record<string, unknown> = {}) => ({
  ...{
    uuid: '5b1e0b6c',
    title: 'Apple opens a plant',
    publisher: 'Reuters',
    link: 'https://finance.yahoo.com/news/a-1.html',
    type: 'STORY',
  },
  ...{ providerPublishTime: seconds('2026-03-03T13:30:00Z'), relatedTickers: ['AAPL', 'MSFT'], ...more },
});
const newsOf = async (...news: unknown[]) => (await yahoo({ news }).source.news('AAPL', signal)).items;

test('ten headlines without quotes are asked for, and each is stored with publisher, moment, symbols and link', async () => {
  const { source, asked } = yahoo({ news: [article()] });
  const { items } = await source.news('AAPL', signal);
  expect([asked[0]!.searchParams.get('newsCount'), asked[0]!.searchParams.get('quotesCount')]).toEqual(['10', '0']);
  expect(items).toEqual([
    {
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      ...{ title: 'Apple opens a plant', publisher: 'Reuters', tickers: ['AAPL', 'MSFT'], link: 'https://finance.yahoo.com/news/a-1.html' },
      publishedAt: Temporal.Instant.from('2026-03-03T13:30:00Z'),
    },
  ]);
});

test('headlines that do not name the symbol are left out', async () => {
  expect(
    await newsOf(article({ relatedTickers: ['MSFT'] }), article({ relatedTickers: undefined }), article({ relatedTickers: 'AAPL' })),
  ).toEqual([]);
});

test('an article with a senseless part is left out, and costs the others nothing', async () => {
  const bad = [
    { link: 'javascript:alert(1)' },
    { title: '' },
    { providerPublishTime: 1e20 },
    { providerPublishTime: -1e20 },
    { providerPublishTime: 'today' },
    { providerPublishTime: seconds('2027-01-01') },
  ];
  expect((await newsOf(...bad.map(article), null, 7, article())).length).toBe(1);
});

// U+202E turns the direction of what follows, U+200B has no width.
test.each([
  ['what turns the direction', 'Apple \u202Etnalp\u202C opens', 'Apple tnalp opens'],
  ['what has no width', 'Ap\u200Bple\uFEFF opens', 'Ap ple opens'],
  ['braces of slots', 'Apple {f1} opens', 'Apple f1 opens'],
  ['markup', '<b>Apple</b> `opens`', 'b Apple /b opens'],
  ['addresses', 'Apple opens https://evil.example/pay?x=1 today', 'Apple opens today'],
  ['lines', 'Apple\r\nopens\u2028today', 'Apple opens today'],
  ['forms of compatibility', 'Ａpple opens', 'Apple opens'],
])('a headline loses %s', async (_, title, clean) => {
  expect((await newsOf(article({ title })))[0]?.title).toBe(clean);
});

test('a headline of any length is at most 200 characters, and none of them is cut in half', async () => {
  const [item] = await newsOf(article({ title: `${'a'.repeat(198)}😀😀😀` }));
  expect(item!.title).toBe(`${'a'.repeat(198)}😀…`);
  expect(item!.title.isWellFormed()).toBe(true);
});
