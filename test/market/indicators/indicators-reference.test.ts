import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  adjust,
  type Columns,
  computeIndicators,
  type IndicatorName,
  indicatorSeries,
  WARM_UP_BARS,
} from '../../../services/market/indicators/indicators.ts';
import { leanIsAbsent, leanIsThere, wholeDayFile } from '../reference/lean-bars.ts';

type Expected = Record<string, Record<IndicatorName, number>>;
/** Values of R's TTR package on the same bars; made by `reference/indicators.R`. */
const reference: Record<string, { early: Expected; late: Expected }> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'reference/indicators.json'), 'utf8'),
);

function upTo(columns: Columns, length: number, from = 0): Columns {
  const { date, open, high, low, close, volume } = columns;
  const cut = (column: Float64Array) => column.subarray(from, length);
  return { date: date.slice(from, length), open: cut(open), high: cut(high), low: cut(low), close: cut(close), volume: cut(volume) };
}

describe.skipIf(!leanIsThere).each(Object.keys(reference))(`%s${leanIsThere ? '' : ` (${leanIsAbsent})`}`, (symbol) => {
  let columns: Columns;
  beforeAll(async () => {
    columns = adjust(await wholeDayFile(symbol));
  });

  test.each(['early', 'late'] as const)('all indicators agree with TTR to 1e-9, %s in the history', (part) => {
    for (const [date, expected] of Object.entries(reference[symbol]![part])) {
      const actual = computeIndicators(upTo(columns, columns.date.indexOf(date) + 1));
      for (const name of Object.keys(expected) as IndicatorName[]) {
        const error = Math.abs(actual[name]! / expected[name] - 1);
        expect(error, `${name} on ${date}: ${actual[name]} and ${expected[name]}`).toBeLessThan(1e-9);
      }
    }
  });

  test('the series holds the same values on every reference date', () => {
    const series = indicatorSeries(columns);
    for (const date of Object.keys(reference[symbol]!.late)) {
      const last = columns.date.indexOf(date);
      const single = computeIndicators(upTo(columns, last + 1));
      for (const name of Object.keys(single) as IndicatorName[]) expect(series[name][last], name).toBeCloseTo(single[name]!, 9);
    }
  });

  test('the warm-up is long enough: the history before it moves no indicator by more than a ten-millionth', () => {
    for (const date of Object.keys(reference[symbol]!.late)) {
      const length = columns.date.indexOf(date) + 1;
      const whole = computeIndicators(upTo(columns, length));
      const short = computeIndicators(upTo(columns, length, length - WARM_UP_BARS - 1));
      for (const name of Object.keys(whole) as IndicatorName[]) {
        // MACD is a difference of prices and may be near 0: what it forgets is measured against the price.
        const scale = name.startsWith('macd') ? whole.ema26! : whole[name]!;
        expect(Math.abs((short[name]! - whole[name]!) / scale), `${name} on ${date}`).toBeLessThan(1e-7);
      }
    }
  });
});
