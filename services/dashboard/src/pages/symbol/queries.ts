import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { answer, api, type Schemas } from '../../data/client.ts';

/** What the API gives at once: 20 years of days. */
const MOST = 5_000;

export const useSymbol = (symbol: string) =>
  useQuery({
    queryKey: ['symbol', symbol],
    queryFn: ({ signal }) => answer(api.GET('/v1/symbols/{symbol}', { params: { path: { symbol } }, signal })),
  });

const asked = (symbol: string, adjusted: boolean) => ({ path: { symbol }, query: { limit: MOST, adjusted: String(adjusted) } });

export const useBars = (symbol: string, adjusted: boolean) =>
  useQuery({
    queryKey: ['symbol', symbol, 'bars', adjusted],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => answer(api.GET('/v1/symbols/{symbol}/bars', { params: asked(symbol, adjusted), signal })),
  });

export const useIndicators = (symbol: string, adjusted: boolean) =>
  useQuery({
    queryKey: ['symbol', symbol, 'indicators', adjusted],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => answer(api.GET('/v1/symbols/{symbol}/indicators', { params: asked(symbol, adjusted), signal })),
  });

export type Details = NonNullable<ReturnType<typeof useSymbol>['data']>;
export type Bars = NonNullable<ReturnType<typeof useBars>['data']>;
export type Indicators = NonNullable<ReturnType<typeof useIndicators>['data']>;
export type Bar = Schemas['Bar'];
