/** The stored files as the gateway reads them: in processes of their own, few at a time, so that no question of one caller delays the others. */
import type { FastifyReply } from 'fastify';
import type { ManifestRow } from '../../history/manifest.ts';
import type { ObjectStore } from '../../history/objects/store.ts';
import { type Chain, type ChainQuestion, chainAt } from '../../history/stored/chain.ts';
import { lookInto, type StoredHistory } from '../../history/stored/files.ts';
import { TransientError } from '../../platform/errors.ts';

export interface HistoryFiles {
  store: ObjectStore;
  look(row: ManifestRow, rows: number, signal: AbortSignal): ReturnType<typeof lookInto>;
  chain(question: ChainQuestion, signal: AbortSignal): Promise<Chain>;
  /** One export after the other, apart from the short questions. Errors: `TransientError('history.busy')`. */
  exporting<T>(work: (history: StoredHistory) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Questions that wait for their turn; the process answers one after the other. */
const MOST_WAITING = 16;
const MOST_EXPORTS = 4;

export function createHistoryFiles(short: StoredHistory, long: StoredHistory): HistoryFiles {
  const asked = turns(MOST_WAITING);
  const exported = turns(MOST_EXPORTS);
  return {
    store: short.store,
    look: (row, rows, signal) => asked(() => lookInto(short, row, rows, signal)),
    chain: (question, signal) => asked(() => chainAt(short, question, signal)),
    exporting: (work) => exported(() => work(long)),
    close: async () => void (await Promise.all([short.reader.close(), long.reader.close()])),
  };
}

/** Runs what is given one after the other. Errors: `TransientError('history.busy')` when `most` wait. */
function turns(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return async (work) => {
    if (waiting >= most)
      throw new TransientError('history.busy', `${most} questions wait for the stored files already; ask again in a moment`);
    waiting++;
    const before = last;
    const own = before.then(work);
    last = own.catch(() => undefined);
    try {
      return await own;
    } finally {
      waiting--;
    }
  };
}

/** Aborts when the caller has gone. */
export function closing({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) controller.abort(new TransientError('request.gone', 'the caller has gone'));
  });
  return controller.signal;
}
