/** Reads the state of symbols and judges their freshness by the same rules as at a login. */
import { fromJson, type Sql } from '../../platform/database/database.ts';
import type { Bar, CorporateAction } from '../bars/bars.ts';
import { readSymbols, type SymbolState } from '../bars/read.ts';
import { momentsAt } from '../calendar/calendar.ts';
import type { IndicatorName } from '../indicators/indicators.ts';
import { type FreshnessRules, type Judgement, judgeAnalysis, judgeState } from './freshness.ts';

export interface StoredSignal {
  date: string;
  computedAt: Date;
  signal: 'buy' | 'sell' | 'hold';
  confidence: number;
  barsUsed: number;
  indicators: Record<string, number | null>;
  reasons: { indicator: string; observation: string; points: number; weight: number }[];
}

export interface SymbolJudgement {
  /** Absent for a symbol of which nothing was ever requested. */
  state: SymbolState | undefined;
  price: Judgement;
  analysis: Judgement;
  signal: StoredSignal | undefined;
}

/** As they are computed. MySQL sorts the keys of a stored object, and people read them. */
const INDICATORS: readonly string[] = Object.keys({
  ...{ sma20: 0, sma50: 0, sma200: 0, ema12: 0, ema20: 0, ema26: 0, rsi14: 0, macd: 0, macdSignal: 0, macdHistogram: 0, atr14: 0 },
  ...{ bollingerUpper: 0, bollingerMiddle: 0, bollingerLower: 0, volatility20: 0 },
} satisfies Record<IndicatorName, 0>);

function inOrder(stored: StoredSignal['indicators']): StoredSignal['indicators'] {
  return Object.fromEntries(Object.entries(stored).sort(([a], [b]) => INDICATORS.indexOf(a) - INDICATORS.indexOf(b)));
}

/** In the order of the symbols. */
export async function judgeSymbols(
  sql: Sql,
  symbols: readonly string[],
  now: Temporal.Instant,
  { thresholds, analysisTtlHours, sources }: FreshnessRules,
): Promise<Map<string, SymbolJudgement>> {
  const [states, signals] = await Promise.all([readSymbols(sql, symbols, sources), readSignals(sql, symbols)]);
  const momentOf = momentsAt(now);
  return new Map(
    symbols.map((symbol) => {
      const state = states.get(symbol);
      const moment = momentOf(symbol);
      const newestBarDate = state?.newestBar ?? undefined;
      const price = judgeState(symbol, state, moment, thresholds);
      const analysis = judgeAnalysis(
        { computedAtMs: state?.analysedAt?.getTime(), barDate: state?.analysedBar ?? undefined, newestBarDate, price },
        moment,
        analysisTtlHours,
      );
      return [symbol, { state, price, analysis, signal: signals.get(symbol) }];
    }),
  );
}

/** The symbols whose bars are to be fetched before they are used: stale ones, and missing ones that were not asked for lately. */
export async function readStale(
  sql: Sql,
  symbols: readonly string[],
  now: Temporal.Instant,
  { thresholds, sources }: Pick<FreshnessRules, 'thresholds' | 'sources'>,
): Promise<Set<string>> {
  const states = await readSymbols(sql, symbols, sources);
  const momentOf = momentsAt(now);
  return new Set(symbols.filter((symbol) => judgeState(symbol, states.get(symbol), momentOf(symbol), thresholds).due));
}

/** Whether the newest price of a symbol is made up. */
export const isSimulated = (state: Pick<SymbolState, 'source'> | undefined): boolean => state?.source === 'simulated';

/** The newest analysis of each symbol, by the primary key. */
async function readSignals(sql: Sql, symbols: readonly string[]): Promise<Map<string, StoredSignal>> {
  if (symbols.length === 0) return new Map();
  const rows = await sql.rows<{
    symbol: string;
    date: string;
    computed_at: Date;
    signal: StoredSignal['signal'];
    confidence: number;
    bars_used: number;
    indicators: unknown;
    reasons: unknown;
  }>(
    `SELECT a.symbol, a.date, a.computed_at, a.\`signal\`, a.confidence, a.bars_used, a.indicators, a.reasons
       FROM symbols s JOIN analyses a ON a.symbol = s.symbol AND a.date = s.analysed_bar WHERE s.symbol IN (?)`,
    [symbols],
  );
  return new Map(
    rows.map(({ symbol, computed_at, bars_used, indicators, reasons, ...row }) => [
      symbol,
      {
        ...row,
        computedAt: computed_at,
        barsUsed: bars_used,
        indicators: inOrder(fromJson(indicators) as StoredSignal['indicators']),
        reasons: fromJson(reasons) as StoredSignal['reasons'],
      },
    ]),
  );
}

/** A judgement as `--json` and the HTTP API give it. */
export function judgementJson({ state, sessionsBehind, ageMinutes, thresholdMinutes, session, dueAtMs, failure, reason }: Judgement) {
  return {
    state,
    sessions_behind: sessionsBehind ?? null,
    age_minutes: ageMinutes === null ? null : Number(ageMinutes.toFixed(2)),
    threshold_minutes: thresholdMinutes,
    session,
    due_at: dueAtMs === undefined ? null : new Date(dueAtMs),
    failure:
      failure === undefined
        ? null
        : {
            since: failure.since,
            last_asked: failure.askedAt,
            asked_again: failure.againAt,
            times: failure.times,
            code: failure.code,
            reason: failure.reason,
          },
    reason,
  };
}

/** The stored data of a symbol, as `--json` and the HTTP API give it. `bar` is its newest one. */
export function symbolJson(
  name: string,
  { state, price, analysis, signal }: SymbolJudgement,
  bar: Bar | undefined,
  actions: readonly CorporateAction[],
) {
  return {
    symbol: name,
    currency: state?.currency ?? null,
    time_zone: state?.timeZone ?? null,
    source: state?.source ?? null,
    simulated: isSimulated(state),
    as_of: state?.asOf ?? null,
    checked_at: state?.checkedAt ?? null,
    unrestated_split: state?.unrestatedSplit ?? null,
    bar:
      bar === undefined
        ? null
        : {
            date: bar.date,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            adjusted_close: bar.adjustedClose,
            volume: bar.volume,
          },
    price: judgementJson(price),
    analysis: {
      ...judgementJson(analysis),
      ...(signal === undefined
        ? { date: null, computed_at: null, signal: null, confidence: null, bars_used: null, reasons: [], indicators: null }
        : {
            date: signal.date,
            computed_at: signal.computedAt,
            signal: signal.signal,
            confidence: signal.confidence,
            bars_used: signal.barsUsed,
            reasons: signal.reasons.map((reason) => ({ ...reason })),
            indicators: Object.fromEntries(Object.entries(signal.indicators).map(([indicator, value]) => [snakeCase(indicator), value])),
          }),
    },
    actions: actions.map(({ date, kind, value }) => ({ date, kind, value })),
  };
}

/** `macdSignal` → `macd_signal`; `sma20` stays. */
export const snakeCase = (text: string): string => text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
