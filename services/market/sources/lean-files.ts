import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { setImmediate as otherWork } from 'node:timers/promises';
import { crc32, inflateRawSync } from 'node:zlib';
import yauzl from 'yauzl';
import { codeOf, messageOf, StockmeshError, TransientError } from '../../platform/errors.ts';

/** A day file of twenty years is 300 KiB. A larger file is refused. */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

/** Line `line` of `file` has the unexpected `text`. The error is transient, since a file may be read while it is being written. */
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

/** Reads a zip and closes it. A missing file throws its ENOENT; a broken zip `TransientError('source.malformed')`. */
async function* unzipping<T>(
  file: string,
  signal: AbortSignal,
  open: () => Promise<yauzl.ZipFile>,
  read: (zip: yauzl.ZipFile) => AsyncGenerator<T>,
): AsyncGenerator<T> {
  let zip: yauzl.ZipFile | undefined;
  try {
    zip = await open();
    yield* read(zip);
  } catch (error) {
    signal.throwIfAborted();
    if (isMissing(error) || error instanceof StockmeshError) throw error;
    throw unreadable(file, error);
  } finally {
    zip?.close();
  }
}

/** The lines of the one CSV in a zip, as they are unpacked. Errors: those of `unzipping`. */
export function zippedLines(file: string, signal: AbortSignal): AsyncGenerator<string> {
  return unzipping(
    file,
    signal,
    () => yauzl.openPromise(file, { autoClose: false }),
    async function* (zip) {
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
    },
  );
}

/** Every CSV in a zip of many small ones (a year of option days has one a contract): its name and whole text. Errors: those of `unzipping`. */
export function zippedFiles(file: string, signal: AbortSignal): AsyncGenerator<{ name: string; text: string }> {
  let bytes: Buffer;
  return unzipping(
    file,
    signal,
    async () => {
      bytes = await readFile(file);
      return yauzl.fromBufferPromise(bytes);
    },
    async function* (zip) {
      let total = 0;
      for await (const entry of zip.eachEntry()) {
        signal.throwIfAborted();
        if (!entry.fileName.endsWith('.csv')) continue;
        total += entry.uncompressedSize;
        if (total > MAX_UNPACKED_BYTES) throw new Error(`it unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
        const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
        yield { name: entry.fileName, text: unpacked(entry, bytes.subarray(fileDataStart, fileDataStart + entry.compressedSize)) };
      }
    },
  );
}

/** A zip of which single CSVs are read, in any order. It stays on the disk: only the list of its CSVs is in memory. */
export interface OpenZip {
  /** Of the whole zip. */
  bytes: number;
  /** In the order of the zip. */
  names: readonly string[];
  /** The whole text of one of them, undefined where there is none of that name. Errors: as `openZip`. */
  text(name: string): Promise<string | undefined>;
  close(): Promise<void>;
}

/** Undefined where there is no such file. Errors: `TransientError('source.malformed')` for a broken zip. */
export async function openZip(file: string, signal: AbortSignal): Promise<OpenZip | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw unreadable(file, error);
  }
  const guarded = async <T>(read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof StockmeshError ? error : unreadable(file, error);
    }
  };
  try {
    return await guarded(async () => {
      const { size } = await handle.stat();
      const reader = new BlockReader(handle, size);
      const zip = await yauzl.fromRandomAccessReaderPromise(reader, size, { autoClose: false });
      const entries = new Map<string, yauzl.Entry>();
      for await (const entry of zip.eachEntry()) {
        signal.throwIfAborted();
        if (entry.fileName.endsWith('.csv')) entries.set(entry.fileName, entry);
        // What is read from one block takes no turn of the event loop.
        if (entries.size % NAMES_A_TURN === 0) await otherWork();
      }
      const text = async (name: string) => {
        signal.throwIfAborted();
        const entry = entries.get(name);
        if (entry === undefined) return undefined;
        if (entry.uncompressedSize > MAX_UNPACKED_BYTES) throw new Error(`${name} unpacks to ${entry.uncompressedSize} bytes`);
        const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
        return unpacked(entry, await reader.bytes(fileDataStart, entry.compressedSize));
      };
      return { bytes: size, names: [...entries.keys()], text: (name) => guarded(() => text(name)), close: () => handle.close() };
    });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Reads a file in blocks of a megabyte: a zip of 4,532 small files took 1.1 s with a read for each header, and takes 0.2 s so. */
class BlockReader extends yauzl.RandomAccessReader {
  readonly #file: FileHandle;
  readonly #size: number;
  #block = Buffer.alloc(0);
  #start = 0;

  constructor(file: FileHandle, size: number) {
    super();
    this.#file = file;
    this.#size = size;
  }

  /** Valid until the next call. */
  async bytes(position: number, length: number): Promise<Buffer> {
    if (position + length > this.#size) throw new Error('it is cut off');
    if (position < this.#start || position + length > this.#start + this.#block.length) {
      const block = Buffer.allocUnsafe(Math.min(Math.max(length, BLOCK_BYTES), this.#size - position));
      const { bytesRead } = await this.#file.read(block, 0, block.length, position);
      if (bytesRead < length) throw new Error('it is cut off');
      this.#start = position;
      this.#block = block.subarray(0, bytesRead);
    }
    return this.#block.subarray(position - this.#start, position - this.#start + length);
  }

  override read(into: Buffer, offset: number, length: number, position: number, done: (error: Error | null) => void): void {
    this.bytes(position, length).then(
      (bytes) => {
        bytes.copy(into, offset);
        done(null);
      },
      (error: Error) => done(error),
    );
  }
}

const BLOCK_BYTES = 1024 * 1024;
const NAMES_A_TURN = 200;

/** Reads without a stream: opening a stream for each of 4,532 contracts took 1.5 s, this takes 0.3 s. */
function unpacked({ fileName, compressionMethod, uncompressedSize, crc32: expected }: yauzl.Entry, data: Buffer): string {
  const content = compressionMethod === 0 ? data : inflateRawSync(data, { maxOutputLength: Math.max(uncompressedSize, 1) });
  if (crc32(content) !== expected) throw new Error(`${fileName} is damaged`);
  return content.toString('utf8');
}

function unreadable(file: string, cause: unknown): TransientError {
  return new TransientError('source.malformed', `lean: cannot read ${file}: ${messageOf(cause)}`, { cause });
}
