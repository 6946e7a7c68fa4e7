import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { messageOf, PermanentError, type StockmeshError, TransientError } from '../../platform/errors.ts';
import type { Bar, BarsAnswer, CorporateAction, DateRange } from '../bars/bars.ts';
import { withoutSenseless } from '../bars/sense.ts';
import { parseSymbol, spellingsOf } from '../symbol.ts';
import { type Fetch, fetchText } from './http.ts';
import type { MarketSource } from './source.ts';

const source = 'alpha_vantage';
/** A compact answer holds the newest 100 sessions, which are never fewer than 139 calendar days; a margin for today. */
const COMPACT_DAYS = 135;

// Numbers arrive as text.
const Decimal = z
  .string()
  .regex(/^-?\d+(\.\d+)?$/)
  .transform(Number);
const Day = z.object({
  '1. open': Decimal,
  '2. high': Decimal,
  '3. low': Decimal,
  '4. close': Decimal,
  '5. adjusted close': Decimal,
  '6. volume': Decimal,
  '7. dividend amount': Decimal,
  '8. split coefficient': Decimal,
});
const Series = z.object({
  'Meta Data': z.object({
    '3. Last Refreshed': z.string().regex(/^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?$/),
    '5. Time Zone': z.string(),
  }),
  'Time Series (Daily)': z.record(z.iso.date(), Day),
});
const Refusal = z.object({
  'Error Message': z.string().optional(),
  Note: z.string().optional(),
  Information: z.string().optional(),
});

/**
 * Daily bars of Alpha Vantage (`TIME_SERIES_DAILY_ADJUSTED`: raw prices with adjusted close, dividend and split). No message contains the key: it is removed
 * also from the service's own texts, which quote it. Errors: `source.no_key`, `source.denied`, `source.unknown_symbol` (permanent); `source.rate_limited`, `source.timeout`,
 * `source.network`, `source.unavailable`, `source.malformed` (transient). The service answers its own errors with HTTP 200.
 */
export function alphaVantageSource({
  apiKey,
  fetch = globalThis.fetch,
  baseUrl = 'https://www.alphavantage.co',
  clock,
  timeoutMs = 15_000,
  spell = spellingsOf(source),
}: {
  apiKey: string | undefined;
  fetch?: Fetch;
  baseUrl?: string;
  clock: Clock;
  timeoutMs?: number;
  spell?: (symbol: string) => string;
}): MarketSource {
  return {
    name: source,
    async bars(text, range, signal): Promise<BarsAnswer> {
      signal.throwIfAborted();
      const symbol = parseSymbol(text);
      if (apiKey === undefined || apiKey === '') {
        throw new PermanentError(
          'source.no_key',
          `${source}: no API key; set ALPHA_VANTAGE_API_KEY, or remove ${source} from stock_jobs.data_fetch.sources`,
        );
      }
      const now = clock.now();
      const blanked = (message: string) => message.replaceAll(apiKey, '***').replaceAll(encodeURIComponent(apiKey), '***');
      const url = new URL('/query', baseUrl);
      url.search = new URLSearchParams({
        function: 'TIME_SERIES_DAILY_ADJUSTED',
        symbol: spell(symbol),
        outputsize: outputSize(range, now),
        apikey: apiKey,
      }).toString();

      const { status, text: body } = await fetchText({ source, fetch, clock, timeoutMs, redact: blanked }, url, undefined, signal);
      if (status !== 200) throw new TransientError('source.unavailable', `${source}: HTTP ${status}`);
      const answer = parseJson(body, (reason) => malformed(symbol, blanked(reason)));
      const refusal = Refusal.safeParse(answer);
      if (refusal.success) {
        const error = errorOf(refusal.data, symbol, blanked);
        if (error !== undefined) throw error;
      }
      const series = Series.safeParse(answer);
      if (!series.success) throw malformed(symbol, blanked(z.prettifyError(series.error)));
      return answerOf(symbol, series.data, range, now);
    },
  };
}

function outputSize({ from }: DateRange, now: Temporal.Instant): 'compact' | 'full' {
  const oldest = now.toZonedDateTimeISO('UTC').toPlainDate().subtract({ days: COMPACT_DAYS });
  return from >= oldest.toString() ? 'compact' : 'full';
}

// The parser's own message quotes a few characters of the text, which may be a part of the key.
function parseJson(body: string, failure: (reason: string) => StockmeshError): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw failure(`it is not JSON: ${body}`);
  }
}

function malformed(symbol: string, reason: string): TransientError {
  return new TransientError('source.malformed', `${source}: the answer for ${symbol} is not a daily series: ${reason.slice(0, 300)}`);
}

/** The error that a text of the service means. The order matters: the text about a used-up limit also advertises premium plans and quotes the key. */
function errorOf(refusal: z.infer<typeof Refusal>, symbol: string, blanked: (message: string) => string): StockmeshError | undefined {
  const said = refusal.Note ?? refusal.Information ?? refusal['Error Message'];
  if (said === undefined) return undefined;
  const message = blanked(said).slice(0, 300);
  if (/rate limit|call frequency|requests? per (second|minute|day)|calls? per (minute|day)|sparingly/i.test(said)) {
    return new TransientError('source.rate_limited', `${source}: ${message}`);
  }
  if (/api ?key|premium/i.test(said)) return new PermanentError('source.denied', `${source}: ${message}`);
  if (refusal['Error Message'] !== undefined) {
    return new PermanentError('source.unknown_symbol', `${source}: unknown symbol ${symbol} (${message})`);
  }
  return new TransientError('source.refused', `${source}: ${symbol}: ${message}`);
}

function answerOf(symbol: string, series: z.infer<typeof Series>, range: DateRange, now: Temporal.Instant): BarsAnswer {
  const timeZone = series['Meta Data']['5. Time Zone'];
  const all = Object.entries(series['Time Series (Daily)']).sort(([a], [b]) => (a < b ? -1 : 1));
  const bars: Bar[] = [];
  const actions: CorporateAction[] = [];
  for (const [index, [date, day]] of all.entries()) {
    if (date < range.from || (range.to !== undefined && date > range.to)) continue;
    bars.push({
      date,
      open: day['1. open'],
      high: day['2. high'],
      low: day['3. low'],
      close: day['4. close'],
      adjustedClose: day['5. adjusted close'],
      volume: day['6. volume'],
    });
    if (day['8. split coefficient'] !== 1) actions.push({ date, kind: 'split', value: day['8. split coefficient'] });
    if (day['7. dividend amount'] !== 0) actions.push({ date, kind: 'dividend', value: perNewShare(day, all[index - 1]?.[1]) });
  }
  return withoutSenseless({
    symbol,
    source,
    asOf: asOf(symbol, series['Meta Data']['3. Last Refreshed'], timeZone, now),
    bars,
    actions,
    timeZone,
  });
}

/**
 * The dividend per share of its ex-date. The service does not say whether a dividend on the ex-date of a split is per old or per new share, but its own adjusted closes
 * do: across the day they are scaled by 1 − dividend per old share ÷ the close before, beside the split.
 */
function perNewShare(day: z.infer<typeof Day>, before: z.infer<typeof Day> | undefined): number {
  const { '7. dividend amount': dividend, '8. split coefficient': split } = day;
  if (before === undefined || split === 1 || !(split > 0)) return dividend;
  const scale = (one: z.infer<typeof Day>) => one['5. adjusted close'] / one['4. close'];
  const perOldShare = before['4. close'] * (1 - (scale(before) / scale(day)) * split);
  return Math.abs(perOldShare - dividend) < Math.abs(perOldShare - dividend * split)
    ? Number((dividend / split).toPrecision(12))
    : dividend;
}

/** "Last Refreshed" with a time is the moment of the data; a date without a time means that the day is complete. */
function asOf(symbol: string, lastRefreshed: string, timeZone: string, now: Temporal.Instant): Temporal.Instant {
  if (!lastRefreshed.includes(' ')) return now;
  try {
    const refreshed = Temporal.PlainDateTime.from(lastRefreshed.replace(' ', 'T')).toZonedDateTime(timeZone).toInstant();
    return Temporal.Instant.compare(refreshed, now) < 0 ? refreshed : now;
  } catch (error) {
    throw malformed(symbol, `Last Refreshed "${lastRefreshed}" in "${timeZone}": ${messageOf(error)}`);
  }
}
