/** What can be downloaded: datasets, the filter of contracts, and the objects that a request is split into. */

export const ASSETS = ['option', 'stock'] as const;
export type Asset = (typeof ASSETS)[number];

export const SCHEMAS = ['quote', 'ohlc', 'eod'] as const;
export type Schema = (typeof SCHEMAS)[number];

/** The intervals of quotes and bars, in milliseconds: the words that ThetaData v3 knows, from a minute on. */
export const INTERVALS = { '1m': 60_000, '5m': 300_000, '10m': 600_000, '15m': 900_000, '30m': 1_800_000, '1h': 3_600_000 } as const;
export type Interval = keyof typeof INTERVALS | '1d';

/** `interval` is `1d` for `eod`, and never for the others. */
export interface Dataset {
  asset: Asset;
  schema: Schema;
  interval: Interval;
}

/**
 * Which contracts are kept: at most `maxDte` calendar days to expiration, and a strike where `|strike − underlying| ≤ underlying × basePct × sqrt(dte)`, with a day of
 * expiration counted as one day.
 */
export interface ContractFilter {
  /** 1-365. */
  maxDte: number;
  /** A share of the underlying's price, such as 0.1. */
  basePct: number;
}

/** What a caller asks for. Days are `YYYY-MM-DD`, both inclusive. */
export interface Download extends Dataset {
  /** A symbol in its one spelling: `AAPL`, `BRK.B`, `^SPX`. */
  root: string;
  from: string;
  to: string;
  filter?: ContractFilter | undefined;
}

/** The days of one object: a trading day, a calendar month or a year. Here always whole, whatever part of it was asked for. */
export interface Period {
  unit: 'day' | 'month' | 'year';
  /** As in the key: `2024-01-02`, `2024-01`, `2024`. */
  name: string;
  /** First and last calendar day. */
  from: string;
  to: string;
}

/** One object of a dataset: what a job has an item for. */
export interface ObjectSpec extends Dataset {
  /** Where it stands in the store, and the key of its item; at most 190 characters. */
  key: string;
  root: string;
  period: Period;
  filter?: ContractFilter | undefined;
}

/** Objects are a day for quotes and bars, a calendar month for options at the end of the day, a year for stocks at the end of the day. */
export function unitOf({ asset, schema }: Pick<Dataset, 'asset' | 'schema'>): Period['unit'] {
  if (schema !== 'eod') return 'day';
  return asset === 'option' ? 'month' : 'year';
}

/** A filter as it stands in keys; empty for none. */
export function filterName(filter: ContractFilter | undefined): string {
  return filter === undefined ? '' : `${filter.maxDte}-${filter.basePct}`;
}

const KEY_OF_UNIT = { day: 'date', month: 'month', year: 'year' } as const;

/**
 * The key of an object, in the Hive layout that DuckDB, pandas and Polars prune by: `historical-options/quote/15m/root=AAPL/date=2024-01-02/data.parquet`. Filtered
 * objects have a tree of their own, so that they are never taken for the whole chain. The root is percent-encoded.
 */
export function objectKey({ asset, schema, interval, root, filter }: Omit<ObjectSpec, 'key' | 'period'>, { unit, name }: Period): string {
  const tree = asset === 'option' ? 'historical-options' : 'historical-stock';
  const kept = filter === undefined ? '' : `filtered-${filterName(filter)}/`;
  const folder = `${tree}/${kept}${schema}${schema === 'eod' ? '' : `/${interval}`}`;
  return `${folder}/root=${encodeURIComponent(root)}/${KEY_OF_UNIT[unit]}=${name}/data.parquet`;
}
