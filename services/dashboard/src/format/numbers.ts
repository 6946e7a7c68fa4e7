/** How numbers are written, everywhere the same. What is not known is "–", never 0. */
export const NONE = '–';
/** U+2009. */
const THIN = '\u2009';
const MINUS = '\u2212';

type Maybe = number | null | undefined;

function fixed(value: number, digits: number): string {
  const [whole, rest] = Math.abs(value).toFixed(digits).split('.');
  const grouped = (whole as string).replace(/\B(?=(\d{3})+$)/g, THIN);
  // A change that rounds to nothing has no sign.
  const sign = value < 0 && Number(Math.abs(value).toFixed(digits)) !== 0 ? MINUS : '';
  return sign + grouped + (rest === undefined ? '' : `.${rest}`);
}

const plus = (value: number, text: string): string => (value > 0 && /[1-9]/.test(text) ? `+${text}` : text);

/** `9 999`, from 10,000 on `12.4 k`, `3.2 M`; the exact one belongs on hover. */
export function count(value: Maybe): string {
  if (value == null) return NONE;
  if (value < 10_000) return fixed(value, 0);
  return value < 999_950 ? `${fixed(value / 1_000, 1)}${THIN}k` : `${fixed(value / 1_000_000, 1)}${THIN}M`;
}

export const exact = (value: Maybe): string => (value == null ? NONE : fixed(value, 0));
/** Two decimals, four under 1. */
export const price = (value: Maybe): string => (value == null ? NONE : fixed(value, Math.abs(value) < 1 && value !== 0 ? 4 : 2));
export const money = (value: Maybe): string => (value == null ? NONE : fixed(value, 2));
export const moneyChange = (value: Maybe): string => (value == null ? NONE : plus(value, fixed(value, 2)));
/** A change in percent, with its sign. */
export const percent = (value: Maybe, digits = 2): string => (value == null ? NONE : plus(value, `${fixed(value, digits)}${THIN}%`));
/** A part of a whole, in percent. */
export const share = (value: Maybe, digits = 1): string => (value == null ? NONE : `${fixed(value, digits)}${THIN}%`);
export const decimal = (value: Maybe, digits: number): string => (value == null ? NONE : fixed(value, digits));
/** Up to four digits after the point, without those at the end that say nothing. */
export const plain = (value: Maybe): string => (value == null ? NONE : fixed(value, 4).replace(/\.?0+$/, ''));

export function bytes(value: Maybe): string {
  if (value == null) return NONE;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), units.length - 1);
  return `${fixed(value / 1000 ** power, power === 0 ? 0 : 1)}${THIN}${units[power]}`;
}
