import type { Chain, ChainSourceName } from '../chain/chain.ts';

/**
 * The port every source of option chains implements. A row that cannot be read is left out and named in the chain's `gaps`; the others stay. Errors:
 * `PermanentError('source.unknown_symbol')` when the source certainly does not know the underlying, `PermanentError('chain.empty')` for one without options,
 * `TransientError('source.…')` for everything that may work later. An abort rethrows the signal's reason.
 */
export interface ChainSource {
  readonly name: ChainSourceName;
  chain(underlying: string, signal: AbortSignal): Promise<Chain>;
}
