/** Rows of bars, actions and symbols that tests store: of one invented symbol, changed where a test is about something else. */
import { beforeEach } from 'vitest';
import type { StoredAction, StoredBar, SymbolCheck } from '../../../services/market/bars/store.ts';
import type { Transaction } from '../../../services/platform/database/database.ts';
import { databaseOfFile } from '../../support/database.ts';

export const EVER = { from: '0000-01-01' };
export const MORNING = new Date('2026-03-10T14:00:00.000Z');
export const NOON = new Date('2026-03-10T17:00:00.000Z');

/** A database of the file's own, in which each test finds no bar; `write` commits. */
export async function emptyBars() {
  const { db } = await databaseOfFile();
  beforeEach(async () => {
    for (const table of ['bars', 'corporate_actions', 'symbols', 'analyses']) await db.run(`DELETE FROM ${table}`);
  });
  return { db, write: (work: (tx: Transaction) => Promise<void>) => db.transaction(work) };
}

export const bar = (changes: Partial<StoredBar> = {}): StoredBar => ({
  ...{ symbol: 'AAA', date: '2026-03-10', open: 10, high: 12, low: 9, close: 11, adjustedClose: 10.5, volume: 100 },
  ...{ source: 'yahoo_finance', asOf: MORNING, ...changes },
});
export const action = (changes: Partial<StoredAction> = {}): StoredAction => ({
  ...{ symbol: 'AAA', date: '2026-03-10', kind: 'split', value: 2, source: 'yahoo_finance', asOf: MORNING, ...changes },
});
export const check = (changes: Partial<SymbolCheck> = {}): SymbolCheck => ({
  ...{ symbol: 'AAA', newestBar: '2026-03-10', asOf: MORNING, checkedAt: MORNING, close: 11, currency: 'USD' },
  ...{ timeZone: 'America/New_York', source: 'yahoo_finance', ...changes },
});
