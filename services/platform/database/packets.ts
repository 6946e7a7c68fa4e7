/** Cuts what is sent to the server into packets of a size that it takes. */
import { PermanentError } from '../errors.ts';

/** More is not joined into one packet: larger ones were not faster. MariaDB's default limit. */
const MOST_JOINED_BYTES = 16 * 1024 * 1024;
/** The smallest `max_allowed_packet` that the ledger works with: MariaDB's and MySQL's own default of earlier years. A login of 6,000 symbols fits. */
export const SMALLEST_PACKET_BYTES = 1024 * 1024;
/** What a packet holds beside the text of its statements. */
const HEADER_BYTES = 1024;
/** A connection that is lost while so much is sent may have been closed because of its size, by a server or by a proxy with a limit of its own. */
export const SUSPICIOUS_BYTES = 512 * 1024;

export type Format = (sql: string, params?: readonly unknown[]) => string;

/** UTF-8 has at most three bytes for a UTF-16 unit, so most texts need not be counted. */
export function fits(text: string, limit: number): boolean {
  return text.length * 3 <= limit || Buffer.byteLength(text) <= limit;
}

/** The most bytes that statements of one packet may have together. */
export const mostBytes = (packetBytes: number): number => Math.min(packetBytes, MOST_JOINED_BYTES) - HEADER_BYTES;

/**
 * The statement as texts that are each within the limit. Only an `INSERT … VALUES ?` whose one list of rows is too long can be cut, between its rows: inside a
 * transaction that is the same. Any other statement is one text of whatever size.
 */
export function cutRows(format: Format, sql: string, params: readonly unknown[] | undefined, limit: number): string[] {
  const text = format(sql, params);
  if (fits(text, limit)) return [text];
  const at = params?.findIndex((value) => Array.isArray(value) && Array.isArray(value[0])) ?? -1;
  const rows = params?.[at] as readonly unknown[] | undefined;
  if (rows === undefined || rows.length < 2 || !/\bVALUES \?/.test(sql)) return [text];
  const half = Math.ceil(rows.length / 2);
  return [rows.slice(0, half), rows.slice(half)].flatMap((some) => cutRows(format, sql, params?.with(at, some), limit));
}

/** Texts joined by `separator` into as few as fit into the limit; one that is larger stands alone. */
export function joinWithin(texts: readonly string[], limit: number, separator: string): { text: string; count: number; bytes: number }[] {
  const joined: { parts: string[]; bytes: number }[] = [];
  for (const text of texts) {
    const bytes = Buffer.byteLength(text) + separator.length;
    const last = joined.at(-1);
    if (last !== undefined && last.bytes + bytes <= limit) {
      last.parts.push(text);
      last.bytes += bytes;
    } else joined.push({ parts: [text], bytes });
  }
  return joined.map(({ parts, bytes }) => ({ text: parts.join(separator), count: parts.length, bytes }));
}

/** A server closes the connection on more than its limit, which would look like an outage and be tried for ever. Errors: `PermanentError('database.too_large')`. */
export function refuseTooLarge(text: string, packetBytes: number): void {
  if (fits(text, packetBytes - HEADER_BYTES)) return;
  throw new PermanentError(
    'database.too_large',
    `a statement of ${Buffer.byteLength(text) + HEADER_BYTES} bytes is not sent, since the database's max_allowed_packet is ${packetBytes}: write less at once, or raise it`,
  );
}

/**
 * The text and the values of a statement to be prepared: each list gets a place for each of its members. Its last member stands there again up to the next power of two, so that
 * lists of all lengths make few texts.
 */
export function withPlaces(sql: string, params: readonly unknown[] = []): { text: string; values: (string | number)[] } {
  const values: (string | number)[] = [];
  let at = 0;
  const text = sql.replaceAll('?', () => {
    const value = params[at++] as string | number | readonly (string | number)[];
    if (typeof value !== 'object') {
      values.push(value);
      return '?';
    }
    const places = 2 ** Math.ceil(Math.log2(value.length));
    values.push(...value, ...Array.from({ length: places - value.length }, () => value.at(-1) as string | number));
    return Array.from({ length: places }, () => '?').join(', ');
  });
  return { text, values };
}
