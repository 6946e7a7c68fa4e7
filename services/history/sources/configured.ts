/** The sources of history that the configuration names, in its order. */
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import type { Logger } from '../../platform/log/log.ts';
import type { HistorySource } from './source.ts';

export function configuredHistorySources(_around: { config: Config; clock: Clock; db: Database; log: Logger }): HistorySource[] {
  return [];
}
