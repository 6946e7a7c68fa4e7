/** Downloads as they run: requests in the ledger, a worker with the handler, and what became of the items. */
import { afterEach } from 'vitest';
import type { Download } from '../../../services/history/dataset.ts';
import { type ManifestRow, readObjects } from '../../../services/history/manifest.ts';
import { planOf } from '../../../services/history/plan.ts';
import { historyHandler } from '../../../services/job-types/history/handler.ts';
import { type HistoryOptions, historyRequests } from '../../../services/job-types/history/request.ts';
import { type Item, listItems } from '../../../services/ledger/run/items.ts';
import type { Clock } from '../../../services/platform/clock.ts';
import type { Worker } from '../../../services/worker/worker.ts';
import { type Overrides, type Workshop, workshopOfFile } from '../../worker/workshop.ts';
import type { HistoryDoubles } from './doubles.ts';

export const DAY: Download = { asset: 'option', schema: 'quote', interval: '15m', root: 'AAPL', from: '2024-01-02', to: '2024-01-05' };

export interface Downloads extends Workshop {
  /** Enqueues the jobs of a download; their ids, that which stands for it first. */
  request(download?: Partial<Download>, options?: Partial<HistoryOptions>): Promise<string[]>;
  downloader(doubles: HistoryDoubles, options?: Parameters<Workshop['worker']>[1]): Worker;
  /** The items of a job: the name of the period and the state, by key. */
  items(id: string): Promise<[name: string, state: string][]>;
  itemsOf(id: string): Promise<Item[]>;
  manifest(download?: Partial<Download>): Promise<ManifestRow[]>;
}

export async function downloadsOfFile(overrides: Overrides = {}, clock?: Clock): Promise<Downloads> {
  const shop = await workshopOfFile(overrides, clock);
  afterEach(async () => {
    for (const table of ['history_objects', 'history_absences', 'history_fetches']) await shop.db.run(`DELETE FROM ${table}`);
  });
  const itemsOf = (id: string) => listItems(shop.db, id, { limit: 1_000 });
  return {
    ...shop,
    request: (download, options) =>
      shop.enqueue(
        ...historyRequests(
          { ...DAY, ...download },
          { origin: { cause: 'user_request', rules: shop.config.jobs.priority_rules }, config: shop.config, ...options },
        ),
      ),
    downloader: ({ history }, options) => shop.worker([historyHandler({ sql: shop.db, history })], options),
    itemsOf,
    items: async (id) => (await itemsOf(id)).map(({ key, state }) => [/=([\d-]+)\/data\.parquet$/.exec(key)?.[1] as string, state]),
    async manifest(download) {
      const keys = planOf({ ...DAY, ...download }).map(({ object }) => object.key);
      const rows = await readObjects(shop.db, keys);
      return keys.flatMap((key) => rows.get(key) ?? []);
    },
  };
}
