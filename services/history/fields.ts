/** The fields that name a download, as callers give them over HTTP and on the command line: checked, and turned into a `Download`. */
import { z } from 'zod';
import { usCalendar } from '../market/calendar/calendar.ts';
import { SymbolSchema } from '../market/symbol.ts';
import type { Clock } from '../platform/clock.ts';
import { decimalText } from '../platform/text/decimal.ts';
import { type Asset, type ContractFilter, type Download, INTERVALS, type Interval, isDaily, SCHEMAS, type Schema } from './dataset.ts';

/** Either of the two turns the filter on, and the other takes its value here. */
const STANDARD_FILTER: ContractFilter = { maxDte: 30, basePct: 0.1 };
const STANDARD_INTERVAL: Interval = '15m';
const MOST_YEARS = 10;

const WORDS = Object.keys(INTERVALS) as (keyof typeof INTERVALS)[];
const BY_MS = new Map<number, Interval>(WORDS.map((word) => [INTERVALS[word], word]));
const DAY_MS = 86_400_000;

/** `2026-01-31` or `20260131`; gives the first form. */
export const dayField = z.string().transform((text, context) => {
  const iso = /^\d{8}$/.test(text) ? `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}` : text;
  if (z.iso.date().safeParse(iso).success) return iso;
  context.addIssue({ code: 'custom', message: 'not a day; write it like 2026-01-31 or 20260131', input: text });
  return z.NEVER;
});

const INTERVAL_WORDS = `${WORDS.join(', ')}, or in milliseconds ${[...BY_MS.keys()].join(', ')}; of eod and earnings 1d`;

/** A word such as `15m`, or milliseconds as a number or as text; gives the word. */
export const intervalField = z
  .union([z.number(), z.string().max(20)])
  .transform((value, context): Interval => {
    const ms = typeof value === 'number' || /^\d+$/.test(value) ? Number(value) : undefined;
    const word = ms === undefined ? (value as Interval) : ms === DAY_MS ? '1d' : BY_MS.get(ms);
    if (word === '1d' || WORDS.includes(word as keyof typeof INTERVALS)) return word as Interval;
    const short = ms !== undefined && ms < INTERVALS['1m'] ? 'shorter than a minute' : 'no interval that the sources have';
    context.addIssue({ code: 'custom', message: `${short}; choose ${INTERVAL_WORDS}`, input: value });
    return z.NEVER;
  })
  .optional()
  .describe(`${INTERVAL_WORDS}. Without it ${STANDARD_INTERVAL}, of eod and earnings 1d`);

const schemaField = z
  .enum(SCHEMAS)
  .describe('quote: the bid and ask at each interval; ohlc: bars; eod: the end of each day; earnings: the days on which a company reports');

const maxDte = z.number().int().min(1).max(365);
const basePct = z.number().gt(0).max(10);
const ABOUT_MAX_DTE = 'Only contracts with at most so many days to expiration, 1 to 365. With base_pct alone 30';
const ABOUT_BASE_PCT = 'Only strikes with |strike − underlying| ≤ underlying × base_pct × √days. With max_dte alone 0.1';

/** Of a body. */
const filterFields = { max_dte: maxDte.optional().describe(ABOUT_MAX_DTE), base_pct: basePct.optional().describe(ABOUT_BASE_PCT) };

/** Of a query. */
export const filterQuery = {
  max_dte: decimalText(maxDte).optional().describe(ABOUT_MAX_DTE),
  base_pct: decimalText(basePct).optional().describe(ABOUT_BASE_PCT),
};

const rootField = SymbolSchema.describe('Such as AAPL; of options their root, such as SPXW');

const days = { start_date: dayField, end_date: dayField };

const OPTION_SCHEMAS = SCHEMAS.filter((schema) => schema !== 'earnings') as Exclude<Schema, 'earnings'>[];
const NO_EARNINGS = 'options have no earnings; ask for those of the stock';

/** The body of a download of options: the dataset of a root, and its days. */
export const optionFields = {
  root: rootField,
  schema: z
    .enum(OPTION_SCHEMAS, { error: ({ input }) => (input === 'earnings' ? NO_EARNINGS : undefined) })
    .describe('quote: the bid and ask at each interval; ohlc: bars; eod: the end of each day') as unknown as typeof schemaField,
  interval: intervalField,
  ...filterFields,
  ...days,
};

/** That of a stock has no filter. */
export const stockFields = { root: rootField, schema: schemaField, interval: intervalField, ...days };

/** The same as parameters of a query, for both kinds of assets. */
export const rangeFields = {
  root: rootField,
  dataset: z.enum(['option', 'stock']),
  schema: schemaField,
  interval: intervalField,
  from: dayField,
  to: dayField,
  ...filterQuery,
};

interface Given {
  schema?: Schema | undefined;
  interval?: Interval | undefined;
  dataset?: Asset | undefined;
  max_dte?: number | undefined;
  base_pct?: number | undefined;
}

type Refine = (path: string, message: string, input: unknown) => void;

/** An issue for each pair of fields that do not go together. `names`: of the first and the last day. */
export function checkFields(
  given: Given,
  range: { from: string; to: string },
  names: { from: string; to: string },
  clock: Clock,
  refuse: Refine,
): void {
  const { schema, interval, dataset, max_dte, base_pct } = given;
  const { from, to } = range;
  const today = clock.now().toZonedDateTimeISO(usCalendar.timeZone).toPlainDate().toString();
  if (to < from) refuse(names.to, `it is before ${names.from} (${from}); exchange the two`, to);
  for (const name of ['from', 'to'] as const)
    if (range[name] > today) refuse(names[name], `it is in the future: today is ${today} in New York`, range[name]);
  if (Temporal.PlainDate.compare(Temporal.PlainDate.from(from).add({ years: MOST_YEARS }), Temporal.PlainDate.from(to)) < 0)
    refuse(names.from, `it is more than ${MOST_YEARS} years before ${names.to} (${to}); ask for shorter ranges`, from);
  const daily = schema !== undefined && isDaily(schema);
  if (daily && interval !== undefined && interval !== '1d')
    refuse('interval', `${schema} has no other interval than 1d; leave it out`, interval);
  if (!daily && interval === '1d')
    refuse('interval', `only eod and earnings have the interval 1d; choose one of ${WORDS.join(', ')}`, interval);
  if (dataset === 'option' && schema === 'earnings') refuse('schema', NO_EARNINGS, schema);
  if (dataset === 'stock')
    for (const [name, value] of [
      ['max_dte', max_dte],
      ['base_pct', base_pct],
    ] as const)
      if (value !== undefined) refuse(name, 'only options have contracts to be filtered', value);
}

/** The issues of `checkFields` as those of a zod schema. */
export const issuesTo =
  (context: z.core.$RefinementCtx): Refine =>
  (path, message, input) =>
    context.addIssue({ code: 'custom', path: [path], message, input });

/** The filter of two fields; undefined for the whole chain. */
export function filterOf({ max_dte, base_pct }: Pick<Given, 'max_dte' | 'base_pct'>): ContractFilter | undefined {
  if (max_dte === undefined && base_pct === undefined) return undefined;
  return { maxDte: max_dte ?? STANDARD_FILTER.maxDte, basePct: base_pct ?? STANDARD_FILTER.basePct };
}

/** A download from fields that were checked. */
export function downloadOf(
  asset: Asset,
  given: { root: string; schema: Schema; interval?: Interval | undefined; max_dte?: number | undefined; base_pct?: number | undefined },
  { from, to }: { from: string; to: string },
): Download {
  const { root, schema, interval } = given;
  const filter = filterOf(given);
  return {
    ...{ asset, schema, root, from, to, interval: isDaily(schema) ? '1d' : (interval ?? STANDARD_INTERVAL) },
    ...(filter === undefined ? {} : { filter }),
  };
}
