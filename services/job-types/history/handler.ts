import { storeAbsences, storeObjects } from '../../history/manifest.ts';
import type { Transaction } from '../../platform/database/database.ts';
import { type Handler, handler } from '../handler.ts';
import { giveBack } from './claims.ts';
import { historyType } from './definition.ts';
import type { HistoryRow } from './items.ts';
import { downloadAll, type HistoryHandlerParts } from './run.ts';
import { sumUp } from './sum.ts';

/** Downloads the objects of a job, the newest days first; or sums up its parts, which have. */
export function historyHandler(parts: HistoryHandlerParts): Handler<HistoryRow> {
  return handler(
    historyType,
    (download, context) => (download.parts === undefined ? downloadAll(download, context, parts) : sumUp(download, context, parts.sql)),
    storeRows,
  );
}

async function storeRows(tx: Transaction, rows: readonly HistoryRow[]): Promise<void> {
  await storeObjects(
    tx,
    rows.flatMap(({ stored }) => stored ?? []),
  );
  await storeAbsences(
    tx,
    rows.flatMap(({ absence }) => absence ?? []),
  );
  await giveBack(
    tx,
    rows.flatMap(({ claim }) => claim ?? []),
  );
}
