import { readFile, stat } from 'node:fs/promises';
import yauzl from 'yauzl';
import { codeOf, messageOf, StockmeshError, TransientError } from '../../platform/errors.ts';

/** A day file of twenty years is 300 KiB; whatever unpacks to more than this is not one. */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

/** `text` of line `line` of `file` is not what a Lean folder holds there. A file may be read while it is being written, so this may pass. */
export function malformedLine(file: string, line: number, text: string, expected: string): TransientError {
  return new TransientError('source.malformed', `lean: ${file}:${line}: expected ${expected}, found ${JSON.stringify(text.slice(0, 80))}`);
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
}

export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** The lines of a small text file (factors, map), or undefined where there is no such file. */
export async function textLines(file: string): Promise<string[] | undefined> {
  try {
    return (await readFile(file, 'utf8')).trimEnd().split(/\r?\n/);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw unreadable(file, error);
  }
}

/** The lines of the one CSV in a zip, as they are unpacked. A missing file throws its ENOENT; a broken zip `TransientError('source.malformed')`. */
export async function* zippedLines(file: string, signal: AbortSignal): AsyncGenerator<string> {
  let zip: yauzl.ZipFile | undefined;
  try {
    zip = await yauzl.openPromise(file, { autoClose: false });
    for await (const entry of zip.eachEntry()) {
      if (!entry.fileName.endsWith('.csv')) continue;
      if (entry.uncompressedSize > MAX_UNPACKED_BYTES) throw new Error(`${entry.fileName} unpacks to ${entry.uncompressedSize} bytes`);
      const stream = await zip.openReadStreamPromise(entry);
      stream.setEncoding('utf8');
      let rest = '';
      for await (const chunk of stream) {
        signal.throwIfAborted();
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        yield* lines;
      }
      if (rest !== '') yield rest;
      return;
    }
    throw new Error('it holds no .csv');
  } catch (error) {
    signal.throwIfAborted();
    if (isMissing(error) || error instanceof StockmeshError) throw error;
    throw unreadable(file, error);
  } finally {
    zip?.close();
  }
}

function unreadable(file: string, cause: unknown): TransientError {
  return new TransientError('source.malformed', `lean: cannot read ${file}: ${messageOf(cause)}`, { cause });
}
