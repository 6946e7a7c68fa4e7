/** The stored files of this installation, as the gateway reads them. */
import { join } from 'node:path';
import { configuredStore } from '../../history/objects/configured.ts';
import { createReader } from '../../history/parquet/reader.ts';
import type { ServiceContext } from '../../platform/lifecycle.ts';
import type { Logger } from '../../platform/log/log.ts';
import { createHistoryFiles, type HistoryFiles } from './files.ts';

/** Nothing is opened before the first question. */
export function configuredHistory({ config, dataFolder, db }: ServiceContext, log: Logger): HistoryFiles {
  const store = configuredStore({ config, dataFolder, log });
  const { memory, threads } = config.history.converter;
  const reader = () => createReader({ memory, threads, tempFolder: join(dataFolder, 'history-temp'), log });
  return createHistoryFiles({ sql: db, store, reader: reader() }, { sql: db, store, reader: reader() });
}
