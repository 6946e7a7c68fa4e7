/** The stored files of this installation, as the gateway reads them. */
import { join } from 'node:path';
import { configuredStore } from '../../history/objects/configured.ts';
import { createReader } from '../../history/parquet/reader.ts';
import { plannedSource } from '../../history/preview.ts';
import { configuredHistorySources } from '../../history/sources/configured.ts';
import type { ServiceContext } from '../../platform/lifecycle.ts';
import type { Logger } from '../../platform/log/log.ts';
import { createHistoryFiles, type HistoryFiles } from './files.ts';
import type { HistorySources } from './preview.ts';

/** Nothing is opened before the first question. */
export function configuredHistory({ config, dataFolder, db }: ServiceContext, log: Logger): HistoryFiles {
  const store = configuredStore({ config, dataFolder, log });
  const { memory, threads } = config.history.converter;
  const reader = () => createReader({ memory, threads, tempFolder: join(dataFolder, 'history-temp'), log });
  return createHistoryFiles(
    { sql: db, store, reader: reader() },
    { sql: db, store, reader: reader() },
    config.gateway.quotas.history_questions,
  );
}

/** The sources as far as a preview needs them: none is asked for anything. */
export function previewedSources({ config, clock, db, instance }: ServiceContext, log: Logger): HistorySources {
  const sources = configuredHistorySources({ config, clock, db, log, holder: instance });
  return (download) => plannedSource(sources, download, { ...config.history.theta, now: clock.now() });
}
