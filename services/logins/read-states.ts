/** What a decision about users' symbols is made of: the live jobs and the stored states of the symbols they hold, and of the rates that the values need. */
import { analysisKey } from '../job-types/analysis/request.ts';
import { fetchKey } from '../job-types/fetch/request.ts';
import { type LiveJob, readLive } from '../ledger/enqueue/join.ts';
import { readSymbols, type SymbolState } from '../market/bars/read.ts';
import { rateSymbols } from '../market/portfolios/base-currency.ts';
import type { Holding } from '../market/portfolios/holdings.ts';
import type { Transaction } from '../platform/database/database.ts';
import type { DecisionRules } from './decision.ts';

export interface KnownStates {
  /** Of the symbols and the rates, by symbol. */
  states: Map<string, SymbolState>;
  /** By dedupe key. */
  live: Map<string, LiveJob>;
}

/** Two statements, and two more when somebody holds something in another currency than `baseCurrency`. `sources`: as `readSymbols` takes it. */
export async function readStates(
  tx: Transaction,
  holdings: Iterable<readonly Holding[]>,
  { baseCurrency, sources }: Pick<DecisionRules, 'baseCurrency' | 'sources'>,
): Promise<KnownStates> {
  const held = [...holdings].flat();
  const symbols = [...new Set(held.map(({ symbol }) => symbol))];
  const known = await readBoth(tx, symbols, sources);
  const valued = new Set(held.filter(({ quantity }) => quantity !== 0).map(({ symbol }) => symbol));
  const quoted = [...known.states.values()].filter(({ symbol }) => valued.has(symbol));
  const rates = rateSymbols(quoted, baseCurrency).filter((symbol) => !known.states.has(symbol));
  if (rates.length === 0) return known;
  const more = await readBoth(tx, rates, sources);
  return { states: new Map([...known.states, ...more.states]), live: new Map([...known.live, ...more.live]) };
}

/** The live jobs before the states: a fetch that ended between the two would be asked for again. */
async function readBoth(tx: Transaction, symbols: readonly string[], sources: DecisionRules['sources']): Promise<KnownStates> {
  const live = await readLive(tx, new Set(symbols.flatMap((symbol) => [fetchKey(symbol), analysisKey(symbol)])));
  return { live, states: await readSymbols(tx, symbols, sources) };
}
