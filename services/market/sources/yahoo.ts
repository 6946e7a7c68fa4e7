import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { messageOf, StockmeshError } from '../../platform/errors.ts';
import type { Bar, BarsAnswer, CorporateAction, DateRange } from '../bars/bars.ts';
import { actionFault, barFault, type LeftOut, withoutSenseless } from '../bars/sense.ts';
import { parseSymbol, spellingsOf } from '../symbol.ts';
import type { Fetch } from './http.ts';
import type { MarketSource } from './source.ts';
import { askedAs, EpochSeconds, malformed, yahooClient, yahooFetch } from './yahoo-client.ts';

const source = 'yahoo_finance';
const DAY_S = 86_400;
/** Yahoo delays some exchanges by 15 minutes, so the last trade may arrive this long after the close. */
const FEED_DELAY_S = 20 * 60;

// The library's own schema is off, because it refuses an answer for one unknown or missing field that is not used. This schema requires the fields that are read here.
const Series = z.array(z.number().nullable());
const Events = z.record(z.string(), z.unknown()).nullish();
const Chart = z.object({
  meta: z.object({
    currency: z.string().nullish(),
    exchangeTimezoneName: z.string(),
    regularMarketTime: EpochSeconds.nullish(),
    currentTradingPeriod: z.object({ regular: z.object({ start: EpochSeconds, end: EpochSeconds }) }).optional(),
  }),
  timestamp: z.array(z.number().nullable()).optional(),
  indicators: z.object({
    quote: z.array(z.object({ open: Series, high: Series, low: Series, close: Series, volume: Series })),
    adjclose: z.array(z.object({ adjclose: Series.optional() })).optional(),
  }),
  // Each event is checked on its own (`eventsOf`): a senseless one must not cost the bars.
  events: z.object({ dividends: Events, splits: Events }).nullish(),
});
type Chart = z.infer<typeof Chart>;
/** Fields of a split and of a dividend, each of any kind. */
const Event = z.object({ date: z.unknown(), amount: z.unknown(), numerator: z.unknown(), denominator: z.unknown() }).partial();

/**
 * Daily bars of Yahoo Finance's chart API. Yahoo scales prices and volumes for every split up to today; they are given raw here (see `unadjusted`), which is why
 * the request always ends now, whatever `range.to` is: the later splits are needed. One request a call, without cookie and crumb (the chart API needs neither).
 * Errors: `source.unknown_symbol` (permanent); `source.timeout`, `source.network`, `source.rate_limited`, `source.unavailable`, `source.refused`, `source.malformed` (transient).
 */
export function yahooSource({
  fetch = globalThis.fetch,
  clock,
  timeoutMs = 10_000,
  spell = spellingsOf(source),
}: {
  fetch?: Fetch;
  clock: Clock;
  timeoutMs?: number;
  spell?: (symbol: string) => string;
}): MarketSource {
  const yahoo = yahooClient();

  return {
    name: source,
    async bars(text, range, signal): Promise<BarsAnswer> {
      signal.throwIfAborted();
      const symbol = parseSymbol(text);
      const spelled = spell(symbol);
      const now = clock.now();
      let nothingInRange = false;
      const guarded = yahooFetch({ fetch, clock, timeoutMs }, askedAs(symbol, spelled), signal, ({ description }) => {
        if (/^Data doesn't exist for startDate/.test(description)) nothingInRange = true;
      });

      let raw: unknown;
      try {
        raw = await yahoo.chart(
          spelled,
          { ...period(range, now), interval: '1d', events: 'div|split', return: 'object' },
          { validateResult: false, fetch: guarded },
        );
      } catch (error) {
        signal.throwIfAborted();
        if (nothingInRange) return { symbol, source, asOf: now, bars: [], actions: [] };
        if (error instanceof StockmeshError) throw error;
        throw malformed(symbol, 'a chart', messageOf(error), error);
      }
      const parsed = Chart.safeParse(raw);
      if (!parsed.success) throw malformed(symbol, 'a chart', z.prettifyError(parsed.error), parsed.error);
      return answerOf(symbol, parsed.data, range, now);
    },
  };
}

/** Begins one day early: a session east of Greenwich opens on the UTC day before. Never begins in the future, since Yahoo would then not check the symbol. */
function period({ from }: DateRange, now: Temporal.Instant): { period1: number; period2: number } {
  const period2 = Math.floor(now.epochMilliseconds / 1000);
  return { period1: Math.min(Date.parse(`${from}T00:00:00Z`) / 1000, period2) - DAY_S, period2 };
}

function answerOf(symbol: string, chart: Chart, range: DateRange, now: Temporal.Instant): BarsAnswer {
  const timeZone = chart.meta.exchangeTimezoneName;
  const dateOf = exchangeDate(symbol, timeZone);
  const { splits, dividends, leftOut } = eventsOf(chart, dateOf);
  /** New shares, after all splits since, for one share of that day. */
  const factorOf = (date: string) => splits.reduce((factor, split) => (split.date > date ? factor * split.value : factor), 1);
  // A row without a date belongs to every range.
  const within = ({ date }: { date: string }) => date === '' || (date >= range.from && (range.to === undefined || date <= range.to));

  const actions = [...splits, ...dividends.map((dividend) => ({ ...dividend, value: tidy(dividend.value * factorOf(dividend.date)) }))];
  return withoutSenseless(
    {
      symbol,
      source,
      asOf: asOf(chart.meta, now),
      bars: adjustedBars(symbol, chart, dateOf, leftOut)
        .filter(within)
        .map((bar) => unadjusted(bar, factorOf(bar.date))),
      actions: actions.filter(within).sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0)),
      currency: chart.meta.currency ?? undefined,
      timeZone,
    },
    leftOut.filter(within),
  );
}

/** The splits and dividends as Yahoo scaled them, without those that cannot be true: prices are not scaled by a senseless split either. */
function eventsOf({ events }: Chart, dateOf: (seconds: number) => string) {
  const leftOut: LeftOut[] = [];
  const kept = (kind: CorporateAction['kind'], entries: Record<string, unknown>): CorporateAction[] =>
    Object.values(entries).flatMap((entry) => {
      const { amount, numerator, denominator, ...event } = Event.safeParse(entry).data ?? {};
      const date = dateOrNone(EpochSeconds.safeParse(event.date).data ?? 0, dateOf);
      const value = kind === 'dividend' ? numberOf(amount) : numberOf(numerator) / numberOf(denominator);
      const text = kind === 'dividend' ? String(amount) : `${numerator}:${denominator}`;
      const reason = date === '' ? `a ${kind} of ${text} has no date` : actionFault({ kind, value }, text);
      if (reason === undefined) return [{ date, kind, value }];
      leftOut.push({ date, kind, reason });
      return [];
    });
  return { splits: kept('split', events?.splits ?? {}), dividends: kept('dividend', events?.dividends ?? {}), leftOut };
}

const numberOf = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN);

/** A moment before 1900 or after 2100 is none: 0 and milliseconds for seconds are among them. */
function dateOrNone(seconds: number, dateOf: (seconds: number) => string): string {
  if (!(seconds > -2_208_988_800 && seconds < 4_102_444_800) || seconds === 0) return '';
  return dateOf(seconds);
}

/** Yahoo stamps a daily bar with its session's opening: the date is that moment's day in the time zone of the exchange. */
function exchangeDate(symbol: string, timeZone: string): (seconds: number) => string {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(timeZone);
  } catch (error) {
    throw malformed(symbol, 'a chart', `unknown time zone "${timeZone}"`, error);
  }
  return (seconds) =>
    Temporal.Instant.fromEpochMilliseconds(seconds * 1000)
      .toZonedDateTimeISO(timeZone)
      .toPlainDate()
      .toString();
}

/**
 * The rows as Yahoo scaled them, ascending, one a date: rows without a price are no bars, and of a repeated date (the live bar) the later row is kept, unless it cannot
 * be true. Rows without a date are named in `leftOut`.
 */
function adjustedBars(
  symbol: string,
  { timestamp = [], indicators }: Chart,
  dateOf: (seconds: number) => string,
  leftOut: LeftOut[],
): Bar[] {
  const quote = indicators.quote[0];
  const adjustedCloses = indicators.adjclose?.[0]?.adjclose ?? quote?.close;
  if (
    timestamp.length > 0 &&
    [quote?.open, quote?.high, quote?.low, quote?.close, quote?.volume, adjustedCloses].some((s) => s?.length !== timestamp.length)
  ) {
    throw malformed(symbol, 'a chart', `its columns do not have ${timestamp.length} rows each`);
  }
  const byDate = new Map<string, Bar>();
  for (const [row, seconds] of timestamp.entries()) {
    const [open, high, low, close, adjustedClose] = [quote?.open, quote?.high, quote?.low, quote?.close, adjustedCloses].map(
      (s) => s?.[row],
    );
    if (open == null || high == null || low == null || close == null || adjustedClose == null) continue;
    const date = dateOrNone(seconds ?? 0, dateOf);
    const bar = { date, open, high, low, close, adjustedClose: fromFloat32(adjustedClose), volume: quote?.volume[row] ?? 0 };
    const reason = date === '' ? `row ${row + 1} has no date` : byDate.has(date) ? barFault(bar) : undefined;
    if (reason === undefined) byDate.set(date, bar);
    else leftOut.push({ date, kind: 'bar', reason });
  }
  return [...byDate.values()].sort((a, b) => (a.date < b.date ? -1 : 1));
}

/** The bar as it was traded: a share of that day has since become `factor` shares, so prices × factor and volume ÷ factor. */
function unadjusted(bar: Bar, factor: number): Bar {
  return {
    ...bar,
    open: traded(bar.open, factor),
    high: traded(bar.high, factor),
    low: traded(bar.low, factor),
    close: traded(bar.close, factor),
    volume: Math.round(bar.volume / factor),
  };
}

/**
 * Yahoo divides the traded price by the split factor and writes the 32-bit float of that as a double: 650.57 ÷ 15 is 43.371334075927734. The traded price is the
 * shortest decimal whose division gives the same float. (Multiplying the shortest decimal of the float itself, 43.371334, is up to 1e-4 dollars off.)
 */
function traded(price: number, factor: number): number {
  const scaled = price * factor;
  return shortest(scaled, (decimal) => Math.fround(decimal / factor) === price) ?? tidy(scaled);
}

/** The shortest decimal that is the same 32-bit float: 75.0875 for 75.0875015258789. */
function fromFloat32(value: number): number {
  return shortest(value, (decimal) => Math.fround(decimal) === value) ?? value;
}

/** Nine digits tell any two 32-bit floats apart. */
function shortest(value: number, isSame: (decimal: number) => boolean): number | undefined {
  for (let digits = 1; digits <= 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (isSame(decimal)) return decimal;
  }
  return undefined;
}

/** Without the noise of a multiplication in doubles (300.34999999999997). */
function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

/**
 * Between sessions the data is complete, so it is true now. While the session runs, and for the delay of the feed after it, it is true as of the last trade.
 * (Using the last trade always would be wrong: a share that is traded twice a week would never become fresh.)
 */
function asOf({ regularMarketTime, currentTradingPeriod }: Chart['meta'], now: Temporal.Instant): Temporal.Instant {
  const seconds = now.epochMilliseconds / 1000;
  const session = currentTradingPeriod?.regular;
  const between = session !== undefined && (seconds < session.start || seconds >= session.end + FEED_DELAY_S);
  if (between || regularMarketTime == null || regularMarketTime >= seconds) return now;
  return Temporal.Instant.fromEpochMilliseconds(regularMarketTime * 1000);
}
