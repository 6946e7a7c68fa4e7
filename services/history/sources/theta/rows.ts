/** Looks at the lines of a CSV answer while it is written to its file: its header, that it is whole, and which of its rows are kept. */
import { Transform, type TransformCallback } from 'node:stream';
import { crc32 } from 'node:zlib';
import { PermanentError, TransientError } from '../../../platform/errors.ts';
import { said } from './codes.ts';

/** Decides about the rows of one answer. Rows have no line end. */
export interface RowSieve {
  /** Whether the row is written now. */
  keeps(row: string): boolean;
  /** Rows that are written after the last one. */
  rest?(): Iterable<string>;
}
/** Made for each answer, with the names of its columns. */
export type SieveOf = (columns: readonly string[]) => RowSieve;

const NEWLINE = 0x0a;
/** No header is longer. */
const HEADER_BYTES = 8_192;

/** The names in a line of a CSV header. */
export function namesIn(header: string): string[] {
  return header
    .trim()
    .split(',')
    .map((name) => name.replace(/^"(.*)"$/, '$1'));
}

/**
 * Passes an answer on. Errors: `TransientError('theta.cut')` when it does not end with the end of a line: a number that was cut reads as another number.
 * `PermanentError('history.malformed')` when it does not begin with a line.
 */
export class CsvAnswer extends Transform {
  header = '';
  /** Whether it has rows that were kept. */
  hasRows = false;
  /** As they came. */
  bytes = 0;
  #crc = 0;
  readonly #sieveOf: SieveOf | undefined;
  #sieve: RowSieve | undefined;
  #begin: Buffer | undefined = Buffer.alloc(0);
  #lastByte = 0;
  /** The beginning of a row whose end has not come. */
  #part = '';

  constructor(sieveOf?: SieveOf) {
    super();
    this.#sieveOf = sieveOf;
  }

  /** Of the bytes as they came. */
  get digest(): string {
    return `${this.bytes}-${this.#crc}`;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.bytes += chunk.length;
      this.#crc = crc32(chunk, this.#crc);
      this.#lastByte = chunk.at(-1) ?? this.#lastByte;
      this.#take(chunk);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _flush(done: TransformCallback): void {
    if (this.#lastByte !== NEWLINE) {
      done(new TransientError('theta.cut', `the answer is cut: its last line has no end, after ${this.bytes} bytes`));
      return;
    }
    for (const row of this.#sieve?.rest?.() ?? []) this.#write(`${row}\n`);
    done();
  }

  #take(chunk: Buffer): void {
    const rows = this.#begin === undefined ? chunk : this.#takeHeader(chunk);
    if (rows.length === 0) return;
    if (this.#sieve === undefined) {
      this.hasRows ||= rows.some((byte) => byte > 0x20);
      this.push(rows);
      return;
    }
    const text = this.#part + rows.toString('latin1');
    let kept = '';
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const row = text.slice(start, text[end - 1] === '\r' ? end - 1 : end);
      start = end + 1;
      if (row !== '' && this.#sieve.keeps(row)) kept += `${row}\n`;
    }
    this.#part = text.slice(start);
    if (kept !== '') this.#write(kept);
  }

  /** The bytes after the header. */
  #takeHeader(chunk: Buffer): Buffer {
    const begin = Buffer.concat([this.#begin!, chunk]);
    const end = begin.indexOf(NEWLINE);
    if (end < 0) {
      if (begin.length > HEADER_BYTES)
        throw new PermanentError('history.malformed', `the answer is no CSV${said(begin.toString('latin1', 0, 400))}`);
      this.#begin = begin;
      return Buffer.alloc(0);
    }
    this.#begin = undefined;
    this.header = begin.toString('latin1', 0, end).trim();
    this.#sieve = this.#sieveOf?.(namesIn(this.header));
    // Rows that pass a sieve end with a newline alone. A file with two kinds of line ends cannot be read.
    this.push(this.#sieve === undefined ? begin.subarray(0, end + 1) : `${this.header}\n`);
    return begin.subarray(end + 1);
  }

  #write(text: string): void {
    this.hasRows = true;
    this.push(Buffer.from(text, 'latin1'));
  }
}

/** The place of a column. Errors: `PermanentError('history.malformed')`. */
function placeOf(columns: readonly string[], name: string): number {
  const place = columns.indexOf(name);
  if (place < 0) throw new PermanentError('history.malformed', `the answer has no column "${name}"; it has ${columns.join(', ')}`);
  return place;
}

/**
 * Keeps the rows of every `intervalMs`, counted from `fromMs`: v2 has quotes of all expirations for every minute only. Both are of the milliseconds since midnight in
 * column `ms_of_day`. A quote of an interval is the last one at its stamp, so the quote of a minute is that of the longer interval with the same stamp.
 */
export function thinned(fromMs: number, intervalMs: number): SieveOf {
  return (columns) => {
    const place = placeOf(columns, 'ms_of_day');
    return {
      keeps(row) {
        let start = 0;
        for (let field = 0; field < place; field++) start = row.indexOf(',', start) + 1;
        const end = row.indexOf(',', start);
        const text = row.slice(start, end < 0 ? undefined : end);
        if (!/^\d{1,8}$/.test(text))
          throw new PermanentError('history.malformed', `ms_of_day is no number of milliseconds in the row${said(row)}`);
        return (Number(text) - fromMs) % intervalMs === 0;
      },
    };
  };
}

/**
 * Of rows with the same `keyOf` of their columns `names`, keeps the one whose `stamp` is the greatest: the vendor has made the report of many days before 2022 several times
 * and gives each of them. Rows with the same stamp are all kept: no report explains them, and the check of the rows finds them.
 */
export function latestReport(names: readonly string[], stamp: string, keyOf = (...values: string[]) => values.join(',')): SieveOf {
  return (columns) => {
    const places = names.map((name) => placeOf(columns, name));
    const stampPlace = placeOf(columns, stamp);
    const latest = new Map<string, { stamp: string; rows: string[] }>();
    return {
      keeps(row) {
        const fields = row.split(',');
        const key = keyOf(...places.map((place) => fields[place] ?? ''));
        const made = fields[stampPlace] ?? '';
        const known = latest.get(key);
        const order = known === undefined ? 1 : compareStamps(made, known.stamp);
        if (order > 0) latest.set(key, { stamp: made, rows: [row] });
        else if (order === 0) known!.rows.push(row);
        return false;
      },
      *rest() {
        for (const { rows } of latest.values()) yield* rows;
      },
    };
  };
}

/** Keeps the first row of each value of a column, and adds the values, without quotes, to `values`. */
export function distinct(name: string, values: Set<string>): SieveOf {
  return (columns) => {
    const place = placeOf(columns, name);
    return {
      keeps(row) {
        const value = (row.split(',')[place] ?? '').replaceAll('"', '');
        const isNew = !values.has(value);
        values.add(value);
        return isNew;
      },
    };
  };
}

/** Milliseconds as numbers; wall times as text, where those with a shorter fraction come first. */
function compareStamps(one: string, other: string): number {
  const difference = Number(one) - Number(other);
  if (!Number.isNaN(difference)) return difference;
  return one < other ? -1 : Number(one > other);
}
