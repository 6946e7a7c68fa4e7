/** Numbers and times as text for people. */
import { priceText } from '../../market/bars/price-text.ts';
import { paint } from './colour.ts';

/** Two decimals with thousands separators; four significant digits below one dollar. */
export function money(value: number | null | undefined): string | null {
  if (value === null || value === undefined) return null;
  if (value === 0 || Math.abs(value) >= 1) return grouped(value.toFixed(2));
  const text = value.toPrecision(4);
  return text.includes('e') ? priceText(Number(text)) : text;
}

/** The price of one share or coin: eight significant digits, at least two decimals, with thousands separators. */
export function sharePrice(value: number | null | undefined): string | null {
  return value === null || value === undefined ? null : grouped(priceText(value));
}

const ALL_DIGITS = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 15 });

/** All its decimals, with thousands separators: 15 significant digits, as many as a number holds for sure. */
export function quantity(value: number): string {
  return ALL_DIGITS.format(value);
}

function grouped(text: string): string {
  const [whole = '', fraction] = text.split('.');
  const parted = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? parted : `${parted}.${fraction}`;
}

/** A length of time, rounded down to its two leading units or less: `140 ms`, `2.4 s`, `7 min`, `5 h`, `3 d`. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const minutes = ms / 60_000;
  if (minutes < 120) return `${Math.floor(minutes)} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1_440)} d`;
}

/** `2.4 s ago`; never negative, also when another machine's clock is ahead. */
export function ago(at: Date, now: Date): string {
  return `${span(Math.max(0, now.getTime() - at.getTime()))} ago`;
}

/** `2026-01-02 14:30:00 UTC`. */
export function stamp(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** With its sign, also of a gain: `+1,234.50`. */
export function signed(value: number | null | undefined): string | null {
  const text = money(value);
  return text === null ? null : `${(value as number) > 0 ? '+' : ''}${text}`;
}

/** `-0.85 %`. */
export function signedPercent(value: number | null | undefined): string | null {
  return value === null || value === undefined ? null : `${value > 0 ? '+' : ''}${value.toFixed(2)} %`;
}

export function percentText(value: number | null | undefined): string | null {
  return value === null || value === undefined ? null : `${value.toFixed(1)} %`;
}

/** The sign says the same as the colour. */
export function paintGain(text: string): string {
  return text.startsWith('+') ? paint('green', text) : text.startsWith('-') ? paint('red', text) : text;
}
