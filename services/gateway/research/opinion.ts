/** A model's opinion of a symbol, as the HTTP API gives it. */
import { z } from 'zod';
import { OpinionSchema } from '../../job-types/llm-analysis/answer.ts';
import { readModelOpinion } from '../../job-types/llm-analysis/state.ts';
import { modelAnalysisJson } from '../../job-types/llm-analysis/store.ts';
import { FactSchema } from '../../model/words/facts.ts';
import type { Parts } from '../http/app.ts';
import { instant } from '../http/schemas.ts';

const opinion = z.object({
  disclaimer: z.string().describe('Not investment advice'),
  source: z.literal('llm'),
  model: z.string().describe('As its server names it'),
  provider: z.string().describe("Host of the model's server"),
  created_at: instant,
  stale: z.boolean(),
  data_date: z.string().nullable().describe('Of the newest price among the facts'),
  simulated: z.boolean().describe('true when the facts are made up'),
  ...OpinionSchema.shape,
  confidence_note: z.string().describe("The confidence is the model's own, not calibrated"),
  repaired: z.boolean().describe('The first answer was not accepted'),
  missing: z.array(z.string()).describe('What there was no fact of'),
  facts: z.array(FactSchema).describe('All that the model was given; each figure in the sentences is the `shown` of one of them'),
});

export const modelOpinion = {
  model_analysis: opinion.nullable().describe("A language model's opinion; null where there is none, see model_analysis_state"),
  model_analysis_state: z.string().describe('When it was made, or why there is none or no newer one'),
};

export async function readOpinionJson({ db, config, clock }: Pick<Parts, 'db' | 'config' | 'clock'>, symbol: string) {
  const { analysis, state } = await readModelOpinion(db, config, symbol);
  const now = new Date(clock.now().epochMilliseconds);
  return { model_analysis: analysis === undefined ? null : modelAnalysisJson(analysis, now), model_analysis_state: state };
}
