import { storeAnalyses } from '../../market/bars/store.ts';
import { analyse } from '../../market/indicators/analysis.ts';
import { adjustPrices, computeIndicators } from '../../market/indicators/indicators.ts';
import { PermanentError } from '../../platform/errors.ts';
import { effect, handler } from '../../worker/handler.ts';
import { AnalysisPayload } from './definition.ts';

/** Calendar days for each trading day: 365 / 252, and a fortnight for holidays. */
const CALENDAR_SHARE = 365 / 252;
const HOLIDAY_DAYS = 14;

/** Indicators and signal from the stored bars: as many as settle the averages (`warm_up_bars`). */
export const analysisHandler = handler('analysis', AnalysisPayload, async ({ symbol }, { reader, clock, config }) => {
  const days = Math.ceil(config.stock_jobs.analysis.warm_up_bars * CALENDAR_SHARE) + HOLIDAY_DAYS;
  // The row before the bars: should a fetch end in between, the analysis claims to be older than it is, and is made again.
  const state = await reader.state(symbol);
  const bars = await reader.newestPrices(symbol, days);
  if (bars.length === 0)
    throw new PermanentError('analysis.no_bars', `${symbol} has no stored bars to analyse; "stockmesh fetch ${symbol}" gets them`);
  const columns = adjustPrices(bars);
  const analysis = analyse(symbol, columns, computeIndicators(columns));
  const now = clock.now();
  return {
    effects: [
      effect(storeAnalyses, [
        { ...analysis, computedAt: new Date(now.epochMilliseconds), barsUsed: bars.length, asOf: state?.asOf ?? null },
      ]),
    ],
    result: { symbol, date: analysis.date, signal: analysis.signal, confidence: analysis.confidence, bars: bars.length },
    landed: [
      {
        symbol,
        kind: 'indicators',
        source: state?.source ?? 'cached',
        as_of: (state?.asOf ?? new Date(now.epochMilliseconds)).toISOString(),
        rows: bars.length,
        through: analysis.date,
        ...(state?.source === 'simulated' ? { simulated: true } : {}),
      },
    ],
  };
});
