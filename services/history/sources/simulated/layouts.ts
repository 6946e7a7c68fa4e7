/** The files that the simulated source writes. */
import type { Dataset } from '../../dataset.ts';
import type { Layout } from '../../parquet/layout.ts';
import { sqlText } from '../spool.ts';

const CONTRACT = { expiration: 'DATE', strike: 'DOUBLE', right: 'VARCHAR' } as const;
const QUOTE = { bid_size: 'INTEGER', bid: 'DOUBLE', ask_size: 'INTEGER', ask: 'DOUBLE' } as const;
const BAR = { open: 'DOUBLE', high: 'DOUBLE', low: 'DOUBLE', close: 'DOUBLE', volume: 'BIGINT', count: 'BIGINT' } as const;
const STAMP = { timestamp: 'TIMESTAMP' } as const;

const COLUMNS: Readonly<Record<Dataset['schema'], Layout['columns']>> = {
  quote: { ...STAMP, ...QUOTE },
  ohlc: { ...STAMP, ...BAR, vwap: 'DOUBLE' },
  eod: { trade_date: 'DATE', ...BAR, ...QUOTE },
};

/** The columns in the order of the file, under the names that they are stored with; `timestamp` is a wall time of New York. */
export function simulatedLayout({ asset, schema }: Dataset, root: string): Layout {
  const columns = {
    ...(asset === 'option' ? CONTRACT : {}),
    ...COLUMNS[schema],
    ...(asset === 'option' && schema === 'eod' ? { open_interest: 'BIGINT' } : {}),
  };
  const select = Object.keys(columns).map((name) => [name, name === 'timestamp' ? 'et("timestamp")' : `"${name}"`]);
  return { name: `simulated ${asset} ${schema}`, header: false, columns, select: { symbol: sqlText(root), ...Object.fromEntries(select) } };
}
