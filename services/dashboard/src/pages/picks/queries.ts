import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { answer, api } from '../../data/client.ts';

/** Everybody who gets a report, with the newest one of each. */
export const usePicksUsers = () =>
  useInfiniteQuery({
    queryKey: ['picks', 'users'],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      answer(api.GET('/v1/picks', { params: { query: { limit: 200, ...(pageParam !== undefined && { cursor: pageParam }) } }, signal })),
    getNextPageParam: ({ next }) => next ?? undefined,
  });

export type PicksUser = NonNullable<ReturnType<typeof usePicksUsers>['data']>['pages'][number]['users'][number];

/** The report of a week, or the newest there is. */
export const usePicks = (user: string, week: string | undefined) =>
  useQuery({
    queryKey: ['picks', 'report', user, week],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      answer(api.GET('/v1/users/{id}/picks', { params: { path: { id: user }, query: week === undefined ? {} : { week } }, signal })),
  });

type Shown = NonNullable<ReturnType<typeof usePicks>['data']>;
export type Report = NonNullable<Shown['data']>;
export type Metadata = Shown['metadata'];
export type Pick = Report['stock_picks'][number];
export type Fact = Report['facts'][number];
export type Sentence = Pick['reasons'][number];

export const useVersions = (user: string) =>
  useQuery({
    queryKey: ['picks', 'versions', user],
    queryFn: ({ signal }) => answer(api.GET('/v1/users/{id}/picks/history', { params: { path: { id: user } }, signal })),
  });

export const useRecord = (user: string) =>
  useQuery({
    queryKey: ['picks', 'record', user],
    queryFn: ({ signal }) => answer(api.GET('/v1/users/{id}/picks/record', { params: { path: { id: user } }, signal })),
  });

export type Horizon = NonNullable<ReturnType<typeof useRecord>['data']>['horizons'][number];

/** What the words of a user's reports cost, or those of all; with the caps for a key that sees all. */
export const useSpend = (user?: string) =>
  useQuery({
    queryKey: ['picks', 'spend', user],
    queryFn: ({ signal }) =>
      answer(api.GET('/v1/spend', { params: { query: { purpose: 'picks', limit: 20, ...(user !== undefined && { user }) } }, signal })),
  });

export type Spend = NonNullable<ReturnType<typeof useSpend>['data']>;

/** What a report of this week may cost at most, as of now. */
export const usePrice = (user: string) =>
  useQuery({
    queryKey: ['picks', 'price', user],
    staleTime: 0,
    gcTime: 0,
    async queryFn({ signal }) {
      const asked = await answer(
        api.POST('/v1/users/{id}/picks', { params: { path: { id: user } }, body: { dry_run: true } as never, signal }),
      );
      return asked as Extract<typeof asked, { model: unknown }>;
    },
  });
