import { useQuery } from '@tanstack/react-query';
import { answer, api, type Schemas } from '../../data/client.ts';

export type Position = Schemas['Position'];

/** All positions: a page of the API is long enough for a portfolio, and the rest follows. */
export const usePortfolio = (user: string) =>
  useQuery({
    queryKey: ['portfolio', user],
    async queryFn({ signal }) {
      const path = { id: user };
      const first = await answer(api.GET('/v1/users/{id}/portfolio', { params: { path, query: { limit: 1000 } }, signal }));
      const positions = [...first.positions];
      let { next } = first;
      while (next !== null) {
        const page = await answer(api.GET('/v1/users/{id}/portfolio', { params: { path, query: { limit: 1000, cursor: next } }, signal }));
        positions.push(...page.positions);
        next = page.next;
      }
      return { ...first, positions };
    },
  });

export type Portfolio = NonNullable<ReturnType<typeof usePortfolio>['data']>;
