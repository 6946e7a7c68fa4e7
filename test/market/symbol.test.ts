import { describe, expect, test } from 'vitest';
import { parseSymbol, SymbolSchema } from '../../services/market/symbol.ts';
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
  test.each(['AAPL', 'BRK.B', 'GC=F', 'EURUSD=X', '^VIX', 'BTC-USD', '0P000071W8.TO', 'ES_F', 'T'])(
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
    ['A/B', 'contains "/"'],
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
    const result = SymbolSchema.safeParse('A/B');
    expect(result.error?.issues.map(({ message }) => message)).toEqual([refusal('A/B').message]);
  });

  test('refuses what is not text', () => {
    expect(SymbolSchema.safeParse(7).success).toBe(false);
  });
});
