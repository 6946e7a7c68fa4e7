/** Bytes as text: UTF-8, or UTF-16 with its byte order mark. A byte that is no text there is named by its place, never replaced by U+FFFD: two different names would become one. */
import { isUtf8 } from 'node:buffer';

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

const MARKS: readonly [bytes: readonly number[], Encoding][] = [
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
];
const SAVE = 'save the file as UTF-8';

/** Why bytes are no text: the offset of the byte from 0, the text before it, and the fault with its cure for people. */
export interface TextFault {
  at: number;
  before: string;
  fault: string;
}

/** The encoding, and the length of the byte order marks. A mark that was written twice is skipped as well. */
export function encodingOf(bytes: Buffer): [Encoding, number] {
  for (const [mark, encoding] of MARKS) {
    let length = 0;
    while (mark.every((byte, index) => bytes[length + index] === byte)) length += mark.length;
    if (length > 0) return [encoding, length];
  }
  return ['utf-8', 0];
}

/** The text of bytes without a mark, or what is wrong with the first byte that is no text: not in this encoding, or NUL. */
export function decode(bytes: Buffer, encoding: Encoding): { text: string } | TextFault {
  const { text, badAt } = encoding === 'utf-8' ? decodeUtf8(bytes) : decodeUtf16(bytes, encoding);
  const nul = text.indexOf('\0');
  if (nul >= 0) {
    const before = text.slice(0, nul);
    return { at: byteLength(before, encoding), before, fault: `is NUL, which is no text; ${SAVE} (UTF-16 needs its byte order mark)` };
  }
  if (badAt === undefined) return { text };
  return { at: badAt, before: text, fault: `is 0x${hex(bytes[badAt]!)}, which is not ${encoding.toUpperCase()} there; ${SAVE}` };
}

/** The whole of a file: its text without byte order marks, or the fault with the line and the byte, both from 1. */
export function decodeFile(bytes: Buffer): { text: string } | { line: number; byte: number; fault: string } {
  const [encoding, mark] = encodingOf(bytes);
  const read = decode(bytes.subarray(mark), encoding);
  return 'text' in read ? read : { line: 1 + countOf(read.before, '\n'), byte: mark + read.at + 1, fault: read.fault };
}

/** The bytes that a text takes. */
export function byteLength(text: string, encoding: Encoding): number {
  return Buffer.byteLength(text, encoding === 'utf-8' ? 'utf8' : 'utf16le');
}

/** The offset of the first byte that is not UTF-8; undefined when all are. */
export function firstInvalidUtf8(bytes: Buffer): number | undefined {
  if (isUtf8(bytes)) return undefined;
  // Of what cannot be read, the first byte stands where the reader puts U+FFFD; a U+FFFD that was written has three bytes of its own.
  const text = bytes.toString('utf8');
  let from = 0;
  let byte = 0;
  for (let found = text.indexOf('\ufffd'); found >= 0; found = text.indexOf('\ufffd', from)) {
    byte += Buffer.byteLength(text.slice(from, found));
    if (bytes[byte] !== 0xef || bytes[byte + 1] !== 0xbf || bytes[byte + 2] !== 0xbd) return byte;
    byte += 3;
    from = found + 1;
  }
  return bytes.length;
}

export function countOf(text: string, part: string): number {
  let found = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) found++;
  return found;
}

export const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');

/** The text up to the first byte that cannot be read, and the place of that byte. */
function decodeUtf8(bytes: Buffer): { text: string; badAt?: number } {
  const badAt = firstInvalidUtf8(bytes);
  return badAt === undefined ? { text: bytes.toString('utf8') } : { text: bytes.toString('utf8', 0, badAt), badAt };
}

function decodeUtf16(bytes: Buffer, encoding: Encoding): { text: string; badAt?: number } {
  const even = bytes.subarray(0, bytes.length - (bytes.length % 2));
  const text = (encoding === 'utf-16be' ? Buffer.from(even).swap16() : even).toString('utf16le');
  const lone = text.isWellFormed() ? (even.length === bytes.length ? undefined : text.length) : text.search(/\p{Surrogate}/u);
  return lone === undefined ? { text } : { text: text.slice(0, lone), badAt: 2 * lone };
}
