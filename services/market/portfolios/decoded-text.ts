/** Reads a file as text, piece by piece: UTF-8, or UTF-16 with its byte order mark. Anything else is refused with the byte's place. */
import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { InputError } from '../../platform/errors.ts';
import { firstInvalidByte } from '../../platform/utf8.ts';

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

const MARKS: readonly [bytes: readonly number[], Encoding][] = [
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
];
const SAVE = 'save the file as UTF-8';

/**
 * The text of a file without byte order marks at its beginning. `name` stands for the file in messages. Errors: `InputError('portfolio.unreadable')` with line and byte,
 * both from 1, for bytes that are not text in the file's encoding, for NUL, and for a carriage return without a line feed; those of the file system.
 */
export async function* decodedText(path: string, name: string): AsyncGenerator<string> {
  let encoding: Encoding | undefined;
  /** Bytes before `pending`, and line feeds in them. */
  let passed = 0;
  let lines = 0;
  let pending = Buffer.alloc(0);
  const refuse = (text: string, byte: number, fault: string): InputError =>
    new InputError('portfolio.unreadable', `${name}:${lines + 1 + count(text, '\n')}: byte ${byte + 1} ${fault}`);

  function decoded(bytes: Buffer, of: Encoding, isLast: boolean): string {
    const { text, badAt } = decode(bytes, of);
    // Without a line feed after it yet, a carriage return at the end may still be followed by one.
    const bad = /\0|\r(?!\n)/.exec(isLast ? text : text.replace(/\r$/, ''));
    if (bad !== null) {
      const before = text.slice(0, bad.index);
      const fault =
        bad[0] === '\0'
          ? `is NUL, which is no text; ${SAVE} (UTF-16 needs its byte order mark)`
          : 'is a carriage return without a line feed; end each line with a line feed, or with both';
      throw refuse(before, passed + Buffer.byteLength(before, of === 'utf-8' ? 'utf8' : 'utf16le'), fault);
    }
    if (badAt !== undefined)
      throw refuse(text, passed + badAt, `is 0x${hex(bytes[badAt]!)}, which is not ${of.toUpperCase()} there; ${SAVE}`);
    return text;
  }

  for await (const chunk of createReadStream(path)) {
    pending = Buffer.concat([pending, chunk as Buffer]);
    if (encoding === undefined) {
      if (pending.length < 3) continue;
      [encoding, passed] = encodingOf(pending);
      pending = pending.subarray(passed);
    }
    const end = wholeCharacters(pending, encoding);
    const bytes = pending.subarray(0, end);
    const text = decoded(bytes, encoding, false);
    passed += bytes.length;
    lines += count(text, '\n');
    pending = pending.subarray(end);
    yield text;
  }
  if (encoding === undefined) {
    [encoding, passed] = encodingOf(pending);
    pending = pending.subarray(passed);
  }
  yield decoded(pending, encoding, true);
}

/** The encoding, and the length of the marks. A mark that was written twice is skipped as well. */
function encodingOf(bytes: Buffer): [Encoding, number] {
  for (const [mark, encoding] of MARKS) {
    let length = 0;
    while (mark.every((byte, index) => bytes[length + index] === byte)) length += mark.length;
    if (length > 0) return [encoding, length];
  }
  return ['utf-8', 0];
}

/** The text up to the first byte that cannot be read, and its place. */
function decode(bytes: Buffer, encoding: Encoding): { text: string; badAt?: number } {
  if (encoding === 'utf-8') {
    if (isUtf8(bytes)) return { text: bytes.toString('utf8') };
    const badAt = firstInvalidByte(bytes);
    return { text: bytes.toString('utf8', 0, badAt), badAt };
  }
  const even = bytes.subarray(0, bytes.length - (bytes.length % 2));
  const text = (encoding === 'utf-16be' ? Buffer.from(even).swap16() : even).toString('utf16le');
  const lone = text.isWellFormed() ? (even.length === bytes.length ? undefined : text.length) : text.search(/\p{Surrogate}/u);
  return lone === undefined ? { text } : { text: text.slice(0, lone), badAt: 2 * lone };
}

/** Where the last whole character ends; a carriage return at the end waits for what follows it. */
function wholeCharacters(bytes: Buffer, encoding: Encoding): number {
  let end = bytes.length;
  if (encoding === 'utf-8') {
    // A character has at most four bytes: look for its first one among the last three.
    for (let back = 1; back <= Math.min(3, end); back++) {
      const byte = bytes[end - back]!;
      if (byte < 0x80) break;
      if (byte < 0xc0) continue;
      const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      if (size > back) end -= back;
      break;
    }
    return end > 0 && bytes[end - 1] === 0x0d ? end - 1 : end;
  }
  end -= end % 2;
  const last = end >= 2 ? (encoding === 'utf-16le' ? bytes.readUInt16LE(end - 2) : bytes.readUInt16BE(end - 2)) : 0;
  return last === 0x0d || (last >= 0xd800 && last < 0xdc00) ? end - 2 : end;
}

function count(text: string, part: string): number {
  let found = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) found++;
  return found;
}

const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');
