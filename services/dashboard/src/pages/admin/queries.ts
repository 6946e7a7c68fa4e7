import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { answer, api, queries, type Schemas } from '../../data/client.ts';

export type Schedule = Schemas['Schedule'];
export type ApiKey = Schemas['ApiKey'];

export const useAutoFetch = () =>
  useQuery({ queryKey: ['auto-fetch'], queryFn: ({ signal }) => answer(api.GET('/v1/auto-fetch', { signal })) });

export const useSchedules = () =>
  useQuery({ queryKey: ['schedules'], queryFn: ({ signal }) => answer(api.GET('/v1/schedules', { signal })) });

export const useKeys = (isAllowed: boolean) =>
  useInfiniteQuery({
    queryKey: ['keys'],
    enabled: isAllowed,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      answer(api.GET('/v1/keys', { params: { query: { limit: 100, ...(pageParam !== undefined && { cursor: pageParam }) } }, signal })),
    getNextPageParam: ({ next }) => next ?? undefined,
  });

export type AuditFilter = { action?: string; outcome?: 'done' | 'refused'; actor?: string; target?: string };

/** Who changed what, the newest first. */
export const useAudit = (filter: AuditFilter, isAllowed: boolean, limit = 50) =>
  useInfiniteQuery({
    queryKey: ['audit', filter, limit],
    enabled: isAllowed,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/v1/audit', {
          params: { query: { ...(filter as object), limit, ...(pageParam !== undefined && { cursor: pageParam }) } },
          signal,
        }),
      ),
    getNextPageParam: ({ next }) => next ?? undefined,
  });

export type AuditRow = NonNullable<ReturnType<typeof useAudit>['data']>['pages'][number]['rows'][number];

export const useConfiguration = (isAllowed: boolean) =>
  useQuery({ queryKey: ['config'], enabled: isAllowed, queryFn: ({ signal }) => answer(api.GET('/v1/config', { signal })) });

export type Notification = Schemas['Notification'];
export type StoppedAddress = Schemas['StoppedAddress'];

export const useNotificationRoutes = (isAllowed: boolean) =>
  useQuery({
    queryKey: ['notification-routes'],
    enabled: isAllowed,
    queryFn: ({ signal }) => answer(api.GET('/v1/notifications/routes', { signal })),
  });
export type NotificationRoute = NonNullable<ReturnType<typeof useNotificationRoutes>['data']>['routes'][number];

export const useNotifications = (isAllowed: boolean) =>
  useQuery({
    queryKey: ['notifications'],
    enabled: isAllowed,
    queryFn: ({ signal }) => answer(api.GET('/v1/notifications', { params: { query: { limit: 100 } }, signal })),
  });

const TEST_LOOKS = 40;
const TEST_LOOK_MS = 500;

/** Sends a message by a route and waits for what becomes of it, which no event of the stream tells: its messages, as they are after 20 s at the latest. */
export async function tryRoute(name: string, user: string | undefined): Promise<Notification[]> {
  const body = user === undefined ? {} : { user };
  const { test } = await answer(api.POST('/v1/notifications/routes/{name}/test', { params: { path: { name } }, body }));
  for (let look = 1; ; look++) {
    const { messages } = await answer(api.GET('/v1/notifications', { params: { query: { test } } }));
    const isOver = messages.length > 0 && messages.every(({ state }) => state !== 'open' && state !== 'sending');
    if (isOver || look === TEST_LOOKS) return messages;
    await new Promise((resolve) => setTimeout(resolve, TEST_LOOK_MS));
  }
}

export const useWorkers = () => useQuery({ queryKey: ['workers'], queryFn: ({ signal }) => answer(api.GET('/v1/workers', { signal })) });

/** Reads again what a change by hand has changed, and who made it. */
export const changed = (...names: string[]): Promise<unknown> =>
  Promise.all([...names, 'audit'].map((name) => queries.invalidateQueries({ queryKey: [name] })));
