import type { BarsAnswer, DateRange, SourceName } from '../bars/bars.ts';

/**
 * The port every market source implements. Errors: `PermanentError('source.unknown_symbol')` when the source is sure that it does not know the symbol,
 * `PermanentError('source.…')` for what will never work (a missing key), `TransientError('source.…')` for everything that may work later.
 */
export interface MarketSource {
  readonly name: SourceName;
  bars(symbol: string, range: DateRange, signal: AbortSignal): Promise<BarsAnswer>;
}
