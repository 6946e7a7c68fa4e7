/** The newest chain of an underlying that is stored, contract by contract. Bid and ask of all contracts are not kept, their middle is. */
import type { Sql } from '../../../platform/database/database.ts';
import type { ChainSourceName } from '../chain/chain.ts';
import { type ChainDay, contractsOfKeys, decodeChainDay, type KeyedContract } from '../chain/history.ts';

export interface StoredContract extends KeyedContract {
  /** Dollars a share; null where it was not quoted on both sides. */
  mid: number | null;
  /** Annual, 0.25 = 25 %. */
  iv: number | null;
  volume: number | null;
  openInterest: number | null;
}

export interface StoredChain {
  /** Of the session. */
  date: string;
  source: ChainSourceName;
  asOf: Date;
  /** By expiration, root, strike, calls before puts. */
  contracts: StoredContract[];
}

/** Undefined when none is kept. By the primary key from its end. */
export async function readNewestChain(sql: Sql, symbol: string): Promise<StoredChain | undefined> {
  const [row] = await sql.rows<{ date: string; source: ChainSourceName; as_of: Date; data: Buffer }>(
    'SELECT date, source, as_of, data FROM chain_days WHERE symbol = ? ORDER BY date DESC LIMIT 1',
    [symbol],
  );
  if (row === undefined) return undefined;
  const day = decodeChainDay(row.date, row.data);
  return { date: row.date, source: row.source, asOf: row.as_of, contracts: contractsOf(symbol, day) };
}

function contractsOf(symbol: string, day: ChainDay): StoredContract[] {
  const known = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return contractsOfKeys(symbol, day.key)
    .map((contract, index) => ({
      ...contract,
      mid: known(day.mid[index]!),
      iv: known(day.iv[index]!),
      volume: known(day.volume[index]!),
      openInterest: known(day.openInterest[index]!),
    }))
    .sort((a, b) => compare(a.expiry, b.expiry) || compare(a.root, b.root) || a.strike - b.strike || Number(a.isPut) - Number(b.isPut));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export interface Expiry {
  expiry: string;
  /** Calendar days from the session. */
  days: number;
  calls: number;
  puts: number;
  volume: number;
  openInterest: number;
  /** At the spot, between the strikes around it, linear in log-moneyness; null where a side has none within 25 %. */
  atmIv: number | null;
}

/** What a chain has by expiration. `spot`: dollars a share, null when it is not known. */
export function expiriesOf({ date, contracts }: StoredChain, spot: number | null): Expiry[] {
  return [...Map.groupBy(contracts, ({ expiry }) => expiry)].map(([expiry, group]) => ({
    expiry,
    days: Temporal.PlainDate.from(date).until(expiry).days,
    calls: group.filter(({ isPut }) => !isPut).length,
    puts: group.filter(({ isPut }) => isPut).length,
    volume: group.reduce((sum, { volume }) => sum + (volume ?? 0), 0),
    openInterest: group.reduce((sum, { openInterest }) => sum + (openInterest ?? 0), 0),
    atmIv: spot === null ? null : atTheMoney(smileOf(group, spot), spot),
  }));
}

export interface SmilePoint {
  strike: number;
  isPut: boolean;
  /** Strike ÷ spot. */
  moneyness: number;
  iv: number;
}

/** The contracts out of the money, which trade most, by strike: puts below the spot, calls from it on. */
export function smileOf(contracts: readonly StoredContract[], spot: number): SmilePoint[] {
  return contracts.flatMap(({ strike, isPut, iv }) =>
    iv === null || isPut !== strike < spot ? [] : [{ strike, isPut, moneyness: strike / spot, iv }],
  );
}

const WIDEST_STEP = 0.25;

function atTheMoney(smile: readonly SmilePoint[], spot: number): number | null {
  const below = smile
    .filter(({ strike }) => strike < spot)
    .reduce<SmilePoint | undefined>((a, b) => (a === undefined || b.strike > a.strike ? b : a), undefined);
  const above = smile
    .filter(({ strike }) => strike >= spot)
    .reduce<SmilePoint | undefined>((a, b) => (a === undefined || b.strike < a.strike ? b : a), undefined);
  if (above?.strike === spot) return above.iv;
  if (below === undefined || above === undefined) return null;
  const [down, up] = [Math.log(below.moneyness), Math.log(above.moneyness)];
  if (-down > WIDEST_STEP || up > WIDEST_STEP) return null;
  return Number(((below.iv * up - above.iv * down) / (up - down)).toFixed(6));
}
