/** The stored files as the gateway reads them: in processes of their own, few at a time, so that no question of one caller delays the others. */
import type { FastifyReply } from 'fastify';
import type { ManifestRow } from '../../history/manifest.ts';
import type { ObjectStore } from '../../history/objects/store.ts';
import { type Chain, type ChainQuestion, chainAt } from '../../history/stored/chain.ts';
import { lookInto, type StoredHistory } from '../../history/stored/files.ts';
import { TransientError } from '../../platform/errors.ts';
import type { Caller } from '../auth/access.ts';
import { usersOf } from '../auth/request-limits.ts';
import { RefusedError } from '../http/problems.ts';

/** Errors of all questions: `RefusedError('quota.history')`, `TransientError('history.busy')`. */
export interface HistoryFiles {
  store: ObjectStore;
  look(caller: Caller, row: ManifestRow, rows: number, signal: AbortSignal): ReturnType<typeof lookInto>;
  chain(caller: Caller, question: ChainQuestion, signal: AbortSignal): Promise<Chain>;
  /** Apart from the short questions, and of one caller one after the other: who reads an export slowly holds up only the own next ones. */
  exporting<T>(caller: Caller, work: (history: StoredHistory) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Callers that are answered at once. The process takes one short question after the other; an export may lay a gigabyte on the disk. */
const MOST_ASKING = 64;
const MOST_EXPORTING = 4;

/** `most`: questions of each kind that one caller may have at once (`gateway.quotas.history_questions`). */
export function createHistoryFiles(short: StoredHistory, long: StoredHistory, most: number): HistoryFiles {
  const asked = turns(most, MOST_ASKING);
  const exported = turns(most, MOST_EXPORTING);
  return {
    store: short.store,
    look: (caller, row, rows, signal) => asked(caller, () => lookInto(short, row, rows, signal)),
    chain: (caller, question, signal) => asked(caller, () => chainAt(short, question, signal)),
    exporting: (caller, work) => exported(caller, () => work(long)),
    close: async () => void (await Promise.all([short.reader.close(), long.reader.close()])),
  };
}

/**
 * Runs what one caller gives one after the other, beside that of others. Keys that are only for users are one caller for each such user. Errors: `RefusedError('quota.history')` when
 * the caller has `most` already, `TransientError('history.busy')` when `mostCallers` others are answered.
 */
function turns(most: number, mostCallers: number): <T>(caller: Caller, work: () => Promise<T>) => Promise<T> {
  const lines = new Map<string, { last: Promise<unknown>; asked: number }>();
  return async ({ id, name, scopes }, work) => {
    const holder = usersOf(scopes).sort().join('\n') || `key ${id}`;
    const line = lines.get(holder) ?? { last: Promise.resolve(), asked: 0 };
    if (line.asked >= most) {
      const quota = 'gateway.quotas.history_questions';
      const detail = `key "${name}", or its user, has ${most} such questions to the stored files under way (${quota}); ask again when one is answered`;
      throw new RefusedError(429, 'quota.history', detail, { retryAfterSeconds: RETRY_SECONDS, quota });
    }
    if (line.asked === 0 && lines.size >= mostCallers)
      throw new TransientError('history.busy', `${mostCallers} callers ask for the stored files already; ask again in a moment`);
    line.asked++;
    lines.set(holder, line);
    const own = line.last.then(work);
    line.last = own.catch(() => undefined);
    try {
      return await own;
    } finally {
      line.asked--;
      if (line.asked === 0) lines.delete(holder);
    }
  };
}

/** A question takes some tenths of a second. */
const RETRY_SECONDS = 1;

/** Aborts when the caller has gone. */
export function closing({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const gone = (): void => {
    if (!raw.writableFinished) controller.abort(new TransientError('request.gone', 'the caller has gone'));
  };
  raw.once('close', gone);
  // One that has gone already: `close` is over.
  if (raw.destroyed) gone();
  return controller.signal;
}
