import type { BarsAnswer, DateRange, SourceName } from '../bars/bars.ts';

/**
 * The port every market source implements. Errors: `PermanentError('source.unknown_symbol')` when the source certainly does not know the symbol,
 * `PermanentError('source.…')` for errors that no retry mends (a missing key), `TransientError('source.…')` for all others.
 */
export interface MarketSource {
  readonly name: SourceName;
  bars(symbol: string, range: DateRange, signal: AbortSignal): Promise<BarsAnswer>;
}
