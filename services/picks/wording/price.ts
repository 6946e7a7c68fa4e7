import { mostNow } from '../../model/spend.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { PROMPT_BYTES } from './prompt.ts';

/** The words, and writing them again once. */
const CALLS = 2;

/**
 * What the words of one report cost at most, in dollars: 0 without a model, or where its answers cost nothing. The price is named before anything is asked for. `payAgain`:
 * the first call may be made twice.
 */
export async function reportPrice(sql: Sql, { model, picks }: Pick<Config, 'model' | 'picks'>, payAgain: boolean): Promise<number> {
  if (model.base_url === null || !picks.generation) return 0;
  const calls = payAgain || model.on_unknown === 'pay_again' ? CALLS + 1 : CALLS;
  return (calls * (await mostNow(sql, model, 'picks', PROMPT_BYTES))) / 1_000_000;
}
