import { TransientError } from '../../platform/errors.ts';
import type { BarsAnswer, DateRange } from '../bars/bars.ts';
import type { MarketSource } from './source.ts';

/** What is stored of a symbol: `asOf` is the moment it was true when it was fetched. */
export type StoredBars = Pick<BarsAnswer, 'bars' | 'actions' | 'asOf' | 'currency' | 'timeZone'>;

/** The last resort of a chain: gives what is stored again, marked stale. Nothing stored: `TransientError('source.cache_empty')`. */
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
