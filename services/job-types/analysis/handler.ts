import type { z } from 'zod';
import { unrestatedReason } from '../../market/bars/splits.ts';
import { type StoredAnalysis, storeAnalyses } from '../../market/bars/store.ts';
import { isSimulated } from '../../market/freshness/symbol-judgement.ts';
import { analyse } from '../../market/indicators/analysis.ts';
import { adjustPrices, computeIndicators } from '../../market/indicators/indicators.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { PermanentError } from '../../platform/errors.ts';
import { handler, type JobContext, type JobOutput } from '../handler.ts';
import { type AnalysisPayload, analysisType } from './definition.ts';

/** Calendar days for each trading day: 365 / 252, and a fortnight for holidays. */
const CALENDAR_SHARE = 365 / 252;
const HOLIDAY_DAYS = 14;

/** Computes the indicators and the signal of a symbol from its stored bars. It reads `warm_up_bars` bars, so that averages no longer depend on their first value. */
export const analysisHandler = handler(analysisType, analyseSymbol, storeAnalyses);

async function analyseSymbol(
  { symbol }: z.output<typeof AnalysisPayload>,
  { reader, clock, config }: JobContext<StoredAnalysis>,
): Promise<JobOutput<StoredAnalysis>> {
  const days = Math.ceil(config.stock_jobs.analysis.warm_up_bars * CALENDAR_SHARE) + HOLIDAY_DAYS;
  // The symbol's row is read before the bars: if a fetch commits in between, the analysis is marked as older than it is, and is computed again.
  const state = await reader.state(symbol);
  const newest = state?.newestBar;
  const stored = newest == null ? [] : await reader.pricesSince(symbol, Temporal.PlainDate.from(newest).subtract({ days }).toString());
  // Prices before a split that the source has not restated are in other units: no indicator may span them.
  const split = state?.unrestatedSplit ?? undefined;
  const bars = split === undefined ? stored : stored.filter(({ date }) => date >= split);
  if (bars.length === 0)
    throw new PermanentError(
      'analysis.no_bars',
      state?.checkedAt == null
        ? `${symbol} has no stored bars to analyse; "${COMMAND} fetch ${symbol}" gets them`
        : `${symbol} has no bars to analyse: its source had none that can be true when it was asked at ${state.checkedAt.toISOString()}`,
    );
  const columns = adjustPrices(bars);
  const doubt = split === undefined || bars.length === stored.length ? undefined : unrestatedReason(split);
  const analysis = analyse(symbol, columns, computeIndicators(columns), doubt);
  const made = isSimulated(state) ? { simulated: true } : {};
  const now = new Date(clock.now().epochMilliseconds);
  return {
    rows: [{ ...analysis, computedAt: now, barsUsed: bars.length, asOf: state?.asOf ?? null }],
    result: {
      symbol,
      date: analysis.date,
      signal: analysis.signal,
      confidence: analysis.confidence,
      bars: bars.length,
      warnings: doubt === undefined ? [] : [doubt],
      ...made,
    },
    dataMessages: [
      {
        symbol,
        kind: 'indicators',
        source: state?.source ?? 'cached',
        as_of: (state?.asOf ?? now).toISOString(),
        rows: bars.length,
        through: analysis.date,
        ...made,
      },
    ],
  };
}
