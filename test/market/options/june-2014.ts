import { readdirSync, readFileSync } from 'node:fs';
import { usCalendar } from '../../../services/market/calendar/calendar.ts';
import type { Chain } from '../../../services/market/options/chain/chain.ts';
import { zippedFiles } from '../../../services/market/sources/lean-files.ts';
import { sharedData } from '../../support/shared-data.ts';
import { chainOf, type Quoted } from './chain/quoted-chain.ts';

const UNIVERSES = sharedData('lean/option/usa/universes/aapl');
const QUOTES = sharedData('lean/option/usa/daily/aapl_2014_quote_american.zip');

/** The days of the universe files, `YYYY-MM-DD`. */
export const universeDays = () => readdirSync(UNIVERSES).map((file) => dashed(file.slice(0, 8)));

/**
 * The closes of a universe file as quotes, bid = ask = close, with the file's `implied_volatility` as the feed's; zeros stand for what is missing. The closes are those of
 * the file's own date (parity at the money gives that day's close of the stock), its row of the underlying is of the session before: a spot that is up to 2 % off.
 */
export function universe(day: string): Chain {
  const [, underlying, ...rows] = readFileSync(`${UNIVERSES}/${day.replaceAll('-', '')}.csv`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(','));
  const quotes = rows.map(([expiry, strike, right, , , , close, , , iv]): Quoted => {
    const price = Number(close);
    return { expiration: dashed(expiry!), strike: Number(strike), isPut: right === 'P', bid: price, ask: price, iv: Number(iv) };
  });
  return chainOf(usCalendar.session(day)!.close.toString(), Number(underlying![6]), quotes);
}

/** The last bid and ask of each contract on `day`, 2014-06-06 or 2014-06-09, and nothing else. */
export async function lastQuotes(day: string, spot: number): Promise<Chain> {
  const quotes: Quoted[] = [];
  for await (const { name, text } of zippedFiles(QUOTES, new AbortController().signal)) {
    const [, right, strike, expiry] = /_(call|put)_(\d+)_(\d{8})\.csv$/.exec(name)!;
    const line = text.split('\n').find((row) => row.startsWith(day.replaceAll('-', '')));
    if (line === undefined) continue;
    const fields = line.split(',');
    quotes.push({
      expiration: dashed(expiry!),
      strike: Number(strike) / 1e4,
      isPut: right === 'put',
      bid: Number(fields[4]) / 1e4,
      ask: Number(fields[9]) / 1e4,
    });
  }
  return chainOf(usCalendar.session(day)!.close.toString(), spot, quotes);
}

const dashed = (date: string) => `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6, 8)}`;
