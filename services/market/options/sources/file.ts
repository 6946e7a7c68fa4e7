import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { CsvError, parse } from 'csv-parse/sync';
import { z } from 'zod';
import { codeOf, InputError, messageOf, PermanentError } from '../../../platform/errors.ts';
import { countOf, decodeFile } from '../../../platform/text/encoding.ts';
import { type Delimiter, readNumber } from '../../portfolios/csv-number.ts';
import { LONE_CARRIAGE_RETURN, loneCarriageReturn } from '../../portfolios/decoded-text.ts';
import { LONGEST_LINE } from '../../portfolios/portfolio-header.ts';
import { isFolder } from '../../sources/lean-files.ts';
import { parseSymbol } from '../../symbol.ts';
import { type Contract, formatContract, parseContract } from '../chain/contract.ts';
import { optionRoot, rootsOf } from '../chain/roots.ts';
import { chainBuilder } from './chain-builder.ts';
import type { ChainSource } from './source.ts';

const source = 'file';

/** A field as CSV and JSON give it: text, or a number; empty is missing. */
const Field = z.union([z.string(), z.number(), z.null()]).optional();
const empty = (field: z.infer<typeof Field>): boolean => field === undefined || field === null || field === '';

/** NaN for what is no decimal number. */
function decimalOf(field: string | number): number {
  if (typeof field === 'number') return field;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(field) ? Number(field) : Number.NaN;
}

/** A number from `least` on, NaN when missing. */
const number = (least: number, most: number, unit: string) =>
  Field.transform((field, context) => {
    if (empty(field)) return Number.NaN;
    const value = decimalOf(field!);
    if (value >= least && value <= most) return value;
    context.addIssue({ code: 'custom', message: `${JSON.stringify(field)} is not ${unit}; write it like 12.5, or leave it empty` });
    return z.NEVER;
  });
const price = () => number(0, 1e7, 'a price in dollars a share, 0 or more');
const count = () => number(0, 1e12, 'a number of contracts, 0 or more');
const needed = <Value>(what: string, read: (text: string) => Value | undefined) =>
  Field.transform((field, context) => {
    const value = empty(field) ? undefined : read(String(field));
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: empty(field) ? `is empty; it needs ${what}` : `${JSON.stringify(field)} is not ${what}` });
    return z.NEVER;
  });

const CONTRACT_SHAPE = { contract: needed('an OCC symbol such as AAPL140621C00500000', (text) => attempt(() => parseContract(text))) };
const PARTS_SHAPE = {
  underlying: needed('a symbol', (text) => attempt(() => parseSymbol(text))),
  expiry: needed('a date, YYYY-MM-DD', (text) => (z.iso.date().safeParse(text).success ? text : undefined)),
  side: needed('C, call, P or put', (text) => ({ c: 'C', call: 'C', p: 'P', put: 'P' })[text.toLowerCase()]),
  strike: needed('a strike above 0, in dollars a share', (text) =>
    decimalOf(text) > 0 && decimalOf(text) < 1e5 ? decimalOf(text) : undefined,
  ),
};
const QUOTE_SHAPE = {
  bid: price(),
  ask: price(),
  volume: count(),
  open_interest: count(),
  iv: number(0, 100, 'a volatility a year, 0.25 for 25 %'),
  delta: number(-1, 1, 'a delta from -1 to 1'),
  gamma: number(0, 1e6, 'a gamma, 0 or more'),
  theta: number(-1e7, 1e7, 'a theta in dollars a calendar day'),
  vega: number(0, 1e7, 'a vega in dollars a volatility point, 0 or more'),
  quoted_at: needed('a moment such as 2014-06-06T16:00:00-04:00', (text) => attempt(() => Temporal.Instant.from(text))),
  spot: needed("the underlying's price, above 0", (text) => (decimalOf(text) > 0 && decimalOf(text) < 1e7 ? decimalOf(text) : undefined)),
};
const ByContract = z.strictObject({ ...CONTRACT_SHAPE, ...QUOTE_SHAPE });
const ByParts = z.strictObject({ ...PARTS_SHAPE, ...QUOTE_SHAPE });
const REQUIRED = ['bid', 'ask', 'quoted_at', 'spot'];

/** A row and its location in the file: `:12` for a line, `[11]` for an array element. */
interface LocatedRow {
  location: string;
  fields: Record<string, unknown>;
  /** What cannot be read before the columns are checked. */
  faults?: readonly string[];
}
type Row = Omit<z.infer<typeof ByContract>, 'contract'> & { contract: Contract };

/** At most this many broken rows are named. The others are counted. */
const SHOWN = 20;

/**
 * Chains from a CSV or JSON file (an array of objects with the columns as keys), by the file's ending; `path` may be a folder with `AAPL.csv` or `AAPL.json`. One row
 * a contract, any number of underlyings. Columns, in any order, and no others:
 *
 * - `contract` (an OCC symbol), or `underlying`, `expiry` (YYYY-MM-DD), `side` (C, P, call, put) and `strike`;
 * - `bid`, `ask`, `spot` (the underlying's price; the row with the newest quote counts), `quoted_at` (a moment with its zone: 2014-06-06T16:00:00-04:00);
 * - optional: `volume`, `open_interest`, `iv` (0.25 = 25 %), `delta`, `gamma`, `theta` (dollars a calendar day), `vega` (dollars a volatility point).
 *
 * A CSV file has one delimiter, the one of its header line: comma, semicolon or tab. With the last two a decimal comma is one (10,5 is 10.5), but 1,200 and
 * 1.200 are refused there: they may be 1.2 or 1200. Contracts of all roots of the underlying are read: SPXW of ^SPX, and adjusted ones, which the chain then names in `gaps`.
 *
 * Numbers may be empty; IV 0 counts as empty. Lines above the header may be empty, comments (`#`) or `sep=;`; the text is UTF-8, or UTF-16 with its byte order mark. The file is read for each chain, and one bad row refuses the whole file: `InputError` `chain.bad_header`,
 * `chain.bad_row` (names the file, the line and the column of each), `chain.unreadable`. Only rows of other underlyings: `PermanentError('source.unknown_symbol')`.
 */
export function fileChains(path: string): ChainSource {
  return {
    name: source,
    async chain(underlying, signal) {
      signal.throwIfAborted();
      const symbol = parseSymbol(underlying);
      const roots = new Set(rootsOf(symbol));
      const rows = (await readRows(path, symbol, signal)).filter(({ contract }) => roots.has(contract.underlying));
      const newest = rows.toSorted((a, b) => Temporal.Instant.compare(b.quoted_at, a.quoted_at))[0];
      if (newest === undefined)
        throw new PermanentError('source.unknown_symbol', `${source}: unknown symbol ${symbol}: ${path} has no row of it`);
      const builder = chainBuilder({ underlying: symbol, source });
      for (const { contract, open_interest, iv, quoted_at, ...numbers } of rows) {
        builder.add(contract, {
          ...numbers,
          iv: iv === 0 ? undefined : iv,
          openInterest: open_interest,
          quotedAt: quoted_at.epochMilliseconds,
        });
      }
      return builder.build({ asOf: newest.quoted_at, spot: newest.spot });
    },
  };
}

async function readRows(path: string, symbol: string, signal: AbortSignal): Promise<Row[]> {
  const file = await fileOf(path, symbol);
  let bytes: Buffer;
  try {
    bytes = await readFile(file, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (codeOf(error) === 'ENOENT' && file !== path) {
      throw new PermanentError(
        'source.unknown_symbol',
        `${source}: unknown symbol ${symbol}: no file ${symbol}.csv or ${symbol}.json in ${path}`,
      );
    }
    throw new InputError('chain.unreadable', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const isJson = extname(file).toLowerCase() === '.json';
  const { columns, rows, header = 1 } = (isJson ? jsonRows : csvRows)(file, textOf(file, bytes, isJson));
  const schema = columns.has('contract') ? ByContract : ByParts;
  checkColumns(`${file}:${header}`, columns, schema);

  const faults: string[] = [];
  const locations = new Map<string, string>();
  const read = rows.flatMap(({ location, fields, faults: unread = [] }): Row[] => {
    for (const fault of unread) faults.push(`${file}${location}: ${fault}`);
    if (unread.length > 0) return [];
    const parsed = schema.safeParse(fields);
    const row = parsed.success ? withContract(parsed.data) : undefined;
    if (row !== undefined) {
      const contract = formatContract(row.contract);
      const first = locations.get(contract);
      if (first === undefined) {
        locations.set(contract, location);
        return [row];
      }
      faults.push(`${file}${location}: ${contract} is in ${first} already; remove one of the two`);
      return [];
    }
    for (const { path: column, message } of parsed.error?.issues ?? []) faults.push(`${file}${location}: ${column.join('.')}: ${message}`);
    if (parsed.success)
      faults.push(`${file}${location}: strike: has no OCC symbol: it must be a multiple of 0.001, and the expiry in this century`);
    return [];
  });
  if (faults.length > 0) {
    const more = faults.length > SHOWN ? `\nand ${faults.length - SHOWN} more` : '';
    throw new InputError('chain.bad_row', `${faults.slice(0, SHOWN).join('\n')}${more}`);
  }
  return read;
}

/** A JSON file may end its lines as it likes. */
function textOf(file: string, bytes: Buffer, isJson: boolean): string {
  const read = decodeFile(bytes);
  if (!('text' in read)) throw new InputError('chain.unreadable', `${file}:${read.line}: byte ${read.byte} ${read.fault}`);
  const lone = isJson ? undefined : loneCarriageReturn(read.text);
  if (lone === undefined) return read.text;
  const byte = Buffer.byteLength(lone) + 1;
  throw new InputError('chain.unreadable', `${file}:${1 + countOf(lone, '\n')}: byte ${byte} of the text ${LONE_CARRIAGE_RETURN}`);
}

async function fileOf(path: string, symbol: string): Promise<string> {
  if (!(await isFolder(path))) return path;
  const csv = join(path, `${symbol}.csv`);
  return existsSync(csv) ? csv : join(path, `${symbol}.json`);
}

interface Rows {
  columns: Set<string>;
  rows: LocatedRow[];
  /** The line of the header. */
  header?: number;
}

/** What spreadsheets and people write above a header. */
const ABOVE_HEADER = /^(?:[^\S\n]*(?:#.*)?\r?\n)*(?:"?sep=([,;\t])"?\r?\n)?(?:[^\S\n]*(?:#.*)?\r?\n)*/i;

function csvRows(file: string, whole: string): Rows {
  let records: { record: string[]; info: { lines: number } }[];
  const { 0: above, 1: given } = ABOVE_HEADER.exec(whole)!;
  const text = whole.slice(above.length);
  const skipped = countOf(above, '\n');
  const delimiter = (given as Delimiter | undefined) ?? delimiterOf(text);
  try {
    records = parse(text, {
      trim: true,
      skip_empty_lines: true,
      relax_column_count: true,
      max_record_size: LONGEST_LINE,
      delimiter,
      info: true,
    }) as unknown as typeof records;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const cure = 'close each quote, and write "" for a quote inside a quoted field';
    throw new InputError(
      'chain.bad_row',
      `${file}:${skipped + Number(error.lines ?? 1)}: ${error.message.replace(/ at line \d+/, '')}; ${cure}`,
      {
        cause: error,
      },
    );
  }
  for (const { info } of records) info.lines += skipped;
  const [header, ...lines] = records;
  const columns = (header?.record ?? []).map((name) => name.toLowerCase().replaceAll(/[ -]+/g, '_'));
  requireFields(file, columns.length, lines);
  const twice = columns.find((name, index) => columns.indexOf(name) !== index);
  if (twice !== undefined)
    throw new InputError('chain.bad_header', `${file}:${header!.info.lines}: the column "${twice}" is there twice; remove one`);
  return {
    header: header?.info.lines ?? 1,
    columns: new Set(columns),
    rows: lines.map(({ record, info }) => ({
      location: `:${info.lines}`,
      ...fieldsOf(columns, record, delimiter),
    })),
  };
}

/** The one that stands most often in the header line. */
function delimiterOf(text: string): Delimiter {
  const header = /^.*/.exec(text)?.[0] ?? '';
  const times = (one: string) => header.split(one).length;
  return ([',', ';', '\t'] as const).reduce<Delimiter>((best, one) => (times(one) > times(best) ? one : best), ',');
}

/** A field too many or too few moves all that follow it into other columns. */
function requireFields(file: string, columns: number, lines: readonly { record: string[]; info: { lines: number } }[]): void {
  const faults = lines
    .filter(({ record }) => record.length !== columns)
    .map(({ record, info }) => `${file}:${info.lines}: ${record.length} fields, the header has ${columns}`);
  if (faults.length === 0) return;
  const more = faults.length > SHOWN ? `\nand ${faults.length - SHOWN} more` : '';
  throw new InputError(
    'chain.bad_row',
    `${faults.slice(0, SHOWN).join('\n')}${more}\nWrite numbers like 1200.5, without separators of thousands, or separate the columns by semicolons where a comma is the decimal point`,
  );
}

/**
 * The fields of a line by column. Where the comma is not the delimiter it may be the decimal point, and a number of thousands with a comma or a point may be two numbers: that
 * is a fault, as in a portfolio file.
 */
function fieldsOf(columns: readonly string[], record: readonly string[], delimiter: Delimiter): Pick<LocatedRow, 'fields' | 'faults'> {
  const faults: string[] = [];
  const fields = columns.map((name, index) => {
    const text = record[index]!;
    const read = readNumber(text, delimiter, { signed: true });
    if ('value' in read) return [name, read.value];
    if (read.fault.startsWith('may be')) faults.push(`${name}: ${JSON.stringify(text)} ${read.fault}`);
    return [name, text];
  });
  return { fields: Object.fromEntries(fields), faults };
}

function jsonRows(file: string, text: string): Rows {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new InputError('chain.bad_row', `${file}: ${error.message}`, { cause: error });
  }
  const elements = z.array(z.record(z.string(), z.unknown())).safeParse(content);
  if (!elements.success)
    throw new InputError('chain.bad_row', `${file}: it must be an array of objects, one a contract: ${z.prettifyError(elements.error)}`);
  return {
    columns: new Set(elements.data.flatMap((element) => Object.keys(element))),
    rows: elements.data.map((fields, index) => ({ location: `[${index}]`, fields })),
  };
}

function checkColumns(place: string, columns: ReadonlySet<string>, schema: typeof ByContract | typeof ByParts): void {
  const known = Object.keys(schema.shape);
  const unknown = [...columns].filter((column) => !known.includes(column));
  const identity = 'contract' in schema.shape ? [] : Object.keys(PARTS_SHAPE);
  const missing = [...identity, ...REQUIRED].filter((column) => !columns.has(column));
  if (unknown.length + missing.length === 0) return;
  const faults = [
    missing.length > 0 && `lacks ${missing.join(', ')}`,
    unknown.length > 0 && `has ${unknown.map((name) => JSON.stringify(name)).join(', ')}`,
  ];
  throw new InputError(
    'chain.bad_header',
    `${place}: the header ${faults.filter(Boolean).join(' and ')}; the columns are contract (or ${Object.keys(PARTS_SHAPE).join(', ')}), ${Object.keys(QUOTE_SHAPE).join(', ')}`,
  );
}

function withContract(row: z.infer<typeof ByContract> | z.infer<typeof ByParts>): Row | undefined {
  if ('contract' in row) return row;
  const { underlying, expiry, side, strike, ...quote } = row;
  const contract = { underlying: optionRoot(underlying), expiry, isPut: side === 'P', strike };
  return attempt(() => formatContract(contract)) === undefined ? undefined : { ...quote, contract };
}

/** The result of `read`, or undefined where it refuses its input. */
function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof InputError || error instanceof RangeError) return undefined;
    throw error;
  }
}
