/** The files that a source writes for the converter. */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { codeOf, messageOf, StockmeshError, TransientError } from '../../platform/errors.ts';

/** Errors of the disk for which a person can do something. */
const DISK = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO', 'EMFILE']);

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
        for await (const chunk of chunks) {
          length += chunk.length;
          yield chunk;
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
