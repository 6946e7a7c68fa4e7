import { InputError, PermanentError, TransientError } from '../../../platform/errors.ts';
import type { CHAIN_NUMBERS, Chain, ChainGap, ChainSourceName } from '../chain/chain.ts';
import { type Contract, formatContract, parseContract } from '../chain/contract.ts';
import { isAdjusted } from '../chain/roots.ts';

/** A contract's numbers in the units of `Chain`; what is missing, not finite or impossible (a negative price, count or volatility) becomes NaN. */
export type QuoteNumbers = Partial<Record<Exclude<(typeof CHAIN_NUMBERS)[number], 'strike'>, number | null | undefined>>;

const NEVER_NEGATIVE: ReadonlySet<string> = new Set(['bid', 'ask', 'volume', 'openInterest', 'iv', 'gamma', 'vega']);

export interface ChainBuilder {
  /** Adds a contract, given by its OCC symbol or its parts. Of several rows of one contract the first is kept. A contract that cannot be read, or that an adjustment changed, is dropped. */
  add(contract: string | Contract, quote: QuoteNumbers): void;
  /** Counts a row that cannot be read, by reason. */
  drop(reason: string): void;
  /** A missing part: an expiration, or a field of all contracts. */
  miss(expiry: string | undefined, reason: string): void;
  /** Throws `PermanentError('chain.empty')`, or `TransientError('source.malformed')` where there were rows and none could be read, or the price is invalid. */
  build(at: { asOf: Temporal.Instant; spot: number }): Chain;
}

/** Collects the rows of one chain and turns them into columns. */
export function chainBuilder({ underlying, source }: { underlying: string; source: ChainSourceName }): ChainBuilder {
  const contracts = new Map<string, { series: string; isPut: boolean; strike: number; quote: QuoteNumbers }>();
  const missing: ChainGap[] = [];
  const dropped = new Map<string, number>();
  const drop = (reason: string): void => {
    dropped.set(reason, (dropped.get(reason) ?? 0) + 1);
  };

  function add(given: string | Contract, quote: QuoteNumbers): void {
    let parts: Contract;
    let contract: string;
    try {
      parts = typeof given === 'string' ? parseContract(given) : given;
      contract = formatContract(parts);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      drop('the contract cannot be read: its root, date, side or strike is invalid');
      return;
    }
    const { underlying: root, expiry, isPut, strike } = parts;
    if (isAdjusted(root, underlying)) {
      drop('the contract is adjusted: it does not deliver shares of the underlying alone');
      return;
    }
    if (!contracts.has(contract)) contracts.set(contract, { series: `${expiry} ${root}`, isPut, strike, quote });
  }

  return {
    add,
    drop,
    miss: (expiry, reason) => {
      missing.push({ ...(expiry !== undefined && { expiry }), reason });
    },
    build({ asOf, spot }) {
      const gaps = [...missing, ...[...dropped].map(([reason, count]): ChainGap => ({ contracts: count, reason }))];
      if (contracts.size === 0) {
        const reasons = gaps.map(({ expiry, contracts: count, reason }) => `${expiry ?? `${count ?? 'all'} rows`}: ${reason}`).join('; ');
        if (dropped.size > 0) {
          throw new TransientError('source.malformed', `${source}: no option contract of ${underlying} can be read: ${reasons}`);
        }
        throw new PermanentError('chain.empty', `${source}: ${underlying} has no option contracts${reasons && ` (${reasons})`}`);
      }
      if (!(spot > 0 && spot < Number.POSITIVE_INFINITY)) {
        throw new TransientError('source.malformed', `${source}: the price of ${underlying} is ${spot}, the chain needs one above 0`);
      }
      const rows = [...contracts.values()];
      const series = [...new Set(rows.map((row) => row.series))].sort();
      const indexOf = new Map(series.map((name, index) => [name, index]));
      const column = (name: keyof QuoteNumbers) => Float64Array.from(rows, ({ quote }) => readable(name, quote[name]));
      return {
        underlying,
        source,
        asOf,
        spot,
        contracts: [...contracts.keys()],
        expirations: series.map((name) => name.slice(0, DATE_LENGTH)),
        roots: series.map((name) => name.slice(DATE_LENGTH + 1)),
        expiry: Uint16Array.from(rows, (row) => indexOf.get(row.series)!),
        isPut: Uint8Array.from(rows, ({ isPut }) => Number(isPut)),
        strike: Float64Array.from(rows, ({ strike }) => strike),
        bid: column('bid'),
        ask: column('ask'),
        volume: column('volume'),
        openInterest: column('openInterest'),
        iv: column('iv'),
        delta: column('delta'),
        gamma: column('gamma'),
        theta: column('theta'),
        vega: column('vega'),
        quotedAt: column('quotedAt'),
        ...(gaps.length > 0 && { gaps }),
      };
    },
  };
}

/** Of `YYYY-MM-DD`. */
const DATE_LENGTH = 10;

function readable(name: string, value: number | null | undefined): number {
  if (value === null || value === undefined || !Number.isFinite(value)) return Number.NaN;
  return value < 0 && NEVER_NEGATIVE.has(name) ? Number.NaN : value;
}
