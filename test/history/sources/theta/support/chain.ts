/**
 * A made-up chain of options, and its stock: the same for the same seed, for any day. The test servers give it as terminals of both versions do, and `stored` says what must
 * stand in a file of it. It knows nothing of the code under test.
 */
import type { Dataset } from '../../../../../services/history/dataset.ts';

export interface ChainOptions {
  seed?: number;
  root?: string;
  /** Weekly expirations after each day. */
  expirations?: number;
  /** Each as a call and a put. */
  strikes?: number;
  /** There are no data before. */
  firstDay?: string;
  /** Days without data. */
  emptyDays?: readonly string[];
  /** The reports of the end of the day were made twice on days before. */
  doubledBefore?: string;
}

export interface Contract {
  expiration: string;
  /** In tenths of a cent. */
  strike: number;
  right: 'C' | 'P';
}

/** A row as the vendor has it: the day, milliseconds since midnight in New York, and the values by their names. */
export interface VendorRow {
  contract: Contract | undefined;
  day: string;
  ms: number;
  /** Of a report: that of the last trade, 0 for none. */
  lastTradeMs?: number;
  values: Record<string, number>;
}

export interface Wanted {
  schema: Dataset['schema'];
  day: string;
  intervalMs: number;
  fromMs: number;
  toMs: number;
}

export interface TestChain {
  readonly root: string;
  contracts(day: string): Contract[];
  options(wanted: Wanted): VendorRow[];
  stock(wanted: Wanted): VendorRow[];
  /** The rows that a file of these days must have, in the order of such a file: a column a key, times in UTC such as `2024-01-02T14:30:00Z`. */
  stored(asset: Dataset['asset'], days: readonly string[], wanted: Omit<Wanted, 'day'>): Record<string, unknown>[];
}

export const HOURS = { fromMs: 34_200_000, toMs: 58_500_000 };
/** Of stocks. */
export const REGULAR = { fromMs: 34_200_000, toMs: 57_600_000 };

export function testChain(options: ChainOptions = {}): TestChain {
  const {
    seed = 1,
    root = 'AAPL',
    expirations = 3,
    strikes = 4,
    firstDay = '2000-01-01',
    emptyDays = [],
    doubledBefore = '0000',
  } = options;
  const isEmpty = (day: string): boolean => day < firstDay || emptyDays.includes(day);

  /** A number from 0 to `below`, by the seed and the words. */
  const pick = (below: number, ...words: (string | number)[]): number => hash(`${seed} ${words.join(' ')}`) % below;

  function contracts(day: string): Contract[] {
    if (isEmpty(day)) return [];
    return fridaysAfter(day, expirations).flatMap((expiration) =>
      Array.from({ length: strikes }, (_, index) => 95_000 + index * 2_500).flatMap((strike) =>
        (['C', 'P'] as const).map((right) => ({ expiration, strike, right })),
      ),
    );
  }

  function rowsOf(contract: Contract | undefined, { schema, day, intervalMs, fromMs, toMs }: Wanted): VendorRow[] {
    const id = contract === undefined ? 'stock' : `${contract.expiration}${contract.strike}${contract.right}`;
    if (schema === 'eod') return reports(contract, day, id);
    const rows: VendorRow[] = [];
    for (let ms = fromMs; ms <= toMs; ms += intervalMs) {
      // The first quote of a day is often 0/0.
      const values = schema === 'ohlc' ? bar(id, day, ms, intervalMs) : quote(id, day, ms, ms === HOURS.fromMs ? 0 : 1);
      rows.push({ contract, day, ms, values });
    }
    return rows;
  }

  function quote(id: string, day: string, ms: number, times: 0 | 1): Record<string, number> {
    const bid = (100 + pick(900, 'bid', id, day, ms)) * times;
    return {
      ...{
        bid_size: pick(500, 'bs', id, day, ms) * times,
        bid_exchange: 1 + pick(76, 'be', id, day, ms),
        bid: bid / 100,
        bid_condition: 50,
      },
      ...{
        ask_size: pick(500, 'as', id, day, ms) * times,
        ask_exchange: 1 + pick(76, 'ae', id, day, ms),
        ask: (bid + 5 * times) / 100,
        ask_condition: 50,
      },
    };
  }

  function bar(id: string, day: string, ms: number, intervalMs: number): Record<string, number> {
    const low = 100 + pick(900, 'low', id, day, ms, intervalMs);
    const bars = { open: (low + 3) / 100, high: (low + 9) / 100, low: low / 100, close: (low + 4) / 100 };
    return { ...bars, volume: pick(10_000, 'v', id, day, ms), count: pick(90, 'c', id, day, ms), vwap: (low + 5) / 100 };
  }

  function reports(contract: Contract | undefined, day: string, id: string): VendorRow[] {
    const isTraded = contract === undefined || pick(3, 'traded', id, day) > 0;
    const { vwap: _none, ...traded } = bar(id, day, 0, 0);
    const untraded = Object.fromEntries(Object.keys(traded).map((name) => [name, 0]));
    // As in the vendor's own sample: a bid of a tenth of the close.
    const odd: Record<string, number> = pick(10, 'odd', id, day) === 0 ? { bid: traded.close! / 10 } : {};
    const values = { ...(isTraded ? traded : untraded), ...quote(id, day, 1, 1), ...odd };
    const lastTradeMs = isTraded ? 50_000_000 + pick(7_000_000, 'last', id, day) : 0;
    const report = { contract, day, lastTradeMs, ms: 62_100_000 + pick(180_000, 'made', id, day), values };
    if (day >= doubledBefore) return [report];
    return [{ ...report, ms: report.ms - 600_000, values: { ...values, volume: values.volume! + 1 } }, report];
  }

  const all = (wanted: Wanted): VendorRow[] => contracts(wanted.day).flatMap((contract) => rowsOf(contract, wanted));
  const stock = (wanted: Wanted): VendorRow[] => (isEmpty(wanted.day) ? [] : rowsOf(undefined, wanted));
  return {
    root,
    contracts,
    options: all,
    stock,
    stored(asset, days, wanted) {
      const rows = days.flatMap((day) => (asset === 'option' ? all : stock)({ ...wanted, day }));
      // Of several reports of a day the last one counts.
      const last = new Map(rows.map((row) => [JSON.stringify([row.contract, row.day, wanted.schema === 'eod' ? 0 : row.ms]), row]));
      return [...last.values()].map((row) => storedRow(root, wanted.schema, row)).sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
    },
  };
}

function storedRow(
  root: string,
  schema: Dataset['schema'],
  { contract, day, ms, lastTradeMs, values }: VendorRow,
): Record<string, unknown> {
  const key = contract && { expiration: contract.expiration, strike: contract.strike / 1000, right: contract.right };
  const times =
    schema === 'eod'
      ? { trade_date: day, created: utc(day, ms), last_trade: lastTradeMs ? utc(day, lastTradeMs) : null, ...values }
      : { timestamp: utc(day, ms), ...values };
  return { symbol: root, ...key, ...times };
}

/** The order of a stored file. */
const orderOf = (row: Record<string, unknown>): string =>
  [
    row.expiration,
    Number(row.strike ?? 0)
      .toFixed(3)
      .padStart(12),
    row.right,
    row.timestamp ?? row.trade_date,
  ].join(' ');

/** `2024-01-02T14:30:00Z`, by the time zone tables of the JavaScript engine. */
function utc(day: string, ms: number): string {
  const time = Temporal.PlainTime.from('00:00').add({ milliseconds: ms });
  return Temporal.PlainDate.from(day).toZonedDateTime({ timeZone: 'America/New_York', plainTime: time }).toInstant().toString();
}

function fridaysAfter(day: string, count: number): string[] {
  const date = Temporal.PlainDate.from(day);
  const first = date.add({ days: (5 - date.dayOfWeek + 7) % 7 });
  return Array.from({ length: count }, (_, week) => first.add({ weeks: week }).toString());
}

/** FNV-1a with a final mix. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}
