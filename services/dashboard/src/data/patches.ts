/**
 * How events change the cache. A row that is there is patched when the event is newer than it; a row that is not there is left to the page, which counts it as new. Counts
 * and details are read again, each at most once in a while. A list that is being read while it is patched is read again: the answer on its way may be older than the patch.
 */
import type { QueryClient, QueryKey } from '@tanstack/react-query';
import type { Job, JobState, Schemas } from './client.ts';
import type { LiveEvent, StatusEvent } from './events.ts';

const SOON_MS = 1_000;
const COUNTS_MS = 2_500;
const SOURCES_MS = 10_000;
/** A row of the statistics over time is of a minute. */
const MINUTE_MS = 60_000;

const ORDER: Record<JobState, number> = {
  scheduled: 0,
  blocked: 0,
  ready: 1,
  running: 2,
  completed: 3,
  completed_with_errors: 3,
  failed: 3,
  cancelled: 3,
  expired: 3,
};

/**
 * Whether an event says more than the row knows: of a later attempt, of a later moment, or of the same attempt further on. A job that is run again by hand begins with
 * attempt 0, so the moment counts too.
 */
export function isNewer(event: Pick<StatusEvent, 'attempt' | 'state' | 'at'>, row: Job): boolean {
  if (event.attempt > row.attempt) return true;
  if (new Date(event.at) > new Date(row.ended_at ?? row.started_at ?? row.enqueued_at)) return true;
  return event.attempt === row.attempt && ORDER[event.state] > ORDER[row.state];
}

/** The row as the event has it. */
export function patched<T extends Job>(row: T, event: StatusEvent): T {
  const isEnded = ORDER[event.state] === 3;
  return {
    ...row,
    state: event.state,
    attempt: event.attempt,
    worker: event.worker ?? (event.state === 'ready' ? null : row.worker),
    priority: event.priority ?? row.priority,
    reason: event.reason ?? (event.state === 'running' || event.state === 'completed' ? null : row.reason),
    code: event.code ?? null,
    started_at: event.state === 'running' && row.state !== 'running' ? event.at : row.started_at,
    ended_at: isEnded ? event.at : null,
  };
}

interface JobPages {
  pages: { jobs: Job[]; next: string | null }[];
}

export function createPatches(queries: QueryClient): (events: LiveEvent[]) => void {
  const soon = createSoon(queries);

  function patchLists(events: Map<string, StatusEvent>): void {
    for (const query of queries.getQueryCache().findAll({ queryKey: ['jobs', 'list'] })) {
      const data = query.state.data as JobPages | undefined;
      const isFetching = query.state.fetchStatus === 'fetching';
      const next = data && patchPages(data, events);
      if (next !== undefined) queries.setQueryData(query.queryKey, next);
      if (isFetching && (next !== undefined || data === undefined)) soon(query.queryKey, SOON_MS);
    }
  }

  function patchJob(event: StatusEvent): void {
    const key = ['job', event.id];
    const row = queries.getQueryData<Schemas['JobDetail']>(key);
    if (row === undefined) return;
    if (isNewer(event, row)) queries.setQueryData(key, patched(row, event));
    soon(key, SOON_MS);
  }

  return (events) => {
    const states = new Map<string, StatusEvent>();
    for (const event of events) {
      if (event.type === 'status') {
        states.set(event.body.id, event.body);
        patchJob(event.body);
        if (event.body.type === 'history') patchDownload(queries, event.body, soon);
        if (event.body.type === 'picks') soon(['picks'], SOON_MS);
        const { type, symbol } = event.body;
        if (type === 'rank' && symbol !== undefined) soon(['ranking', symbol], SOON_MS);
      } else invalidate(event, soon);
    }
    if (states.size === 0) return;
    patchLists(states);
    soon(['jobs', 'counts'], COUNTS_MS);
    soon(['workers'], SOON_MS);
    soon(['logins'], SOON_MS);
  };
}

interface Downloads {
  downloads: Schemas['HistoryDownload'][];
}

/** The bar moves with each event; its pace, and what the days of the calendar have become, are read again once in a while. */
function patchDownload(queries: QueryClient, { id, state, progress }: StatusEvent, soon: (key: QueryKey, ms: number) => void): void {
  const key = ['history', 'downloads'];
  if (progress !== undefined)
    queries.setQueryData<Downloads>(key, (data) => data && { ...data, downloads: data.downloads.map((row) => counted(row, id, progress)) });
  soon(key, ORDER[state] === 3 ? 0 : SOON_MS);
  soon(['history', 'coverage'], COUNTS_MS);
  if (ORDER[state] === 3) soon(['history', 'failed'], 0);
}

function counted(
  row: Schemas['HistoryDownload'],
  id: string,
  { done, total, ...rest }: NonNullable<StatusEvent['progress']>,
): Schemas['HistoryDownload'] {
  if (row.job_id !== id) return row;
  const { failed = 0, skipped = 0, no_data = 0, not_entitled = 0, not_yet = 0 } = rest;
  const pending = Math.max(0, total - done - failed - skipped - no_data - not_entitled - not_yet);
  return { ...row, items: { pending, done, skipped, no_data, failed, not_entitled, not_yet, total } };
}

/** undefined: no row has changed. */
function patchPages(data: JobPages, events: Map<string, StatusEvent>): JobPages | undefined {
  let hasChanged = false;
  const pages = data.pages.map((page) => ({
    ...page,
    jobs: page.jobs.map((row) => {
      const event = events.get(row.id);
      if (event === undefined || !isNewer(event, row)) return row;
      hasChanged = true;
      return patched(row, event);
    }),
  }));
  return hasChanged ? { ...data, pages } : undefined;
}

function invalidate(event: Exclude<LiveEvent, { type: 'status' }>, soon: (key: QueryKey, ms: number) => void): void {
  switch (event.type) {
    case 'stats':
      soon(['stats'], 0);
      soon(['sources'], SOURCES_MS);
      soon(['stats-history'], MINUTE_MS);
      break;
    case 'alert':
      soon(['alerts'], 0);
      break;
    case 'presence':
      soon(['workers'], SOON_MS);
      break;
    case 'portfolio':
      soon(['logins', event.body.user_id], 0);
      soon(['users'], SOON_MS);
      break;
    case 'data':
      soon(['symbol', event.body.symbol], SOON_MS);
      soon(['ranking', event.body.symbol], SOON_MS);
      if (event.body.kind === 'ranks') soon(['ranking', 'symbols'], COUNTS_MS);
      soon(['portfolio'], SOON_MS);
      soon(['users'], COUNTS_MS);
      break;
    case 'job':
      soon(['jobs', 'counts'], COUNTS_MS);
  }
}

/** Reads a kind of answers again, at most once in `ms`, and only those that are shown. */
function createSoon(queries: QueryClient): (key: QueryKey, ms: number) => void {
  const waiting = new Set<string>();
  return (key, ms) => {
    const name = JSON.stringify(key);
    if (waiting.has(name)) return;
    waiting.add(name);
    setTimeout(() => {
      waiting.delete(name);
      void queries.invalidateQueries({ queryKey: key }, { cancelRefetch: true });
    }, ms);
  };
}
