/** The columns of the stored files. Prices and strikes are dollars, times are UTC. */
import type { Asset, Schema } from '../dataset.ts';

export interface StoredColumn {
  name: string;
  type: 'VARCHAR' | 'DATE' | 'DOUBLE' | 'INTEGER' | 'BIGINT' | 'SMALLINT' | 'TIMESTAMPTZ';
  /** May be NULL, where a source has no such number. */
  optional?: true;
}

const SYMBOL: readonly StoredColumn[] = [{ name: 'symbol', type: 'VARCHAR' }];
const CONTRACT: readonly StoredColumn[] = [
  ...SYMBOL,
  { name: 'expiration', type: 'DATE' },
  { name: 'strike', type: 'DOUBLE' },
  /** `C` or `P`. */
  { name: 'right', type: 'VARCHAR' },
];
const QUOTE: readonly StoredColumn[] = [
  { name: 'bid_size', type: 'INTEGER', optional: true },
  { name: 'bid_exchange', type: 'SMALLINT', optional: true },
  { name: 'bid', type: 'DOUBLE' },
  { name: 'bid_condition', type: 'SMALLINT', optional: true },
  { name: 'ask_size', type: 'INTEGER', optional: true },
  { name: 'ask_exchange', type: 'SMALLINT', optional: true },
  { name: 'ask', type: 'DOUBLE' },
  { name: 'ask_condition', type: 'SMALLINT', optional: true },
];
const BAR: readonly StoredColumn[] = [
  { name: 'open', type: 'DOUBLE' },
  { name: 'high', type: 'DOUBLE' },
  { name: 'low', type: 'DOUBLE' },
  { name: 'close', type: 'DOUBLE' },
  { name: 'volume', type: 'BIGINT', optional: true },
  { name: 'count', type: 'BIGINT', optional: true },
];
/** When the quote was current, or the opening time of the bar. */
const STAMP: readonly StoredColumn[] = [{ name: 'timestamp', type: 'TIMESTAMPTZ' }];

const OF_SCHEMA: Readonly<Record<Schema, readonly StoredColumn[]>> = {
  quote: [...STAMP, ...QUOTE],
  ohlc: [...STAMP, ...BAR, { name: 'vwap', type: 'DOUBLE', optional: true }],
  eod: [
    /** The trading day. */
    { name: 'trade_date', type: 'DATE' },
    /** When the report was made. */
    { name: 'created', type: 'TIMESTAMPTZ', optional: true },
    { name: 'last_trade', type: 'TIMESTAMPTZ', optional: true },
    ...BAR.map((column): StoredColumn => ({ ...column, optional: true })),
    ...QUOTE.map((column): StoredColumn => ({ ...column, optional: true })),
    { name: 'open_interest', type: 'BIGINT', optional: true },
  ],
};

/** In the order of the file. The rows are in the order of contract (expiration, strike, right) and time, or of time. */
export function storedColumns({ asset, schema }: { asset: Asset; schema: Schema }): readonly StoredColumn[] {
  return [...(asset === 'option' ? CONTRACT : SYMBOL), ...OF_SCHEMA[schema]];
}

/** The columns that no two rows of a file have in common, in the order of the rows. */
export function rowKey({ asset, schema }: { asset: Asset; schema: Schema }): readonly string[] {
  return [...(asset === 'option' ? ['expiration', 'strike', 'right'] : []), schema === 'eod' ? 'trade_date' : 'timestamp'];
}

/** Goes up when the columns or their meaning change. */
export const SCHEMA_VERSION = 1;
