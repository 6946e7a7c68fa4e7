import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import type { Config } from '../../platform/config/load.ts';
import { ANALYSIS_KINDS, type AnalysisKind } from '../../platform/config/sections/model.ts';
import { InputError } from '../../platform/errors.ts';
import { analysisKey, analysisRequest } from '../analysis/request.ts';
import { fetchKey, fetchRequest } from '../fetch/request.ts';
import type { RequestContext } from '../job-type.ts';
import { computationFor } from '../request.ts';
import { researchKey, researchRequest } from '../research/request.ts';

export const llmAnalysisKey = (symbol: string): string => `llm_analysis:${symbol}`;

/**
 * The model's opinion of each symbol, after its technical analysis and its research, which are asked for too; bars that are stale are fetched first.
 * Errors: `InputError('model.off')` without a model.
 */
export async function llmAnalysisRequests(
  symbols: readonly string[],
  { config, clock, db, origin }: RequestContext,
): Promise<JobRequest[]> {
  if (config.model.base_url === null || config.model.name === null)
    throw new InputError(
      'model.off',
      'no language model is configured, so there is no llm_analysis: set model.base_url and model.name (STOCKMESH_MODEL_URL, STOCKMESH_MODEL_NAME); ' +
        'the technical analysis and research need none',
    );
  const unique = [...new Set(symbols)];
  if (unique.length === 0) return [];
  // Loaded here: the command line reads all definitions at every start.
  const [{ freshnessRules }, { readStale }] = await Promise.all([
    import('../../market/freshness/freshness.ts'),
    import('../../market/freshness/symbol-judgement.ts'),
  ]);
  const stale = await readStale(db, unique, clock.now(), {
    ...freshnessRules(config),
    // Who asks by hand is not held up by the pause after a failure.
    ...(origin.cause === 'user_request' && { sources: undefined }),
  });
  const order = analysisOrder(config);
  return unique.flatMap((symbol) => [
    ...(stale.has(symbol) ? [fetchRequest(symbol, origin)] : []),
    inOrder(analysisRequest(symbol, origin), ['technical'], order),
    inOrder(researchRequest(symbol, origin), ['fundamental', 'news'], order),
    inOrder(
      computationFor(origin, {
        type: 'llm_analysis',
        symbol,
        payload: { symbol },
        dedupeKey: llmAnalysisKey(symbol),
        after: [fetchKey(symbol), analysisKey(symbol), researchKey(symbol)],
      }),
      ['sentiment'],
      order,
    ),
  ]);
}

/** All kinds: those of `stock_jobs.analysis.analysis_priority` in its order, then the others. */
export function analysisOrder({ stock_jobs }: Pick<Config, 'stock_jobs'>): AnalysisKind[] {
  return [...new Set([...stock_jobs.analysis.analysis_priority, ...ANALYSIS_KINDS])];
}

/** Of one level a job with a higher score runs first; a step is too small to pass what a score of a login says. */
const STEP = 0.01;

function inOrder(request: JobRequest, kinds: readonly AnalysisKind[], order: readonly AnalysisKind[]): JobRequest {
  const place = Math.min(...kinds.map((kind) => order.indexOf(kind)));
  return { ...request, score: request.score + STEP * (order.length - 1 - place) };
}
