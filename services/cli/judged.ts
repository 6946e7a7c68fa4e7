/** What is known of symbols, with how fresh it is now: read once, judged by the same rules as at a login. */
import { fromJson } from '../jobs/read.ts';
import { momentsAt } from '../market/calendar.ts';
import { type Judgement, judgeAnalysis, judgePrice } from '../market/freshness.ts';
import { readSymbols, type SymbolState } from '../market/store.ts';
import { systemClock } from '../platform/clock.ts';
import type { Sql } from '../platform/database.ts';
import { decisionRules } from '../portfolio-priority/decide.ts';
import type { Session } from './session.ts';

export interface StoredSignal {
  date: string;
  computedAt: Date;
  signal: 'buy' | 'sell' | 'hold';
  confidence: number;
  barsUsed: number;
  indicators: Record<string, number | null>;
  reasons: { indicator: string; observation: string; points: number; weight: number }[];
}

export interface Judged {
  /** Absent for a symbol that was never asked for. */
  state: SymbolState | undefined;
  price: Judgement;
  analysis: Judgement;
  signal: StoredSignal | undefined;
}

/** In the order of the symbols. */
export async function judgeSymbols(
  { db, loaded }: Pick<Session, 'db' | 'loaded'>,
  symbols: readonly string[],
): Promise<Map<string, Judged>> {
  const [states, signals] = await Promise.all([readSymbols(db, symbols), readSignals(db, symbols)]);
  const momentOf = momentsAt(systemClock.now());
  const { thresholds, analysisTtlHours } = decisionRules(loaded.config);
  return new Map(
    symbols.map((symbol) => {
      const state = states.get(symbol);
      const moment = momentOf(symbol);
      const newestBarDate = state?.newestBar ?? undefined;
      const price = judgePrice(
        { newestBarDate, asOfMs: state?.asOf?.getTime(), checkedAtMs: state?.checkedAt?.getTime() },
        moment,
        thresholds,
      );
      const analysis = judgeAnalysis(
        { computedAtMs: state?.analysedAt?.getTime(), barDate: state?.analysedBar ?? undefined, newestBarDate },
        moment,
        analysisTtlHours,
      );
      return [symbol, { state, price, analysis, signal: signals.get(symbol) }];
    }),
  );
}

/** The newest analysis of each symbol, by the primary key. */
async function readSignals(sql: Sql, symbols: readonly string[]): Promise<Map<string, StoredSignal>> {
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
        indicators: fromJson(indicators) as StoredSignal['indicators'],
        reasons: fromJson(reasons) as StoredSignal['reasons'],
      },
    ]),
  );
}

/** A judgement as `--json` prints it. */
export function judgementJson({ state, ageMinutes, thresholdMinutes, session, dueAtMs, reason }: Judgement) {
  return {
    state,
    age_minutes: ageMinutes === null ? null : Number(ageMinutes.toFixed(2)),
    threshold_minutes: thresholdMinutes,
    session,
    due_at: dueAtMs === undefined ? null : new Date(dueAtMs),
    reason,
  };
}
