/** Invented answers of a source: quotes as ThetaData's v3 writes them. The same seed gives the same bytes. */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Layout } from '../../../services/history/parquet/layout.ts';

export const QUOTE_HEADER =
  'symbol,expiration,strike,right,timestamp,bid_size,bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition';

export const QUOTE_LAYOUT: Layout = {
  name: 'test option quote',
  header: true,
  columns: {
    symbol: 'VARCHAR',
    expiration: 'DATE',
    strike: 'DOUBLE',
    right: 'VARCHAR',
    timestamp: 'TIMESTAMP',
    bid_size: 'INTEGER',
    bid_exchange: 'SMALLINT',
    bid: 'DOUBLE',
    bid_condition: 'SMALLINT',
    ask_size: 'INTEGER',
    ask_exchange: 'SMALLINT',
    ask: 'DOUBLE',
    ask_condition: 'SMALLINT',
  },
  select: {
    expiration: 'expiration',
    strike: 'strike',
    right: `CASE "right" WHEN 'CALL' THEN 'C' WHEN 'PUT' THEN 'P' ELSE "right" END`,
    timestamp: 'et("timestamp")',
    ...Object.fromEntries(
      ['bid_size', 'bid_exchange', 'bid', 'bid_condition', 'ask_size', 'ask_exchange', 'ask', 'ask_condition'].map((name) => [name, name]),
    ),
  },
};

export interface QuotesOptions {
  day: string;
  contracts: number;
  /** Of each contract, a minute apart or closer, from 09:30 on. */
  rows: number;
  seed?: number;
}

/** A generator of numbers from 0 to 1 (Park and Miller's minimal standard). */
export function randomNumbers(seed: number): () => number {
  let state = seed % 2147483647 || 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** The lines of all contracts, contract by contract in a shuffled order, in pieces of one contract. */
export function* quoteLines({ day, contracts, rows, seed = 1 }: QuotesOptions): Generator<string> {
  const random = randomNumbers(seed);
  const order = Array.from({ length: contracts }, (_, index) => index);
  for (let index = contracts - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1));
    [order[index], order[other]] = [order[other]!, order[index]!];
  }
  const step = Math.min(60_000, Math.floor((6.5 * 3_600_000) / rows));
  for (const contract of order) {
    const expiration = new Date(Date.parse(day) + (1 + (contract % 20) * 7) * 86_400_000).toISOString().slice(0, 10);
    const strike = (100 + Math.floor(contract / 40) * 2.5).toFixed(3);
    const right = Math.floor(contract / 20) % 2 === 0 ? 'CALL' : 'PUT';
    let lines = '';
    for (let row = 0; row < rows; row++) {
      const time = new Date(34_200_000 + row * step).toISOString().slice(11, 23);
      const bid = Math.floor(random() * 2000) / 100;
      const ask = bid + Math.floor(random() * 20) / 100;
      lines += `AAPL,${expiration},${strike},${right},${day}T${time},${Math.floor(random() * 200)},7,${bid.toFixed(2)},50,${Math.floor(random() * 200)},7,${ask.toFixed(2)},50\n`;
    }
    yield lines;
  }
}

export function quotesText(options: QuotesOptions): string {
  return `${QUOTE_HEADER}\n${[...quoteLines(options)].join('')}`;
}

/** For large ones: never whole in memory. */
export async function writeQuotes(path: string, options: QuotesOptions): Promise<void> {
  const lines = function* (): Generator<string> {
    yield `${QUOTE_HEADER}\n`;
    yield* quoteLines(options);
  };
  await pipeline(Readable.from(lines()), createWriteStream(path, { highWaterMark: 1 << 20 }));
}
