import type { Chain } from '../chain/chain.ts';
import type { ExpiryTimes } from '../chain/time.ts';

/** The inputs of pricing beside the chain. Both annual and continuously compounded, 0.05 = 5 %. */
export interface Market {
  readonly rate: number;
  /** Used only for expirations whose forward cannot be computed from the quotes. */
  readonly dividendYield: number;
}

/**
 * A chain laid out by expiration and strike. Row `r` is one strike of one expiration; the rows of expiration `e` are `firstRow[e]` up to `firstRow[e + 1]`, by ascending
 * strike. `call` and `put` are the contract's index in the chain's columns, or -1 where no usable one is listed.
 */
export interface Grid {
  readonly chain: Chain;
  readonly times: ExpiryTimes;
  readonly market: Market;
  /** 1 for contracts with a usable quote. All others are left out of the surface and have no row. */
  readonly usable: Uint8Array;
  /** (bid + ask) / 2, dollars a share. */
  readonly mid: Float64Array;
  readonly firstRow: Int32Array;
  readonly strike: Float64Array;
  readonly call: Int32Array;
  readonly put: Int32Array;
  /** The row of each contract of the chain; -1 for those that are not usable. */
  readonly rowOf: Int32Array;
}

/**
 * Lays out the contracts that have not expired and are quoted on both sides, not crossed: 0 < bid ≤ ask. `trusted`, if given, leaves out those that are 0 in it, such as
 * stale ones. Expirations are told apart by their roots, so a strike has one call and one put.
 */
export function gridOf(chain: Chain, times: ExpiryTimes, market: Market, trusted?: Uint8Array): Grid {
  const contracts = chain.contracts.length;
  const mid = new Float64Array(contracts);
  const usable = new Uint8Array(contracts);
  const order = new Int32Array(contracts);
  let count = 0;
  for (let i = 0; i < contracts; i++) {
    const bid = chain.bid[i]!;
    const ask = chain.ask[i]!;
    mid[i] = (bid + ask) / 2;
    const quoted = bid > 0 && ask >= bid && ask < Number.POSITIVE_INFINITY && chain.strike[i]! > 0;
    if (!quoted || trusted?.[i] === 0 || times.expired[chain.expiry[i]!] === 1) continue;
    usable[i] = 1;
    order[count++] = i;
  }
  const { expiry, strike, isPut } = chain;
  const sorted = order.subarray(0, count).sort((a, b) => expiry[a]! - expiry[b]! || strike[a]! - strike[b]!);

  const rowStrike = new Float64Array(count);
  const call = new Int32Array(count).fill(-1);
  const put = new Int32Array(count).fill(-1);
  const rowOf = new Int32Array(contracts).fill(-1);
  const rowsOfExpiry = new Int32Array(chain.expirations.length + 1);
  let row = -1;
  let previous = -1;
  for (const i of sorted) {
    if (previous < 0 || expiry[i] !== expiry[previous] || strike[i] !== strike[previous]) {
      rowStrike[++row] = strike[i]!;
      rowsOfExpiry[expiry[i]! + 1]!++;
    }
    (isPut[i] === 1 ? put : call)[row] = i;
    rowOf[i] = row;
    previous = i;
  }
  const firstRow = rowsOfExpiry;
  for (let e = 1; e < firstRow.length; e++) firstRow[e]! += firstRow[e - 1]!;
  const rows = row + 1;
  return {
    chain,
    times,
    market,
    usable,
    mid,
    firstRow,
    strike: rowStrike.subarray(0, rows),
    call: call.subarray(0, rows),
    put: put.subarray(0, rows),
    rowOf,
  };
}

/**
 * The contract whose implied volatility is used for a strike: the out-of-the-money contract (put below the forward, call from it upwards), because it is more liquid
 * and has the smaller early-exercise premium. The other side where it has no IV; -1 where neither has one.
 */
export function leadingContract(grid: Grid, row: number, forward: number, iv: Float64Array): number {
  const call = grid.call[row]!;
  const put = grid.put[row]!;
  const first = grid.strike[row]! < forward ? put : call;
  if (first >= 0 && iv[first]! > 0) return first;
  const second = first === put ? call : put;
  return second >= 0 && iv[second]! > 0 ? second : -1;
}
