import { expect, test } from 'vitest';
import { llmAnalysisRequests } from '../../../services/job-types/llm-analysis/request.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { databaseOfFile } from '../../support/database.ts';

const { db } = await databaseOfFile();
const MODEL = { 'model.base_url': 'http://127.0.0.1:9/v1', 'model.name': 'm' };

function requests(symbols: readonly string[], changes: Record<string, unknown> = MODEL) {
  const config = configOf(changes);
  return llmAnalysisRequests(symbols, {
    config,
    clock: systemClock,
    db,
    origin: { cause: 'user_request', rules: config.jobs.priority_rules },
  });
}

test('a symbol that was never fetched is fetched, analysed and researched before the model is asked, each symbol once', async () => {
  const made = await requests(['AAPL', 'AAPL']);
  expect(made.map(({ type }) => type)).toEqual(['fetch', 'analysis', 'research', 'llm_analysis']);
  expect(made.at(-1)!.after).toEqual(['fetch:AAPL:bars', 'analysis:AAPL', 'research:AAPL']);
});

test('analysis_priority says which of them runs first: of one level the one with the higher score', async () => {
  const order = async (priority: string) => {
    const made = await requests(['IBM'], { ...MODEL, 'stock_jobs.analysis.analysis_priority': priority });
    return made
      .filter(({ type }) => type !== 'fetch')
      .toSorted((a, b) => a.level - b.level || b.score - a.score)
      .map(({ type }) => type);
  };
  expect(await order('technical,fundamental,news,sentiment')).toEqual(['analysis', 'research', 'llm_analysis']);
  expect(await order('news')).toEqual(['research', 'analysis', 'llm_analysis']);
});

test('without a model it is refused, and nothing is asked for', async () => {
  await expect(requests(['IBM'], {})).rejects.toMatchObject({ code: 'model.off', message: expect.stringContaining('STOCKMESH_MODEL_URL') });
});
