/** Bars and an analysis of a symbol, stored as a worker stores them. */

import type { Bar } from '../../../services/market/bars/bars.ts';
import { storeActions, storeAnalyses, storeBars, storeChecks } from '../../../services/market/bars/store.ts';
import { analyse } from '../../../services/market/indicators/analysis.ts';
import { adjustPrices, computeIndicators } from '../../../services/market/indicators/indicators.ts';
import type { Database } from '../../../services/platform/database/database.ts';

/** `count` bars up to a day, one a weekday; before the last ten a share was two. */
export function barsThrough(last: string, count: number): Bar[] {
  const bars: Bar[] = [];
  for (let date = Temporal.PlainDate.from(last); bars.length < count; date = date.subtract({ days: 1 })) {
    if (date.dayOfWeek > 5) continue;
    const split = bars.length >= 10;
    const close = 100 + 10 * Math.sin(bars.length / 9);
    const scale = split ? 2 : 1;
    bars.push({
      date: date.toString(),
      open: close * scale,
      high: (close + 2) * scale,
      low: (close - 2) * scale,
      close: close * scale,
      adjustedClose: close,
      volume: 1000,
    });
  }
  return bars.reverse();
}

export async function storeSymbol(db: Database, symbol: string, bars: readonly Bar[], asOf: Date): Promise<void> {
  const source = 'yahoo_finance';
  const last = bars.at(-1)!;
  const columns = adjustPrices(bars);
  await db.transaction(async (tx) => {
    await storeBars(
      tx,
      bars.map((bar) => ({ ...bar, symbol, source, asOf })),
    );
    await storeActions(tx, [{ symbol, source, asOf, date: bars.at(-10)!.date, kind: 'split', value: 2 }]);
    await storeChecks(tx, [
      { symbol, newestBar: last.date, asOf, checkedAt: asOf, close: last.close, currency: 'USD', timeZone: 'America/New_York', source },
    ]);
    await storeAnalyses(tx, [{ ...analyse(symbol, columns, computeIndicators(columns)), computedAt: asOf, barsUsed: bars.length, asOf }]);
  });
}
