/** What the address of the list says: the filters, the order, how rows are grouped. */
import type { paths } from '../../../../client/openapi.ts';
import type { JobState } from '../../data/client.ts';

export const STATES: readonly JobState[] = [
  'ready',
  'running',
  'scheduled',
  'blocked',
  'failed',
  'completed_with_errors',
  'expired',
  'cancelled',
  'completed',
];
export const LIVE: readonly JobState[] = ['ready', 'running', 'scheduled', 'blocked'];
type JobType = NonNullable<NonNullable<paths['/v1/jobs']['get']['parameters']['query']>['type']>;
/** A record, so that no type of the API is forgotten. */
const EVERY_TYPE: Record<JobType, true> = {
  ...{ fetch: true, batch_fetch: true, backfill: true, analysis: true, rank: true },
  ...{ research: true, llm_analysis: true, picks: true, picks_universe: true, history: true },
};
export const TYPES = Object.keys(EVERY_TYPE) as readonly JobType[];
export const QUEUES = ['foreground', 'background_fetch', 'background_analysis'] as const;
export const SORTS = { newest: 'newest first', oldest: 'oldest first', urgent: 'most urgent first', ended: 'ended last first' } as const;
export type Sort = keyof typeof SORTS;

const TEXTS = ['symbol', 'user', 'worker', 'code', 'reason'] as const;

export interface Filters {
  state?: string;
  queue?: (typeof QUEUES)[number];
  type?: JobType;
  symbol?: string;
  user?: string;
  worker?: string;
  code?: string;
  reason?: string;
  min_age?: number;
  max_age?: number;
}

const oneOf = <T extends string>(list: readonly T[], value: string | undefined): T | undefined => list.find((one) => one === value);

/** Of the query of an address; what makes no sense is left out. */
export function filtersOf(search: Record<string, string | undefined>): Filters {
  const states = (search.state ?? '').split(',').filter((state) => STATES.includes(state as JobState));
  const type = oneOf(TYPES, search.type);
  const queue = oneOf(QUEUES, search.queue);
  const texts = TEXTS.flatMap((name) => {
    const text = search[name]?.trim();
    return text ? [[name, name === 'symbol' ? text.toUpperCase() : text] as const] : [];
  });
  const ages = (['min_age', 'max_age'] as const).flatMap((name) => {
    const value = Number(search[name]);
    return search[name] && Number.isFinite(value) && value >= 0 ? [[name, value] as const] : [];
  });
  return {
    ...(states.length > 0 && { state: states.join(',') }),
    ...(queue && { queue }),
    ...(type && { type }),
    ...Object.fromEntries(texts),
    ...Object.fromEntries(ages),
  };
}

/** The order that was asked for, where the states allow it. */
export function sortOf(search: Record<string, string | undefined>, { state }: Filters): Sort {
  const asked = oneOf(Object.keys(SORTS) as Sort[], search.sort);
  const states = state?.split(',') ?? [];
  const isLive = states.length > 0 && states.every((one) => LIVE.includes(one as JobState));
  const isEnded = states.length > 0 && states.every((one) => !LIVE.includes(one as JobState));
  if (asked === 'urgent' && !isLive) return 'newest';
  if (asked === 'ended' && !isEnded) return 'newest';
  return asked ?? (isEnded ? 'ended' : 'newest');
}

/** In words, for a confirmation: `failed fetch jobs of AAPL`. */
export function inWords({ state, type, queue, symbol, user, worker, code, reason }: Filters): string {
  return [
    state?.replaceAll('_', ' ').replaceAll(',', ' or ') ?? 'all',
    type,
    'jobs',
    queue && `of the queue ${queue}`,
    symbol && `of ${symbol}`,
    user && `that ${user} waits for`,
    worker && `of ${worker}`,
    code && `with the code ${code}`,
    reason && `whose reason has “${reason}”`,
  ]
    .filter(Boolean)
    .join(' ');
}
