/** The header of a portfolio file: where it is, its columns, and the delimiter of the whole file. */
import { parse } from 'csv-parse/sync';
import { codeOf, InputError } from '../../platform/errors.ts';
import type { Delimiter } from './csv-number.ts';

const COLUMNS = ['user', 'symbol', 'quantity', 'cost'] as const;
export type Column = (typeof COLUMNS)[number];

/** Other names for the columns, as brokers write them; in any case, with spaces or hyphens for `_`. Totals (`cost_basis`, `amount`) are not accepted: the cost is per share. */
const ALIASES: Readonly<Record<Column, readonly string[]>> = {
  user: ['user_id', 'userid', 'username', 'account', 'owner'],
  symbol: ['ticker', 'instrument'],
  quantity: ['qty', 'shares', 'units'],
  cost: ['cost_per_share', 'average_cost', 'avg_cost', 'average_price', 'avg_price', 'unit_cost', 'purchase_price'],
};
const NAME_OF = new Map(COLUMNS.flatMap((column) => [column, ...ALIASES[column]].map((name) => [name, column] as const)));

const DELIMITERS: readonly Delimiter[] = [',', ';', '\t'];
/** A header is looked for in this many lines, to say where it is. */
const LOOKED_AT = 20;
/** Characters of a line at most. */
export const LONGEST_LINE = 65_536;

/** Fields of a header that are named in messages. */
const MOST_NAMED = 20;

export interface Header {
  /** The place of each column. */
  columns: ReadonlyMap<Column, number>;
  /** Fields of the header. */
  width: number;
  delimiter: Delimiter;
  /** The header's line, from 1. */
  line: number;
  /** What was read of the text after it. */
  rest: string;
}

/**
 * Reads the header: the first line that is neither empty, nor a comment (`#`), nor `sep=;` as spreadsheets write it. Its delimiter is the one with which it has all
 * columns. Errors: `InputError('portfolio.bad_header')`, which names the line and, when the header stands further down, that line.
 */
export async function findHeader(text: AsyncGenerator<string>, user: string | undefined, name: string): Promise<Header> {
  const reader = lineReader(text);
  let given: Delimiter | undefined;
  for (let at = 1; ; at++) {
    const line = await reader.next();
    if (line === undefined) throw badHeader(name, 1, 'is empty');
    if (line.trim() === '' || line.startsWith('#')) continue;
    const separator = /^"?sep=(.)"?$/i.exec(line)?.[1] as Delimiter | undefined;
    if (separator !== undefined) {
      if (!DELIMITERS.includes(separator))
        throw badHeader(name, at, `comes after ${quoted(line)}, and fields are separated by a comma, semicolon or tab`);
      given = separator;
      continue;
    }
    if (line.length >= LONGEST_LINE) throw badHeader(name, at, `was expected here, found a line of more than ${LONGEST_LINE} characters`);
    const fitting = headerIn(line, user, given);
    if (fitting !== undefined) return { ...fitting, line: at, rest: reader.rest() };
    throw await whyNoHeader(line, at, reader, { user, name, given });
  }
}

async function whyNoHeader(
  line: string,
  at: number,
  reader: ReturnType<typeof lineReader>,
  { user, name, given }: { user: string | undefined; name: string; given: Delimiter | undefined },
): Promise<InputError> {
  for (let below = at + 1; below <= LOOKED_AT; below++) {
    const other = await reader.next();
    if (other === undefined) break;
    if (headerIn(other, user, given) !== undefined)
      return badHeader(name, at, `was expected here, found ${quoted(line)}; it stands in line ${below}: remove the lines above it`);
  }
  const fields = (given === undefined ? DELIMITERS : [given])
    .map((delimiter) => fieldsOf(line, delimiter))
    .sort((a, b) => (a.length === 0 || b.length === 0 ? a.length - b.length : b.length - a.length))[0]!;
  const twice = COLUMNS.map((column) => fields.filter((field) => columnOf(field) === column)).find((named) => named.length > 1);
  if (twice !== undefined)
    return badHeader(name, at, `has the column ${columnOf(twice[0]!)} twice, as ${twice.slice(0, 2).map(quoted).join(' and ')}`);
  if (fields.length === 0) return badHeader(name, at, `has a quote that does not enclose a whole name: ${quoted(line)}`);
  const missing = missingIn(fields, user);
  const way = missing[0] === 'user' ? ', or name the user of all lines (--user)' : '';
  return badHeader(name, at, `lacks the column ${missing.join(', ')}${way}; found ${named(fields)}`);
}

/** The first twenty. */
function named(fields: readonly string[]): string {
  const more = fields.length > MOST_NAMED ? ` and ${fields.length - MOST_NAMED} more` : '';
  return `${fields.slice(0, MOST_NAMED).map(quoted).join(', ')}${more}`;
}

function headerIn(line: string, user: string | undefined, given: Delimiter | undefined): Omit<Header, 'line' | 'rest'> | undefined {
  for (const delimiter of given === undefined ? DELIMITERS : [given]) {
    const fields = fieldsOf(line, delimiter);
    const named = fields.flatMap((field, index) => {
      const column = columnOf(field);
      return column === undefined ? [] : [[column, index] as const];
    });
    const columns = new Map(named);
    if (columns.size === named.length && missingIn(fields, user).length === 0) return { columns, width: fields.length, delimiter };
  }
  return undefined;
}

function missingIn(fields: readonly string[], user: string | undefined): Column[] {
  const found = new Set(fields.map(columnOf));
  return COLUMNS.filter((column) => !found.has(column) && (column !== 'user' || user === undefined));
}

export function columnOf(field: string): Column | undefined {
  return NAME_OF.get(field.toLowerCase().replaceAll(/[ -]+/g, '_'));
}

/** None when the line cannot be told into fields, because of its quotes. */
function fieldsOf(line: string, delimiter: Delimiter): string[] {
  try {
    // Quotes may stand anywhere here: a line that is no header is shown as it is.
    return (parse(line, { delimiter, trim: true, relax_quotes: true, relax_column_count: true }) as string[][])[0] ?? [''];
  } catch (error) {
    if (!codeOf(error).startsWith('CSV_')) throw error;
    return [];
  }
}

/** The lines of a text that comes in pieces, without their ends. */
function lineReader(text: AsyncGenerator<string>) {
  let buffered = '';
  let ended = false;
  return {
    async next(): Promise<string | undefined> {
      while (!ended && !buffered.includes('\n') && buffered.length < LONGEST_LINE) {
        const { value, done } = await text.next();
        if (done) ended = true;
        else buffered += value;
      }
      if (ended && buffered === '') return undefined;
      const found = buffered.indexOf('\n');
      const end = found < 0 ? buffered.length : found;
      const line = buffered.slice(0, end).replace(/\r$/, '');
      buffered = buffered.slice(end + 1);
      return line;
    },
    rest: (): string => buffered,
  };
}

function badHeader(name: string, line: number, fault: string): InputError {
  return new InputError('portfolio.bad_header', `${name}:${line}: the header ${fault}; it must be user,symbol,quantity,cost`);
}

/** In quotes, at most 40 characters, printable. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
