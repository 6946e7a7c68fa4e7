import { expect, test } from 'vitest';
import { decodeFile, firstInvalidUtf8 } from '../../../services/platform/text/encoding.ts';

// Table 3-7 of the Unicode Standard: well-formed UTF-8. Each case is a text of three bytes, the bytes that are wrong, and what may follow.
test.each<[string, number[]]>([
  ['a byte that continues nothing', [0x80]],
  ['a byte that never occurs', [0xff]],
  ['two bytes for one ASCII letter', [0xc1, 0x81]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['more than U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['the first byte of two', [0xc3]],
  ['three bytes of four', [0xf0, 0x9f, 0x93]],
])('%s is found where it begins', (_, wrong) => {
  // "a€" are four bytes.
  const bytes = Buffer.concat([Buffer.from('a€'), Buffer.from(wrong), Buffer.from('é')]);
  expect(firstInvalidUtf8(bytes)).toBe(4);
});

test('a U+FFFD that was written is text', () => {
  expect(firstInvalidUtf8(Buffer.from('a\ufffdb'))).toBeUndefined();
  expect(firstInvalidUtf8(Buffer.concat([Buffer.from('a\ufffdb'), Buffer.from([0xff])]))).toBe(5);
});

test('valid text is valid', () => {
  expect(firstInvalidUtf8(Buffer.from('Jür€n📈'))).toBeUndefined();
  expect(firstInvalidUtf8(Buffer.alloc(0))).toBeUndefined();
});

test('the fault of a file has its line and its byte, the mark counted', () => {
  expect(decodeFile(Buffer.concat([Buffer.from('\ufeffone\ntwo'), Buffer.from([0xe9])]))).toEqual({
    line: 2,
    byte: 11,
    fault: 'is 0xE9, which is not UTF-8 there; save the file as UTF-8',
  });
});
