import { z } from 'zod';
import type { Config } from '../platform/config/load.ts';
import { InputError } from '../platform/errors.ts';

const MAX_LENGTH = 32;
const TICKER = /^[A-Za-z0-9.\-=^_&]+$/;
/** A plain US ticker with one letter after it. */
const SHARE_CLASS = /^([A-Z]{1,5})([-./])([A-Z])$/;
/** Yahoo's suffixes of one letter: Frankfurt, London, Tokyo, TSX Venture. After a dot these are no share class. */
const EXCHANGE_LETTERS = 'FLTV';

/**
 * A ticker in its one spelling: trimmed, upper case. Letters, digits and `. - = ^ _ &` (BRK.B, GC=F, EURUSD=X, ^GSPC, BTC-USD, M&M.NS, 0P000071W8.TO), at most 32
 * characters. Throws `InputError('symbol.invalid')`, which names the value and the broken rule.
 *
 * A share class has one spelling: BRK.B, BRK-B and BRK/B are BRK.B. The rule: one to five letters, then a dot, dash or slash, then one letter. A dot before F, L, T or V
 * is an exchange (VOD.L), so these classes are written with a dash: MKC/V and MKC-V are MKC-V. Any other dash is a part of the ticker (BT-A.L, BTC-USD).
 */
export function parseSymbol(text: string): string {
  const symbol = text.trim();
  const fault = faultOf(symbol);
  if (fault !== undefined) {
    throw new InputError(
      'symbol.invalid',
      `symbol ${shown(text)} ${fault}; a symbol is 1 to ${MAX_LENGTH} letters, digits or . - = ^ _ & such as BRK.B or EURUSD=X`,
    );
  }
  return withClass(symbol.toUpperCase(), (letter) => (EXCHANGE_LETTERS.includes(letter) ? '-' : '.'));
}

/** The symbol with its share class after the separator that `separatorOf` gives; a symbol without a share class as it is. */
function withClass(symbol: string, separatorOf: (letter: string) => string): string {
  const [, ticker, separator, letter] = SHARE_CLASS.exec(symbol) ?? [];
  if (letter === undefined || (separator === '.' && EXCHANGE_LETTERS.includes(letter))) return symbol;
  return `${ticker}${separatorOf(letter)}${letter}`;
}

/** Symbols as single sources write them, where no rule gives that. */
type Spellings = Config['stock_jobs']['data_fetch']['spellings'];

/** Sources that write a share class with a dash: BRK-B. The others write BRK.B, as we do. */
const DASHED: ReadonlySet<string> = new Set(['yahoo_finance', 'alpha_vantage']);

/** How `source` writes a symbol: as `spellings` says, else by the rule of the source. Throws `InputError('symbol.invalid')` for an entry whose symbol is none. */
export function spellingsOf(source: string, spellings: Spellings = []): (symbol: string) => string {
  const own = spellings.filter((entry) => entry.source === source);
  const table = new Map(own.map((entry) => [parseSymbol(entry.symbol), entry.spelling]));
  return (symbol) => table.get(symbol) ?? (DASHED.has(source) ? withClass(symbol, () => '-') : symbol);
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
  if (!TICKER.test(symbol.replace(/(?<=^[A-Za-z]{1,5})\/(?=[A-Za-z]$)/, '.'))) {
    const found = symbol.match(/[^A-Za-z0-9.\-=^_&]/u)?.[0] ?? '';
    if (found === '/') return 'contains "/", which stands only before the letter of a share class (BRK/B)';
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
