/** The output of a service, line by line. A service prints what users and sources sent, so no text may end the supervisor or move its cursor. */
import type { Readable } from 'node:stream';
import { plain } from '../output/table.ts';

/** Bytes. A message has at most 64 KiB; a longer line is cut, so that output without an end cannot fill the memory. */
const LONGEST_LINE = 1 << 20;
/** Characters of a line that are shown to a person; the log file has all of it. */
const LONGEST_SHOWN = 500;
const NEWLINE = 0x0a;
const LEVELS_SHOWN: readonly unknown[] = ['warn', 'error', 'fatal'];

/**
 * Calls `onLine` with each line of `stream`, and with the rest at its end. Lines end at `\n` alone: readline also ends one at U+2028, which JSON may contain. Bytes that
 * are not UTF-8 become U+FFFD.
 */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let parts: Buffer[] = [];
  let size = 0;
  const keep = (bytes: Buffer): void => {
    const room = bytes.subarray(0, Math.max(LONGEST_LINE - size, 0));
    if (room.length > 0) parts.push(room);
    size += bytes.length;
  };
  const end = (): void => {
    const line = Buffer.concat(parts).toString('utf8');
    onLine(size > LONGEST_LINE ? `${line}… (cut: the line had ${size} bytes)` : line);
    parts = [];
    size = 0;
  };
  stream.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      keep(chunk.subarray(from, at));
      end();
      from = at + 1;
    }
    keep(chunk.subarray(from));
  });
  stream.once('end', () => {
    if (size > 0) end();
  });
}

interface LogEvent {
  level?: unknown;
  msg?: unknown;
}

/** The log event in a line; undefined for a line that is no JSON object. */
function eventIn(line: string): LogEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What a person reads of a line: the message of a log event, else the line itself, without control characters. */
export function shownText(line: string): string {
  const event = eventIn(line);
  const text = plain(typeof event?.msg === 'string' ? event.msg : line);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/** The text of a line that a person at the terminal must read: a warning, an error, or a line that is no log event (a crash). Else undefined. */
export function warningIn(line: string): string | undefined {
  if (line.trim() === '') return undefined;
  const event = eventIn(line);
  return event === undefined || LEVELS_SHOWN.includes(event.level) ? shownText(line) : undefined;
}
