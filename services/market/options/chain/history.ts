/**
 * The past of a chain's contracts: the form in which a day's chain is stored, and the numbers that a ranking needs of the days before it.
 *
 * A chain has thousands of contracts and a ranking looks at twenty days. So a contract is a number here, days are sorted by it and joined by walking along them: measured
 * with 21 days of 4,500 contracts, comparing their symbols instead took five times as long.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { InputError } from '../../../platform/errors.ts';
import { usCalendar } from '../../calendar/calendar.ts';
import type { ContractHistory } from '../ranking/rank-input.ts';
import type { Chain } from './chain.ts';
import { formatContract } from './contract.ts';
import { optionRoot } from './roots.ts';

/** The contracts of one underlying at the end of a day, ascending by key. NaN = unknown. */
export interface ChainDay {
  /** Of the session, `YYYY-MM-DD`. */
  readonly date: string;
  /** See `contractKeys`. */
  readonly key: Float64Array;
  /** Dollars a share. */
  readonly mid: Float64Array;
  /** Annual. */
  readonly iv: Float64Array;
  readonly volume: Float64Array;
  readonly openInterest: Float64Array;
}

/** The sessions of a mean. */
export const HISTORY_SESSIONS = 20;
/** A mean of fewer days is too uncertain to be used. */
const LEAST_DAYS = 5;
const COLUMNS = ['mid', 'iv', 'volume', 'openInterest'] as const;

const STRIKES = 1e8;
const DAYS = 36_525;
const DAY_MS = 86_400_000;
const YEAR_2000 = Date.UTC(2000, 0, 1);
/** A root that is the underlying's own and one more character (SPXW beside SPX). */
const MORE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/**
 * A number for each contract, the same on every day: ((root · days + expiration) · 2 + put) · 10^8 + strike in thousandths, below 2^53. NaN for a root that is neither the
 * underlying's own nor that and one character: such a contract has no past.
 */
export function contractKeys({ underlying, contracts, expirations, expiry, isPut, strike }: Chain): Float64Array {
  const own = optionRoot(underlying);
  const days = expirations.map((date) => (Date.parse(date) - YEAR_2000) / DAY_MS);
  const keys = new Float64Array(contracts.length);
  for (let i = 0; i < keys.length; i++) {
    const root = contracts[i]!.slice(0, -15);
    const code = root === own ? 0 : root.length === own.length + 1 && root.startsWith(own) ? MORE.indexOf(root.at(-1)!) + 1 : Number.NaN;
    keys[i] = ((code * DAYS + days[expiry[i]!]!) * 2 + isPut[i]!) * STRIKES + Math.round(strike[i]! * 1000);
  }
  return keys;
}

/** A contract as its key tells it. */
export interface KeyedContract {
  contract: string;
  root: string;
  /** `YYYY-MM-DD`. */
  expiry: string;
  isPut: boolean;
  /** Dollars a share. */
  strike: number;
}

/** The contracts of an underlying by their keys: the inverse of `contractKeys`. */
export function contractsOfKeys(underlying: string, keys: Float64Array): KeyedContract[] {
  const own = optionRoot(underlying);
  return Array.from(keys, (key) => {
    const strike = (key % STRIKES) / 1000;
    const before = Math.floor(key / STRIKES);
    const isPut = before % 2 === 1;
    const dated = Math.floor(before / 2);
    const expiry = new Date(YEAR_2000 + (dated % DAYS) * DAY_MS).toISOString().slice(0, 10);
    const code = Math.floor(dated / DAYS);
    const root = code === 0 ? own : `${own}${MORE[code - 1]}`;
    return { contract: formatContract({ underlying: root, expiry, isPut, strike }), root, expiry, isPut, strike };
  });
}

/** The stored form of a chain. `iv`: by contract, as used by the ranking. A contract that is not quoted on both sides has no mid. */
export function chainDay(chain: Chain, iv: Float64Array, date: string): ChainDay {
  const { bid, ask, volume, openInterest } = chain;
  const keys = contractKeys(chain);
  const order = orderOf(keys);
  const take = (column: Float64Array) => Float64Array.from(order, (i) => column[i]!);
  const mid = Float64Array.from(order, (i) => (bid[i]! > 0 && ask[i]! >= bid[i]! ? (bid[i]! + ask[i]!) / 2 : Number.NaN));
  return { date, key: take(keys), mid, iv: take(iv), volume: take(volume), openInterest: take(openInterest) };
}

/** Indexes of the contracts that have a key, ascending by it. */
function orderOf(keys: Float64Array): Uint32Array {
  const order = new Uint32Array(keys.length);
  let count = 0;
  for (let i = 0; i < keys.length; i++) if (!Number.isNaN(keys[i]!)) order[count++] = i;
  return order.subarray(0, count).sort((a, b) => keys[a]! - keys[b]!);
}

/** The columns one after the other as doubles, deflated; keys as steps from one to the next, which repeat. */
export function encodeChainDay(day: ChainDay): Buffer {
  const count = day.key.length;
  const numbers = new Float64Array((1 + COLUMNS.length) * count);
  for (let i = 0; i < count; i++) numbers[i] = day.key[i]! - (i === 0 ? 0 : day.key[i - 1]!);
  COLUMNS.forEach((name, c) => {
    numbers.set(day[name], (c + 1) * count);
  });
  return deflateRawSync(Buffer.from(numbers.buffer), { level: 4 });
}

/** The inverse of `encodeChainDay`. */
export function decodeChainDay(date: string, data: Buffer): ChainDay {
  const bytes = inflateRawSync(data);
  const numbers = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const count = numbers.length / (1 + COLUMNS.length);
  const column = (c: number) => numbers.subarray(c * count, (c + 1) * count);
  const key = column(0);
  for (let i = 1; i < count; i++) key[i]! += key[i - 1]!;
  return { date, key, mid: column(1), iv: column(2), volume: column(3), openInterest: column(4) };
}

/** The date of the session so many sessions before `date`, which need not be a trading day. */
export function sessionBefore(date: string, sessions: number): string {
  let day = date;
  for (let i = 0; i < sessions; i++) day = usCalendar.previous(day).date;
  return day;
}

/**
 * The past of a chain's contracts on the session `today`. `days`: oldest first, all before it; a day that is missing is unknown, and those more than 20 sessions ago do
 * not count. A mean needs five days that know the number.
 * @throws InputError `options.chain_history`: days that do not ascend, or are not before `today`
 */
export function contractHistory(chain: Chain, days: readonly ChainDay[], today: string): ContractHistory {
  requireOrder(days, today);
  const count = chain.contracts.length;
  const unknown = () => new Float64Array(count).fill(Number.NaN);
  const [mid3, mid5, oi5] = [unknown(), unknown(), unknown()];
  const iv = meanOver(count);
  const volume = meanOver(count);
  const [threeAgo, fiveAgo, first] = [3, 5, HISTORY_SESSIONS].map((sessions) => sessionBefore(today, sessions)) as [string, string, string];
  const keys = contractKeys(chain);
  const order = orderOf(keys);
  for (const day of days) {
    if (day.date < first) continue;
    let row = 0;
    for (const i of order) {
      while (day.key[row]! < keys[i]!) row++;
      if (day.key[row] !== keys[i]) continue;
      iv.add(i, day.iv[row]!);
      volume.add(i, day.volume[row]!);
      if (day.date === threeAgo) mid3[i] = day.mid[row]!;
      if (day.date !== fiveAgo) continue;
      mid5[i] = day.mid[row]!;
      oi5[i] = day.openInterest[row]!;
    }
  }
  return { mid3, mid5, oi5, meanIv20: iv.means(), meanVolume20: volume.means() };
}

function meanOver(length: number) {
  const sums = new Float64Array(length);
  const counts = new Uint8Array(length);
  return {
    add(i: number, value: number) {
      if (Number.isNaN(value)) return;
      sums[i]! += value;
      counts[i]!++;
    },
    means: () => sums.map((sum, i) => (counts[i]! >= LEAST_DAYS ? sum / counts[i]! : Number.NaN)),
  };
}

function requireOrder(days: readonly ChainDay[], today: string): void {
  for (const [index, { date }] of days.entries()) {
    const before = days[index - 1]?.date;
    if (before !== undefined && date <= before)
      throw new InputError(
        'options.chain_history',
        `days of a chain must be oldest first, each once: ${date} follows ${before}; sort them`,
      );
    if (date >= today)
      throw new InputError('options.chain_history', `days of a chain must be before ${today}, the day that is ranked; ${date} is not`);
  }
}
