/** The files that a source writes for the converter. */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { setImmediate as otherWork } from 'node:timers/promises';
import { codeOf, messageOf, StockmeshError, TransientError } from '../../platform/errors.ts';
import type { Layout } from '../parquet/layout.ts';
import type { HistorySourceName } from './source.ts';

/** Errors of the disk for which a person can do something. */
const DISK = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO', 'EMFILE']);

/** Milliseconds of computing lines after which the process does its other work. */
const TURN_MS = 10;

/**
 * Writes whole lines to a new file, no faster than the disk takes them; the number of characters. Errors: those of `lines`; `TransientError('history.spool')` when it cannot
 * be written; an abort rethrows the signal's reason.
 */
export async function spool(path: string, lines: AsyncIterable<string> | Iterable<string>, signal: AbortSignal): Promise<number> {
  let length = 0;
  try {
    await pipeline(
      lines,
      async function* counted(chunks: AsyncIterable<string>) {
        let begun = performance.now();
        for await (const chunk of chunks) {
          length += chunk.length;
          yield chunk;
          if (performance.now() - begun < TURN_MS) continue;
          await otherWork();
          begun = performance.now();
        }
      },
      createWriteStream(path),
      { signal },
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof StockmeshError || !DISK.has(codeOf(error))) throw error;
    throw new TransientError('history.spool', `cannot write ${path}: ${messageOf(error)}; its disk may be full or read-only`, {
      cause: error,
    });
  }
  return length;
}

/** A text as SQL writes it, for layouts. */
export const sqlText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Bars of a stock at the end of the day, as the readers of the bars give them: a day and prices in dollars. */
export function stockDays(source: HistorySourceName, root: string): Layout {
  return {
    name: `${source} stock eod`,
    header: false,
    columns: { trade_date: 'DATE', open: 'DOUBLE', high: 'DOUBLE', low: 'DOUBLE', close: 'DOUBLE', volume: 'BIGINT' },
    select: {
      symbol: sqlText(root),
      trade_date: 'trade_date',
      open: '"open"',
      high: 'high',
      low: 'low',
      close: '"close"',
      volume: 'volume',
    },
  };
}
