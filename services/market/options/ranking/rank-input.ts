/** The input of a ranking: it is checked and turned into rows, one for each contract, or each position, that can be ranked. */

import type { RankingRules } from '../../../platform/config/ranking.ts';
import { InputError } from '../../../platform/errors.ts';
import { CHAIN_NUMBERS, type Chain } from '../chain/chain.ts';
import { parseContract } from '../chain/contract.ts';
import { ELIGIBLE, EXPIRED, judgeContracts, NOT_QUOTED } from '../chain/eligibility.ts';
import { type ExpiryTimes, expiryTimes } from '../chain/time.ts';
import type { RowColumn, Rows } from '../scoring/measure.ts';
import type { Mode } from '../scoring/parts.ts';
import type { Trend } from '../scoring/trend.ts';

/** Of every contract of a chain, NaN = unknown. */
export interface ContractGreeks {
  readonly iv: Float64Array;
  readonly delta: Float64Array;
  readonly gamma: Float64Array;
  readonly theta: Float64Array;
  readonly vega: Float64Array;
  readonly rho: Float64Array;
  /** One of `IV_SOURCE`. */
  readonly ivSource: Uint8Array;
}

/** The past of every contract, NaN = unknown. Days are trading days before the run's own. */
export interface ContractHistory {
  /** Mid price 3 and 5 days ago, dollars a share. */
  readonly mid3: Float64Array;
  readonly mid5: Float64Array;
  /** Means of the last 20 days. */
  readonly meanIv20: Float64Array;
  readonly meanVolume20: Float64Array;
  /** Open interest 5 days ago. */
  readonly oi5: Float64Array;
}

/** A contract that a user bought. Unknown numbers are undefined. */
export interface Position {
  /** Unique in a run: one contract may be held in several positions, each with its own entry price. */
  readonly id: string;
  readonly contract: string;
  /** Dollars a share, above 0. */
  readonly entryPrice: number;
  /** Annual IV of the contract and price of the underlying at the entry. */
  readonly entryIv?: number | undefined;
  readonly entrySpot?: number | undefined;
  /** The target price of the underlying. */
  readonly target?: number | undefined;
  /** Loss at which the position is stopped, as a share of the entry price, above 0; the rules' `stop_loss` where there is none. */
  readonly stop?: number | undefined;
}

/** Columns by contract have the chain's length, `times` that of its expirations. */
export interface RankInput {
  chain: Chain;
  mode: Mode;
  /** The moment at which the age of quotes is measured: now, or the newest close while the market is closed. */
  at: Temporal.Instant;
  times: Pick<ExpiryTimes, 'dte' | 'expired'>;
  greeks: ContractGreeks;
  trend: Trend;
  /** Of the underlying, 0-100, NaN = unknown. */
  ivRank: number;
  ivPercentile: number;
  history: ContractHistory;
  /** The IV of each contract on the smile of its expiration. */
  smileIv: Float64Array;
  /** Exit mode ranks only these. The other modes ignore them. */
  positions?: readonly Position[] | undefined;
  rules: RankingRules;
}

/** Some contracts of a chain, or positions in them. */
export interface Selection {
  /** Indexes into the chain. */
  readonly contracts: Uint32Array;
  /** In exit mode the position of each index. */
  readonly positions: readonly Position[] | undefined;
}

/**
 * The contracts that can be ranked, and a reason for every contract, or in exit mode for every position: `ELIGIBLE` or 1 + an index into `REASONS`. `indexes`: where each
 * contract stands in the chain.
 * @throws InputError `options.column_length`, `options.duplicate_contract`, `options.duplicate_position`, `options.bad_position`; `contract.invalid` of a position
 */
export function candidatesOf(input: RankInput): { reasons: Uint8Array; selection: Selection; indexes: ReadonlyMap<string, number> } {
  const { chain, mode, times, greeks, at, rules } = input;
  requireColumns(input);
  const indexes = indexesByContract(chain);
  // A position that nobody trades is still held, and its loss still counts.
  const liquidity = mode === 'exit' ? ANY_LIQUIDITY : rules.eligibility;
  const judged = judgeContracts({
    chain,
    iv: greeks.iv,
    times,
    atMs: at.epochMilliseconds,
    quoteAge: rules.quote_age,
    liquidity,
  });
  if (mode !== 'exit') {
    const contracts = indexesWhere(judged, ELIGIBLE);
    return { reasons: judged, selection: { contracts, positions: undefined }, indexes };
  }
  const all = input.positions ?? [];
  requirePositions(all);
  const reasons = Uint8Array.from(all, ({ contract }) => {
    const index = indexes.get(contract);
    return index === undefined ? (isOver(contract, at) ? EXPIRED : NOT_QUOTED) : judged[index]!;
  });
  const positions = all.filter((_, i) => reasons[i] === ELIGIBLE);
  const contracts = Uint32Array.from(positions, ({ contract }) => indexes.get(contract)!);
  return { reasons, selection: { contracts, positions }, indexes };
}

/** Chains do not list contracts that have expired. */
function isOver(contract: string, at: Temporal.Instant): boolean {
  const { expiry, underlying } = parseContract(contract);
  return expiryTimes([expiry], at, [underlying]).expired[0] === 1;
}

const ANY_LIQUIDITY: RankingRules['eligibility'] = { volume: 0, open_interest: 0 };

/** A part of a selection, in the order of `rows`. */
export function pick({ contracts, positions }: Selection, rows: Uint32Array): Selection {
  return { contracts: rows.map((row) => contracts[row]!), positions: positions && Array.from(rows, (row) => positions[row]!) };
}

/** Where `value` stands in a column. */
function indexesWhere(column: Uint8Array, value: number): Uint32Array {
  const indexes = new Uint32Array(column.length);
  let count = 0;
  for (let i = 0; i < column.length; i++) if (column[i] === value) indexes[count++] = i;
  return indexes.subarray(0, count);
}

/** A plain loop: `Float64Array.from` with a function takes twenty times as long. */
function taken(column: Float64Array, indexes: Uint32Array): Float64Array {
  const values = new Float64Array(indexes.length);
  for (let i = 0; i < indexes.length; i++) values[i] = finite(column[indexes[i]!]!);
  return values;
}

/** The numbers of a selection, a row each. Numbers that are not finite, and counts below 0, are unknown. */
export function rowsOf(input: RankInput, { contracts, positions }: Selection): Rows {
  const { chain, times, greeks, history, smileIv, rules } = input;
  const take = (column: Float64Array) => taken(column, contracts);
  // Some feeds write a count below 0 for unknown.
  const takeCounts = (column: Float64Array) => take(column).map((count) => (count >= 0 ? count : Number.NaN));
  const unknown = new Float64Array(contracts.length).fill(Number.NaN);
  const held = (number: (position: Position) => number | undefined) =>
    positions === undefined ? unknown : Float64Array.from(positions, (position) => finite(number(position) ?? Number.NaN));
  const numbers: Record<RowColumn, Float64Array> = {
    bid: take(chain.bid),
    ask: take(chain.ask),
    volume: takeCounts(chain.volume),
    openInterest: takeCounts(chain.openInterest),
    iv: take(greeks.iv),
    delta: take(greeks.delta),
    gamma: take(greeks.gamma),
    theta: take(greeks.theta),
    vega: take(greeks.vega),
    rho: take(greeks.rho),
    smileIv: take(smileIv),
    mid3: take(history.mid3),
    mid5: take(history.mid5),
    meanIv20: take(history.meanIv20),
    meanVolume20: take(history.meanVolume20),
    oi5: take(history.oi5),
    entryPrice: held(({ entryPrice }) => entryPrice),
    entryIv: held(({ entryIv }) => entryIv),
    entrySpot: held(({ entrySpot }) => entrySpot),
    target: held(({ target }) => target),
    stop: held(({ stop = rules.stop_loss }) => 100 * stop),
  };
  const isPut = new Uint8Array(contracts.length);
  const dte = new Int32Array(contracts.length);
  for (let row = 0; row < contracts.length; row++) {
    isPut[row] = chain.isPut[contracts[row]!]!;
    dte[row] = times.dte[chain.expiry[contracts[row]!]!]!;
  }
  return {
    count: contracts.length,
    spot: chain.spot > 0 ? finite(chain.spot) : Number.NaN,
    trend: input.trend,
    ivRank: input.ivRank,
    ivPercentile: input.ivPercentile,
    isPut,
    dte,
    numbers,
  };
}

/** A typed array gives undefined beyond its end, which becomes NaN, or 0 in an array of integers: a column that is too short would look like data. */
function requireColumns({ chain, times, greeks, history, smileIv }: RankInput): void {
  const { iv, delta, gamma, theta, vega, rho, ivSource } = greeks;
  const { mid3, mid5, meanIv20, meanVolume20, oi5 } = history;
  const chainNumbers = Object.fromEntries(CHAIN_NUMBERS.map((name) => [`chain.${name}`, chain[name]]));
  requireLength(
    { ...chainNumbers, 'chain.expiry': chain.expiry, 'chain.isPut': chain.isPut, iv, delta, gamma, theta, vega, rho, ivSource, smileIv },
    chain.contracts.length,
  );
  requireLength({ mid3, mid5, meanIv20, meanVolume20, oi5 }, chain.contracts.length);
  requireLength({ 'times.dte': times.dte, 'times.expired': times.expired }, chain.expirations.length);
  for (const expiration of chain.expiry) {
    if (expiration < chain.expirations.length) continue;
    throw new InputError('options.column_length', `chain.expiry points at expiration ${expiration} of ${chain.expirations.length}`);
  }
}

function requireLength(columns: Readonly<Record<string, { readonly length: number }>>, length: number): void {
  for (const [name, column] of Object.entries(columns)) {
    if (column.length === length) continue;
    throw new InputError(
      'options.column_length',
      `the column ${name} has ${column.length} entries, not ${length}; give NaN for what is unknown`,
    );
  }
}

/** Where each contract stands in the chain. */
function indexesByContract({ contracts, underlying }: Chain): Map<string, number> {
  const indexes = new Map<string, number>();
  for (let i = 0; i < contracts.length; i++) indexes.set(contracts[i]!, i);
  if (indexes.size === contracts.length) return indexes;
  const twice = contracts.find((contract, i) => indexes.get(contract) !== i);
  throw new InputError('options.duplicate_contract', `the chain of ${underlying} has ${twice} twice; a contract may be in it once`);
}

function requirePositions(positions: readonly Position[]): void {
  const ids = new Set<string>();
  for (const { id, contract, entryPrice, stop } of positions) {
    if (ids.has(id)) throw new InputError('options.duplicate_position', `two positions have the id ${id}; each needs its own`);
    ids.add(id);
    const fault = isPositive(entryPrice)
      ? stop === undefined || isPositive(stop)
        ? undefined
        : `the stop ${stop}; it is a share of the entry price above 0, such as 0.5`
      : `the entry price ${entryPrice}; it must be a number of dollars a share above 0`;
    if (fault !== undefined) throw new InputError('options.bad_position', `position ${id} in ${contract} has ${fault}`);
  }
}

const isPositive = (value: number) => Number.isFinite(value) && value > 0;
const finite = (value: number) => (Number.isFinite(value) ? value : Number.NaN);
