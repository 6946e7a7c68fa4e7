/** A year of a stock at the end of the day. */
import { join } from 'node:path';
import { type RawDay, rawDays } from '../../../market/sources/lean.ts';
import type { ObjectSpec } from '../../dataset.ts';
import type { Fetched } from '../source.ts';
import { spool, stockDays } from '../spool.ts';
import { FOLDERS, type FolderReader } from './folder.ts';

/** Raw days, under the tickers that the security had, as the map file says. */
export async function fetchStockDays(
  object: ObjectSpec,
  days: readonly string[],
  { reader, folder, ticker, signal }: { reader: FolderReader; folder: string; ticker: string; signal: AbortSignal },
): Promise<Pick<Fetched, 'files'>> {
  const wanted = new Set(days);
  await reader.note(`${FOLDERS.stock.day}/${ticker}.zip`);
  const all = await rawDays(reader.absolute('equity/usa'), ticker, signal);
  if (all.length === 0) await reader.confirmKnown(FOLDERS.stock.day, ticker, object.root);
  const path = join(folder, 'days.csv');
  const rows = all.filter(({ date }) => wanted.has(date));
  const written = await spool(path, rows.map(csv), signal);
  return { files: written === 0 ? [] : [{ path, layout: stockDays('lean', object.root) }] };
}

const csv = ({ date, open, high, low, close, volume }: RawDay) => `${date},${open},${high},${low},${close},${volume}\n`;
