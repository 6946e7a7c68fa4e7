import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { answer, api, queries, type Schemas } from '../../data/client.ts';
import type { Me } from '../../data/session.ts';
import { may } from '../../data/session.ts';
import { type Dataset, today } from './dataset.ts';

export type Download = Schemas['HistoryDownload'];
export type Preview = Schemas['DownloadPreview'];

export const useDownloads = (user: string | undefined) =>
  useQuery({
    queryKey: ['history', 'downloads'],
    queryFn: ({ signal }) => answer(api.GET('/v1/history/downloads', { params: { query: { limit: 20, ...(user && { user }) } }, signal })),
  });

/** For whom a key of a user asks; undefined for one that asks for all. */
export const ownUser = (me: Me | null | undefined): string | undefined => (may(me, 'read') ? undefined : me?.users[0]);

/** All days of a year up to today. */
export const useCoverage = (dataset: Dataset, year: number) =>
  useQuery({
    queryKey: ['history', 'coverage', dataset, year],
    enabled: dataset.root !== '',
    placeholderData: keepPreviousData,
    async queryFn({ signal }) {
      const last = `${year}-12-31`;
      const query = { ...dataset, from: `${year}-01-01`, to: last < today() ? last : today() };
      const first = await answer(api.GET('/v1/history/coverage', { params: { query }, signal }));
      const days = [...first.days];
      for (let { next } = first; next !== null; ) {
        const page = await answer(api.GET('/v1/history/coverage', { params: { query: { ...query, cursor: next } }, signal }));
        days.push(...page.days);
        next = page.next;
      }
      return { ...first, days };
    },
  });

export type Coverage = NonNullable<ReturnType<typeof useCoverage>['data']>;
export type Day = Coverage['days'][number];
export type DayState = Day['state'];

export const useObject = (key: string, rows: number) =>
  useQuery({
    queryKey: ['history', 'object', key, rows],
    queryFn: ({ signal }) => answer(api.GET('/v1/history/objects/{key}', { params: { path: { key }, query: { rows } }, signal })),
  });

/** The states of items that a retry starts again. */
export const RETRIED = ['failed', 'not_entitled', 'not_yet'] as const;

/** The first thousand of each kind. */
export const useFailed = (download: Download) =>
  useQuery({
    queryKey: ['history', 'failed', download.job_id],
    async queryFn({ signal }) {
      const states = RETRIED.filter((state) => download.items[state] > 0);
      const pages = await Promise.all(
        states.map((state) =>
          answer(api.GET('/v1/jobs/{id}/items', { params: { path: { id: download.job_id }, query: { state, limit: 1000 } }, signal })),
        ),
      );
      return { items: pages.flatMap(({ items }) => items), isWhole: pages.every(({ next }) => next === null) };
    },
  });

export const readAgain = () => queries.invalidateQueries({ queryKey: ['history'] });
