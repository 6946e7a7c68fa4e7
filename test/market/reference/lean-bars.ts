import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bar } from '../../../services/market/bars/bars.ts';
import { zippedLines } from '../../../services/market/sources/lean-files.ts';
import { hasSharedData, sharedData } from '../../support/shared-data.ts';

/** A QuantConnect Lean data folder beside the project; tests that need it are skipped where it is absent. */
export const leanFolder = sharedData('lean');
export const leanIsThere = hasSharedData('lean');
export const leanIsAbsent = 'needs ../shared/data/lean';

/**
 * All bars of one day file from its first line on, as `indicators.R` reads them: prices × 10,000, and the factor row of the first date at or after the
 * bar's. The market source of the same folder leaves out days of a ticker's earlier owner; a reference for formulas needs no such care.
 */
export async function wholeDayFile(symbol: string): Promise<Bar[]> {
  const ticker = symbol.toLowerCase();
  const equity = join(leanFolder, 'equity/usa');
  const rows = (await readFile(join(equity, `factor_files/${ticker}.csv`), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => line.split(','))
    .map(([date, price, split]) => ({ until: date!, factor: Number(price) * Number(split) }));
  const bars: Bar[] = [];
  for await (const line of zippedLines(join(equity, `daily/${ticker}.zip`), new AbortController().signal)) {
    const day = line.slice(0, 8);
    const [open, high, low, close, volume] = line.split(',').slice(1).map(Number) as [number, number, number, number, number];
    const { factor } = rows.find(({ until }) => until >= day)!;
    bars.push({
      date: `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}`,
      open: open / 1e4,
      high: high / 1e4,
      low: low / 1e4,
      close: close / 1e4,
      adjustedClose: (close / 1e4) * factor,
      volume,
    });
  }
  return bars;
}
