/** Values in `portfolio.base_currency`, by stored rates. A rate is a symbol like any other: `GBPUSD=X` is the price of a pound in dollars, as Yahoo writes it. */
import { calendarOf } from '../calendar/calendar.ts';

/** Prices in a hundredth of a currency, as sources name them: pence, agorot, South African cents, American cents. */
const HUNDREDTHS: Readonly<Record<string, string>> = { GBp: 'GBP', GBX: 'GBP', ILA: 'ILS', ZAc: 'ZAR', ZAC: 'ZAR', USX: 'USD', USc: 'USD' };

const CODE = /^[A-Z]{3}$/;

/** What is known of a symbol's currency. */
export interface Quoted {
  symbol: string;
  currency: string | null;
}

/** The currency of a symbol's prices: that of its source; dollars for a US symbol of which none is known; null otherwise. */
export function currencyOf(symbol: string, known: string | null | undefined): string | null {
  return known ?? (calendarOf(symbol) === undefined ? null : 'USD');
}

/** The currency itself and how many of its parts, in which prices are given, make one: `GBp` → GBP and 100. Undefined for text that is no currency. */
function majorOf(currency: string): { code: string; parts: number } | undefined {
  const code = HUNDREDTHS[currency];
  if (code !== undefined) return { code, parts: 100 };
  return CODE.test(currency) ? { code: currency, parts: 1 } : undefined;
}

/** The symbol of the rate that a currency needs; undefined when it needs none, or is no currency. */
export function rateSymbolOf(currency: string | null, base: string): string | undefined {
  const major = currency === null ? undefined : majorOf(currency);
  return major === undefined || major.code === base ? undefined : `${major.code}${base}=X`;
}

/** The symbols of all rates that these currencies need, sorted, each once. */
export function rateSymbols(quoted: Iterable<Quoted>, base: string): string[] {
  const needed = [...quoted].flatMap(({ symbol, currency }) => rateSymbolOf(currencyOf(symbol, currency), base) ?? []);
  return [...new Set(needed)].sort();
}

/** An amount of a currency in the base currency; null when the amount, the currency or the rate is unknown. `rateOf` gives the newest close of a rate's symbol. */
export function toBase(
  amount: number | null,
  currency: string | null,
  base: string,
  rateOf: (rateSymbol: string) => number | null | undefined,
): number | null {
  const major = currency === null ? undefined : majorOf(currency);
  if (amount === null || major === undefined) return null;
  const rate = major.code === base ? 1 : rateOf(`${major.code}${base}=X`);
  return rate === null || rate === undefined || !(rate > 0) ? null : (amount / major.parts) * rate;
}
