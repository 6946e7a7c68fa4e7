/** Checks that read tables and disks of their own, beside those of the metrics (`thresholds.ts`). */
import { join } from 'node:path';
import type { Ledger } from '../../ledger/job.ts';
import type { MeshMetrics } from '../../ledger/read/metrics.ts';
import type { Config } from '../../platform/config/load.ts';
import type { LimitCheck } from '../thresholds.ts';
import { failingCallbacks, unansweredLogins } from './deliveries.ts';
import { sourceDown, watchBudgets } from './sources.ts';
import { watchTypes } from './types.ts';
import { backupTooOld, diskNearlyFull, spendNearCap } from './upkeep.ts';

export interface Watch {
  /** All checks at the moment of the metrics. Errors: those of the database and of the disk. */
  checks(metrics: MeshMetrics): Promise<LimitCheck[]>;
  /** Another scheduler may have led meanwhile: what was seen so far says nothing of the time between. */
  forget(): void;
}

/** `dataFolder`: of this process. */
export function createWatch({ db, clock }: Pick<Ledger, 'db' | 'clock'>, config: Config, dataFolder: string): Watch {
  const sql = db.long;
  const begin = () => ({ budgets: watchBudgets(sql, config), types: watchTypes(sql, config) });
  let remembered = begin();
  const { kind, folder } = config.history.store;
  const folders = [dataFolder, ...(kind === 'folder' ? [folder ?? join(dataFolder, 'history')] : [])];
  return {
    checks: (metrics) =>
      Promise.all([
        sourceDown(sql, config),
        remembered.budgets(metrics.at),
        remembered.types(metrics),
        unansweredLogins(sql, config, metrics.at),
        failingCallbacks(sql, config, metrics.at),
        diskNearlyFull(folders, config),
        spendNearCap(sql, clock, config),
        backupTooOld(sql, config, metrics.at),
      ]),
    forget() {
      remembered = begin();
    },
  };
}
