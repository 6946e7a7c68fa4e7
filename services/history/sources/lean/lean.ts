/** History from a QuantConnect Lean data folder. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { spellingsOf } from '../../../market/symbol.ts';
import { leanLacks } from '../has.ts';
import type { HistorySource } from '../source.ts';
import { FOLDERS, FolderReader } from './folder.ts';
import { fetchMinutes } from './minutes.ts';
import { fetchOptionDays } from './option-days.ts';
import { fetchStockDays } from './stock-days.ts';

/**
 * End of day from `option/usa/daily` (zips of a year: quotes, trades, open interest) and `equity/usa/daily`, quotes and bars from `option/usa/minute` and `equity/usa/minute`
 * where the folder has them. All prices are raw: as they were traded, without the factor files. Bid, ask and their sizes are the last of the day or minute. Each object
 * reads its zips once, and holds one contract of them in memory.
 *
 * A file that is missing is no data of its days. A root of which there is no file at all, and a folder that is gone, are errors.
 */
export function leanHistory({ path, spell = spellingsOf('lean') }: { path: string; spell?: (symbol: string) => string }): HistorySource {
  return {
    name: 'lean',
    refuses({ asset, schema }) {
      const lack = leanLacks({ asset, schema });
      if (lack !== undefined) return lack;
      const folder = FOLDERS[asset][schema === 'eod' ? 'day' : 'minute'];
      return existsSync(join(path, folder)) ? undefined : `there is no folder ${join(path, folder)}`;
    },
    calls: ({ asset, schema }) => (asset === 'option' && schema === 'eod' ? 3 : 1),
    async fetch(object, days, folder, signal) {
      signal.throwIfAborted();
      const reader = new FolderReader(path);
      const around = { reader, folder, ticker: spell(object.root).toLowerCase(), signal };
      const fetched =
        object.schema !== 'eod'
          ? await fetchMinutes(object, days[0]!, around)
          : object.asset === 'option'
            ? await fetchOptionDays(object, days, around)
            : await fetchStockDays(object, days, around);
      return { ...fetched, requests: reader.requests, version: 'lean folder, raw prices', modified: reader.modified };
    },
  };
}
