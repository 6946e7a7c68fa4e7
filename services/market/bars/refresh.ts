/**
 * Makes one symbol fresh: asks the sources for what is newer than the stored bars, and works out the rows to write.
 *
 * Adjusted closes are only comparable when they were adjusted on the same day: a split or dividend changes all earlier ones. So each request overlaps the stored
 * bars and goes on to the newest bar there is. When the overlap disagrees, or when real data meets simulated data, the whole history is requested again and
 * replaced. The stored bars of a symbol therefore have no holes, one adjustment and one kind.
 */
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import { TransientError } from '../../platform/errors.ts';
import type { FailoverAnswer, FailoverSource } from '../sources/failover-source.ts';
import type { Bar, DateRange, SourceName } from './bars.ts';
import type { SymbolState } from './read.ts';
import type { SymbolReader } from './reader.ts';
import type { BarsPlan, RefreshRows, StoredBar, SymbolCheck } from './store.ts';

/** Calendar days asked for again before the newest stored bar: two sessions even across a long weekend. */
const OVERLAP_DAYS = 7;
/** Adjusted closes that differ by more than this share were adjusted for different events; the smallest dividends move them by 1e-4, a source's own rounding by 1e-7. */
const SAME_ADJUSTMENT = 1e-6;
/** Before every bar of every source. */
const BEGINNING = '1900-01-01';
/** The columns' last digits: of open, high, low and close, and of volume. */
const PRICE_UNIT = 1e-6;
const VOLUME_UNIT = 1e-4;

export interface Refresh {
  /** For `storeRefresh`; absent when the answer is stored data given again, which changes nothing: the symbol stays as stale as it is. */
  rows?: RefreshRows;
  /** The moment the answer was true. */
  asOf: Temporal.Instant;
  result: {
    symbol: string;
    source: SourceName;
    /** Bars of the answer, and how many of them were new or had changed. */
    bars: number;
    written: number;
    through: string | null;
    as_of: string;
    stale: boolean;
    simulated: boolean;
    /** The history was replaced, because the adjustment or the kind of data changed. */
    replaced: boolean;
    attempts: FailoverAnswer['attempts'];
    /** Milliseconds from asking the first source to having the answer. */
    ms: number;
  };
}

export interface RefreshContext {
  sources: FailoverSource;
  /** The same without simulated data, for a symbol of which real data is stored. */
  realSources: FailoverSource;
  reader: SymbolReader;
  clock: Clock;
  config: Config;
  signal: AbortSignal;
}

/**
 * Asks for one symbol, from the newest stored bar on, or from the first day of `wanted` on. Errors: those of `FailoverSource.bars` and of the database;
 * `TransientError('fetch.no_history')` when a history that has to be replaced cannot be had.
 */
export async function refreshSymbol(symbol: string, context: RefreshContext, wanted?: DateRange): Promise<Refresh> {
  const { reader, signal } = context;
  const started = performance.now();
  const [row, newest] = await Promise.all([reader.state(symbol), reader.newestBars(symbol, OVERLAP_DAYS)]);
  const state = row?.newestBar == null ? undefined : (row as Known);
  const range = { from: firstDay(state, context, wanted) };
  const stored = wanted === undefined || state === undefined ? newest : await reader.bars(symbol, range);
  // Simulated bars never continue real ones.
  const sources = state === undefined || state.source === 'simulated' ? context.sources : context.realSources;
  const recent = await sources.bars(symbol, range, signal);
  // A source may end in the past (an old data folder, a delisted share): then all that it has is asked for.
  const ended = state === undefined && recent.bars.length === 0 && !recent.stale;
  const first = ended ? await sources.bars(symbol, { from: BEGINNING }, signal) : recent;
  const misfit = !first.stale && mustReplace(state, stored, first);
  const answer = misfit ? await wholeHistory(symbol, context, sources, first, range) : first;
  const replaced = misfit && !answer.stale;
  const written = answer.stale ? [] : changedBars(replaced ? [] : stored, answer.bars);
  const simulated = answer.source === 'simulated' || (answer.stale === true && state?.source === 'simulated');
  return {
    ...(answer.stale ? {} : { rows: rowsOf(symbol, state, { answer, written, replaced, simulated }, context) }),
    asOf: answer.asOf,
    result: {
      symbol,
      source: answer.source,
      bars: answer.bars.length,
      written: written.length,
      through: answer.bars.at(-1)?.date ?? null,
      as_of: answer.asOf.toString({ smallestUnit: 'second' }),
      stale: answer.stale === true,
      simulated,
      replaced,
      attempts: answer.attempts,
      ms: Math.round(performance.now() - started),
    },
  };
}

/** A symbol of which bars are stored. */
type Known = SymbolState & { newestBar: string; source: SourceName };

function firstDay(state: Known | undefined, context: RefreshContext, wanted: DateRange | undefined): string {
  const from =
    state === undefined ? configuredFrom(context) : Temporal.PlainDate.from(state.newestBar).subtract({ days: OVERLAP_DAYS }).toString();
  return earliest(from, wanted?.from ?? from);
}

function configuredFrom({ clock, config }: RefreshContext): string {
  const today = clock.now().toZonedDateTimeISO('UTC').toPlainDate();
  return today.subtract({ days: config.stock_jobs.data_fetch.history_days }).toString();
}

function earliest(...dates: [string, ...string[]]): string {
  return dates.sort()[0] as string;
}

/** All bars from the earliest of three days on: of the oldest stored bar, of the configured history, of the request. */
async function wholeHistory(
  symbol: string,
  context: RefreshContext,
  sources: FailoverSource,
  first: FailoverAnswer,
  asked: { from: string },
): Promise<FailoverAnswer> {
  const configured = configuredFrom(context);
  const from = earliest(configured, asked.from, (await context.reader.oldestBar(symbol)) ?? configured);
  const whole = from === asked.from ? first : await sources.bars(symbol, { from }, context.signal);
  if (whole.bars.length === 0)
    throw new TransientError(
      'fetch.no_history',
      `the stored history of ${symbol} differs from the answer of ${first.source}, and ${whole.source} has no bars from ${from} on`,
    );
  return whole;
}

function mustReplace(state: Known | undefined, stored: readonly Bar[], answer: FailoverAnswer): boolean {
  if (state === undefined) return false;
  if ((state.source === 'simulated') !== (answer.source === 'simulated')) return true;
  const answered = new Map(answer.bars.map((bar) => [bar.date, bar]));
  // The ratio of adjusted to raw close depends on the adjustment alone; the close itself may differ, since the newest stored bar may have been live.
  return stored.some((old) => {
    const bar = answered.get(old.date);
    if (bar === undefined) return false;
    // The columns keep few digits of a share that costs a fraction of a cent.
    const rounding = PRICE_UNIT / Math.min(old.close, bar.close);
    return Math.abs(bar.adjustedClose / bar.close / (old.adjustedClose / old.close) - 1) > SAME_ADJUSTMENT + rounding;
  });
}

function changedBars(stored: readonly Bar[], bars: readonly Bar[]): Bar[] {
  const known = new Map(stored.map((bar) => [bar.date, bar]));
  return bars.filter((bar) => {
    const old = known.get(bar.date);
    return old === undefined || !sameBar(old, bar);
  });
}

/** Equal in all digits that the columns keep. */
function sameBar(a: Bar, b: Bar): boolean {
  const near = (x: number, y: number, unit: number): boolean => Math.abs(x - y) <= unit / 2;
  return (
    near(a.open, b.open, PRICE_UNIT) &&
    near(a.high, b.high, PRICE_UNIT) &&
    near(a.low, b.low, PRICE_UNIT) &&
    near(a.close, b.close, PRICE_UNIT) &&
    near(a.volume, b.volume, VOLUME_UNIT) &&
    near(a.adjustedClose, b.adjustedClose, Math.max(1e-14, Math.abs(a.adjustedClose) * 1e-12))
  );
}

function rowsOf(
  symbol: string,
  state: Known | undefined,
  { answer, written, replaced, simulated }: { answer: FailoverAnswer; written: readonly Bar[]; replaced: boolean; simulated: boolean },
  { clock }: RefreshContext,
): RefreshRows {
  const { source, actions } = answer;
  const newest = answer.bars.at(-1);
  const asOf = new Date(answer.asOf.epochMilliseconds);
  const plan: BarsPlan = { symbol, simulated: newest === undefined ? undefined : simulated, replaces: replaced };
  const check: SymbolCheck = {
    symbol,
    newestBar: newest?.date ?? null,
    asOf: newest === undefined ? null : asOf,
    checkedAt: new Date(clock.now().epochMilliseconds),
    close: newest?.close ?? null,
    currency: answer.currency ?? null,
    timeZone: answer.timeZone ?? null,
    source: newest === undefined ? (state?.source ?? source) : source,
  };
  return {
    plan,
    bars: written.map((bar): StoredBar => ({ ...bar, symbol, source, asOf })),
    actions: actions.map((action) => ({ ...action, symbol, source, asOf })),
    check,
  };
}
