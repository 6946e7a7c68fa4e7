/** Numbers as portfolio files write them. What may mean two numbers is refused with the way out, never guessed. */

export type Delimiter = ',' | ';' | '\t';

/** The number as decimal text with a point, '' for an empty field; or what is wrong with it. */
export type NumberRead = { value: string } | { fault: string };

/**
 * A number in a file with this delimiter. A decimal comma is read where the comma is not the delimiter and cannot stand between thousands: 10,5 is 10.5; 1,234 is refused,
 * because it may be 1234; so is 1.234 there. `signed`: whether it may be negative.
 */
export function readNumber(text: string, delimiter: Delimiter, { signed }: { signed: boolean }): NumberRead {
  if (text === '' || /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text)) return delimiter === ',' ? { value: text } : unlessGrouped(text, '.');
  if (delimiter !== ',' && /^[+-]?(\d+,\d*|,\d+)$/.test(text)) return unlessGrouped(text, ',');
  return { fault: faultOf(text, delimiter, signed) };
}

/** `1.234` with thousands of 1 to 3 digits, the first not 0, may be a whole number of thousands. */
function unlessGrouped(text: string, point: '.' | ','): NumberRead {
  const [, sign = '', whole = '', part = ''] =
    (point === '.' ? /^([+-]?)([1-9]\d{0,2})\.(\d{3})$/ : /^([+-]?)([1-9]\d{0,2}),(\d{3})$/).exec(text) ?? [];
  if (whole === '') return { value: text.replace(',', '.') };
  return {
    fault: `may be ${sign}${whole}${part} or ${sign}${whole}.${part}; write ${sign}${whole}${part}, or ${sign}${whole}${point}${part}0`,
  };
}

/** The cure for a cost below 0; a quantity may be. */
const NOT_NEGATIVE = 'write what one share cost';
const CURRENCY = /\p{Sc}/u;
const BETWEEN_THOUSANDS = /(?<=\d)['’.,_\p{Z}](?=\d{3}(?!\d))/gu;

function faultOf(text: string, delimiter: Delimiter, signed: boolean): string {
  const sign = CURRENCY.exec(text)?.[0];
  if (sign !== undefined) {
    const rest = text.replace(CURRENCY, '').trim();
    return `has a currency sign (${sign}); write ${/^[+-]?\d+(\.\d+)?$/.test(rest) ? rest : 'the number alone, like 1234.5'}, or leave it empty`;
  }
  const inside = /^\((.*)\)$/.exec(text)?.[1];
  if (inside !== undefined)
    return `is in parentheses, which make it negative; ${signed ? `write it with a minus sign: -${inside}` : NOT_NEGATIVE}`;
  const plain = text.replace(BETWEEN_THOUSANDS, '');
  if (plain !== text && /^[+-]?\d+([.,]\d+)?$/.test(plain)) return `has a sign between the thousands; write ${plain.replace(',', '.')}`;
  if (delimiter === ',' && /^[+-]?\d*,\d+$/.test(text))
    return `has a decimal comma in a file whose fields are separated by commas; write ${text.replace(',', '.')}`;
  if (/^[+-]?[\d.]+e[+-]?\d+$/i.test(text)) return 'has an exponent; write all its digits, like 0.00000051';
  return 'is not a number; write it like 1234.5, or leave it empty';
}

/** What does not fit the column: `digits` before the point, `decimals` after it. */
export function sizeFault(
  value: string,
  { digits, decimals, signed }: { digits: number; decimals: number; signed: boolean },
): string | undefined {
  if (value === '') return undefined;
  const [, sign = '', whole = '', part = ''] = /^([+-]?)(\d*)\.?(\d*)$/.exec(value) ?? [];
  const isZero = !/[1-9]/.test(whole + part);
  if (sign === '-' && !signed && !isZero) return `is negative; ${NOT_NEGATIVE}`;
  if (whole.replace(/^0+/, '').length > digits) return `is too large; at most ${digits} digits before the point`;
  if (!isZero && !/[1-9]/.test(whole + part.slice(0, decimals))) return `is too small; ${decimals} decimals are kept`;
  return undefined;
}
