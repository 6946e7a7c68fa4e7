/** A change of many jobs: how many it meets, then slice by slice to its end, or until it is stopped. */
import { useEffect, useRef, useState } from 'react';
import type { paths } from '../../../../client/openapi.ts';
import { answer, api, type JobState, type Schemas } from '../../data/client.ts';
import { age } from '../../format/times.ts';
import { type Filters, inWords, LIVE } from './filters.ts';

export type Action = 'cancel' | 'retry' | 'redrive';
export type Left = Schemas['BulkAnswer']['left'][number];
type Answer = Schemas['BulkAnswer'];
/** As the server takes them at once. */
const SLICE = 200;

interface Kind {
  name: string;
  effect: string;
  done: string;
  /** What it can change. */
  states: readonly JobState[];
  /** What it changes when no state is chosen. */
  standard: readonly JobState[];
}

const BROKEN: readonly JobState[] = ['failed', 'completed_with_errors', 'expired', 'cancelled'];
export const ACTIONS: Record<Action, Kind> = {
  cancel: {
    name: 'Cancel',
    effect: 'Those that wait end now; those that run are told to stop.',
    done: 'cancelled',
    states: LIVE,
    standard: LIVE,
  },
  retry: {
    name: 'Retry',
    effect: 'They start again at once, completed ones too.',
    done: 'started again',
    states: [...BROKEN, 'completed', 'scheduled'],
    standard: [...BROKEN, 'completed'],
  },
  redrive: {
    name: 'Redrive',
    effect: 'They start again, with all attempts.',
    done: 'started again',
    states: BROKEN,
    standard: ['failed'],
  },
};

export interface Target {
  action: Action;
  ids?: readonly string[];
  /** In the place of ids. */
  filters?: Filters;
}

/** Of the filter that is shown, what the action can change; undefined: nothing of it. */
export function filtersFor(action: Action, filters: Filters): Filters | undefined {
  const { states, standard } = ACTIONS[action];
  const fit = (filters.state?.split(',') as JobState[] | undefined)?.filter((state) => states.includes(state)) ?? standard;
  return fit.length === 0 ? undefined : { ...filters, state: fit.join(',') };
}

/** In words, for a confirmation. */
export const targetInWords = ({ filters }: Target): string => {
  if (filters === undefined) return 'chosen jobs';
  const { min_age, max_age } = filters;
  const asked = [max_age !== undefined && `within ${age(max_age)}`, min_age !== undefined && `over ${age(min_age)} ago`].filter(Boolean);
  return inWords(filters) + (asked.length === 0 ? '' : `, asked for ${asked.join(' and ')}`);
};

export interface Run {
  /** undefined: not counted yet. */
  expected?: number;
  isAtLeast: boolean;
  done: number;
  left: readonly Left[];
  state: 'counting' | 'asking' | 'working' | 'stopped' | 'ended';
  error?: Error;
}

type Body = NonNullable<paths['/v1/jobs/bulk']['post']['requestBody']>['content']['application/json'];

function bodyOf({ action, filters }: Target, more: Partial<Body>): Body {
  if (filters === undefined) return { action, ...more };
  const { state, ...rest } = filters;
  return { action, filter: { ...rest, ...(state !== undefined && { state: state.split(',') as JobState[] }) }, ...more };
}

const ask = (body: Body, signal?: AbortSignal): Promise<Answer> =>
  answer(api.POST('/v1/jobs/bulk', { body, ...(signal !== undefined && { signal }) }));

/** Ids in parts that the server takes. */
function slices(ids: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(ids.length / SLICE) }, (_, at) => ids.slice(at * SLICE, (at + 1) * SLICE));
}

async function preview(target: Target, signal: AbortSignal): Promise<Pick<Run, 'expected' | 'isAtLeast'>> {
  const parts = target.ids === undefined ? [{}] : slices(target.ids).map((ids) => ({ ids }));
  const counted = await Promise.all(parts.map((part) => ask(bodyOf(target, { ...part, dry_run: true }), signal)));
  return { expected: counted.reduce((sum, { matched }) => sum + matched, 0), isAtLeast: counted.some(({ at_least }) => at_least) };
}

/** Each slice as it is done. */
async function* work(target: Target): AsyncGenerator<Answer> {
  if (target.ids !== undefined) {
    for (const ids of slices(target.ids)) yield await ask(bodyOf(target, { ids }));
    return;
  }
  let cursor: string | null = '';
  while (cursor !== null) {
    const slice: Answer = await ask(bodyOf(target, cursor === '' ? {} : { cursor }));
    yield slice;
    cursor = slice.next;
  }
}

export function useRun(target: Target) {
  const [run, setRun] = useState<Run>({ isAtLeast: false, done: 0, left: [], state: 'counting' });
  const isStopped = useRef(false);
  const change = (changes: Partial<Run>) => setRun((before) => ({ ...before, ...changes }));

  useEffect(() => {
    const control = new AbortController();
    preview(target, control.signal).then(
      (counted) => setRun((before) => ({ ...before, ...counted, state: 'asking' })),
      (error: Error) => control.signal.aborted || setRun((before) => ({ ...before, error, state: 'ended' })),
    );
    return () => control.abort();
  }, [target]);

  async function start(): Promise<void> {
    change({ state: 'working' });
    try {
      for await (const { done, left } of work(target)) {
        setRun((before) => ({ ...before, done: before.done + done.length, left: [...before.left, ...left] }));
        if (isStopped.current) return change({ state: 'stopped' });
      }
      change({ state: 'ended' });
    } catch (error) {
      change({ state: 'ended', error: error as Error });
    }
  }
  return {
    run,
    start,
    /** The slice that is on its way is done to its end. */
    stop: () => {
      isStopped.current = true;
    },
  };
}
