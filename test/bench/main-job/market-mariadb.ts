/** A user's tables in MariaDB, read and written as stockmesh does it. */
import { symbolReader } from '../../../services/market/bars/reader.ts';
import { storeAnalyses, storeRefresh } from '../../../services/market/bars/store.ts';
import { type DatabaseOptions, openDatabase } from '../../../services/platform/database/database.ts';
import type { PeerMarket } from './symbol-work.ts';

export function mariadbMarket(options: DatabaseOptions, newest: string, maxConnections: number): PeerMarket {
  // A thousand logins at once wait for a connection, and many connections are made at once.
  const db = openDatabase({ ...options, maxConnections, acquireSeconds: 60, connectSeconds: 30 });
  return {
    reader: symbolReader(db),
    async stale(user) {
      const rows = await db.rows<{ symbol: string }>(
        `SELECT h.symbol FROM holdings h LEFT JOIN symbols s ON s.symbol = h.symbol
          WHERE h.user_id = ? AND (s.newest_bar IS NULL OR s.newest_bar < ? OR s.analysed_bar IS NULL OR s.analysed_bar < s.newest_bar) ORDER BY h.symbol`,
        [user, newest],
      );
      return rows.map(({ symbol }) => symbol);
    },
    store: ({ refresh, analysis }) =>
      db.transaction(async (tx) => {
        await storeRefresh(tx, [refresh]);
        await storeAnalyses(tx, [analysis]);
      }),
    close: () => db.close(),
  };
}
