import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { answer, api } from '../../data/client.ts';
import type { Filters, Sort } from './filters.ts';

const PAGE = 100;

export const useJobs = (filters: Filters, sort: Sort) =>
  useInfiniteQuery({
    queryKey: ['jobs', 'list', filters, sort],
    placeholderData: keepPreviousData,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/v1/jobs', {
          params: { query: { ...filters, sort, limit: PAGE, ...(pageParam !== undefined && { cursor: pageParam }) } },
          signal,
        }),
      ),
    getNextPageParam: ({ next }) => next ?? undefined,
  });

/** By state, of the other filters. */
export const useCounts = ({ state: _, ...filters }: Filters) =>
  useQuery({
    queryKey: ['jobs', 'counts', filters],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => answer(api.GET('/v1/jobs/counts', { params: { query: filters }, signal })),
  });

export const useCodes = (filters: Filters, isEnabled: boolean) =>
  useQuery({
    queryKey: ['jobs', 'codes', filters],
    enabled: isEnabled,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => answer(api.GET('/v1/jobs/codes', { params: { query: filters }, signal })),
  });
