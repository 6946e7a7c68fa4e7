import { computeReturns, type ReturnRow, storeReturns } from '../../picks/store/track-record.ts';
import type { Sql } from '../../platform/database/database.ts';
import { type Handler, handler } from '../handler.ts';
import { picksUniverseType } from './definition.ts';

interface Computed {
  rows: readonly ReturnRow[];
  at: Date;
}

/** Runs when the stale members of the universe have been fetched, and computes what the picks of earlier weeks returned. */
export function picksUniverseHandler({ sql }: { sql: Sql }): Handler<Computed> {
  return handler(
    picksUniverseType,
    async ({ prices, fundamentals, left }, { clock, config }) => {
      const started = performance.now();
      const now = clock.now();
      const lists = Object.fromEntries(config.picks.universe.lists.map(({ name, symbols }) => [name, symbols.length]));
      const rows = await computeReturns(sql, config.picks.universe.index, now);
      return {
        rows: [{ rows, at: new Date(now.epochMilliseconds) }],
        dataMessages: [],
        result: { prices, fundamentals, left, lists, returns: rows.length, ms: Math.round(performance.now() - started) },
      };
    },
    async (tx, computed) => {
      for (const { rows, at } of computed) await storeReturns(tx, rows, at);
    },
  );
}
