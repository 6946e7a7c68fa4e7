/**
 * Makes one symbol fresh: asks the sources for what is newer than the stored bars, and works out the rows to write.
 *
 * Adjusted closes are only comparable when they were adjusted on the same day: a split or dividend changes all earlier ones. So each request overlaps the stored
 * bars and goes on to the newest bar there is. When the overlap, or a split or dividend in it, differs from what is stored, or when real data meets simulated data, the
 * whole history is requested again and replaced. The stored bars of a symbol therefore have no holes, one adjustment and one kind.
 *
 * A source also repairs bars that lie before the overlap, and restates prices days after a split. So once a day a fetch asks for the whole history instead, which is
 * one request too, and compares all of it; while a recent split is not restated, every fetch does.
 */
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import { TransientError } from '../../platform/errors.ts';
import type { FailoverAnswer, FailoverSource } from '../sources/failover-source.ts';
import type { Bar, DateRange, SourceName } from './bars.ts';
import { changedBars, differenceOf } from './differences.ts';
import type { SymbolState } from './read.ts';
import type { SymbolReader } from './reader.ts';
import { leftOutWarning } from './sense.ts';
import { unrestatedReason, unrestatedSplit } from './splits.ts';
import type { BarsPlan, RefreshRows, StoredBar, SymbolCheck } from './store.ts';

/** Calendar days asked for again before the newest stored bar: two sessions even across a long weekend. */
const OVERLAP_DAYS = 7;
/** So many calendar days after a split every fetch looks whether the source has restated the prices before it; later the daily check is enough. */
const RESTATED_WITHIN_DAYS = 60;
/** Before every bar of every source. */
const BEGINNING = '1900-01-01';

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
    /** The history was replaced, because the source's bars, splits or dividends of a stored day, or the kind of data, have changed. */
    replaced: boolean;
    /** Why it was replaced. */
    replaced_because: string | null;
    /** What a person should know of the data: rows that were left out, prices that a split has not restated. */
    warnings: string[];
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
  const whole = state !== undefined && isHistoryDue(state, context) ? await wholeRange(symbol, context, wanted) : undefined;
  const range = whole ?? { from: firstDay(state, context, wanted) };
  const stored = whole === undefined && (wanted === undefined || state === undefined) ? newest : await reader.bars(symbol, range);
  // Simulated bars never continue real ones.
  const sources = state === undefined || state.source === 'simulated' ? context.sources : context.realSources;
  const recent = await sources.bars(symbol, range, signal);
  // A source may end in the past (an old data folder, a delisted share): then all that it has is asked for.
  const ended = state === undefined && recent.bars.length === 0 && !recent.stale;
  const first = ended ? await sources.bars(symbol, { from: BEGINNING }, signal) : recent;
  const difference = await differenceFrom(symbol, { state, stored, range, isWhole: whole !== undefined }, first, context);
  const answer = difference === undefined ? first : await wholeHistory(symbol, context, sources, first, range);
  const replaced = difference !== undefined && !answer.stale;
  const outcome: Outcome = {
    answer,
    written: answer.stale ? [] : changedBars(replaced ? [] : stored, answer.bars),
    replaced,
    simulated: answer.source === 'simulated' || (answer.stale === true && state?.source === 'simulated'),
    isWhole: whole !== undefined || state === undefined || replaced,
    unrestated: unrestatedSplit(answer.bars, answer.actions),
  };
  return {
    ...(answer.stale ? {} : { rows: rowsOf(symbol, state, outcome, context) }),
    asOf: answer.asOf,
    result: {
      ...resultOf(symbol, outcome),
      replaced_because: (replaced && difference) || null,
      attempts: answer.attempts,
      ms: Math.round(performance.now() - started),
    },
  };
}

/** An answer, and what it means for the stored bars. */
interface Outcome {
  answer: FailoverAnswer;
  written: readonly Bar[];
  replaced: boolean;
  simulated: boolean;
  /** All stored bars were compared with the answer, or replaced by it. */
  isWhole: boolean;
  /** Ex-date of a split for which the answer is not restated. */
  unrestated: string | undefined;
}

function resultOf(symbol: string, { answer, written, replaced, simulated, unrestated }: Outcome) {
  const leftOut = leftOutWarning(answer.source, answer.leftOut);
  const split = answer.actions.find(({ date, kind }) => kind === 'split' && date === unrestated);
  return {
    symbol,
    source: answer.source,
    bars: answer.bars.length,
    written: written.length,
    through: answer.bars.at(-1)?.date ?? null,
    as_of: answer.asOf.toString({ smallestUnit: 'second' }),
    stale: answer.stale === true,
    simulated,
    replaced,
    warnings: [...(leftOut === undefined ? [] : [leftOut]), ...(unrestated === undefined ? [] : [unrestatedReason(unrestated, split)])],
  };
}

/** A symbol of which bars are stored. */
type Known = SymbolState & { newestBar: string; source: SourceName };

function isHistoryDue({ historyCheckedAt, unrestatedSplit: unrestated }: Known, { clock, config }: RefreshContext): boolean {
  if (historyCheckedAt == null) return true;
  const today = clock.now().toZonedDateTimeISO('UTC').toPlainDate();
  if (unrestated != null && unrestated >= today.subtract({ days: RESTATED_WITHIN_DAYS }).toString()) return true;
  return clock.now().epochMilliseconds - historyCheckedAt.getTime() >= config.stock_jobs.data_fetch.history_check * 3_600_000;
}

/** Why the stored history has to be replaced. The stored splits and dividends are read only when there are any to compare. */
async function differenceFrom(
  symbol: string,
  { state, stored, range, isWhole }: { state: Known | undefined; stored: readonly Bar[]; range: DateRange; isWhole: boolean },
  answer: FailoverAnswer,
  { reader }: RefreshContext,
): Promise<string | undefined> {
  if (state === undefined || answer.stale) return undefined;
  const actions = isWhole || answer.actions.length > 0 ? await reader.actions(symbol, range) : [];
  return differenceOf({ state, bars: stored, actions }, answer, isWhole);
}

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

/** From the earliest of three days on: of the oldest stored bar, of the configured history, of the request. */
async function wholeRange(symbol: string, context: RefreshContext, wanted: DateRange | undefined): Promise<{ from: string }> {
  const configured = configuredFrom(context);
  return { from: earliest(configured, wanted?.from ?? configured, (await context.reader.oldestBar(symbol)) ?? configured) };
}

/** All bars of that range. */
async function wholeHistory(
  symbol: string,
  context: RefreshContext,
  sources: FailoverSource,
  first: FailoverAnswer,
  asked: { from: string },
): Promise<FailoverAnswer> {
  const { from } = await wholeRange(symbol, context, asked);
  const whole = from === asked.from ? first : await sources.bars(symbol, { from }, context.signal);
  if (whole.bars.length === 0)
    throw new TransientError(
      'fetch.no_history',
      `the stored history of ${symbol} differs from the answer of ${first.source}, and ${whole.source} has no bars from ${from} on`,
    );
  return whole;
}

function rowsOf(
  symbol: string,
  state: Known | undefined,
  { answer, written, replaced, simulated, isWhole, unrestated }: Outcome,
  { clock }: RefreshContext,
): RefreshRows {
  const { source, actions } = answer;
  const newest = answer.bars.at(-1);
  const asOf = new Date(answer.asOf.epochMilliseconds);
  const plan: BarsPlan = { symbol, simulated: newest === undefined ? undefined : simulated, replaces: replaced };
  const checkedAt = new Date(clock.now().epochMilliseconds);
  const check: SymbolCheck = {
    symbol,
    newestBar: newest?.date ?? null,
    asOf: newest === undefined ? null : asOf,
    checkedAt,
    // An answer without bars compares nothing.
    historyCheckedAt: isWhole && newest !== undefined ? checkedAt : undefined,
    unrestatedSplit: unrestated,
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
