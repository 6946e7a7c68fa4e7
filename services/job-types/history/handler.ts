import type { HistoryParts } from '../../history/configured.ts';
import { type Absence, type ManifestRow, storeAbsences, storeObjects } from '../../history/manifest.ts';
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { type Handler, handler } from '../handler.ts';
import { type Claim, giveBack } from './claims.ts';
import { historyType } from './definition.ts';
import { downloadAll } from './run.ts';
import { sumUp } from './sum.ts';

/** What an item leaves: an object or why there is none, and the claim that it had. */
export interface HistoryRow {
  stored?: ManifestRow | undefined;
  absence?: Absence | undefined;
  claim?: Claim | undefined;
}

export interface HistoryHandlerParts {
  sql: Sql;
  /** Made when the first download needs them. */
  history: () => Promise<HistoryParts>;
}

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
