/** Reads a portfolio file, one position a line, as a stream. All invalid lines are reported together. */
import { createReadStream } from 'node:fs';
import { type Info, parse } from 'csv-parse';
import { codeOf, InputError, messageOf } from '../../platform/errors.ts';
import { userId } from '../../platform/user-id.ts';
import { parseSymbol } from '../symbol.ts';

/** One line. Numbers stay text, so that money is not rounded. */
export interface NewHolding {
  user: string;
  symbol: string;
  /** '0' for a symbol that is only watched; negative for a short position. */
  quantity: string;
  /** A share. */
  cost: string | null;
}

const COLUMNS = ['user', 'symbol', 'quantity', 'cost'] as const;
type Column = (typeof COLUMNS)[number];

/** Other names for the columns, as brokers write them; in any case, with spaces or hyphens for `_`. Totals (`cost_basis`, `amount`) are not accepted: the cost is per share. */
export const ALIASES: Readonly<Record<Column, readonly string[]>> = {
  user: ['user_id', 'userid', 'username', 'account', 'owner'],
  symbol: ['ticker', 'instrument'],
  quantity: ['qty', 'shares', 'units'],
  cost: ['cost_per_share', 'average_cost', 'avg_cost', 'average_price', 'avg_price', 'unit_cost', 'purchase_price'],
};

/** At most this many invalid lines are named. The others are counted. */
const SHOWN = 20;
/** The digits before the point: more are a mistake. The columns keep fifteen digits of a number, wherever its point is. */
const QUANTITY_DIGITS = 16;
const COST_DIGITS = 12;

const NAME_OF = new Map(COLUMNS.flatMap((column) => [column, ...ALIASES[column]].map((name) => [name, column] as const)));

type Line = { record: string[]; info: Info };

/**
 * Reads a portfolio file in batches of `batchSize` positions. Its first line names the columns `user`, `symbol`, `quantity`, `cost` in any order, or their
 * `ALIASES`; other columns are ignored. With `user` all lines are that user's and the column may be missing. A symbol with an empty quantity or 0 is
 * only watched; an empty cost is unknown. Fields are separated by comma, semicolon or tab, numbers have a decimal point and nothing between the thousands.
 * `name` stands for the file in messages.
 * Errors, after the whole file was read: `InputError` `portfolio.bad_line` with every broken line (a symbol that a user has twice, too), `portfolio.bad_header`;
 * before: `portfolio.unreadable`.
 */
export async function* readPortfolioCsv(
  path: string,
  { user, name = path, batchSize }: { user?: string | undefined; name?: string | undefined; batchSize: number },
): AsyncGenerator<NewHolding[]> {
  const faults: string[] = [];
  let broken = 0;
  const fault = (line: number, text: string): void => {
    if (++broken <= SHOWN) faults.push(`${name}:${line}: ${text}`);
  };
  const file = createReadStream(path);
  const parser = file
    .on('error', (error) => parser.destroy(error))
    .pipe(
      parse({
        bom: true,
        trim: true,
        skip_empty_lines: true,
        relax_column_count: true,
        info: true,
        delimiter: [',', ';', '\t'],
        record_delimiter: ['\r\n', '\n', '\r'],
        skip_records_with_error: true,
        on_skip(error) {
          // The parser's message repeats the line, which is already named.
          fault(
            Number(error?.lines),
            `${error?.message.replace(/ at line \d+/, '')}; write "" for a quote inside a quoted field, and close each one`,
          );
          return undefined;
        },
      }),
    );
  const read = positionReader(user, fault);
  let columns: Map<Column, number> | undefined;
  let batch: NewHolding[] = [];
  try {
    for await (const { record, info } of parser as AsyncIterable<Line>) {
      if (columns === undefined) {
        columns = columnsOf(record, user, name);
        continue;
      }
      const position = read(record, columns, info.lines);
      if (position === undefined || broken > 0) continue;
      batch.push(position);
      if (batch.length < batchSize) continue;
      yield batch;
      batch = [];
    }
  } catch (error) {
    if (error instanceof InputError || codeOf(error) === 'internal') throw error;
    throw new InputError('portfolio.unreadable', `${name} cannot be read: ${messageOf(error)}`, { cause: error });
  } finally {
    file.destroy();
  }
  if (broken > 0) {
    const more = broken > SHOWN ? `\nand ${broken - SHOWN} more` : '';
    throw new InputError('portfolio.bad_line', `${faults.join('\n')}${more}\nNothing was imported.`);
  }
  if (columns === undefined) throw badHeader(name, 'is empty');
  if (batch.length > 0) yield batch;
}

function columnsOf(header: readonly string[], user: string | undefined, name: string): Map<Column, number> {
  const columns = new Map<Column, number>();
  for (const [index, text] of header.entries()) {
    const column = NAME_OF.get(text.toLowerCase().replaceAll(/[ -]+/g, '_'));
    if (column === undefined) continue;
    const other = columns.get(column);
    if (other !== undefined) throw badHeader(name, `has the column ${column} twice, as ${quoted(header[other]!)} and ${quoted(text)}`);
    columns.set(column, index);
  }
  const missing = COLUMNS.filter((column) => !columns.has(column) && (column !== 'user' || user === undefined));
  if (missing.length === 0) return columns;
  const way = missing[0] === 'user' ? ', or name the user of all lines (--user)' : '';
  throw badHeader(name, `lacks the column ${missing.join(', ')}${way}; found ${header.map(quoted).join(', ')}`);
}

function badHeader(name: string, fault: string): InputError {
  return new InputError('portfolio.bad_header', `${name}:1: the header ${fault}; it must be user,symbol,quantity,cost`);
}

/** Checks one line after the other and calls `fault` with each error. */
function positionReader(onlyUser: string | undefined, fault: (line: number, text: string) => void) {
  const number = numbering();
  const users = new Map<string, string | undefined>();
  const symbols = new Map<string, string>();
  /** Line of each (user, symbol). Numbers, not text: a million lines take 50 MB. */
  const lines = new Map<number, number>();

  function userOf(text: string): string | undefined {
    if (!users.has(text)) users.set(text, userId.safeParse(text).success ? text : undefined);
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

  return (record: readonly string[], columns: ReadonlyMap<Column, number>, line: number): NewHolding | undefined => {
    const field = (column: Column): string => record[columns.get(column) ?? -1] ?? '';
    const wanted = Math.max(...columns.values()) + 1;
    if (record.length < wanted) {
      fault(line, `has ${record.length} fields, ${quoted(record.join(','))}; the header names ${wanted} up to the last one that is needed`);
      return undefined;
    }
    const named = field('user');
    if (onlyUser !== undefined && named !== '' && named !== onlyUser) {
      fault(line, `is of user ${quoted(named)}; the file is imported for ${quoted(onlyUser)}: leave --user out, or this line`);
      return undefined;
    }
    const user = userOf(onlyUser ?? named);
    if (user === undefined) {
      fault(
        line,
        named === '' ? 'names no user; fill in the column, or give --user' : `user ${quoted(named)} is not 1 to 64 printable characters`,
      );
      return undefined;
    }
    const symbol = symbolOf(field('symbol'), line);
    if (symbol === undefined) return undefined;
    const quantity = field('quantity');
    const cost = field('cost');
    const faultHere = numberFault('quantity', quantity, QUANTITY_DIGITS, true) ?? numberFault('cost', cost, COST_DIGITS, false);
    if (faultHere !== undefined) {
      fault(line, faultHere);
      return undefined;
    }
    const key = number(user) * 2 ** 26 + number(symbol);
    const first = lines.get(key);
    if (first !== undefined) {
      fault(line, `${symbol} of user ${quoted(user)} is in line ${first} already; merge the two lines`);
      return undefined;
    }
    lines.set(key, line);
    return { user, symbol, quantity: quantity === '' ? '0' : quantity, cost: cost === '' ? null : cost };
  };
}

/** A small number for each text. */
function numbering(): (text: string) => number {
  const numbers = new Map<string, number>();
  return (text) => {
    const known = numbers.get(text);
    if (known !== undefined) return known;
    numbers.set(text, numbers.size);
    return numbers.size - 1;
  };
}

function numberFault(column: string, text: string, digits: number, signed: boolean): string | undefined {
  if (text === '') return undefined;
  const [, sign, whole = '', part = ''] = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text) ?? [];
  if (sign === undefined || whole + part === '')
    return `${column} ${quoted(text)} is not a number; write it like 1234.5, or leave it empty`;
  if (sign === '-' && !signed) return `${column} ${quoted(text)} is negative; write what one share cost`;
  if (whole.replace(/^0+/, '').length > digits) return `${column} ${quoted(text)} is too large; at most ${digits} digits before the point`;
  return undefined;
}

/** In quotes, at most 40 characters, printable. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
