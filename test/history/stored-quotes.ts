/** Days of invented quotes, stored as a download stores them: converted, put into the store, and written into the manifest. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dataset } from '../../services/history/dataset.ts';
import { type ManifestRow, storeObjects } from '../../services/history/manifest.ts';
import { configuredStore } from '../../services/history/objects/configured.ts';
import { createConverter } from '../../services/history/parquet/converter.ts';
import type { Config } from '../../services/platform/config/load.ts';
import type { Database } from '../../services/platform/database/database.ts';
import { silent } from '../broker/peers.ts';
import { objectOf, storedRow } from './manifest-rows.ts';
import { QUOTE_LAYOUT, quotesText } from './parquet/quotes.ts';

export const QUOTES: Dataset = { asset: 'option', schema: 'quote', interval: '15m' };

/** Quotes of 8 contracts of AAPL, four times a day from 09:30 on, a minute apart. `dataFolder`: that of the installation. */
export async function storeQuotes(
  { config, dataFolder, db }: { config: Config; dataFolder: string; db: Database },
  days: readonly string[],
): Promise<ManifestRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-quotes-'));
  const { memory, threads } = config.history.converter;
  const converter = createConverter({ memory, threads, tempFolder: folder, log: silent });
  const store = configuredStore({ config, dataFolder, log: silent });
  const never = new AbortController().signal;
  try {
    const rows: ManifestRow[] = [];
    for (const day of days) {
      const csv = join(folder, `${day}.csv`);
      const out = join(folder, `${day}.parquet`);
      writeFileSync(csv, quotesText({ day, contracts: 8, rows: 4 }));
      const object = objectOf({ ...QUOTES, root: 'AAPL', filter: undefined }, day);
      const made = await converter.convert(
        { ...QUOTES, root: 'AAPL', files: [{ path: csv, layout: QUOTE_LAYOUT }], days: [day], out },
        never,
      );
      const { etag } = await store.put(object.key, out, { sha256: made.sha256, bytes: made.bytes }, never);
      rows.push(storedRow(object, [day], { ...made, etag, provenance: { requests: [], source: 'test', writer: made.writer } }));
    }
    await db.transaction((tx) => storeObjects(tx, rows));
    return rows;
  } finally {
    await converter.close();
    rmSync(folder, { recursive: true });
  }
}
