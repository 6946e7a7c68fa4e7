/** Digits of a price that people read. */
const SIGNIFICANT = 8;
/** An amount of money has at least so many decimals. */
const LEAST_DECIMALS = 2;
/** `toFixed` takes no more. */
const MOST_DECIMALS = 100;

/**
 * A price as text: eight significant digits, without trailing zeros, at least two decimals and no exponent. `189.50`, `1.0842`, `0.00000516`. A price of a billion
 * keeps its cents: two decimals are always there.
 */
export function priceText(price: number): string {
  if (price === 0) return price.toFixed(LEAST_DECIMALS);
  // No price; `toFixed` writes 1e21 and more with an exponent.
  if (!(Math.abs(price) < 1e21)) return String(price);
  const whole = Math.floor(Math.log10(Math.abs(price))) + 1;
  const decimals = Math.min(Math.max(SIGNIFICANT - whole, LEAST_DECIMALS), MOST_DECIMALS);
  const [before, after = ''] = price.toFixed(decimals).split('.');
  return `${before}.${after.replace(/0+$/, '').padEnd(LEAST_DECIMALS, '0')}`;
}
