/** Reads a file as text, piece by piece: UTF-8, or UTF-16 with its byte order mark. Anything else is refused with the byte's place. */
import { createReadStream } from 'node:fs';
import { InputError } from '../../platform/errors.ts';
import { byteLength, countOf, decode, type Encoding, encodingOf } from '../../platform/text/encoding.ts';

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
  const refuse = (before: string, at: number, fault: string): InputError =>
    new InputError('portfolio.unreadable', `${name}:${lines + 1 + countOf(before, '\n')}: byte ${passed + at + 1} ${fault}`);

  function decoded(bytes: Buffer, of: Encoding, isLast: boolean): string {
    const read = decode(bytes, of);
    const text = 'text' in read ? read.text : read.before;
    // Without a line feed after it yet, a carriage return at the end may still be followed by one.
    const lone = loneCarriageReturn(isLast ? text : text.replace(/\r$/, ''));
    if (lone !== undefined) throw refuse(lone, byteLength(lone, of), LONE_CARRIAGE_RETURN);
    if (!('text' in read)) throw refuse(read.before, read.at, read.fault);
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
    lines += countOf(text, '\n');
    pending = pending.subarray(end);
    yield text;
  }
  if (encoding === undefined) {
    [encoding, passed] = encodingOf(pending);
    pending = pending.subarray(passed);
  }
  yield decoded(pending, encoding, true);
}

export const LONE_CARRIAGE_RETURN = 'is a carriage return without a line feed; end each line with a line feed, or with both';

/** The text before a carriage return without a line feed; undefined when there is none. */
export function loneCarriageReturn(text: string): string | undefined {
  const at = text.search(/\r(?!\n)/);
  return at < 0 ? undefined : text.slice(0, at);
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
