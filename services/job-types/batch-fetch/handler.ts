import type { ItemOutcome } from '../../ledger/run/items.ts';
import { codeOf, messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import { handler, type JobContext } from '../../worker/handler.ts';
import { type Refreshed, refreshSymbol } from '../../worker/refresh.ts';
import { BatchFetchPayload } from './definition.ts';

/** Symbols asked for at once; the sources' shared budget is the real limit. */
const CONCURRENCY = 4;

/**
 * Each symbol is committed on its own, so a crash resumes with those still to do. One that can never be fetched fails as an item at once; one that may work later
 * stays pending and the job is tried again, until its last attempt fails it with the reason.
 */
export const batchFetchHandler = handler('batch_fetch', BatchFetchPayload, async ({ symbols }, context) => {
  const queue = (await context.openItems(symbols)).values();
  const later: string[] = [];
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const symbol of queue) {
        context.signal.throwIfAborted();
        await fetchItem(symbol, context, later);
      }
    }),
  );
  // Of all attempts, not of this one alone: an item that failed in an earlier one has failed.
  const { total, pending, ...counts } = await context.countItems();
  if (pending > 0)
    throw new TransientError('batch.items_pending', `${pending} of ${total} symbols are to be tried again: ${later.join('; ')}`);
  const failed =
    counts.failed > 0
      ? `${counts.failed} of ${total} symbols failed ("stockmesh job ${context.job.id}" lists them, "stockmesh retry" tries them again)`
      : undefined;
  return { effects: [], landed: [], result: { symbols: total, ...counts }, withErrors: failed };
});

async function fetchItem(symbol: string, context: JobContext, later: string[]): Promise<void> {
  const last = context.job.attempt >= context.job.maxAttempts;
  try {
    const { result, effects, landed } = await refreshSymbol(symbol, context);
    await context.commitItems([{ key: symbol, ...itemOf(result) }], effects, landed);
  } catch (error) {
    context.signal.throwIfAborted();
    // Whether the item was committed is not known: the next attempt looks.
    if (codeOf(error) === 'database.unavailable') throw error;
    if (error instanceof PermanentError || last)
      await context.commitItems([{ key: symbol, state: 'failed', reason: messageOf(error) }], [], []);
    else later.push(`${symbol}: ${messageOf(error)}`);
  }
}

/** Stored data given again is not done: nothing of it is newer than it was. */
function itemOf({ source, bars, written, stale }: Refreshed['result']): Omit<ItemOutcome, 'key'> {
  if (stale) return { state: 'skipped', reason: 'no source had anything newer than what is stored' };
  return { state: bars === 0 ? 'no_data' : 'done', rows: written, reason: `${source}: ${bars} bars, ${written} written` };
}
