import type { z } from 'zod';
import { ALONE_FROM } from '../../ledger/run/deaths.ts';
import type { ItemResult } from '../../ledger/run/items.ts';
import { type Refresh, refreshSymbol } from '../../market/bars/refresh.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { isDatabaseAway, messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import { type FetchRow, outputOf, rowsOfFailure, storeFetched } from '../fetch/output.ts';
import { handler, type JobContext } from '../handler.ts';

import { type BatchFetchPayload, batchFetchType } from './definition.ts';

/** Symbols requested at once. The shared budget of the sources limits the requests. */
const CONCURRENCY = 4;

/**
 * Commits each symbol on its own, so a retry after a crash resumes with those that are still pending. A symbol that can never be fetched fails as an item at once. One that may
 * work later stays pending and the job is retried; its last attempt fails the item with the reason.
 */
export const batchFetchHandler = handler(batchFetchType, fetchAll, storeFetched);

async function fetchAll({ symbols }: z.output<typeof BatchFetchPayload>, context: JobContext<FetchRow>) {
  const pending = await context.openItems(symbols);
  const { deaths } = context.job;
  const isAlone = deaths >= ALONE_FROM;
  // One of the symbols may be what ends the process. Asked for one by one, from the front and from the back in turns, all the others are done before the job fails.
  const queue = (isAlone && deaths % 2 === 1 ? pending.toReversed() : pending).values();
  const retryReasons: string[] = [];
  await Promise.all(
    Array.from({ length: isAlone ? 1 : CONCURRENCY }, async () => {
      for (const symbol of queue) {
        context.signal.throwIfAborted();
        await fetchItem(symbol, context, retryReasons);
      }
    }),
  );
  // Counts of all attempts: an item that failed in an earlier attempt has failed.
  const { total, pending: left, done, skipped, no_data, failed } = await context.countItems();
  if (left > 0)
    throw new TransientError('batch.items_pending', `${left} of ${total} symbols are to be tried again: ${firstOf(retryReasons)}`);
  const withErrors =
    failed > 0
      ? `${failed} of ${total} symbols failed ("${COMMAND} job ${context.job.id}" lists them, "${COMMAND} retry ${context.job.id}" tries them again)`
      : undefined;
  return { rows: [], dataMessages: [], result: { symbols: total, done, skipped, no_data, failed }, withErrors };
}

/** Reasons that are told. All of them would be a quarter of a megabyte in a log line; the items have their own in the end. */
const TOLD = 5;

function firstOf(reasons: readonly string[]): string {
  const more = reasons.length > TOLD ? `; and ${reasons.length - TOLD} more` : '';
  return `${reasons.slice(0, TOLD).join('; ')}${more}`;
}

async function fetchItem(symbol: string, context: JobContext<FetchRow>, retryReasons: string[]): Promise<void> {
  const isLastAttempt = context.job.attempt >= context.job.maxAttempts;
  try {
    const { result, rows, dataMessages } = outputOf(await refreshSymbol(symbol, context), context);
    await context.commitItems([{ key: symbol, ...itemOf(result) }], rows, dataMessages);
  } catch (error) {
    context.signal.throwIfAborted();
    // The item may have been committed although the answer was lost: the next attempt reads its state.
    if (isDatabaseAway(error)) throw error;
    if (error instanceof PermanentError || isLastAttempt)
      await context.commitItems(
        [{ key: symbol, state: 'failed', reason: messageOf(error) }],
        rowsOfFailure({ symbol }, error, context),
        [],
      );
    else retryReasons.push(`${symbol}: ${messageOf(error)}`);
  }
}

/** Stored data that is given again counts as skipped: it is no newer than before. */
function itemOf({ source, bars, written, stale, warnings }: Refresh['result']): Omit<ItemResult, 'key'> {
  if (stale) return { state: 'skipped', reason: 'no source had anything newer than what is stored' };
  return {
    state: bars === 0 ? 'no_data' : 'done',
    rows: written,
    reason: [`${source}: ${bars} bars, ${written} written`, ...warnings].join('; '),
  };
}
