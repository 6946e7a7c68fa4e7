/** Portfolio files: written from positions that are known, then read; and the same with some bytes changed. What is read is what a second, strict reader finds there. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { readPortfolioCsv } from '../../../services/market/portfolios/portfolio-csv.ts';
import { InputError } from '../../../services/platform/errors.ts';
import { mutated, type Random, shorterBytes } from '../random.ts';
import { shownBytes, type Target, Wrong } from '../target.ts';
import { isName } from './logins.ts';

/** User, symbol, quantity, cost; the numbers in their shortest form, with a point. */
type Position = readonly [user: string, symbol: string, quantity: string, cost: string];

interface PortfolioFile {
  bytes: Buffer;
  /** What was written; undefined where bytes were changed afterwards. */
  means: Position[] | undefined;
}

const NAMES = {
  user: ['user', 'user_id', 'User ID', 'ACCOUNT', 'owner'],
  symbol: ['symbol', 'Ticker', 'instrument'],
  quantity: ['quantity', 'Qty', 'shares', 'UNITS'],
  cost: ['cost', 'avg_cost', 'Average Price', 'unit-cost', 'purchase price'],
  note: ['note', 'Comment', 'x'],
} as const;
type Name = keyof typeof NAMES;

/** `12.50` is `12.5`, `-0` is `0`, nothing is nothing. */
function shortest(number: string): string {
  if (number === '') return '';
  const [, sign = '', whole = '', part = ''] = /^([+-]?)(\d*)\.?(\d*)$/.exec(number) ?? [];
  const digits = `${whole.replace(/^0+/, '') || '0'}${`.${part}`.replace(/\.?0*$/, '')}`;
  return sign === '-' && digits !== '0' ? `-${digits}` : digits;
}

function userName(random: Random): string {
  const name = random.once(3)
    ? random.pick(['Zoë', '李', 'O"Neil', 'a,b', 'x;y', 'Ann Lee', "d'Arc", '#1', 'user', '1,5'])
    : random.text(12);
  return isName(name, 64) && name.trim() === name ? name : `u${random.below(50)}`;
}

/** No thousands that may be decimals: those are refused, as they should be. */
function number(random: Random, isSigned: boolean): string {
  const whole = String(random.below(random.pick([10, 1_000, 1_000_000])));
  const part = random.pick(['', '.5', '.25', '.0001', '.1234567', '.00']);
  return `${isSigned && random.once(6) ? '-' : ''}${whole}${part}`;
}

function portfolioFile(random: Random): PortfolioFile {
  const delimiter = random.pick([',', ';', '\t']);
  const hasComma = delimiter !== ',' && random.once(2);
  const lineEnd = random.pick(['\n', '\r\n']);
  const columns: Name[] = ['user', 'symbol', 'quantity', 'cost'];
  if (random.once(3)) columns.splice(random.below(5), 0, 'note');
  for (let at = columns.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [columns[at], columns[other]] = [columns[other]!, columns[at]!];
  }
  const seen = new Set<string>();
  const positions = random
    .list(12, (): Position => {
      const symbol = random.pick(['AAPL', 'MSFT', 'BRK.B', '^GSPC', 'EURUSD=X', 'M&M.NS', `S${random.below(10_000)}`]);
      const quantity = random.once(5) ? '' : number(random, true);
      const cost = random.once(4) ? '' : number(random, false);
      return [userName(random), symbol, quantity, cost];
    })
    .filter(([user, symbol]) => !seen.has(`${user}\n${symbol}`) && seen.add(`${user}\n${symbol}`));
  const field = (text: string): string => {
    const needed = /["\r\n]/.test(text) || text.includes(delimiter) || text.trim() !== text;
    return needed || random.once(8) ? `"${text.replaceAll('"', '""')}"` : `${random.once(10) ? ' ' : ''}${text}`;
  };
  const decimal = (text: string): string => (hasComma ? text.replace('.', ',') : text);
  const row = ([user, symbol, quantity, cost]: Position): string => {
    const texts: Record<Name, string> = {
      user,
      symbol,
      quantity: decimal(quantity),
      cost: decimal(cost),
      note: `${random.once(4) ? `${user}\u00a0${symbol}` : random.text(10)}`.toWellFormed().replaceAll(/[\0\r]/g, ''),
    };
    return columns.map((column) => field(column === 'symbol' && random.once(4) ? symbol.toLowerCase() : texts[column])).join(delimiter);
  };
  const lines = [
    ...random.list(2, () => random.pick(['', '# made by a program'])),
    columns.map((column) => random.pick(NAMES[column])).join(delimiter),
    ...positions.flatMap((position) => (random.once(12) ? ['', row(position)] : [row(position)])),
  ];
  const text = `${lines.join(lineEnd)}${random.once(4) ? '' : lineEnd}`;
  const encoded = random.pick([
    () => Buffer.from(text),
    () => Buffer.from(text),
    () => Buffer.from(`\ufeff${text}`),
    () => Buffer.from(`\ufeff${text}`, 'utf16le'),
    () => Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
  ])();
  // Numbers that may mean two things are for the other half.
  const isPlain = positions.every(
    ([, , quantity, cost]) => delimiter === ',' || ![quantity, cost].some((one) => /^-?[1-9]\d{0,2}\.\d{3}$/.test(one)),
  );
  if (isPlain && random.once(2))
    return {
      bytes: encoded,
      means: positions.map(([user, symbol, quantity, cost]) => [user, symbol, shortest(quantity) || '0', shortest(cost)]),
    };
  return { bytes: mutated(random, encoded), means: undefined };
}

/** The file as a strict reader has it: one delimiter, as many fields in each line as in the header, numbers of digits with one sign before their decimals. Undefined when it is none. */
function strictly(bytes: Buffer): Position[] | undefined {
  const mark = bytes.readUInt16BE(0);
  const encoding = mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : 'utf-8';
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes).replace(/^\ufeff+/, '');
  } catch {
    return undefined;
  }
  let rest = text;
  let given: string | undefined;
  for (;;) {
    const line = /^[^\n]*/.exec(rest)![0].replace(/\r$/, '');
    const separator = /^"?sep=(.)"?$/i.exec(line)?.[1];
    if (line.trim() !== '' && !line.startsWith('#') && separator === undefined) break;
    given = separator ?? given;
    if (!rest.includes('\n')) return undefined;
    rest = rest.slice(rest.indexOf('\n') + 1);
  }
  for (const delimiter of given === undefined ? [',', ';', '\t'] : [given]) {
    const end = rest.includes('\n') ? rest.indexOf('\n') : rest.length;
    let names: string[][];
    let records: string[][];
    try {
      // Names of other columns may be anything.
      names = parse(rest.slice(0, end).replace(/\r$/, ''), { delimiter, trim: true, relax_quotes: true });
      records = parse(rest.slice(end + 1), { delimiter, trim: true, skip_empty_lines: true, record_delimiter: ['\r\n', '\n'] });
    } catch {
      continue;
    }
    if (records.some((record) => record.length !== names[0]!.length)) continue;
    const header = names[0]!.map((name) => name.toLowerCase().replaceAll(/[ -]+/g, '_'));
    const place = (column: Name): number[] => header.flatMap((name, at) => (ALL_NAMES[column].includes(name) ? [at] : []));
    const places = (['user', 'symbol', 'quantity', 'cost'] as const).map(place);
    if (places.some((found) => found.length !== 1)) continue;
    const [user, symbol, quantity, cost] = places.map(([at]) => at as number) as [number, number, number, number];
    const numberAt = (record: string[], at: number): string => {
      const written = record[at]!;
      return shortest(delimiter === ',' ? written : written.replace(',', '.'));
    };
    return records.map((record) => [
      record[user]!,
      record[symbol]!.trim().toUpperCase(),
      numberAt(record, quantity) || '0',
      numberAt(record, cost),
    ]);
  }
  return undefined;
}

/** All names of a column that the product knows. */
const ALL_NAMES: Record<Name, readonly string[]> = {
  user: ['user', 'user_id', 'userid', 'username', 'account', 'owner'],
  symbol: ['symbol', 'ticker', 'instrument'],
  quantity: ['quantity', 'qty', 'shares', 'units'],
  cost: ['cost', 'cost_per_share', 'average_cost', 'avg_cost', 'average_price', 'avg_price', 'unit_cost', 'purchase_price'],
  note: [],
};
/** A share class has one spelling. */
const classless = (symbol: string): string => symbol.replace(/^([A-Z]{1,5})[-./]([A-Z])$/, '$1.$2');

let files = 0;

export const portfolios: Target<PortfolioFile> = {
  name: 'portfolio files',
  inputs: 40_000,
  seconds: 90,
  together: 2,
  open: ({ folder }) => ({
    make: portfolioFile,
    async judge({ bytes, means }) {
      const path = join(folder, `${files++ % 16}.csv`);
      writeFileSync(path, bytes);
      const read: Position[] = [];
      try {
        for await (const batch of readPortfolioCsv(path, { name: 'p.csv', batchSize: 1_000 }))
          for (const { user, symbol, quantity, cost } of batch) read.push([user, symbol, shortest(quantity), shortest(cost ?? '')]);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        if (means !== undefined) throw new Wrong(`a file that is right is refused: ${error.message}`);
        if (!/^portfolio\.\w+$/.test(error.code) || !/^p\.csv:\d+: /.test(error.message))
          throw new Wrong(`refused without a place: ${error.message}`);
        return 'refused';
      }
      const right = means ?? strictly(bytes);
      if (right === undefined) throw new Wrong(`a file that no strict reader reads is accepted as ${JSON.stringify(read)}`);
      const plain = (all: readonly Position[]): string =>
        JSON.stringify(all.map(([user, symbol, ...numbers]) => [user, classless(symbol), ...numbers]));
      if (plain(read) !== plain(right)) throw new Wrong(`read as ${JSON.stringify(read)}, not as ${JSON.stringify(right)}`);
      const odd = read.find(([user]) => !isName(user, 64));
      if (odd !== undefined) throw new Wrong(`${JSON.stringify(odd[0])} is accepted as a user`);
      return 'accepted';
    },
    smaller: function* ({ bytes, means }) {
      if (means === undefined) for (const shorter of shorterBytes(bytes)) if (shorter.length > 1) yield { bytes: shorter, means };
    },
    shown: ({ bytes }) => shownBytes(bytes),
  }),
};
