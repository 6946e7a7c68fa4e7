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

/** Figures and headlines; a symbol of which none are stored is not asked. */
export const useResearch = (symbol: string, isStored: boolean) =>
  useQuery({
    queryKey: ['symbol', symbol, 'research'],
    enabled: isStored,
    queryFn: ({ signal }) =>
      answer(api.GET('/v1/symbols/{symbol}/research', { params: { path: { symbol }, query: { headlines: 10 } }, signal })),
  });

export const usePastSignals = (symbol: string) =>
  useQuery({
    queryKey: ['symbol', symbol, 'signals'],
    queryFn: ({ signal }) =>
      answer(api.GET('/v1/symbols/{symbol}/signals', { params: { path: { symbol }, query: { limit: 250 } }, signal })),
  });

export type Research = NonNullable<ReturnType<typeof useResearch>['data']>;
export type PastSignal = Schemas['PastSignal'];
export type Details = NonNullable<ReturnType<typeof useSymbol>['data']>;
export type Bars = NonNullable<ReturnType<typeof useBars>['data']>;
export type Indicators = NonNullable<ReturnType<typeof useIndicators>['data']>;
export type Bar = Schemas['Bar'];
