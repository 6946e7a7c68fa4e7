/** Alpha Vantage's `OVERVIEW` and `NEWS_SENTIMENT` in the form of its documentation: texts for numbers, errors with HTTP 200. */
import { expect, test } from 'vitest';
import { alphaVantageResearch } from '../../../services/market/research/alpha-vantage.ts';
import { ManualClock } from '../../../services/platform/clock.ts';

const KEY = 'SECRET+KEY/1';
const signal = new AbortController().signal;

function source(answer: unknown, status = 200) {
  const asked: URL[] = [];
  const made = alphaVantageResearch({
    apiKey: KEY,
    clock: new ManualClock('2026-03-03T16:00:00Z'),
    fetch: async (url) => {
      asked.push(new URL(String(url)));
      return new Response(typeof answer === 'string' ? answer : JSON.stringify(answer), { status });
    },
  });
  return { ...made, asked };
}

const OVERVIEW = {
  ...{ Symbol: 'IBM', AssetType: 'Common Stock', Name: 'International Business Machines', Currency: 'USD', Sector: 'TECHNOLOGY' },
  ...{ Industry: 'COMPUTER & OFFICE EQUIPMENT', MarketCapitalization: '160000000000', PERatio: '22.1', EPS: '7.9', BookValue: '25.3' },
  ...{ PriceToBookRatio: '6.9', DividendYield: '0.0382', ReturnOnEquityTTM: '0.351', OperatingMarginTTM: '0.137' },
};

test('texts are numbers, "None" and "-" are none, and sectors have the ids of the other source', async () => {
  const found = await source({ ...OVERVIEW, PERatio: 'None', EPS: '-', BookValue: '' }).fundamentals('IBM', signal);
  expect(found).toMatchObject({
    source: 'alpha_vantage',
    quoteType: 'EQUITY',
    sectorKey: 'technology',
    industryKey: 'computer-office-equipment',
  });
  expect(found.values).toMatchObject({
    marketCap: 1.6e11,
    trailingPe: null,
    trailingEps: null,
    bookValue: null,
    dividendYield: 0.0382,
    debtToEquity: null,
  });
});

test.each([
  [
    'the limit of requests',
    { Note: `Thank you for using Alpha Vantage! Our standard API rate limit is 25 requests per day. ${KEY}` },
    'source.rate_limited',
  ],
  [
    'the limit in its newer form',
    { Information: 'We have detected your API key as SECRET+KEY/1 and our standard API rate limit is 25 requests per day.' },
    'source.rate_limited',
  ],
  ['a wrong key', { Information: `the parameter apikey is invalid or missing: ${KEY}` }, 'source.denied'],
  ['an error', { 'Error Message': `Invalid API call for ${encodeURIComponent(KEY)}. Please retry` }, 'source.unknown_symbol'],
  ['an unknown symbol', {}, 'source.unknown_symbol'],
  ['a page', '<html>', 'source.malformed'],
])('%s with HTTP 200 is an error, and no message has the key', async (_, answer, code) => {
  const error = await source(answer)
    .fundamentals('IBM', signal)
    .catch((refusal: Error) => refusal);
  expect(error).toMatchObject({ code });
  for (const key of [KEY, encodeURIComponent(KEY)]) expect((error as Error).message).not.toContain(key);
});

const article = (more: Record<string, unknown> = {}) => ({
  ...{ title: 'IBM opens a plant', url: 'https://news.example/ibm-1', time_published: '20260303T133000', source: 'Paper' },
  ...{ ticker_sentiment: [{ ticker: 'IBM', relevance_score: '0.9' }], ...more },
});

test('headlines that name the symbol are taken; an article with a senseless part costs the others nothing', async () => {
  const bad = [
    { time_published: '20261399T256199' },
    { time_published: 'soon' },
    { url: 'ftp://x' },
    { title: '' },
    { ticker_sentiment: [{ ticker: 'AAPL' }] },
    { ticker_sentiment: 'IBM' },
  ];
  const { items } = await source({ items: '7', feed: [...bad.map(article), null, article()] }).news('IBM', signal);
  expect(items.map(({ title, publishedAt }) => [title, publishedAt.toString()])).toEqual([['IBM opens a plant', '2026-03-03T13:30:00Z']]);
});
