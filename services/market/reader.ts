/** Reads of many symbols at once for callers that ask for one: those of the same turn of the event loop become one statement. */
import type { Sql } from '../platform/database.ts';
import type { Bar, DateRange } from './bars.ts';
import { readBars, readNewestBars, readSymbols, type SymbolState } from './store.ts';

export interface SymbolReader {
  /** The symbol's row; undefined when it was never fetched. */
  state(symbol: string): Promise<SymbolState | undefined>;
  /** Bars within `days` calendar days before the symbol's newest one, ascending. */
  newestBars(symbol: string, days: number): Promise<Bar[]>;
  /** Bars of a range, ascending. */
  bars(symbol: string, range: DateRange): Promise<Bar[]>;
  /** Date of the oldest stored bar. */
  oldestBar(symbol: string): Promise<string | undefined>;
}

/** Symbols a statement. */
const MOST = 100;

export function symbolReader(sql: Sql): SymbolReader {
  const state = together((symbols) => readSymbols(sql, symbols));
  const bars = new Map<number, (symbol: string) => Promise<Bar[] | undefined>>();
  return {
    state,
    async newestBars(symbol, days) {
      let load = bars.get(days);
      if (load === undefined) {
        load = together((symbols) => readNewestBars(sql, symbols, days));
        bars.set(days, load);
      }
      return (await load(symbol)) ?? [];
    },
    bars: (symbol, range) => readBars(sql, symbol, range),
    async oldestBar(symbol) {
      const [row] = await sql.rows<{ date: string | null }>('SELECT MIN(date) AS date FROM bars WHERE symbol = ?', [symbol]);
      return row?.date ?? undefined;
    },
  };
}

function together<Value>(
  load: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
): (key: string) => Promise<Value | undefined> {
  let waiting: Set<string> | undefined;
  let answer: Promise<ReadonlyMap<string, Value>> | undefined;
  return async (key) => {
    if (waiting === undefined || answer === undefined || waiting.size >= MOST) {
      const keys = new Set<string>();
      waiting = keys;
      answer = new Promise((resolve, reject) => {
        setImmediate(() => {
          if (waiting === keys) waiting = undefined;
          load([...keys]).then(resolve, reject);
        });
      });
    }
    waiting.add(key);
    return (await answer).get(key);
  };
}
