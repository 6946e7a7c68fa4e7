/**
 * Makes one symbol fresh: asks the sources for what is newer than the stored bars, and works out the rows to write.
 *
 * Adjusted closes are only comparable when they were adjusted on the same day: a split or dividend changes all earlier ones. So each request overlaps the stored
 * bars and goes on to the newest bar there is. When the overlap, or a split or dividend in it, differs from what is stored, or when real data meets simulated data, the
 * whole history is requested again and replaced. The stored bars of a symbol therefore have no holes, one adjustment and one kind.
 *
 * A source also repairs bars that lie before the overlap, and restates prices days after a split. So once a day a fetch asks for the whole history instead, which is
 * one request too, and compares all of it, by its digest or bar by bar; while a recent split is not restated, every fetch does.
 */
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import { TransientError } from '../../platform/errors.ts';
import type { FailoverAnswer, FailoverSource } from '../sources/failover-source.ts';
import type { Bar, CorporateAction, DateRange, SourceName } from './bars.ts';
import { changedActions, changedBars, differenceOf } from './differences.ts';
import { type BarsDigest, countSame, digestAfter, sameByDigest } from './digest.ts';
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
  const row = await reader.state(symbol);
  const state = row?.newestBar == null ? undefined : (row as Known);
  const whole =
    state !== undefined && isHistoryDue(state, context) ? await wholeRange(symbol, context, wanted, digestOf(state)) : undefined;
  const range = whole ?? { from: firstDay(state, context, wanted) };
  const isWhole = whole !== undefined;
  const asked: Asked = { state, range, isWhole, reads: isWhole ? 'whole' : wanted === undefined ? 'overlap' : 'range' };
  // Before the source is asked: older data must not replace what another job stores meanwhile.
  const before = await readBefore(symbol, asked, context);
  // Simulated bars never continue real ones.
  const sources = state === undefined || state.source === 'simulated' ? context.sources : context.realSources;
  const recent = await sources.bars(symbol, range, signal);
  // A source may end in the past (an old data folder, a delisted share): then all that it has is asked for.
  const ended = state === undefined && recent.bars.length === 0 && !recent.stale;
  const first = ended ? await sources.bars(symbol, { from: BEGINNING }, signal) : recent;
  const stored = first.stale ? NOTHING : await storedFor(symbol, first, asked, before, context);
  const difference = state === undefined || first.stale ? undefined : differenceOf({ state, ...stored }, first, isWhole, stored.same);
  const answer = difference === undefined ? first : await wholeHistory(symbol, context, sources, first, range);
  const replaced = difference !== undefined && !answer.stale;
  const outcome: Outcome = {
    answer,
    ...(answer.stale ? { written: [], writtenActions: [] } : writtenOf(answer, replaced ? NOTHING : stored)),
    replaced,
    simulated: answer.source === 'simulated' || (answer.stale === true && state?.source === 'simulated'),
    isWhole: isWhole || state === undefined || replaced,
    unrestated: unrestatedSplit(answer.bars, answer.actions),
  };
  return {
    ...(answer.stale ? {} : { rows: rowsOf(symbol, row, outcome, digestOfOutcome(state, outcome, stored), context) }),
    asOf: answer.asOf,
    result: {
      ...resultOf(symbol, outcome),
      replaced_because: (replaced && difference) || null,
      attempts: answer.attempts,
      ms: Math.round(performance.now() - started),
    },
  };
}

/** What an answer is compared with. */
interface StoredPart {
  /** So many of the answer's first bars are stored as they are: the digest has shown it. */
  same: number;
  /** The stored bars behind these, ascending. */
  bars: readonly Bar[];
  /** Undefined where the digest has shown that they are the answer's. */
  actions: readonly CorporateAction[] | undefined;
}

const NOTHING: StoredPart = { same: 0, bars: [], actions: [] };

interface Asked {
  state: Known | undefined;
  range: { from: string };
  isWhole: boolean;
  /** The bars to compare: of the whole history, of the last days, or of the range that was asked for. */
  reads: 'whole' | 'overlap' | 'range';
}

/** The stored bars that the answer will be compared with; of a whole history with a digest only those behind it. */
async function readBefore(symbol: string, { state, range, reads }: Asked, { reader }: RefreshContext): Promise<readonly Bar[]> {
  if (state === undefined) return [];
  if (reads === 'overlap') return reader.barsSince(symbol, overlapOf(state));
  const digest = reads === 'whole' ? digestOf(state) : undefined;
  if (digest === undefined) return reader.bars(symbol, range);
  return (await reader.barsSince(symbol, digest.through)).filter(({ date }) => date > digest.through);
}

/**
 * What the answer is compared with. A history that differs from its digest is read. The stored splits and dividends are read only when there are any to compare.
 * Errors: `TransientError('bars.changed')` when another job has stored an answer while the source was asked.
 */
async function storedFor(
  symbol: string,
  answer: FailoverAnswer,
  { state, range, isWhole }: Asked,
  before: readonly Bar[],
  { reader }: RefreshContext,
): Promise<StoredPart> {
  if (state === undefined) return NOTHING;
  const digest = isWhole ? digestOf(state) : undefined;
  const same = digest && sameByDigest(digest, answer);
  if (same !== undefined) return { same, bars: before, actions: undefined };
  const [bars, actions] = await Promise.all([
    digest === undefined ? before : reader.bars(symbol, range),
    isWhole || answer.actions.length > 0 ? reader.actions(symbol, range) : [],
  ]);
  if (digest !== undefined && (await reader.state(symbol))?.known?.version !== state.known?.version)
    throw new TransientError('bars.changed', `another job has stored bars of ${symbol} meanwhile; ${symbol} is fetched again`);
  return { same: 0, bars, actions };
}

function writtenOf({ bars, actions }: FailoverAnswer, stored: StoredPart): Pick<Outcome, 'written' | 'writtenActions'> {
  return {
    written: changedBars(stored.bars, bars, stored.same),
    writtenActions: stored.actions === undefined ? [] : changedActions(stored.actions, actions),
  };
}

/** An answer, and what it means for the stored bars. */
interface Outcome {
  answer: FailoverAnswer;
  written: readonly Bar[];
  writtenActions: readonly CorporateAction[];
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

/** The digest of a symbol, unless all its bars are to be read: without `historyCheckedAt` they are. */
function digestOf({ known, historyCheckedAt }: Known): BarsDigest | undefined {
  return historyCheckedAt == null ? undefined : known?.digest;
}

/** What the digest of the stored bars will be. */
function digestOfOutcome(state: Known | undefined, { answer, written, writtenActions, replaced, isWhole }: Outcome, stored: StoredPart) {
  if (state === undefined || replaced) return digestAfter(answer, answer.bars.length);
  const before = digestOf(state);
  if (isWhole) {
    // A bar or split that is written may lose against a newer one that is stored: it is no part of the digest before it was read again.
    if (writtenActions.length > 0) return undefined;
    const shown = before && stored.same > 0 ? { digest: before, shown: stored.same } : undefined;
    return digestAfter(answer, countSame(stored.bars, answer.bars, stored.same), shown);
  }
  return before !== undefined && writtenActions.length === 0 && written.every(({ date }) => date > before.through) ? before : undefined;
}

const overlapOf = ({ newestBar }: Known): string => Temporal.PlainDate.from(newestBar).subtract({ days: OVERLAP_DAYS }).toString();

function firstDay(state: Known | undefined, context: RefreshContext, wanted: DateRange | undefined): string {
  const from = state === undefined ? configuredFrom(context) : overlapOf(state);
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
async function wholeRange(
  symbol: string,
  context: RefreshContext,
  wanted: DateRange | undefined,
  known?: BarsDigest,
): Promise<{ from: string }> {
  const configured = configuredFrom(context);
  const oldest = known?.from ?? (await context.reader.oldestBar(symbol));
  return { from: earliest(configured, wanted?.from ?? configured, oldest ?? configured) };
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
  row: SymbolState | undefined,
  { answer, written, writtenActions, replaced, simulated, isWhole, unrestated }: Outcome,
  digest: BarsDigest | undefined,
  { clock }: RefreshContext,
): RefreshRows {
  const { source } = answer;
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
    known: { version: row?.known?.version ?? 0, digest },
    close: newest?.close ?? null,
    currency: answer.currency ?? null,
    timeZone: answer.timeZone ?? null,
    source: newest === undefined && row?.newestBar != null ? (row.source ?? source) : source,
  };
  return {
    plan,
    bars: written.map((bar): StoredBar => ({ ...bar, symbol, source, asOf })),
    actions: writtenActions.map((action) => ({ ...action, symbol, source, asOf })),
    check,
  };
}
