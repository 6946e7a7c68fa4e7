import { z } from 'zod';
import { InputError } from '../platform/errors.ts';

const MAX_LENGTH = 32;
const TICKER = /^[A-Za-z0-9.\-=^_]+$/;

/**
 * A ticker in its one spelling: trimmed, upper case. Letters, digits and `. - = ^ _` (BRK.B, GC=F, EURUSD=X, ^VIX, BTC-USD, 0P000071W8.TO), at most 32 characters.
 * Throws `InputError('symbol.invalid')`, which names the value and the broken rule.
 */
export function parseSymbol(text: string): string {
  const symbol = text.trim();
  const fault = faultOf(symbol);
  if (fault !== undefined) {
    throw new InputError(
      'symbol.invalid',
      `symbol ${shown(text)} ${fault}; a symbol is 1 to ${MAX_LENGTH} letters, digits or . - = ^ _ such as BRK.B or EURUSD=X`,
    );
  }
  return symbol.toUpperCase();
}

/** `parseSymbol` as a schema: gives the symbol in its one spelling, or an issue with the same message. */
export const SymbolSchema = z.string().transform((text, context) => {
  try {
    return parseSymbol(text);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    context.addIssue({ code: 'custom', message: error.message, input: text });
    return z.NEVER;
  }
});

// Checked before upper-casing: "ı" and "ſ" turn into plain ASCII letters there.
function faultOf(symbol: string): string | undefined {
  if (symbol === '') return 'is empty';
  if (symbol.length > MAX_LENGTH) return `is ${symbol.length} characters long`;
  if (!TICKER.test(symbol)) {
    const found = symbol.match(/[^A-Za-z0-9.\-=^_]/u)?.[0] ?? '';
    return found === ' ' ? 'contains a space' : `contains ${shown(found)}`;
  }
  // "." and ".." would walk up a path or a URL.
  if (!/[A-Za-z0-9]/.test(symbol)) return 'has no letter or digit';
  return undefined;
}

/** The value in quotes, at most 40 characters of it, with everything but printable ASCII escaped: it goes to logs and terminals. */
function shown(text: string): string {
  const head = text.slice(0, 40).replace(/["\\]|[^\x20-\x7e]/g, (char) => {
    if (char === '"' || char === '\\') return `\\${char}`;
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return `"${head}${text.length > 40 ? '…' : ''}"`;
}
