/** Sends the requests of a download within the account's budget, and repeats what may work later. */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../platform/clock.ts';
import { isDatabaseAway, messageOf, type StockmeshError, TransientError } from '../../../platform/errors.ts';
import type { Logger } from '../../../platform/log/log.ts';
import type { Layout } from '../../parquet/layout.ts';
import type { SourceFile, SourceRequest } from '../source.ts';
import type { AccountBudget, Slot } from './budget.ts';
import { BusyError, errorOfStatus, NO_DATA, TooLargeError } from './codes.ts';
import { type Answer, getFile, shownUrl } from './http.ts';
import type { SieveOf } from './rows.ts';

export interface ClientOptions {
  budget: AccountBudget;
  clock: Clock;
  log: Pick<Logger, 'info'>;
  /** For one request. */
  timeoutMs: number;
  /** Milliseconds before a request is sent again; doubled each time. For tests. */
  backoffMs?: number | undefined;
}

/** A part of an answer, as it was written. */
export interface Page {
  path: string;
  columns: string[];
  hasRows: boolean;
}

/** The requests of one object. */
export interface Download {
  /**
   * Asks for a path with its query, relative to the terminal's base, and for all pages of the answer. No page, or none that has rows: there are no data. Errors: `TooLargeError`, else as those of
   * `HistorySource.fetch`; what may work later was tried three times, and 429 six times.
   */
  get(path: string, sieveOf?: SieveOf): Promise<Page[]>;
  readonly requests: readonly SourceRequest[];
}

const TRIES = 3;
const TRIES_WHEN_BUSY = 6;
const BACKOFF_MS = 1_000;

interface Target {
  /** Of the terminal, with its version. */
  base: string;
  /** Where the files are written. */
  folder: string;
  signal: AbortSignal;
}

export function download(options: ClientOptions, target: Target): Download {
  const { budget, clock, log, timeoutMs, backoffMs = BACKOFF_MS } = options;
  const { base, folder, signal } = target;
  const requests: SourceRequest[] = [];
  let files = 0;

  async function get(path: string, sieveOf?: SieveOf): Promise<Page[]> {
    for (let tries = 1; ; tries++) {
      const began = clock.now();
      try {
        return await inSlot(path, sieveOf);
      } catch (error) {
        signal.throwIfAborted();
        if (isDatabaseAway(error)) throw error;
        const isBusy = error instanceof BusyError;
        if (isBusy) await budget.halve(began);
        const isTransient = isBusy || (error instanceof TransientError && error.code !== 'theta.budget');
        if (!isTransient || tries >= (isBusy ? TRIES_WHEN_BUSY : TRIES)) throw error;
        log.info({ error: messageOf(error), tries }, 'theta: the request is sent again');
        await pause(backoffMs * 2 ** (tries - 1) * (0.75 + Math.random() / 2), signal);
      }
    }
  }

  async function inSlot(path: string, sieveOf: SieveOf | undefined): Promise<Page[]> {
    const slot = await budget.acquire(signal);
    const before = requests.length;
    try {
      return await pagesOf(path, slot, sieveOf);
    } finally {
      await slot.release(requests.length - before);
    }
  }

  /**
   * All pages of an answer, each asked for at once: the terminal drops a page when many others wait. A page that was there before, by its
   * address or by its bytes, would never end or give rows twice; the whole answer is asked for again then.
   */
  async function pagesOf(path: string, slot: Slot, sieveOf: SieveOf | undefined): Promise<Page[]> {
    const pages: Page[] = [];
    const seen = new Set<string>();
    const contents = new Set<string>();
    let url = new URL(base + path);
    for (;;) {
      if (seen.has(url.href))
        throw new TransientError('theta.page_repeats', `${shownUrl(url)}: page ${seen.size} leads back to an earlier one`);
      seen.add(url.href);
      const file = `${folder}/${String(files++).padStart(5, '0')}.csv.gz`;
      const answer = await send(url, file, slot, sieveOf);
      if (answer.kind === 'text') return pages.length === 0 ? [] : brokenOff(url, pages.length);
      if (answer.hasRows && contents.has(answer.digest))
        throw new TransientError('theta.page_repeats', `${shownUrl(url)}: is the same as an earlier page`);
      contents.add(answer.digest);
      pages.push({ path: file, columns: answer.columns, hasRows: answer.hasRows });
      if (answer.nextPage === undefined) return pages;
      url = new URL(answer.nextPage, url);
    }
  }

  /** Text: there are no data. */
  async function send(url: URL, file: string, slot: Slot, sieveOf: SieveOf | undefined): Promise<Answer> {
    const shown = shownUrl(url);
    let answer: Answer;
    try {
      answer = await getFile(url, file, { timeoutMs, signal, lost: slot.lost }, sieveOf);
    } catch (error) {
      requests.push({ url: shown, status: 0, bytes: 0 });
      throw error;
    }
    requests.push({ url: shown, status: answer.status, bytes: answer.bytes });
    if (answer.kind === 'text' && answer.status !== NO_DATA) throw errorOfStatus(answer.status, shown, answer.text);
    return answer;
  }

  return { get, requests };
}

/** "No data" in the middle of an answer is none. */
function brokenOff(url: URL, pages: number): never {
  throw new TransientError(
    'theta.page_gone',
    `${shownUrl(url)}: no data (${NO_DATA}) after ${pages} pages; it is asked for from the first page again`,
  );
}

/**
 * The files of an answer's pages that have rows. The columns of the others are looked at as well: a page with a text in place of a header is no page without data.
 * Errors: those of `layoutOf`.
 */
export async function filesOf(pages: readonly Page[], layoutOf: (columns: readonly string[]) => Layout): Promise<SourceFile[]> {
  const files = pages.map(({ path, columns, hasRows }) => ({ path, layout: layoutOf(columns), hasRows }));
  await Promise.all(files.filter(({ hasRows }) => !hasRows).map(({ path }) => rm(path)));
  return files.filter(({ hasRows }) => hasRows).map(({ path, layout }) => ({ path, layout }));
}

/**
 * Asks for a piece, and for its parts where the terminal says that it is too large. Errors: as those of `ask`; `PermanentError('theta.too_large')` for a piece that has no
 * parts.
 */
export async function inParts<P, T>(
  piece: P,
  ask: (piece: P) => Promise<T[]>,
  partsOf: (piece: P, error: StockmeshError) => Promise<P[]>,
): Promise<T[]> {
  try {
    return await ask(piece);
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw error;
    const parts = await partsOf(piece, error);
    if (parts.length === 0) throw error;
    const found: T[] = [];
    for (const part of parts) found.push(...(await inParts(part, ask, partsOf)));
    return found;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
