/** What a job of a symbol computes, with the handlers of stockmesh: it asks the source, compares the whole history when that is due, and analyses. Stockmesh does it in two jobs. */
import { analysisHandler } from '../../../services/job-types/analysis/handler.ts';
import type { JobContext } from '../../../services/job-types/handler.ts';
import type { SymbolReader } from '../../../services/market/bars/reader.ts';
import { refreshSymbol } from '../../../services/market/bars/refresh.ts';
import type { RefreshRows, StoredAnalysis } from '../../../services/market/bars/store.ts';
import { usCalendar } from '../../../services/market/calendar/calendar.ts';
import type { PriceBar } from '../../../services/market/indicators/indicators.ts';
import { failoverSource } from '../../../services/market/sources/failover-source.ts';
import { simulatedSource } from '../../../services/market/sources/simulated.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { silent } from '../processes/servers.ts';

/** Of the simulated market. */
export const SEED = 1;

/** All that a refreshed symbol writes. */
export interface SymbolRows {
  refresh: RefreshRows;
  analysis: StoredAnalysis;
}

/** A user's own tables: the same as those of stockmesh. */
export interface PeerMarket {
  reader: SymbolReader;
  /** Which symbols of the user are stale, in order: one read. */
  stale(user: string): Promise<string[]>;
  /** Writes a symbol's rows in one transaction. */
  store(rows: SymbolRows): Promise<void>;
  close(): Promise<void>;
}

export function symbolWork(reader: SymbolReader): (symbol: string) => Promise<SymbolRows> {
  const { config } = loadConfig({ environment: 'development', files: [] });
  const clock = systemClock;
  const sources = failoverSource({
    sources: [simulatedSource({ seed: SEED, clock, isTradingDay: (date) => usCalendar.isTradingDay(date) })],
    clock,
    log: silent,
    timeoutMs: 30_000,
    breaker: { failures: 5, openMs: 60_000 },
  });
  return async (symbol) => {
    const { rows } = await refreshSymbol(symbol, {
      reader,
      clock,
      config,
      sources,
      realSources: sources,
      signal: AbortSignal.timeout(30_000),
    });
    if (rows === undefined) throw new Error(`${symbol}: the simulated source gave what is stored`);
    const context = { reader: withFetched(reader, rows), clock, config } as JobContext<StoredAnalysis>;
    const { rows: analyses } = await analysisHandler.run({ symbol }, context);
    return { refresh: rows, analysis: analyses[0] as StoredAnalysis };
  };
}

/** Reads as if the rows were stored, so that one transaction can write them and what is computed from them. */
function withFetched(reader: SymbolReader, { bars, check }: RefreshRows): SymbolReader {
  const fetched = new Map<string, PriceBar>(bars.map((bar) => [bar.date, bar]));
  return {
    ...reader,
    async state(symbol) {
      const state = await reader.state(symbol);
      const { newestBar, asOf, checkedAt } = check;
      const known = state ?? { ...check, analysedAt: null, analysedBar: null, analysedAsOf: null, volatility: null };
      return { ...known, newestBar: newestBar ?? known.newestBar, asOf: asOf ?? known.asOf, checkedAt };
    },
    async pricesSince(symbol, first) {
      const stored = (await reader.pricesSince(symbol, first)).filter(({ date }) => !fetched.has(date));
      return [...stored, ...fetched.values()].sort((a, b) => (a.date < b.date ? -1 : 1));
    },
  };
}
