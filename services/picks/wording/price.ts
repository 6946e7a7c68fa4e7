import { mostOf } from '../../model/spend.ts';
import type { Config } from '../../platform/config/load.ts';

/** Bytes of the prompt of a report with all its facts, rounded up from measured ones. */
const PROMPT_BYTES = 40_000;
/** The words, and writing them again once. */
const CALLS = 2;

/** What the words of one report cost at most, in dollars: 0 without a model, or where its answers cost nothing. The price is named before anything is asked for. */
export function reportPrice({ model, picks }: Pick<Config, 'model' | 'picks'>): number {
  if (model.base_url === null || !picks.generation) return 0;
  return (CALLS * mostOf(model, PROMPT_BYTES)) / 1_000_000;
}
