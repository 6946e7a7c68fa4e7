/** Reads the option files of a Lean data folder for one day. Lean writes prices in day files × 10,000 and dates without hyphens. */
import { join } from 'node:path';
import { InputError } from '../../../platform/errors.ts';
import { isMissing, malformedLine, textLines, zippedFiles } from '../../sources/lean-files.ts';
import { type Contract, formatContract } from '../chain/contract.ts';
import type { QuoteNumbers } from './chain-builder.ts';

/** A contract and its OCC symbol. */
export interface Named {
  symbol: string;
  contract: Contract;
}

/** A row of a universe file: `close` is the last price of the day, in dollars, 0 where there was none. */
export interface UniverseRow extends Named {
  close: number;
  volume: number;
  /** Of the evening of the same day, published the next morning. */
  openInterest: number;
  greeks: Pick<QuoteNumbers, 'iv' | 'delta' | 'gamma' | 'theta' | 'vega'>;
}

const COLUMNS = [
  'expiry',
  'strike',
  'right',
  'close',
  'volume',
  'open_interest',
  'implied_volatility',
  'delta',
  'gamma',
  'vega',
  'theta',
] as const;

/**
 * A universe file: `#expiry,strike,right,open,…`, first the underlying's row (without expiry), then one a contract. Undefined where there is no such file. `unreadable` is called with
 * rows that cannot be read. Lean writes IV 0 where it found none. The Greeks of that row come from the 0 and are left out too.
 *
 * Units, by recomputing 1,600 rows of June 2014 with Black-Scholes-Merton from their own IV (median deviation of vega and theta 3e-6): theta is dollars a calendar day (a year
 * / 365) and vega dollars a volatility point, as in `Chain`; time counts from the midnight after the day to that before the expiration date.
 */
export async function readUniverse(
  file: string,
  root: string,
  unreadable: () => void,
): Promise<{ underlyingClose: number; rows: UniverseRow[] } | undefined> {
  const lines = await textLines(file);
  if (lines === undefined) return undefined;
  const header = (lines[0] ?? '').replace(/^#/, '').split(',');
  const columnIndexes = COLUMNS.map((column) => header.indexOf(column));
  if (columnIndexes.includes(-1)) throw malformedLine(file, 1, lines[0] ?? '', `the columns ${COLUMNS.join(',')}`);
  let underlyingClose = Number.NaN;
  const rows: UniverseRow[] = [];
  for (const line of lines.slice(1)) {
    const fields = line.split(',');
    const [expiry = '', strike = '', right = '', ...numbers] = columnIndexes.map((index) => fields[index] ?? '');
    const [close = NaN, volume = NaN, openInterest = NaN, iv = NaN, delta, gamma, vega, theta] = numbers.map(decimal);
    const named = contractOf(root, expiry, right, decimal(strike));
    if (named !== undefined) {
      rows.push({ ...named, close, volume, openInterest, greeks: iv > 0 ? { iv, delta, gamma, vega, theta } : {} });
    } else if (expiry === '' && strike === '' && close > 0) underlyingClose = close;
    else unreadable();
  }
  return { underlyingClose, rows };
}

export interface DailyRow extends Named {
  numbers: number[];
}

export type DailyKind = 'quote' | 'trade' | 'openinterest';

/** The rows of one day in `{ticker}_{year}_{kind}_american.zip`, their numbers after the date; empty where there is no such file. */
export async function readDaily(
  folder: string,
  { ticker, root, day, kind }: { ticker: string; root: string; day: string; kind: DailyKind },
  signal: AbortSignal,
): Promise<DailyRow[]> {
  const rows: DailyRow[] = [];
  const wanted = day.replaceAll('-', '');
  const file = join(folder, `${ticker}_${day.slice(0, 4)}_${kind}_american.zip`);
  try {
    for await (const { name, text } of zippedFiles(file, signal)) {
      const named = contractInName(name, root);
      const line = text.split('\n').find((row) => row.startsWith(wanted));
      if (named !== undefined && line !== undefined) rows.push({ ...named, numbers: line.trimEnd().split(',').slice(1).map(decimal) });
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return rows;
}

/** The days of `year` on which a contract has a row in the day file of that kind, `YYYY-MM-DD`; empty where there is no such file. */
export async function daysInFile(
  folder: string,
  { ticker, year, kind }: { ticker: string; year: string; kind: DailyKind },
  signal: AbortSignal,
): Promise<Set<string>> {
  const days = new Set<string>();
  try {
    for await (const { text } of zippedFiles(join(folder, `${ticker}_${year}_${kind}_american.zip`), signal))
      for (const [, y, month, day] of text.matchAll(/^(\d{4})(\d\d)(\d\d)/gm)) days.add(`${y}-${month}-${day}`);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return days;
}

export const PRICE_SCALE = 10_000;

/** The contract that a file of a zip is of, by its name: `aapl_quote_american_call_5000000_20140621.csv` is the call at 500 dollars. Undefined for another name. */
export function contractInName(name: string, root: string): Named | undefined {
  const [, side = '', strike = '', expiry = ''] = /_(?:american|european)_(call|put)_(\d+)_(\d{8})\.csv$/.exec(name) ?? [];
  return contractOf(root, expiry, side, Number(strike) / PRICE_SCALE);
}

function contractOf(root: string, expiry: string, side: string, strike: number): Named | undefined {
  const [, year, month, day] = /^(\d{4})(\d\d)(\d\d)$/.exec(expiry) ?? [];
  const right = side.charAt(0).toUpperCase();
  if (year === undefined || (right !== 'C' && right !== 'P')) return undefined;
  const contract = { underlying: root, expiry: `${year}-${month}-${day}`, isPut: right === 'P', strike };
  try {
    return { symbol: formatContract(contract), contract };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return undefined;
  }
}

/** NaN for an empty field and for text that is not a number. */
function decimal(text: string): number {
  return /^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
}
