/** Reads a portfolio file, one position a line, as a stream. All invalid lines are reported together. */
import { Readable } from 'node:stream';
import { type Info, parse } from 'csv-parse';
import { codeOf, InputError, messageOf } from '../../platform/errors.ts';
import { characterFault } from '../../platform/text/characters.ts';
import { countOf } from '../../platform/text/encoding.ts';
import { userFault } from '../../platform/user-id.ts';
import { parseSymbol } from '../symbol.ts';
import { readNumber, sizeFault } from './csv-number.ts';
import { decodedText } from './decoded-text.ts';
import { MOST_POSITIONS } from './holdings.ts';
import { type Column, columnOf, findHeader, type Header, LONGEST_LINE, quoted } from './portfolio-header.ts';

/** One line. Numbers stay text, so that money is not rounded. */
export interface NewHolding {
  user: string;
  symbol: string;
  /** '0' for a symbol that is only watched; negative for a short position. */
  quantity: string;
  /** A share. */
  cost: string | null;
}

/** At most this many invalid lines are named. The others are counted. */
const SHOWN = 20;
/** Digits before the point: more are a mistake. Decimals: fewer than a number that is not 0 has. The columns keep fifteen digits, wherever the point is. */
const SIZES = {
  quantity: { digits: 16, decimals: 18, signed: true },
  cost: { digits: 12, decimals: 20, signed: false },
} as const;

/** Names of cash in the files of brokers. Two of them are tickers as well: CASH, USD. */
const CASH = /^(cash|usd|eur|gbp|chf|jpy|cad|aud|nzd|sek|dkk|hkd|sgd|cny)$/i;
/** Lines that are no positions, by what stands in the place of the symbol. `Cash` alone may be the ticker. */
const NO_POSITION = /\b(sub)?totals?\b|\bcash\b.*\s|\s.*\bcash\b|\bpending activity\b/i;
/** Of a line as it stands in the file: something else than what a keyboard of English writes. */
const UNUSUAL = /[^\x20-\x7e\t\r\n]/;

/** After a field that does not end, no line can be told from text. Reported as a fault of its line. */
const NOT_READ_ON = new InputError('portfolio.bad_line', 'the rest of the file was not read');

/** Gets an invalid line, from 1, and what is wrong with it. */
export type OnFault = (line: number, text: string) => void;

type Line = { record: string[]; raw: string; info: Info };

/**
 * Reads a portfolio file in batches of `batchSize` positions: UTF-8, or UTF-16 with its byte order mark. Its header names the columns `user`, `symbol`, `quantity`, `cost`
 * in any order, or their `ALIASES`; other columns are ignored. With `user` all lines are that user's and the column may be missing. A symbol with an empty quantity or 0
 * is only watched; an empty cost is unknown. The header decides whether fields are separated by commas, semicolons or tabs; each line has as many as the header. Numbers
 * as in `readNumber`. A user has at most `MOST_POSITIONS`. `name` stands for the file in messages. With `onFault` invalid lines are told to it and left out.
 * Errors, after the whole file was read: `InputError` `portfolio.bad_line` with every broken line (a symbol that a user has twice, too); before: `portfolio.bad_header`,
 * `portfolio.unreadable`.
 */
export async function* readPortfolioCsv(
  path: string,
  {
    user,
    name = path,
    batchSize,
    onFault,
  }: { user?: string | undefined; name?: string | undefined; batchSize: number; onFault?: OnFault | undefined },
): AsyncGenerator<NewHolding[]> {
  const faults: string[] = [];
  let broken = 0;
  const fault = (line: number, text: string): void => {
    if (onFault !== undefined) onFault(line, text);
    else if (++broken <= SHOWN) faults.push(`${name}:${line}: ${text}`);
  };
  const text = decodedText(path, name);
  let batch: NewHolding[] = [];
  try {
    const header = await findHeader(text, user, name);
    const read = positionReader(user, header, fault);
    for await (const { record, raw, info } of recordsOf(header, text, fault)) {
      const position = read(record, header.line + info.lines, raw);
      if (position === undefined || broken > 0) continue;
      batch.push(position);
      if (batch.length < batchSize) continue;
      yield batch;
      batch = [];
    }
  } catch (error) {
    if ((error instanceof InputError && error !== NOT_READ_ON) || codeOf(error) === 'internal') throw error;
    if (error !== NOT_READ_ON)
      throw new InputError('portfolio.unreadable', `${name} cannot be read: ${messageOf(error)}`, { cause: error });
  } finally {
    await text.return(undefined);
  }
  if (broken > 0) {
    const more = broken > SHOWN ? `\nand ${broken - SHOWN} more` : '';
    throw new InputError('portfolio.bad_line', `${faults.join('\n')}${more}\nNothing was imported.`);
  }
  if (batch.length > 0) yield batch;
}

/** The records after the header; `info.lines` counts from there. */
function recordsOf({ delimiter, line, rest }: Header, text: AsyncIterable<string>, fault: (line: number, text: string) => void) {
  async function* body(): AsyncGenerator<string> {
    if (rest !== '') yield rest;
    yield* text;
  }
  const source = Readable.from(body());
  const parser = source
    .on('error', (error) => parser.destroy(error))
    .pipe(
      parse({
        trim: true,
        skip_empty_lines: true,
        relax_column_count: true,
        info: true,
        raw: true,
        delimiter,
        record_delimiter: ['\r\n', '\n'],
        max_record_size: LONGEST_LINE,
        skip_records_with_error: true,
        on_skip(error, raw = '') {
          // A field in quotes may have begun many lines above.
          const begun = line + Number(error?.lines) - countOf(raw.trim(), '\n');
          if (error?.code === 'CSV_MAX_RECORD_SIZE') {
            const cure = 'if a quote opens there, close it; write "" for a quote inside a quoted field';
            fault(begun, `is longer than ${LONGEST_LINE} characters; ${cure}. Nothing below it was read`);
            throw NOT_READ_ON;
          }
          // The parser's message repeats the line, which is already named.
          fault(begun, `${error?.message.replace(/ at line \d+/, '')}; write "" for a quote inside a quoted field, and close each one`);
          return undefined;
        },
      }),
    );
  return parser as AsyncIterable<Line>;
}

/** Checks one line after the other and calls `fault` with each error. */
function positionReader(
  onlyUser: string | undefined,
  header: Header,
  fault: (line: number, text: string) => void,
): (record: readonly string[], line: number, raw: string) => NewHolding | undefined {
  const number = numbering();
  const users = new Map<string, string | undefined>();
  /** Lines of each user. */
  const counts = new Map<string, number>();
  const symbols = new Map<string, string>();
  /** Line of each (user, symbol). Numbers, not text: a million lines take 50 MB. */
  const lines = new Map<number, number>();

  function userOf(text: string): string | undefined {
    if (!users.has(text)) users.set(text, userFault(text) === undefined ? text : undefined);
    return users.get(text);
  }

  function symbolOf(text: string, line: number): string | undefined {
    const known = symbols.get(text);
    if (known !== undefined) return known;
    try {
      const symbol = parseSymbol(text);
      symbols.set(text, symbol);
      return symbol;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      fault(line, error.message);
      return undefined;
    }
  }

  function numberOf(column: keyof typeof SIZES, text: string, line: number): string | undefined {
    const read = readNumber(text, header.delimiter, SIZES[column]);
    const wrong = 'fault' in read ? read.fault : sizeFault(read.value, SIZES[column]);
    if (wrong !== undefined) fault(line, `${column} ${quoted(text)} ${wrong}`);
    return 'fault' in read || wrong !== undefined ? undefined : read.value;
  }

  return (record, line, raw) => {
    const field = (column: Column): string => record[header.columns.get(column) ?? -1] ?? '';
    const named = field('user');
    const wrong = whyNotRead(record, raw, header, field) ?? whyOtherUser(named, onlyUser);
    if (wrong !== undefined) {
      fault(line, wrong);
      return undefined;
    }
    const user = userOf(onlyUser ?? named);
    if (user === undefined) {
      fault(
        line,
        named === '' ? 'names no user; fill in the column, or give --user' : `user ${quoted(named)} ${userFault(onlyUser ?? named)}`,
      );
      return undefined;
    }
    const [quantity, cost] = [numberOf('quantity', field('quantity'), line), numberOf('cost', field('cost'), line)];
    const noPosition = whyNoPosition(field('symbol'), quantity, cost);
    if (noPosition !== undefined) fault(line, noPosition);
    const symbol = noPosition === undefined ? symbolOf(field('symbol'), line) : undefined;
    if (symbol === undefined || quantity === undefined || cost === undefined) return undefined;
    const key = number(user) * 2 ** 26 + number(symbol);
    const first = lines.get(key);
    if (first !== undefined) {
      fault(line, `${symbol} of user ${quoted(user)} is in line ${first} already; merge the two lines`);
      return undefined;
    }
    lines.set(key, line);
    const count = (counts.get(user) ?? 0) + 1;
    counts.set(user, count);
    if (count > MOST_POSITIONS) {
      if (count === MOST_POSITIONS + 1)
        fault(
          line,
          `user ${quoted(user)} has more than ${MOST_POSITIONS} positions, and no user has more; leave some out, or spread them over several users`,
        );
      return undefined;
    }
    return { user, symbol, quantity: Number(quantity) === 0 ? '0' : quantity, cost: cost === '' ? null : cost };
  };
}

/** Why a line as a whole is not read: its fields would be in the wrong columns, or it is the header once more, or the parser took a blank off a name. */
function whyNotRead(record: readonly string[], raw: string, header: Header, field: (column: Column) => string): string | undefined {
  const { width, delimiter } = header;
  if (record.length !== width)
    return `has ${record.length} ${record.length === 1 ? 'field' : 'fields'}, ${quoted(record.join(delimiter))}, and the header ${width}; ${fieldsCure(record, width, delimiter)}`;
  if (columnOf(field('symbol')) === 'symbol' && columnOf(field('quantity')) === 'quantity') return 'is the header again; remove the line';
  return UNUSUAL.test(raw) ? oddAround(raw, record, header) : undefined;
}

function whyOtherUser(named: string, onlyUser: string | undefined): string | undefined {
  if (onlyUser === undefined || named === '' || named === onlyUser) return undefined;
  return `is of user ${quoted(named)}; the file is imported for ${quoted(onlyUser)}: leave --user out, or this line`;
}

/** What to do about a line with a field too many or too few. */
function fieldsCure(record: readonly string[], width: number, delimiter: string): string {
  if (record.length === 1) return 'remove the line if it is a title or a footer';
  const areEmpty = record.length > width && record.slice(width).every((field) => field === '');
  return areEmpty
    ? `remove the last ${JSON.stringify(delimiter.repeat(record.length - width))}`
    : `put a field that holds "${delimiter}" in quotes`;
}

/** A small number for each text. */
export function numbering(): (text: string) => number {
  const numbers = new Map<string, number>();
  return (text) => {
    const known = numbers.get(text);
    if (known !== undefined) return known;
    numbers.set(text, numbers.size);
    return numbers.size - 1;
  };
}

/** The first of these fields beside which, in its place in the line, stands a character that no name has, with what is wrong with it. */
function oddAround(raw: string, record: readonly string[], { delimiter, columns }: Header): string | undefined {
  const names = [columns.get('user'), columns.get('symbol')];
  let from = 0;
  for (const [index, field] of record.entries()) {
    const written = field.replaceAll('"', '""');
    const at = raw.indexOf(written, from);
    const end = raw.indexOf(delimiter, at < 0 ? from : at + written.length);
    const place = raw.slice(from, end < 0 ? undefined : end);
    from = end < 0 ? raw.length : end + 1;
    if (field === '' || !names.includes(index)) continue;
    const around = place.replace(/^[ \t"\r\n]+|[ \t"\r\n]+$/g, '');
    if (around === written) continue;
    // The parser gives half of a blank that it took off the beginning.
    if (around.startsWith('\ufffd')) return `${quoted(field)} has a blank before it that is no space; write a plain space or none`;
    const fault = characterFault(around);
    if (fault !== undefined) return `${quoted(around)} ${fault}`;
  }
  return undefined;
}

/** Why a line is no position: cash and totals have no price that could be fetched. CASH and USD are tickers as well, of shares that cost something else than 1. */
function whyNoPosition(symbol: string, quantity: string | undefined, cost: string | undefined): string | undefined {
  const isCash = CASH.test(symbol) && quantity !== '' && (cost === '' || Number(cost) === 1);
  if (isCash) return `${quoted(symbol)} looks like cash, which is no symbol: remove the line; for shares of that name, write what one cost`;
  if (symbol === '') return 'names no symbol; fill in the column, or remove the line if it is no position';
  if (NO_POSITION.test(symbol)) return `${quoted(symbol)} is no symbol: cash and totals are not imported; remove the line`;
  return undefined;
}
