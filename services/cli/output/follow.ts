/** Follows jobs to their end: subscribes to `jobs/+/status` and reads the ledger too, since a message may be lost and the broker may be away. */
import { setTimeout as delay } from 'node:timers/promises';
import { isLive, type State } from '../../ledger/job.ts';
import { listJobs } from '../../ledger/read/jobs.ts';
import type { Bus, BusState } from '../../platform/bus/bus.ts';
import type { Sql } from '../../platform/database/database.ts';
import { messageOf, TransientError } from '../../platform/errors.ts';
import type { Body } from '../../platform/messages.ts';

export interface FollowedJob {
  id: string;
  type: string;
  symbol: string | null;
  state: State;
  attempt: number;
  worker: string | null;
  reason: string | null;
  items: { done: number; total: number } | null;
  /** `performance.now()` when this process learned of the end. */
  endedAt: number | null;
}

export interface FollowEvents {
  onChange(job: FollowedJob): void;
  /** A note for the user: the broker cannot be reached, or is connected again. */
  onNote(text: string): void;
}

export interface Follower {
  /** Resolves when all have ended, or with the states known so far when `signal` aborts. In the order of the ids. */
  until(ids: readonly string[], events: FollowEvents, signal: AbortSignal): Promise<FollowedJob[]>;
  close(): Promise<void>;
}

/** Milliseconds between reads of the ledger. With the broker, only a lost message is found this way. */
const POLL_ONLINE_MS = 1_000;
const POLL_AWAY_MS = 100;
/** Ids a statement. */
const CHUNK = 500;

export const hasEnded = (state: State): boolean => !isLive(state);

/** Subscribes at once, and keeps states that arrive before `until` is called with the ids of their jobs. */
export function followJobs(sql: Sql, bus: Bus): Follower {
  const early = new Map<string, Body<'status'>>();
  let take: ((status: Body<'status'>) => void) | undefined;
  const subscription = bus.subscribe('status', { concurrency: 1 }, ({ body }) => {
    if (take === undefined) early.set(body.id, body);
    else take(body);
  });

  return {
    async until(ids, events, signal) {
      const jobs = new Map(ids.map((id) => [id, unknown(id)]));
      const open = new Set(jobs.keys());
      const done = Promise.withResolvers<void>();
      const update = (id: string, news: Partial<FollowedJob> & { state: State }): void => {
        const job = jobs.get(id);
        // An ended job stays ended: a late message or an earlier read reports an older state.
        if (job === undefined || !open.has(id)) return;
        const items = news.items ?? job.items;
        const same =
          job.state === news.state && job.attempt === (news.attempt ?? job.attempt) && job.items?.done === items?.done && job.type !== '';
        Object.assign(job, news, { items });
        if (hasEnded(job.state)) {
          job.endedAt = performance.now();
          open.delete(id);
        }
        if (!same) events.onChange(job);
        if (open.size === 0) done.resolve();
      };
      const heard = new Set<string>();
      take = (status) => {
        heard.add(status.id);
        update(status.id, fromMessage(status));
      };
      for (const status of early.values()) take(status);
      early.clear();

      const stopWatching = bus.onState((state) => events.onNote(noteOf(state)));
      if (bus.state === 'offline') events.onNote(noteOf('offline'));
      const over = new AbortController();
      signal.addEventListener('abort', () => done.resolve(), { once: true });
      const pause = () => (bus.state === 'online' ? POLL_ONLINE_MS : POLL_AWAY_MS);
      const polling = poll(sql, { open, heard }, update, events.onNote, pause, over.signal);
      if (signal.aborted || open.size === 0) done.resolve();
      await Promise.race([done.promise, polling]);
      over.abort();
      stopWatching();
      take = undefined;
      return [...jobs.values()];
    },
    close: () => subscription.close(),
  };
}

/** Reads the open jobs until the signal aborts. What was `heard` of during a read is newer than that. Rejects only with errors that waiting does not mend. */
async function poll(
  sql: Sql,
  { open, heard }: { open: ReadonlySet<string>; heard: Set<string> },
  update: (id: string, news: Partial<FollowedJob> & { state: State }) => void,
  onNote: (text: string) => void,
  pause: () => number,
  over: AbortSignal,
): Promise<void> {
  let unreadable = false;
  while (!over.aborted) {
    try {
      const ids = [...open];
      for (let start = 0; start < ids.length; start += CHUNK) {
        const chunk = ids.slice(start, start + CHUNK);
        heard.clear();
        for (const { id, type, symbol, state, attempt, worker, reason } of await listJobs(sql, { ids: chunk, limit: chunk.length }))
          if (!heard.has(id)) update(id, { type, symbol, state, attempt, worker, reason });
      }
      if (unreadable) onNote('the database can be reached again');
      unreadable = false;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (!unreadable) onNote(messageOf(error));
      unreadable = true;
    }
    await delay(pause(), undefined, { signal: over }).catch(() => undefined);
  }
}

function fromMessage({ type, symbol, state, attempt, worker, reason, progress }: Body<'status'>): Partial<FollowedJob> & { state: State } {
  return {
    type,
    symbol: symbol ?? null,
    state,
    attempt,
    worker: worker ?? null,
    reason: reason ?? null,
    ...(progress === undefined ? {} : { items: { done: progress.total - openItems(progress), total: progress.total } }),
  };
}

function openItems({ total, ...ended }: NonNullable<Body<'status'>['progress']>): number {
  return Object.values(ended).reduce((open, count = 0) => open - count, total);
}

function noteOf(state: BusState): string {
  return state === 'online'
    ? 'connected to the broker again'
    : `the broker cannot be reached: reading the database every ${POLL_AWAY_MS} ms instead`;
}

const unknown = (id: string): FollowedJob => ({
  id,
  type: '',
  symbol: null,
  state: 'ready',
  attempt: 0,
  worker: null,
  reason: null,
  items: null,
  endedAt: null,
});
