/** The columns of the terminals' CSV, and how they become the stored ones. */
import { PermanentError } from '../../../platform/errors.ts';
import type { ObjectSpec } from '../../dataset.ts';
import type { Layout } from '../../parquet/layout.ts';

type Columns = Readonly<Record<string, string>>;
type Version = 'v3' | 'v2';

const QUOTE: Columns = {
  bid_size: 'INTEGER',
  bid_exchange: 'SMALLINT',
  bid: 'DOUBLE',
  bid_condition: 'SMALLINT',
  ask_size: 'INTEGER',
  ask_exchange: 'SMALLINT',
  ask: 'DOUBLE',
  ask_condition: 'SMALLINT',
};
const BAR: Columns = { open: 'DOUBLE', high: 'DOUBLE', low: 'DOUBLE', close: 'DOUBLE', volume: 'BIGINT', count: 'BIGINT' };

/** The columns of a contract. Answers about stocks may have the first one. */
const CONTRACT: Readonly<Record<Version, Columns>> = {
  v3: { symbol: 'VARCHAR', expiration: 'DATE', strike: 'DOUBLE', right: 'VARCHAR' },
  v2: { root: 'VARCHAR', expiration: 'INTEGER', strike: 'INTEGER', right: 'VARCHAR' },
};
const VALUES: Readonly<Record<Version, Readonly<Record<ObjectSpec['schema'], Columns>>>> = {
  v3: {
    quote: { timestamp: 'TIMESTAMP', ...QUOTE },
    ohlc: { timestamp: 'TIMESTAMP', ...BAR, vwap: 'DOUBLE' },
    eod: { created: 'TIMESTAMP', last_trade: 'TIMESTAMP', ...BAR, ...QUOTE },
  },
  v2: {
    quote: { ms_of_day: 'INTEGER', ...QUOTE, date: 'INTEGER' },
    ohlc: { ms_of_day: 'INTEGER', ...BAR, date: 'INTEGER' },
    eod: { ms_of_day: 'INTEGER', ms_of_day2: 'INTEGER', ...BAR, ...QUOTE, date: 'INTEGER' },
  },
};

const SYMBOL_COLUMN = { v3: 'symbol', v2: 'root' } as const;
const RIGHTS = { v3: { C: 'CALL', P: 'PUT' }, v2: { C: 'C', P: 'P' } } as const;

/** `asked`: the symbol as the terminal writes it. `day`: of an answer about one day at the end of which the rows are. */
export interface Asked {
  object: Pick<ObjectSpec, 'asset' | 'schema' | 'root'>;
  asked: string;
  day?: string | undefined;
}

/**
 * The layout of an answer with these columns, in their order. Errors: `PermanentError('history.malformed')` for a missing or an unknown column: it may be that the vendor has
 * changed the meaning of others, too.
 */
export function layoutOf(version: Version, asked: Asked, columns: readonly string[]): Layout {
  const { asset, schema } = asked.object;
  const name = `theta ${version} ${asset} ${schema}`;
  const symbol = SYMBOL_COLUMN[version];
  const required: Columns = { ...(asset === 'option' && CONTRACT[version]), ...VALUES[version][schema] };
  const known: Columns = { [symbol]: 'VARCHAR', ...required };
  const missing = Object.keys(required).filter((column) => !columns.includes(column));
  const unknown = columns.filter((column) => !(column in known));
  if (missing.length + unknown.length > 0 || new Set(columns).size < columns.length) {
    throw new PermanentError(
      'history.malformed',
      `${name}: the columns are not those that ThetaData documents (missing: ${list(missing)}; unknown: ${list(unknown)}): ${columns.join(',').slice(0, 400)}`,
    );
  }
  return {
    name,
    header: true,
    columns: Object.fromEntries(columns.map((column) => [column, known[column]!])),
    select: {
      symbol: columns.includes(symbol) ? checkedSymbol(symbol, asked) : text(asked.object.root),
      ...(asset === 'option' && contractOf(version)),
      ...(version === 'v3' ? timesOfV3(asked) : timesOfV2(schema)),
      ...sameNames(required),
    },
  };
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}

/** An SQL string. */
function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** Rows of another symbol than the one asked for would be stored under a wrong name. */
function checkedSymbol(column: string, { asked, object }: Asked): string {
  return `CASE WHEN ${column} = ${text(asked)} THEN ${text(object.root)} ELSE error('a row is of another symbol than ${asked.replaceAll("'", "''")}: ' || ${column}) END`;
}

function contractOf(version: Version): Record<string, string> {
  const { C, P } = RIGHTS[version];
  return {
    expiration: version === 'v3' ? 'expiration' : dateOf('expiration'),
    // v2: tenths of a cent.
    strike: version === 'v3' ? 'strike' : 'strike / 1000.0',
    right: `CASE "right" WHEN ${text(C)} THEN 'C' WHEN ${text(P)} THEN 'P' ELSE error('the right is neither ${C} nor ${P}: ' || "right") END`,
  };
}

/** The columns that have the name, unit and type of the stored ones. */
function sameNames(columns: Columns): Record<string, string> {
  const names = Object.keys(columns).filter((column) => column in QUOTE || column in BAR || column === 'vwap');
  return Object.fromEntries(names.map((column) => [column, `"${column}"`]));
}

/**
 * v3 has wall times of New York. A contract without a trade has midnight as `last_trade`. The day of a report is not in it: the vendor has made some again later, so it is the
 * day that was asked for, and for stocks, of which many days are asked for at once, the day of the last trade.
 */
function timesOfV3({ object, day }: Asked): Record<string, string> {
  if (object.schema !== 'eod') return { timestamp: 'et("timestamp")' };
  return {
    trade_date: day === undefined ? 'CAST(coalesce(last_trade, created) AS DATE)' : `DATE '${day}'`,
    created: 'et(created)',
    last_trade: "CASE WHEN last_trade = date_trunc('day', last_trade) THEN NULL ELSE et(last_trade) END",
  };
}

/** v2 has days such as 20240102 and milliseconds since midnight in New York; 0 as the time of the last trade is none. */
function timesOfV2(schema: ObjectSpec['schema']): Record<string, string> {
  const at = (milliseconds: string) => `et(${dateOf('"date"')} + to_milliseconds(${milliseconds}))`;
  if (schema !== 'eod') return { timestamp: at('ms_of_day') };
  return {
    trade_date: dateOf('"date"'),
    created: at('ms_of_day'),
    last_trade: `CASE WHEN ms_of_day2 = 0 THEN NULL ELSE ${at('ms_of_day2')} END`,
  };
}

function dateOf(column: string): string {
  return `make_date(${column} // 10000, ${column} // 100 % 100, ${column} % 100)`;
}
