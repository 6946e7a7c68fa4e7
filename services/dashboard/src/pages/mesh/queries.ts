import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { answer, api } from '../../data/client.ts';

/** The stream tells once a second or so that these have changed; the age of a waiting job grows without an event. */
export const useStats = () => useQuery({ queryKey: ['stats'], queryFn: ({ signal }) => answer(api.GET('/v1/stats', { signal })) });
export const useWorkers = () => useQuery({ queryKey: ['workers'], queryFn: ({ signal }) => answer(api.GET('/v1/workers', { signal })) });
export const useAlerts = () => useQuery({ queryKey: ['alerts'], queryFn: ({ signal }) => answer(api.GET('/v1/alerts', { signal })) });
export const useSources = () => useQuery({ queryKey: ['sources'], queryFn: ({ signal }) => answer(api.GET('/v1/sources', { signal })) });

/** What the feed begins with: read once. */
export const useEndedJobs = () =>
  useQuery({
    queryKey: ['ended-jobs'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => answer(api.GET('/v1/jobs', { params: { query: { state: ENDED, sort: 'ended', limit: 50 } }, signal })),
  });
const ENDED = 'completed,completed_with_errors,failed,expired,cancelled';

export const SPANS = {
  '1h': { name: '1 h', seconds: 3_600, step: '60' },
  '24h': { name: '24 h', seconds: 86_400, step: '600' },
  '30d': { name: '30 d', seconds: 2_592_000, step: '14400' },
} as const;
export type Span = keyof typeof SPANS;

/** A row a minute is written; `data/patches.ts` has it read again. */
export const useHistory = (span: Span) =>
  useQuery({
    queryKey: ['stats-history', span],
    placeholderData: keepPreviousData,
    async queryFn({ signal }) {
      const { seconds, step } = SPANS[span];
      const from = new Date(Date.now() - seconds * 1000).toISOString();
      return answer(api.GET('/v1/stats/history', { params: { query: { from, step, series: 'depth,rates,latency,workers' } }, signal }));
    },
  });
export type History = NonNullable<ReturnType<typeof useHistory>['data']>;
export type Stats = NonNullable<ReturnType<typeof useStats>['data']>;
export type Instance = NonNullable<ReturnType<typeof useWorkers>['data']>['instances'][number];
export type Alert = NonNullable<ReturnType<typeof useAlerts>['data']>['alerts'][number];
