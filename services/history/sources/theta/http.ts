/** One request to a Theta Terminal, whose answer goes to a file. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { codeOf, messageOf, PermanentError, type StockmeshError, TransientError } from '../../../platform/errors.ts';
import { StopError } from '../source.ts';
import { CsvAnswer, namesIn, type SieveOf } from './rows.ts';

export type Answer = { status: number; bytes: number } & (
  | { kind: 'text'; text: string }
  | {
      kind: 'file';
      /** The names of the columns. */
      columns: string[];
      hasRows: boolean;
      /** Equal for equal answers. */
      digest: string;
      /** Path and query of the page after this one (v2). */
      nextPage: string | undefined;
    }
);

export interface Limits {
  /** For the whole answer. */
  timeoutMs: number;
  signal: AbortSignal;
  /** Aborts when the request must not go on, with the error to throw. */
  lost: AbortSignal;
}

/** Of an answer that is no file, so much is read. */
const TEXT_BYTES = 4_096;
/** Errors of this machine's disk, not of the network. */
const OF_THE_DISK: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'ENOENT', 'EIO', 'EMFILE']);

/** The URL as people may see it. */
export function shownUrl(url: URL): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.toString();
}

/**
 * Sends a GET. An answer with status 200 is written to `path` (gzip) and is whole: it ended as its headers say, and with the end of a line. Otherwise there is no file.
 *
 * Errors: the reason of `signal` or `lost`; `TransientError` `theta.timeout`, `theta.network`, `theta.cut`, `history.spool` (the file cannot be written);
 * `PermanentError('history.malformed')`; `StopError('theta.no_length')`. Messages have no secrets.
 */
export async function getFile(url: URL, path: string, limits: Limits, sieveOf?: SieveOf): Promise<Answer> {
  const limit = AbortSignal.timeout(limits.timeoutMs);
  const signal = AbortSignal.any([limits.signal, limits.lost, limit]);
  const csv = new CsvAnswer(sieveOf);
  try {
    const response = await open(url, signal);
    const status = response.statusCode!;
    if (status !== 200) {
      const { text, bytes } = await textOf(response);
      return { kind: 'text', status, text, bytes };
    }
    refuseEndless(response, url);
    await pipeline(response, csv, createGzip({ level: 1 }), createWriteStream(path), { signal });
    const { bytes, hasRows, digest } = csv;
    return { kind: 'file', status, bytes, columns: namesIn(csv.header), hasRows, digest, nextPage: nextPageOf(response) };
  } catch (error) {
    await rm(path, { force: true });
    limits.signal.throwIfAborted();
    limits.lost.throwIfAborted();
    throw errorOf(error, { url: shownUrl(url), isLate: limit.aborted, seconds: limits.timeoutMs / 1000, bytes: csv.bytes });
  }
}

/** Sends a GET and gives the beginning of its answer as text. Errors as those of `getFile`. */
export async function getText(url: URL, timeoutMs: number, signal: AbortSignal): Promise<{ status: number; text: string }> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const response = await open(url, AbortSignal.any([signal, limit]));
    return { status: response.statusCode!, text: (await textOf(response)).text };
  } catch (error) {
    signal.throwIfAborted();
    throw errorOf(error, { url: shownUrl(url), isLate: limit.aborted, seconds: timeoutMs / 1000, bytes: 0 });
  }
}

// Not fetch: it ends every answer after 300 s without a byte, and a day of a large chain may take longer.
function open(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  const request = send(url, { signal, headers: { accept: 'text/csv, text/plain' } }, resolve);
  request.on('error', reject);
  request.end();
  return promise;
}

async function textOf(response: IncomingMessage): Promise<{ text: string; bytes: number }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (bytes < TEXT_BYTES) chunks.push(chunk);
    bytes += chunk.length;
  }
  return { text: Buffer.concat(chunks).toString('utf8', 0, TEXT_BYTES), bytes };
}

/** An answer that ends with its connection reads as whole when the connection is cut. */
function refuseEndless(response: IncomingMessage, url: URL): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = response.headers;
  if (length !== undefined || encoding?.includes('chunked')) return;
  response.destroy();
  throw new StopError(
    'theta.no_length',
    `${shownUrl(url)}: the answer has neither a length nor chunks, so it cannot be told from one that was cut; ask the terminal without the server in front of it`,
  );
}

/** v2 says "null" on the last page. The page's address is that of the terminal as it sees itself; the caller asks it under the address that it knows. */
function nextPageOf({ headers }: IncomingMessage): string | undefined {
  const header = headers['next-page'];
  const text = (Array.isArray(header) ? header[0] : header)?.trim();
  if (text === undefined || text === '' || text === 'null') return undefined;
  const page = URL.parse(text, 'http://terminal');
  if (page === null)
    throw new PermanentError('history.malformed', `the address of the next page is none: ${JSON.stringify(text.slice(0, 200))}`);
  return page.pathname + page.search;
}

function errorOf(error: unknown, context: { url: string; isLate: boolean; seconds: number; bytes: number }): StockmeshError {
  const { url, isLate, seconds, bytes } = context;
  if (isLate) return new TransientError('theta.timeout', `${url}: not finished within ${seconds} s (history.theta.timeout)`);
  if (error instanceof TransientError) return new TransientError(error.code, `${url}: ${error.message}`);
  if (error instanceof StopError) return error;
  if (error instanceof PermanentError) return new PermanentError(error.code, `${url}: ${error.message}`);
  if (OF_THE_DISK.has(codeOf(error))) return new TransientError('history.spool', `cannot write what was downloaded: ${messageOf(error)}`);
  if (bytes > 0) return new TransientError('theta.cut', `${url}: the answer is cut after ${bytes} bytes: ${messageOf(error)}`);
  return new TransientError('theta.network', `${url}: ${messageOf(error)}`, { cause: error });
}
