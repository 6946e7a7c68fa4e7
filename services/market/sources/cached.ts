import { TransientError } from '../../platform/errors.ts';
import type { BarsAnswer, DateRange } from '../bars/bars.ts';
import type { MarketSource } from './source.ts';

/** The stored bars of a symbol. `asOf`: the moment at which they were true. */
export type StoredBars = Pick<BarsAnswer, 'bars' | 'actions' | 'asOf' | 'currency' | 'timeZone'>;

/** The last source in the order: gives the stored bars again, marked stale. When nothing is stored: `TransientError('source.cache_empty')`. */
export function cachedSource({ read }: { read: (symbol: string, range: DateRange) => Promise<StoredBars | undefined> }): MarketSource {
  return {
    name: 'cached',
    async bars(symbol, range, signal) {
      signal.throwIfAborted();
      const stored = await read(symbol, range);
      if (stored === undefined) throw new TransientError('source.cache_empty', `cached: nothing is stored for ${symbol}`);
      return { ...stored, symbol, source: 'cached', stale: true };
    },
  };
}
