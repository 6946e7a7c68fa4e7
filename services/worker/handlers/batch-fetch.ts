import { z } from 'zod';
import type { ItemOutcome } from '../../jobs/items.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import { handler, type JobContext } from '../handler.ts';
import { refreshSymbol } from '../refresh.ts';

/** Many symbols in one job: one item a symbol. */
export const BatchFetchPayload = z.strictObject({ symbols: z.array(SymbolSchema).min(1).max(1000) });

/** Symbols asked for at once; the sources' shared budget is the real limit. */
const CONCURRENCY = 4;

/**
 * Each symbol is committed on its own, so a crash resumes with those still to do. One that can never be fetched fails as an item at once; one that may work later
 * stays pending and the job is tried again, until its last attempt fails it with the reason.
 */
export const batchFetchHandler = handler('batch_fetch', BatchFetchPayload, async ({ symbols }, context) => {
  const todo = await context.openItems(symbols);
  const later: string[] = [];
  const queue = todo.values();
  const counts = { done: 0, no_data: 0, failed: 0 };
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const symbol of queue) {
        context.signal.throwIfAborted();
        const state = await fetchItem(symbol, context, later);
        if (state !== undefined) counts[state]++;
      }
    }),
  );
  if (later.length > 0) throw new TransientError('batch.items_pending', `${later.length} of ${symbols.length} symbols are to be tried again: ${later.join('; ')}`);
  const failed = counts.failed > 0 ? `${counts.failed} of ${symbols.length} symbols failed ("stockmesh job ${context.job.id}" lists them, "stockmesh retry" tries them again)` : undefined;
  return { effects: [], landed: [], result: { symbols: symbols.length, ...counts }, withErrors: failed };
});

async function fetchItem(symbol: string, context: JobContext, later: string[]): Promise<'done' | 'no_data' | 'failed' | undefined> {
  const commit = async (outcome: Omit<ItemOutcome, 'key'>, refreshed?: Awaited<ReturnType<typeof refreshSymbol>>) => {
    await context.commitItems([{ key: symbol, ...outcome }], refreshed?.effects ?? [], refreshed?.landed ?? []);
    return outcome.state as 'done' | 'no_data' | 'failed';
  };
  const last = context.job.attempt >= context.job.maxAttempts;
  try {
    const refreshed = await refreshSymbol(symbol, context);
    const { bars, written, source } = refreshed.result;
    return await commit({ state: bars === 0 ? 'no_data' : 'done', rows: written, reason: `${source}: ${bars} bars, ${written} written` }, refreshed);
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof PermanentError) && !last) {
      later.push(`${symbol}: ${messageOf(error)}`);
      return undefined;
    }
    return await commit({ state: 'failed', reason: messageOf(error) });
  }
}
