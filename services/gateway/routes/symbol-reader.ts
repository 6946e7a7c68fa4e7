/** Reads what the symbol routes answer with: freshness and bars of one symbol. */
import type { Bar } from '../../market/bars/bars.ts';
import { readBars, readNewestBars } from '../../market/bars/read.ts';
import { freshnessRules } from '../../market/freshness/freshness.ts';
import { judgeSymbols, type SymbolJudgement, snakeCase } from '../../market/freshness/symbol-judgement.ts';
import { adjust, type IndicatorSeries, indicatorSeries } from '../../market/indicators/indicators.ts';
import { InputError } from '../../platform/errors.ts';
import { csvText } from '../../platform/text/csv.ts';
import type { Parts } from '../http/app.ts';

/** A symbol that was fetched at least once. */
export type KnownSymbol = SymbolJudgement & { state: NonNullable<SymbolJudgement['state']> };

/** `from` and `to` as `YYYY-MM-DD`, both inclusive; without `from` the newest `limit` bars. */
export interface BarRange {
  from?: string | undefined;
  to?: string | undefined;
  limit: number;
}

/** Calendar days for each trading day, and a fortnight for holidays. */
const CALENDAR_SHARE = 365 / 252;
const HOLIDAY_DAYS = 14;

const calendarDays = (bars: number): number => Math.ceil(bars * CALENDAR_SHARE) + HOLIDAY_DAYS;

export const daysBefore = (date: string, days: number): string => Temporal.PlainDate.from(date).subtract({ days }).toString();

/** Errors: `InputError('symbol.unknown')` for a symbol that was never fetched. */
export async function readKnownSymbol({ db, clock, config }: Pick<Parts, 'db' | 'clock' | 'config'>, symbol: string): Promise<KnownSymbol> {
  const judged = (await judgeSymbols(db, [symbol], clock.now(), freshnessRules(config))).get(symbol);
  if (judged?.state === undefined)
    throw new InputError(
      'symbol.unknown',
      `no data is stored for ${symbol}: it was never fetched; fetch it with POST /v1/jobs {"type": "fetch", "symbol": "${symbol}"}`,
    );
  return { ...judged, state: judged.state };
}

/**
 * The newest `limit` bars of the range, oldest first, after up to `warmUp` older ones; `first` is the index where the asked bars begin. `newest` is the date of
 * the newest stored bar. Errors: `InputError('request.bad_range')`.
 */
export async function readBarRange(
  db: Parts['db'],
  symbol: string,
  { from, to, limit }: BarRange,
  newest: string | null,
  warmUp = 0,
): Promise<{ bars: Bar[]; first: number }> {
  if (from !== undefined && to !== undefined && from > to)
    throw new InputError('request.bad_range', `the range from ${from} to ${to} ends before it begins; exchange the two days`);
  if (newest === null) return { bars: [], first: 0 };
  const last = to ?? newest;
  const start = from ?? daysBefore(last, calendarDays(limit));
  const read =
    from === undefined && to === undefined
      ? ((await readNewestBars(db, [symbol], calendarDays(limit + warmUp))).get(symbol) ?? [])
      : await readBars(db, symbol, { from: warmUp === 0 ? start : daysBefore(start, calendarDays(warmUp)), to: last });
  const inRange = from === undefined ? read.length : read.filter(({ date }) => date >= from).length;
  const wanted = Math.min(limit, inRange);
  const bars = read.slice(Math.max(0, read.length - wanted - warmUp));
  return { bars, first: Math.max(0, bars.length - wanted) };
}

/** The bars with open, high, low and close scaled for all later splits and dividends. */
export function adjustedBars(bars: readonly Bar[]): Bar[] {
  const { open, high, low, close } = adjust(bars);
  return bars.map((bar, index) => ({
    ...bar,
    open: open[index] as number,
    high: high[index] as number,
    low: low[index] as number,
    close: close[index] as number,
  }));
}

/** As JSON and CSV give a bar. */
export const barJson = ({ adjustedClose, ...rest }: Bar) => ({ ...rest, adjusted_close: adjustedClose });
export const BAR_COLUMNS = ['date', 'open', 'high', 'low', 'close', 'adjusted_close', 'volume'] as const;

/** The indicators of the bars from the index `first` on, as columns. `adjusted`: for splits and dividends; else as the bars were traded. */
export function indicatorColumns(
  bars: readonly Bar[],
  first: number,
  adjusted: boolean,
): { dates: string[]; indicators: Record<string, (number | null)[]> } {
  const used = adjusted ? bars : bars.map((bar) => ({ ...bar, adjustedClose: bar.close }));
  const series: Partial<IndicatorSeries> = bars.length === 0 ? {} : indicatorSeries(adjust(used));
  return {
    dates: bars.slice(first).map(({ date }) => date),
    indicators: Object.fromEntries(Object.entries(series).map(([name, column]) => [snakeCase(name), column.slice(first)])),
  };
}

export function columnsCsv(dates: readonly string[], indicators: Record<string, readonly (number | null)[]>): string {
  const names = Object.keys(indicators);
  return csvText(
    ['date', ...names],
    dates.map((date, index) => [date, ...names.map((name) => indicators[name]?.[index])]),
  );
}
