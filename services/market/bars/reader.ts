/** Reads of many symbols at once for callers that ask for one: those of the same turn of the event loop become one statement. */
import type { Sql } from '../../platform/database/database.ts';
import type { PriceBar } from '../indicators/indicators.ts';
import type { Bar, CorporateAction, DateRange } from './bars.ts';
import { readActions, readBars, readBarsSince, readNewestBars, readPricesSince, readSymbolsWithBars, type SymbolState } from './read.ts';

export interface SymbolReader {
  /** The symbol's row, with what is known of its bars; undefined when it was never fetched. */
  state(symbol: string): Promise<SymbolState | undefined>;
  /** Bars within `days` calendar days before the symbol's newest one, ascending. */
  newestBars(symbol: string, days: number): Promise<Bar[]>;
  /** Bars from a day on, ascending. */
  barsSince(symbol: string, first: string): Promise<Bar[]>;
  /** The same as far as the indicators need it. */
  pricesSince(symbol: string, first: string): Promise<PriceBar[]>;
  /** Bars of a range, ascending. */
  bars(symbol: string, range: DateRange): Promise<Bar[]>;
  /** Splits and dividends of a range, ascending. */
  actions(symbol: string, range: DateRange): Promise<CorporateAction[]>;
  /** Date of the oldest stored bar. */
  oldestBar(symbol: string): Promise<string | undefined>;
}

/** Symbols a statement. */
const MOST = 100;

export function symbolReader(sql: Sql): SymbolReader {
  return {
    state: together((symbols) => readSymbolsWithBars(sql, symbols)),
    newestBars: byDays((symbols, days) => readNewestBars(sql, symbols, days)),
    barsSince: bySince((firsts) => readBarsSince(sql, firsts)),
    pricesSince: bySince((firsts) => readPricesSince(sql, firsts)),
    bars: (symbol, range) => readBars(sql, symbol, range),
    actions: (symbol, range) => readActions(sql, symbol, range),
    async oldestBar(symbol) {
      const [row] = await sql.rows<{ date: string | null }>('SELECT MIN(date) AS date FROM bars WHERE symbol = ?', [symbol]);
      return row?.date ?? undefined;
    },
  };
}

type Load<Value> = (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>;

function byDays<Value>(load: (symbols: readonly string[], days: number) => Promise<ReadonlyMap<string, Value[]>>) {
  const loads = new Map<number, (symbol: string) => Promise<Value[] | undefined>>();
  return async (symbol: string, days: number): Promise<Value[]> => {
    const known = loads.get(days) ?? together((symbols) => load(symbols, days));
    loads.set(days, known);
    return (await known(symbol)) ?? [];
  };
}

/** Symbols that are asked for from different days in the same turn are read from the earliest one. */
function bySince<B extends PriceBar>(load: (firsts: ReadonlyMap<string, string>) => Promise<ReadonlyMap<string, B[]>>) {
  const read = together(async (keys) => {
    const asked = keys.map((key) => key.split(' ') as [symbol: string, first: string]);
    const firsts = new Map<string, string>();
    for (const [symbol, first] of asked) if (first < (firsts.get(symbol) ?? '~')) firsts.set(symbol, first);
    const found = await load(firsts);
    return new Map(
      asked.map(([symbol, first], at) => {
        const bars = found.get(symbol) ?? [];
        return [keys[at] as string, first === firsts.get(symbol) ? bars : bars.filter(({ date }) => date >= first)];
      }),
    );
  });
  return async (symbol: string, first: string): Promise<B[]> => (await read(`${symbol} ${first}`)) ?? [];
}

function together<Value>(load: Load<Value>): (key: string) => Promise<Value | undefined> {
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
