/**
 * Makes one symbol fresh: asks the sources for what is newer than the stored bars, and finds out what has to be written.
 *
 * Adjusted closes are only comparable when they were adjusted on the same day: a split or dividend changes all earlier ones. So each request overlaps what is
 * stored, and when the overlap disagrees, or when real data meets simulated data, the whole history is asked for again and replaced.
 */
import type { Bar, DateRange, SourceName } from '../market/bars.ts';
import type { Attempt, ChainAnswer, SourceChain } from '../market/sources/chain.ts';
import { clearBars, type StoredBar, storeActions, storeBars, storeChecks, type SymbolCheck, type SymbolState } from '../market/store.ts';
import type { Draft } from '../platform/messages.ts';
import { type Effect, effect, type JobContext } from './handler.ts';

/** Calendar days asked for again before the newest stored bar: two sessions even across a long weekend. */
const OVERLAP_DAYS = 7;
/** Adjusted closes that differ by more than this share were adjusted for different events; the smallest dividends move them by 1e-4. */
const SAME_ADJUSTMENT = 1e-6;

export interface Refreshed {
  effects: readonly Effect[];
  landed: readonly Draft<'data'>[];
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
    attempts: readonly Attempt[];
    /** Milliseconds from asking the first source to having the answer. */
    ms: number;
  };
}

type Context = Pick<JobContext, 'sources' | 'realSources' | 'reader' | 'clock' | 'config' | 'signal'>;

/** Asks for one symbol, from the stored data on or for a given range. Errors: those of `SourceChain.bars` and of the database. */
export async function refreshSymbol(symbol: string, context: Context, wanted?: DateRange): Promise<Refreshed> {
  const started = performance.now();
  const [state, stored] = await Promise.all([context.reader.state(symbol), context.reader.newestBars(symbol, OVERLAP_DAYS)]);
  const sources = state?.source != null && state.source !== 'simulated' ? context.realSources : context.sources;
  const first = await sources.bars(symbol, wanted ?? rangeAfter(state, context), context.signal);
  const replaced = !first.stale && mustReplace(state, stored, first);
  const answer = replaced ? await wholeHistory(symbol, context, sources, wanted) : first;
  const written = answer.stale ? [] : changedBars(replaced ? [] : stored, answer.bars);
  return {
    ...outcomeOf(symbol, state, written, answer, replaced, context),
    result: {
      symbol,
      source: answer.source,
      bars: answer.bars.length,
      written: written.length,
      through: answer.bars.at(-1)?.date ?? null,
      as_of: answer.asOf.toString({ smallestUnit: 'second' }),
      stale: answer.stale === true,
      simulated: answer.source === 'simulated',
      replaced,
      attempts: answer.attempts,
      ms: Math.round(performance.now() - started),
    },
  };
}

function rangeAfter(state: SymbolState | undefined, { clock, config }: Context): DateRange {
  const today = clock.now().toZonedDateTimeISO('UTC').toPlainDate();
  if (state?.newestBar == null) return { from: today.subtract({ days: config.stock_jobs.data_fetch.history_days }).toString() };
  return { from: Temporal.PlainDate.from(state.newestBar).subtract({ days: OVERLAP_DAYS }).toString() };
}

/** From the first day that is to be known: the oldest stored bar, the configured history, or the wanted range, whichever is earliest. */
async function wholeHistory(symbol: string, context: Context, sources: SourceChain, wanted: DateRange | undefined): Promise<ChainAnswer> {
  const configured = rangeAfter(undefined, context).from;
  const oldest = (await context.reader.oldestBar(symbol)) ?? configured;
  const from = [oldest, configured, wanted?.from ?? configured].sort()[0] as string;
  return sources.bars(symbol, { from }, context.signal);
}

function mustReplace(state: SymbolState | undefined, stored: readonly Bar[], answer: ChainAnswer): boolean {
  if (state?.newestBar == null) return false;
  if ((state.source === 'simulated') !== (answer.source === 'simulated')) return true;
  const adjusted = new Map(answer.bars.map(({ date, close, adjustedClose }) => [date, adjustedClose / close]));
  // The newest stored bar may have been live, its close was another: the ratio of adjusted to raw close tells the adjustment alone.
  return stored.some(({ date, close, adjustedClose }) => {
    const ratio = adjusted.get(date);
    return ratio !== undefined && Math.abs(ratio / (adjustedClose / close) - 1) > SAME_ADJUSTMENT;
  });
}

function changedBars(stored: readonly Bar[], bars: readonly Bar[]): Bar[] {
  const known = new Map(stored.map((bar) => [bar.date, bar]));
  return bars.filter((bar) => {
    const old = known.get(bar.date);
    return old === undefined || !sameBar(old, bar);
  });
}

/** Equal as far as the columns can tell. */
function sameBar(a: Bar, b: Bar): boolean {
  const near = (x: number, y: number, unit: number): boolean => Math.abs(x - y) <= unit / 2;
  return (
    near(a.open, b.open, 1e-6) &&
    near(a.high, b.high, 1e-6) &&
    near(a.low, b.low, 1e-6) &&
    near(a.close, b.close, 1e-6) &&
    near(a.volume, b.volume, 1e-4) &&
    near(a.adjustedClose, b.adjustedClose, Math.max(1e-14, Math.abs(a.adjustedClose) * 1e-12))
  );
}

function outcomeOf(
  symbol: string,
  state: SymbolState | undefined,
  written: readonly Bar[],
  answer: ChainAnswer,
  replaced: boolean,
  { clock }: Context,
): Pick<Refreshed, 'effects' | 'landed'> {
  const { source } = answer;
  const landed: Draft<'data'> = {
    symbol,
    kind: 'bars',
    source,
    as_of: answer.asOf.toString({ smallestUnit: 'millisecond' }),
    rows: answer.bars.length,
    ...(answer.bars.length === 0 ? {} : { through: (answer.bars.at(-1) as Bar).date }),
    ...(answer.stale ? { stale: true } : {}),
    ...(source === 'simulated' ? { simulated: true } : {}),
  };
  // What was stored already is not written again, and it is no successful check either: the symbol stays as stale as it is.
  if (answer.stale) return { effects: [], landed: [landed] };

  const asOf = new Date(answer.asOf.epochMilliseconds);
  const newest = answer.bars.at(-1);
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
    effects: [
      effect(clearBars, replaced ? [symbol] : []),
      effect(
        storeBars,
        written.map((bar): StoredBar => ({ ...bar, symbol, source, asOf })),
      ),
      effect(
        storeActions,
        answer.actions.map((action) => ({ ...action, symbol, source, asOf })),
      ),
      effect(storeChecks, [check]),
    ],
    landed: [landed],
  };
}
