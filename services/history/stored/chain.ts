/** The chain of a root at a moment, from the stored files. */
import { usCalendar } from '../../market/calendar/calendar.ts';
import { InputError } from '../../platform/errors.ts';
import type { ContractFilter, Interval, Schema } from '../dataset.ts';
import { filterName, INTERVALS, SCHEMAS } from '../dataset.ts';
import { listObjects, type ManifestRow } from '../manifest.ts';
import type { PlainRow } from '../parquet/reader.ts';
import { knownCloses, pricedFilter } from '../underlying.ts';
import { type StoredHistory, withFile } from './files.ts';

export interface ChainQuestion {
  root: string;
  at: Temporal.Instant;
  /** Without it the best of what is stored: quotes before bars before reports of the end of the day, the shortest interval first. */
  schema?: Schema | undefined;
  interval?: Interval | undefined;
  filter?: ContractFilter | undefined;
}

export interface Chain {
  /** The trading day. */
  day: string;
  object: ManifestRow;
  /** The close of the underlying on that day; null where neither a daily bar nor an end-of-day object has it. */
  underlying: number | null;
  /** The last row of each contract at or before the moment, in the order of expiration, strike and right. */
  rows: PlainRow[];
}

/** Objects of one day of a root. */
const MOST_OBJECTS = 1_000;

/** Errors: `InputError('history.unknown')`, `PermanentError('history.no_underlying')`, those of `currentRow`, the store and of `ParquetReader.chainAt`. */
export async function chainAt(history: StoredHistory, question: ChainQuestion, signal: AbortSignal): Promise<Chain> {
  const { sql, reader } = history;
  const { root, at, filter } = question;
  const day = tradingDayOf(at);
  const objects = await listObjects(sql, { root, asset: 'option', from: day, to: day, limit: MOST_OBJECTS });
  const object = bestOf(objects, question, day);
  if (object === undefined)
    throw new InputError(
      'history.unknown',
      `no ${question.schema ?? 'chain'} of ${root} is stored of ${day}; "history option ${root} --from ${day} --to ${day}" downloads it`,
    );
  const priced = await pricedFilter(history, root, [day], { filter, signal });
  const closes = priced === undefined ? await knownCloses(history, root, [day], signal) : new Map(Object.entries(priced.underlying));
  const rows = await withFile(history, object, signal, (path) => reader.chainAt([path], at, priced, signal));
  return { day, object, underlying: closes.get(day) ?? null, rows };
}

/** The trading day whose data a moment sees: the newest one that has opened by then. */
function tradingDayOf(at: Temporal.Instant): string {
  return usCalendar.latestStarted(at).date;
}

const FINEST = [...Object.keys(INTERVALS), '1d'];

/** Objects of the whole chain come before filtered ones, and of these only one with the filter of the question. */
function bestOf(objects: readonly ManifestRow[], { schema, interval, filter }: ChainQuestion, day: string): ManifestRow | undefined {
  return objects
    .filter(({ object, days }) => {
      const fits = object.filter === undefined || (filter !== undefined && filterName(object.filter) === filterName(filter));
      return (
        fits && days[day] !== undefined && (schema ?? object.schema) === object.schema && (interval ?? object.interval) === object.interval
      );
    })
    .toSorted((a, b) => rank(a) - rank(b))[0];
}

function rank({ object: { schema, interval, filter } }: ManifestRow): number {
  return (filter === undefined ? 0 : 1_000) + SCHEMAS.indexOf(schema) * 100 + FINEST.indexOf(interval);
}
