import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { messageOf, StockmeshError } from '../../platform/errors.ts';
import type { Bar, BarsAnswer, CorporateAction, DateRange } from '../bars/bars.ts';
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
const Chart = z.object({
  meta: z.object({
    currency: z.string().nullish(),
    exchangeTimezoneName: z.string(),
    regularMarketTime: EpochSeconds.nullish(),
    currentTradingPeriod: z.object({ regular: z.object({ start: EpochSeconds, end: EpochSeconds }) }).optional(),
  }),
  timestamp: z.array(z.number()).optional(),
  indicators: z.object({
    quote: z.array(z.object({ open: Series, high: Series, low: Series, close: Series, volume: Series })),
    adjclose: z.array(z.object({ adjclose: Series.optional() })).optional(),
  }),
  events: z
    .object({
      dividends: z.record(z.string(), z.object({ date: EpochSeconds, amount: z.number() })).optional(),
      splits: z
        .record(z.string(), z.object({ date: EpochSeconds, numerator: z.number().positive(), denominator: z.number().positive() }))
        .optional(),
    })
    .optional(),
});
type Chart = z.infer<typeof Chart>;

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
  const splits = Object.values(chart.events?.splits ?? {}).map(({ date, numerator, denominator }) => ({
    date: dateOf(date),
    ratio: numerator / denominator,
  }));
  /** New shares, after all splits since, for one share of that day. */
  const factorOf = (date: string) => splits.reduce((factor, split) => (split.date > date ? factor * split.ratio : factor), 1);
  const within = ({ date }: { date: string }) => date >= range.from && (range.to === undefined || date <= range.to);

  const actions: CorporateAction[] = [
    ...splits.map(({ date, ratio }): CorporateAction => ({ date, kind: 'split', value: ratio })),
    ...Object.values(chart.events?.dividends ?? {}).map((dividend): CorporateAction => {
      const date = dateOf(dividend.date);
      return { date, kind: 'dividend', value: tidy(dividend.amount * factorOf(date)) };
    }),
  ];
  return {
    symbol,
    source,
    asOf: asOf(chart.meta, now),
    bars: adjustedBars(symbol, chart, dateOf)
      .filter(within)
      .map((bar) => unadjusted(bar, factorOf(bar.date))),
    actions: actions.filter(within).sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0)),
    currency: chart.meta.currency ?? undefined,
    timeZone,
  };
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

/** The rows as Yahoo scaled them, ascending, one a date: rows without a price are left out, and of a repeated date (the live bar) the later row is kept. */
function adjustedBars(symbol: string, { timestamp = [], indicators }: Chart, dateOf: (seconds: number) => string): Bar[] {
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
    const date = dateOf(seconds);
    byDate.set(date, { date, open, high, low, close, adjustedClose: fromFloat32(adjustedClose), volume: quote?.volume[row] ?? 0 });
  }
  return [...byDate.values()].sort((a, b) => (a.date < b.date ? -1 : 1));
}

/** The bar as it was traded: a share of that day has since become `factor` shares, so prices × factor and volume ÷ factor. */
function unadjusted(bar: Bar, factor: number): Bar {
  const raw = (price: number) => tidy(fromFloat32(price) * factor);
  return {
    ...bar,
    open: raw(bar.open),
    high: raw(bar.high),
    low: raw(bar.low),
    close: raw(bar.close),
    volume: Math.round(bar.volume / factor),
  };
}

/** Yahoo's prices are 32-bit floats written out as doubles (75.0875015258789); this is the shortest decimal that is the same float (75.0875). */
function fromFloat32(value: number): number {
  if (Math.fround(value) !== value) return value;
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
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
