/** The newest opinion of a model about a symbol, and why there is none, or no newer one. */
import { isDone, isLive } from '../../ledger/job.ts';
import { readNewestOf } from '../../ledger/read/jobs.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { llmAnalysisKey } from './request.ts';
import { type ModelAnalysis, readModelAnalysis } from './store.ts';

export interface ModelOpinion {
  analysis: ModelAnalysis | undefined;
  /** One line for people. */
  state: string;
}

export async function readModelOpinion(sql: Sql, { model }: Pick<Config, 'model'>, symbol: string): Promise<ModelOpinion> {
  const [analysis, job] = await Promise.all([readModelAnalysis(sql, symbol), readNewestOf(sql, symbol, llmAnalysisKey(symbol))]);
  const because = job?.reason == null ? '' : `: ${job.reason}`;
  if (job !== undefined && isLive(job.state)) return { analysis, state: `it is being made: job ${job.id} is ${job.state}${because}` };
  if (job !== undefined && !isDone(job.state))
    return { analysis, state: `it could not be made: job ${job.id} ended as ${job.state}${because}` };
  if (analysis !== undefined) return { analysis, state: `made at ${analysis.createdAt.toISOString()}` };
  if (model.base_url === null) return { analysis, state: 'no language model is configured (model.base_url): the model has no opinion' };
  return { analysis, state: 'the model was never asked for its opinion' };
}
