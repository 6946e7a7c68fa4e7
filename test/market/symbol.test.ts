import { describe, expect, test } from 'vitest';
import { parseSymbol, SymbolSchema, spellingsOf } from '../../services/market/symbol.ts';
import { InputError } from '../../services/platform/errors.ts';

function refusal(text: string): InputError {
  try {
    parseSymbol(text);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(text)} was accepted`);
}

describe('parseSymbol', () => {
  test.each(['AAPL', 'BRK.B', 'GC=F', 'EURUSD=X', '^VIX', '^GSPC', 'BTC-USD', 'BT-A.L', 'M&M.NS', '0P000071W8.TO', 'ES_F', 'T', 'VOD.L'])(
    'takes the ticker %s as it is',
    (symbol) => {
      expect(parseSymbol(symbol)).toBe(symbol);
    },
  );

  test('trims and upper-cases', () => {
    expect(parseSymbol(' \tbrk.b\n')).toBe('BRK.B');
  });

  test('takes 32 characters and refuses 33', () => {
    expect(parseSymbol('A'.repeat(32))).toHaveLength(32);
    expect(refusal('A'.repeat(33)).message).toContain('is 33 characters long');
  });

  test.each([
    ['', 'is empty'],
    ['  ', 'is empty'],
    ['EUR/USD', 'contains "/", which stands only before the letter of a share class (BRK/B)'],
    ['/B', 'contains "/"'],
    ['BRK/', 'contains "/"'],
    ['BT-A/L', 'contains "/"'],
    ['BRK/B/B', 'contains "/"'],
    ['1/B', 'contains "/"'],
    ['NIFTY 50', 'contains a space'],
    ['A+', 'contains "+"'],
    ['#', 'contains "#"'],
    ['A\0B', 'contains "\\u0000"'],
    ['A B', 'contains a space'],
    ['A\x1b[31mB', 'contains "\\u001b"'],
    ['AÄ', 'contains "\\u00c4"'],
    ['A\u202eB', 'contains "\\u202e"'],
    ['..', 'has no letter or digit'],
    ['A'.repeat(200), 'is 200 characters long'],
  ])('refuses %j and says that it %s', (text, rule) => {
    const error = refusal(text);
    expect(error.code).toBe('symbol.invalid');
    expect(error.message).toContain(rule);
  });

  test('refuses letters that only become ASCII by upper-casing', () => {
    // U+0131 and U+017F upper-case to I and S (Unicode, SpecialCasing and UnicodeData).
    expect(refusal('\u0131bm').code).toBe('symbol.invalid');
    expect(refusal('\u017fpy').code).toBe('symbol.invalid');
  });

  test('shows the value shortened, with control characters escaped', () => {
    const { message } = refusal(`A\x07${'x'.repeat(300)}`);
    expect(message).toContain('"A\\u0007xxx');
    expect(message).toContain('…"');
    expect(message.length).toBeLessThan(220);
    expect(message).toMatch(/^[\x20-\x7e…]*$/);
  });
});

describe('SymbolSchema', () => {
  test('gives the symbol in its one spelling', () => {
    expect(SymbolSchema.parse(' aapl ')).toBe('AAPL');
  });

  test('reports the message of parseSymbol', () => {
    const result = SymbolSchema.safeParse('EUR/USD');
    expect(result.error?.issues.map(({ message }) => message)).toEqual([refusal('EUR/USD').message]);
  });

  test('refuses what is not text', () => {
    expect(SymbolSchema.safeParse(7).success).toBe(false);
  });
});

describe('a share class', () => {
  test.each(['BRK.B', 'BRK-B', 'BRK/B', 'brk/b', ' Brk-b '])('%s is BRK.B', (text) => {
    expect(parseSymbol(text)).toBe('BRK.B');
  });

  // Yahoo's suffixes of one letter: Frankfurt, London, Tokyo, TSX Venture.
  test.each(['F', 'L', 'T', 'V'])('%s after a dot is an exchange, after a dash or slash it is a class', (letter) => {
    expect(parseSymbol(`MKC.${letter}`)).toBe(`MKC.${letter}`);
    expect(parseSymbol(`MKC-${letter}`)).toBe(`MKC-${letter}`);
    expect(parseSymbol(`MKC/${letter}`)).toBe(`MKC-${letter}`);
  });

  test.each(['BT-A.L', 'BTC-USD', 'BAC-PL', 'ABCDEF-B', '0700-B', 'A-B-C', '^BRK-B', 'B&O-B'])(
    'the dash of %s is a part of the ticker',
    (text) => {
      expect(parseSymbol(text)).toBe(text);
    },
  );

  test('the spelling of a symbol is its own spelling', () => {
    for (const base of ['A', 'BRK', 'ABCDE'])
      for (const separator of ['.', '-', '/'])
        for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') {
          const symbol = parseSymbol(base + separator + letter);
          expect(parseSymbol(symbol)).toBe(symbol);
        }
  });
});

describe('the spelling of a source', () => {
  test.each([
    ['yahoo_finance', 'BRK.B', 'BRK-B'],
    ['yahoo_finance', 'MKC-V', 'MKC-V'],
    ['yahoo_finance', 'VOD.L', 'VOD.L'],
    ['yahoo_finance', 'BT-A.L', 'BT-A.L'],
    ['yahoo_finance', 'M&M.NS', 'M&M.NS'],
    ['alpha_vantage', 'BRK.B', 'BRK-B'],
    ['lean', 'BRK.B', 'BRK.B'],
  ])('%s writes %s as %s', (source, symbol, spelling) => {
    expect(spellingsOf(source)(symbol)).toBe(spelling);
  });

  test('an entry of the table comes before the rule, and is for its source only', () => {
    const table = [{ source: 'yahoo_finance', symbol: 'bac/k', spelling: 'BAC-PK' }] as const;
    expect(spellingsOf('yahoo_finance', table)('BAC.K')).toBe('BAC-PK');
    expect(spellingsOf('lean', table)('BAC.K')).toBe('BAC.K');
  });

  test('an entry for what is no symbol is refused by name', () => {
    expect(() => spellingsOf('lean', [{ source: 'lean', symbol: 'NIFTY 50', spelling: '^NSEI' }])).toThrow(
      'symbol "NIFTY 50" contains a space',
    );
  });
});
