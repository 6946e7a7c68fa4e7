/** The files that the Lean source writes. Lean's prices are dollars × 10,000; an empty field is a number that Lean does not have. */
import type { Layout } from '../../parquet/layout.ts';
import { sqlText } from '../spool.ts';

const CONTRACT = { expiration: 'DATE', strike: 'DOUBLE', right: 'VARCHAR' } as const;
const contractOf = (root: string) => ({ symbol: sqlText(root), expiration: 'expiration', strike: 'strike', right: '"right"' });

const BAR = { open: 'DOUBLE', high: 'DOUBLE', low: 'DOUBLE', close: 'DOUBLE', volume: 'BIGINT' } as const;
const TRADED = { open: '"open" / 10000', high: 'high / 10000', low: 'low / 10000', close: '"close" / 10000', volume: 'volume' };

/** A quote bar: each side's open, high, low, close and last size. */
const QUOTE_BAR = {
  bid_open: 'DOUBLE',
  bid_high: 'DOUBLE',
  bid_low: 'DOUBLE',
  bid_close: 'DOUBLE',
  bid_size: 'BIGINT',
  ask_open: 'DOUBLE',
  ask_high: 'DOUBLE',
  ask_low: 'DOUBLE',
  ask_close: 'DOUBLE',
  ask_size: 'BIGINT',
} as const;

/** A side that nobody quotes has no price in Lean; here it is 0, as from the other sources. A day without any quote has none. */
const QUOTED = { bid_size: 'bid_size', bid: sideOf('bid'), ask_size: 'ask_size', ask: sideOf('ask') };

function sideOf(side: 'bid' | 'ask'): string {
  return `CASE WHEN bid_size IS NULL AND ask_size IS NULL THEN NULL ELSE coalesce(${side}_close, 0) / 10000 END`;
}

/** A row a contract and day: the trade's bar, the quote bar, the open interest. */
export function optionDays(root: string): Layout {
  return {
    name: 'lean option eod',
    header: false,
    columns: { ...CONTRACT, trade_date: 'DATE', ...BAR, ...QUOTE_BAR, open_interest: 'BIGINT' },
    select: {
      ...contractOf(root),
      trade_date: 'trade_date',
      ...TRADED,
      ...QUOTED,
      open_interest: 'open_interest',
    },
  };
}

/** A row a minute, or an interval of several; `stamp` is a wall time of New York. Without a contract for stocks. */
export function minutes(kind: 'quote' | 'trade', root: string, asset: 'option' | 'stock'): Layout {
  return {
    name: `lean ${asset} ${kind} minutes`,
    header: false,
    columns: { ...(asset === 'option' ? CONTRACT : {}), stamp: 'TIMESTAMP', ...(kind === 'quote' ? QUOTE_BAR : BAR) },
    select: {
      ...(asset === 'option' ? contractOf(root) : { symbol: sqlText(root) }),
      timestamp: 'et(stamp)',
      ...(kind === 'quote' ? QUOTED : TRADED),
    },
  };
}
