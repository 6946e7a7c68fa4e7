import { describe, expect, test } from 'vitest';
import { forTerminal, nameFault, plain, plainTexts, visibleJson } from '../../../services/platform/text/characters.ts';

/** One of each kind, by its name in the Unicode Character Database. */
const UNSEEN: [string, string, string][] = [
  ['ESCAPE', '\u001b', '\\u001b'],
  ['DELETE', '\u007f', '\\u007f'],
  ['CONTROL SEQUENCE INTRODUCER (C1)', '\u009b', '\\u009b'],
  ['RIGHT-TO-LEFT OVERRIDE', '\u202e', '\\u202e'],
  ['FIRST STRONG ISOLATE', '\u2068', '\\u2068'],
  ['ARABIC LETTER MARK', '\u061c', '\\u061c'],
  ['LEFT-TO-RIGHT MARK', '\u200e', '\\u200e'],
  ['ZERO WIDTH SPACE', '\u200b', '\\u200b'],
  ['ZERO WIDTH JOINER', '\u200d', '\\u200d'],
  ['ZERO WIDTH NO-BREAK SPACE', '\ufeff', '\\ufeff'],
  ['SOFT HYPHEN', '\u00ad', '\\u00ad'],
  ['WORD JOINER', '\u2060', '\\u2060'],
  ['COMBINING GRAPHEME JOINER', '\u034f', '\\u034f'],
  ['HANGUL FILLER', '\u3164', '\\u3164'],
  ['VARIATION SELECTOR-16', '\ufe0f', '\\ufe0f'],
  ['TAG LATIN SMALL LETTER A', '\u{e0061}', '\\u{e0061}'],
];

describe.each(UNSEEN)('%s', (_, character, code) => {
  test('is in no name', () => {
    const point = `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
    for (const name of [`al${character}ice`, `${character}alice`, `alice${character}`])
      expect(nameFault(name)).toBe(`has the character ${point}, which cannot be seen; leave it out`);
  });

  test('is shown by its code on a terminal', () => {
    expect(plain(`a${character}b`)).toBe(`a${code}b`);
    expect(forTerminal(`a${character}b\nc`, true)).toBe(`a${code}b\nc`);
  });

  test('is escaped in JSON, which reads as the same text', () => {
    const json = JSON.stringify({ name: `a${character}b` });
    expect(visibleJson(json)).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(visibleJson(json))).toEqual(JSON.parse(json));
  });

  test('is its code in the texts of JSON that is shown as it is', () => {
    const { name } = JSON.parse(plainTexts(JSON.stringify({ name: `a${character}b` }))) as { name: string };
    expect(name).toMatch(/^a(\\u[0-9a-f]{4})+b$/);
  });
});

describe('a name', () => {
  test.each(['alice', "o'brien\\", 'quo"te', 'Jürgen', '山田 太郎', 'محمد', '👩', ' padded '])('%s is one', (name) => {
    expect(nameFault(name)).toBeUndefined();
  });

  test.each([
    ['\u00a0alice', 'has the character U+00A0, which looks like a space; write a plain space or none'],
    ['山田\u3000太郎', 'has the character U+3000, which looks like a space; write a plain space or none'],
    ['J\ufffdrgen', 'has the character U+FFFD, which stands for bytes that were not UTF-8; write it as UTF-8'],
    ['a\ud800', 'is not valid Unicode: it has half of a character'],
    ['Ju\u0308rgen', 'has letters in parts, and would be another name than "J\u00fcrgen"; write it in the composed form of Unicode (NFC)'],
    ['   ', 'has no letter'],
  ])('%j is none', (name, fault) => {
    expect(nameFault(name)).toBe(fault);
  });
});

test('lines and tabs are a space in one line, and runs of them one', () => {
  expect(plain('a\r\n\tb\u2028c\u0085d')).toBe('a b c d');
});

test('colours stay in a styled text, and nothing else that a terminal obeys', () => {
  const text = '\x1b[1mbold\x1b[22m \x1b[2Jgone \x1b]0;title\x07';
  expect(forTerminal(text, true)).toBe('\x1b[1mbold\x1b[22m \\u001b[2Jgone \\u001b]0;title\\u0007');
  expect(forTerminal(text, false)).not.toContain('\x1b');
});

test('a backslash before u in a text is a backslash', () => {
  expect(JSON.parse(plainTexts(JSON.stringify('C:\\u001b\n\x1b')))).toBe('C:\\u001b\n\\u001b');
});
