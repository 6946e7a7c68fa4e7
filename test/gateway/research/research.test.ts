import { beforeEach, expect, test } from 'vitest';
import { checkAnswer } from '../../../services/job-types/llm-analysis/answer.ts';
import { storeModelAnalyses } from '../../../services/job-types/llm-analysis/store.ts';
import { simulatedResearch } from '../../../services/market/research/simulated.ts';
import type { Fundamentals } from '../../../services/market/research/source.ts';
import { storeFundamentals, storeNews } from '../../../services/market/research/store.ts';
import { listedNames } from '../../../services/model/words/names.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { gatewayMesh } from '../mesh.ts';
import { barsThrough, storeSymbol } from '../routes/market-rows.ts';

const mesh = gatewayMesh();
const signal = new AbortController().signal;

async function store(symbol: string, change: Partial<Fundamentals> = {}, values: Partial<Fundamentals['values']> = {}) {
  const source = simulatedResearch({ seed: 1, clock: systemClock });
  const [made, news] = [await source.fundamentals(symbol, signal), await source.news(symbol, signal)];
  await mesh.db.transaction(async (tx) => {
    await storeFundamentals(tx, [{ ...made, ...change, values: { ...made.values, ...values } }]);
    await storeNews(tx, [news]);
  });
  return { made, news };
}

const get = async (path: string) => {
  const answer = await mesh.operator.get(`/v1/symbols/${path}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
};

test('figures are told with unit, currency, source and day, and headlines with publisher, time and link', async () => {
  const { news } = await store(
    'AAPL',
    { financialCurrency: 'EUR' },
    { marketCap: 3.2e12, dividendYield: 0.0123, freeCashflow: 1.5e9, analysts: 12, recommendationMean: 1.9 },
  );
  const body = await get('aapl/research');
  expect(body).toMatchObject({
    symbol: 'AAPL',
    disclaimer: expect.stringContaining('Not investment advice'),
    fundamentals: { source: 'simulated', simulated: true, stale: false },
  });
  const today = systemClock.now().toString().slice(0, 10);
  expect(body.fundamentals.values).toEqual(
    expect.arrayContaining([
      { name: 'marketCap', label: 'market value', value: 3.2e12, unit: 'money', currency: 'USD', shown: '3.2T USD', as_of: today },
      { name: 'dividendYield', label: 'dividend yield', value: 0.0123, unit: 'fraction', currency: null, shown: '1.2%', as_of: today },
      { name: 'freeCashflow', label: 'free cash flow', value: 1.5e9, unit: 'money', currency: 'EUR', shown: '1.5B EUR', as_of: today },
    ]),
  );
  expect(body.news.headlines.length).toBe(news.items.length);
  expect(body.news.headlines[0]).toEqual({
    id: news.items[0]!.id,
    title: news.items[0]!.title,
    publisher: 'Simulated News',
    published_at: expect.stringMatching(/Z$/),
    link: news.items[0]!.link,
    source: 'simulated',
  });
});

test('a figure that is not known is left out, and so is the mean of two analysts', async () => {
  await store('MSFT', {}, { trailingPe: null, analysts: 2, recommendationMean: 1 });
  const names = (await get('MSFT/research')).fundamentals.values.map(({ name }: { name: string }) => name);
  expect(names).not.toContain('trailingPe');
  expect(names).not.toContain('recommendationMean');
  expect(names).toContain('analysts');
});

test('a symbol without research is 404 with the request that fetches it', async () => {
  const { status, body } = await mesh.operator.get('/v1/symbols/NONE/research');
  expect([status, body.code]).toEqual([404, 'research.unknown']);
  expect(body.detail).toContain('{"type": "research", "symbol": "NONE"}');
});

test('without a model a request for its opinion is refused with the way out', async () => {
  const { status, body } = await mesh.operator.post('/v1/jobs', { type: 'llm_analysis', symbol: 'AAPL' });
  expect([status, body.code]).toEqual([400, 'model.off']);
  expect(body.detail).toContain('set model.base_url and model.name');
});

beforeEach(() => storeSymbol(mesh.db, 'IBM', barsThrough('2026-03-03', 300), new Date('2026-03-03T21:00:00Z')));

test('without an opinion the analysis says why there is none, and the technical one stands', async () => {
  expect(await get('IBM/analysis')).toMatchObject({
    analysis: { signal: expect.stringMatching(/buy|sell|hold/) },
    model_analysis: null,
    model_analysis_state: expect.stringContaining('no language model is configured'),
  });
});

test('the opinion of a model stands beside the technical analysis, labelled, with its facts and without its cost', async () => {
  const facts = [1, 2, 3].map((index) => ({
    ...{
      id: `f${index}`,
      symbol: 'IBM',
      kind: index === 3 ? ('indicator' as const) : ('price' as const),
      label: 'close',
      value: 100,
      unit: 'usd' as const,
    },
    ...{ as_of: '2026-03-03', source: 'yahoo_finance', shown: '100.00 USD', trust: 'measured' as const },
  }));
  const driver = { direction: 'up' as const, text: 'The close stands at {f1}.', facts: ['f1'] };
  const opinion = checkAnswer(
    { sentiment: 0.3, recommendation: 'buy', confidence: 0.7, summary: 'It is calm.', drivers: [driver, driver], risks: [], unknowns: [] },
    { symbol: 'IBM', facts, listed: listedNames([]) },
  );
  await mesh.db.transaction((tx) =>
    storeModelAnalyses(tx, [
      {
        ...{
          symbol: 'IBM',
          createdAt: new Date(),
          factsHash: Buffer.alloc(32),
          dataDate: '2026-03-03',
          model: 'tester',
          provider: 'localhost:1',
          spendId: 1,
        },
        staleAfter: new Date(Date.now() + 60_000),
        document: { schema: 1, facts, missing: [], opinion, repaired: false, simulated: false, spend_ids: [1], cost_usd: 0.5 },
      },
    ]),
  );
  const body = await get('IBM/analysis');
  expect(body.model_analysis).toMatchObject({
    disclaimer: expect.stringContaining('Not investment advice'),
    source: 'llm',
    model: 'tester',
    stale: false,
    recommendation: 'buy',
    confidence: 0.7,
    confidence_note: "the model's own, not calibrated",
    drivers: [{ text: 'The close stands at 100.00 USD.', facts: ['f1'] }, {}],
  });
  expect(JSON.stringify(body)).not.toMatch(/cost|spend/);
});
