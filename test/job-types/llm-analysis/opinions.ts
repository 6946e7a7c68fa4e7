/** What the tests of opinions have in common: a worker over a real ledger and database, a symbol with facts, and a model's server. */
import { expect, onTestFinished } from 'vitest';
import { analysisHandler } from '../../../services/job-types/analysis/handler.ts';
import { fetchHandler } from '../../../services/job-types/fetch/handler.ts';
import { llmAnalysisHandler } from '../../../services/job-types/llm-analysis/handler.ts';
import { type ModelAnalysis, readModelAnalysis } from '../../../services/job-types/llm-analysis/store.ts';
import { simulatedResearch } from '../../../services/market/research/simulated.ts';
import type { NewsItem } from '../../../services/market/research/source.ts';
import { storeFundamentals, storeNews } from '../../../services/market/research/store.ts';
import { newsId } from '../../../services/market/research/yahoo.ts';
import { simulatedSource } from '../../../services/market/sources/simulated.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { type Behaviour, type ModelRequest, type ModelServer, modelServer } from '../../support/model-server.ts';
import { type JobRow, type Overrides, workshopOfFile } from '../../worker/workshop.ts';

export const shop = await workshopOfFile({ 'jobs.retry_delay': 0.01 });

let symbols = 0;

/** A symbol with simulated prices, figures and headlines; `titles` in place of the headlines. Made-up facts are enough: what is tried is what the program does with an answer. */
export async function known(titles?: readonly string[]): Promise<string> {
  const symbol = `T${++symbols}`.replace(/\d/g, (digit) => 'ABCDEFGHIJ'[Number(digit)] as string);
  const research = simulatedResearch({ seed: 1, clock: systemClock });
  const signal = new AbortController().signal;
  const worker = shop.worker([fetchHandler, analysisHandler], { sources: [simulatedSource({ seed: 1, clock: systemClock })] });
  const ids = await shop.enqueue(
    { symbol, dedupeKey: `fetch:${symbol}:bars` },
    { type: 'analysis', symbol, payload: { symbol }, after: [`fetch:${symbol}:bars`] },
  );
  for (const id of ids) await shop.reaches(id, 'completed');
  await worker.drain(0);
  const [fundamentals, news] = [await research.fundamentals(symbol, signal), await research.news(symbol, signal)];
  const items = titles?.map((title, index): NewsItem => {
    const link = `https://news.invalid/${symbol}/${index}`;
    return { id: newsId(link), title, publisher: `Paper ${index}`, publishedAt: systemClock.now(), tickers: [symbol], link };
  });
  await shop.db.transaction(async (tx) => {
    await storeFundamentals(tx, [fundamentals]);
    await storeNews(tx, [{ ...news, items: items ?? news.items }]);
  });
  return symbol;
}

export async function server(behaviour: Behaviour | ((request: ModelRequest, index: number) => Behaviour)): Promise<ModelServer> {
  const started = await modelServer();
  started.behave(behaviour);
  onTestFinished(() => started.close());
  return started;
}

/** A good answer, with changes. */
export const answer = (more: Record<string, unknown> = {}): string =>
  JSON.stringify({
    sentiment: 0.4,
    recommendation: 'buy',
    confidence: 0.6,
    summary: 'The price moved {f2} in a day. The company is described by its figures.',
    drivers: [
      { direction: 'up', text: 'The close stands at {f1}.', facts: ['f1'] },
      { direction: 'up', text: 'The margins of the company speak for it.', facts: ['f2'] },
      { direction: 'down', text: 'The close can change soon.', facts: ['f1', 'f2'] },
    ],
    risks: [{ text: 'The market can turn.', facts: [] }],
    unknowns: ['Plans of the company.'],
    ...more,
  });

export const says = (more: Record<string, unknown> = {}): Behaviour => ({ kind: 'answer', text: answer(more) });

/** Overrides of a worker whose model is this server. */
export const modelAt = ({ url }: Pick<ModelServer, 'url'>, more: Overrides = {}): Overrides => ({
  'model.base_url': url,
  'model.name': 'tester',
  'model.price_in': 2,
  'model.price_out': 10,
  ...more,
});

/** Enqueues the job. */
export async function ask(symbol: string): Promise<string> {
  const [id] = await shop.enqueue({ type: 'llm_analysis', symbol, payload: { symbol }, dedupeKey: `llm_analysis:${symbol}` });
  return id as string;
}

export function work(overrides: Overrides) {
  return shop.worker([llmAnalysisHandler({ db: shop.db })], { overrides });
}

/** One job, run by a worker of its own until it has ended. */
export async function opinionOf(symbol: string, overrides: Overrides): Promise<JobRow> {
  const id = await ask(symbol);
  const worker = work(overrides);
  const job = await ended(id);
  await worker.drain(0);
  return job;
}

export async function ended(id: string): Promise<JobRow> {
  await expect
    .poll(async () => (await shop.job(id)).state, { timeout: 20_000, interval: 10 })
    .toMatch(/completed|failed|cancelled|expired/);
  return shop.job(id);
}

export const stored = (symbol: string): Promise<ModelAnalysis | undefined> => readModelAnalysis(shop.db, symbol);

/** The calls for a symbol: their intents, and how each ended. */
export async function calls(symbol: string): Promise<{ intent: string; state: string; payment: number }[]> {
  const rows = await shop.db.rows<{ intent_key: string; state: string; payment: number }>(
    'SELECT intent_key, state, payment FROM spend WHERE intent_key LIKE ? ORDER BY id',
    [`llm:${symbol}:%`],
  );
  return rows.map(({ intent_key, state, payment }) => ({ intent: intent_key.replace(/[0-9a-f]{64}/, 'HASH'), state, payment }));
}
