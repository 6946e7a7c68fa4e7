import { useQuery } from '@tanstack/react-query';
import { answer, api, type Schemas } from '../../data/client.ts';

export type Ranking = Schemas['Ranking'];
export type Rank = Ranking['ranks'][number];
export type Mode = Ranking['mode'];
export type Why = NonNullable<Rank['why']>;
export type Chain = Schemas['Chain'];
export type ChainContract = Schemas['ChainContract'];
export type Volatility = Schemas['Volatility'];
export type OptionPosition = Schemas['OptionPosition'];

const PAGE = 500;

/** All ranks that are kept of the newest run. A key of users sees the exit ranking of one of them: `user`. Read again when data or a rank job of the symbol change. */
export const useRanking = (symbol: string, mode: Mode, user: string | undefined) =>
  useQuery({
    queryKey: ['ranking', symbol, mode, 'all', user],
    async queryFn({ signal }): Promise<Ranking> {
      const query = { symbol, mode, limit: PAGE, ...(mode === 'exit' && user !== undefined && { user }) };
      const first = await answer(api.GET('/v1/rankings', { params: { query }, signal }));
      const ranks = [...first.ranks];
      let { next } = first;
      while (next !== null) {
        const page = await answer(api.GET('/v1/rankings', { params: { query: { ...query, cursor: next } }, signal }));
        ranks.push(...page.ranks);
        next = page.next;
      }
      return { ...first, ranks };
    },
  });

/** Of one contract in a mode, with what it is made of. `totalRanks` 0: it is not among those that are kept. */
export const useExplained = (symbol: string, mode: Mode, contract: string, user: string | undefined) =>
  useQuery({
    queryKey: ['ranking', symbol, mode, 'why', contract, user],
    queryFn({ signal }) {
      const query = { symbol, mode, contract, why: 'true', limit: 20, ...(mode === 'exit' && user !== undefined && { user }) };
      return answer(api.GET('/v1/rankings', { params: { query }, signal }));
    },
  });

/** Of a run its head alone, to know how many are kept. */
export const useHead = (symbol: string, mode: Mode, user: string | undefined) =>
  useQuery({
    queryKey: ['ranking', symbol, mode, 'head', user],
    queryFn({ signal }) {
      const query = { symbol, mode, limit: 1, ...(mode === 'exit' && user !== undefined && { user }) };
      return answer(api.GET('/v1/rankings', { params: { query }, signal }));
    },
  });

/** Whether its chain is stored, which each ranking keeps, of whatever mode; undefined: not known yet. Where there is none it is not asked for. */
export function useHasChain(symbol: string, user: string | undefined): boolean | undefined {
  const heads = [useHead(symbol, 'entry', user), useHead(symbol, 'monitor', user), useHead(symbol, 'exit', user)];
  if (heads.some(({ data }) => data?.run_at != null)) return true;
  return heads.every(({ isFetched }) => isFetched) ? false : undefined;
}

export const useRankedSymbols = () =>
  useQuery({
    queryKey: ['ranking', 'symbols'],
    queryFn: ({ signal }) => answer(api.GET('/v1/rankings/symbols', { signal })),
  });

export const useChain = (symbol: string, expiry: string | undefined, enabled: boolean) =>
  useQuery({
    queryKey: ['ranking', symbol, 'chain', expiry],
    enabled,
    queryFn: ({ signal }) =>
      answer(
        api.GET('/v1/symbols/{symbol}/chain', { params: { path: { symbol }, query: expiry === undefined ? {} : { expiry } }, signal }),
      ),
  });

/** `expiry`: the smile of that one alone. */
export const useVolatility = (symbol: string, expiry: string | undefined, enabled: boolean) =>
  useQuery({
    queryKey: ['ranking', symbol, 'volatility', expiry],
    enabled,
    queryFn: ({ signal }) =>
      answer(
        api.GET('/v1/symbols/{symbol}/volatility', { params: { path: { symbol }, query: expiry === undefined ? {} : { expiry } }, signal }),
      ),
  });

export interface Held {
  positions: OptionPosition[];
  /** Of what was read: a change that was made from it is refused when somebody else has changed it. */
  version: string;
}

export const usePositions = (user: string) =>
  useQuery({
    queryKey: ['option-positions', user],
    enabled: user !== '',
    async queryFn({ signal }): Promise<Held> {
      const asked = api.GET('/v1/users/{id}/positions', { params: { path: { id: user } }, signal });
      const { positions } = await answer(asked);
      return { positions, version: (await asked).response.headers.get('etag') ?? '' };
    },
  });

/** Of a job that makes a ranking, as events change it. */
export const useRankJob = (id: string | undefined) =>
  useQuery({
    queryKey: ['job', id],
    enabled: id !== undefined,
    queryFn: ({ signal }) => answer(api.GET('/v1/jobs/{id}', { params: { path: { id: id as string } }, signal })),
  });

/** Names of the first users, to choose from. */
export const useUsers = (enabled: boolean) =>
  useQuery({
    queryKey: ['users', 'names'],
    enabled,
    async queryFn({ signal }) {
      const { users } = await answer(api.GET('/v1/users', { params: { query: { limit: 200 } }, signal }));
      return users.map(({ user }) => user);
    },
  });
export type RankedSymbol = Schemas['RankedSymbol'];
