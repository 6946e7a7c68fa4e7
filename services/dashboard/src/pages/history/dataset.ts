/** What the address of the page says: a dataset of a root, a range of days, and the year that the calendar shows. */
import type { paths } from '../../../../client/openapi.ts';

type StockBody = paths['/v1/historical/stock']['post']['requestBody']['content']['application/json'];
export type Schema = StockBody['schema'];
export type Kind = 'option' | 'stock';

/** The kinds of data of each, as the endpoints take them. */
export const SCHEMAS: Record<Kind, Partial<Record<Schema, string>>> = {
  option: { quote: 'quotes', ohlc: 'bars', eod: 'end of day' },
  stock: { quote: 'quotes', ohlc: 'bars', eod: 'end of day', earnings: 'earnings dates' },
};
export const INTERVALS = ['1m', '5m', '10m', '15m', '30m', '1h'] as const;
/** The first year that a page back leads to. */
export const MOST_YEARS = 10;

export interface Dataset {
  root: string;
  dataset: Kind;
  schema: Schema;
  interval?: (typeof INTERVALS)[number];
  max_dte?: number;
  base_pct?: number;
}

export type Search = Record<string, string | undefined>;

const oneOf = <T extends string>(list: readonly T[], value: string | undefined): T | undefined => list.find((one) => one === value);
export const isDaily = (schema: Schema): boolean => schema === 'eod' || schema === 'earnings';

/** What makes no sense is left out. */
export function datasetOf(search: Search): Dataset {
  const dataset = oneOf(['option', 'stock'] as const, search.dataset) ?? 'option';
  const schema = oneOf(Object.keys(SCHEMAS[dataset]) as Schema[], search.schema) ?? 'quote';
  const number = (text: string | undefined): number | undefined => (text && Number(text) > 0 ? Number(text) : undefined);
  const [maxDte, basePct] = dataset === 'option' ? [number(search.max_dte), number(search.base_pct)] : [];
  return {
    ...{ root: (search.root ?? '').trim().toUpperCase(), dataset, schema },
    ...(!isDaily(schema) && { interval: oneOf(INTERVALS, search.interval) ?? '15m' }),
    ...(maxDte !== undefined && { max_dte: maxDte }),
    ...(basePct !== undefined && { base_pct: basePct }),
  };
}

/** Today in New York, where the days of all data are. */
export const today = (): string => new Date().toLocaleDateString('en-CA', { timeZone: 'America/New_York' });

const DAY_MS = 86_400_000;
export const daysBefore = (date: string, days: number): string => new Date(Date.parse(date) - days * DAY_MS).toISOString().slice(0, 10);

/** `AAPL option quotes 15m`. */
export function inWords({
  root,
  dataset,
  schema,
  interval,
  max_dte,
  base_pct,
}: {
  [K in keyof Dataset]?: Dataset[K] | string | number | null | undefined;
}): string {
  const kind = dataset as Kind;
  const what = [root, dataset, SCHEMAS[kind]?.[schema as Schema] ?? schema, isDaily(schema as Schema) ? '' : interval];
  const filter = max_dte == null && base_pct == null ? '' : `(at most ${max_dte ?? 30} days, base ${base_pct ?? 0.1})`;
  return [...what, filter].filter(Boolean).join(' ');
}

/** `Wed 7 Jan 2026`. */
export const dayText = (date: string): string =>
  new Date(`${date}T00:00:00Z`)
    .toLocaleDateString('en-GB', { timeZone: 'UTC', weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' })
    .replace(',', '');
