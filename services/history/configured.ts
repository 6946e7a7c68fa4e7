/** What downloads stand on, by the configuration. */
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pid } from 'node:process';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import type { Database } from '../platform/database/database.ts';
import { PermanentError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import type { Dataset } from './dataset.ts';
import type { ObjectStore } from './objects/store.ts';
import type { Converter } from './parquet/convert.ts';
import type { ParquetReader } from './parquet/reader.ts';
import type { HistorySource, HistorySourceName } from './sources/source.ts';

export interface HistoryParts {
  /** In the order in which they are asked. */
  sources: readonly HistorySource[];
  converter: Converter;
  store: ObjectStore;
  /** For the prices of an underlying in stored objects. Its process runs only while such are asked for. */
  reader: Pick<ParquetReader, 'firstRows' | 'close'>;
  /** A folder of this process for what is being downloaded. */
  spool: string;
}

export interface History {
  /** Made with the first call. Errors: those of the configuration. */
  parts(): Promise<HistoryParts>;
  /** Ends the processes of converter and reader. */
  close(): Promise<void>;
}

/** Of the data folder. */
const SPOOL = 'history-spool';

export function configuredHistory(around: { config: Config; clock: Clock; db: Database; log: Logger; dataFolder: string }): History {
  let made: Promise<HistoryParts> | undefined;
  return {
    parts() {
      made ??= makeParts(around);
      made.catch(() => {
        made = undefined;
      });
      return made;
    },
    async close() {
      const parts = await made?.catch(() => undefined);
      await Promise.all([parts?.converter.close(), parts?.reader.close()]);
    },
  };
}

async function makeParts({ config, clock, db, log, dataFolder }: Parameters<typeof configuredHistory>[0]): Promise<HistoryParts> {
  // Loaded here: most workers never download history.
  const [{ configuredStore }, { createConverter }, { createReader }, { ownFolder }, { historySourcesOf }] = await Promise.all([
    import('./objects/configured.ts'),
    import('./parquet/converter.ts'),
    import('./parquet/reader.ts'),
    import('./parquet/folder.ts'),
    import('./sources/configured.ts'),
  ]);
  const base = join(dataFolder, SPOOL);
  await mkdir(base, { recursive: true });
  const spool = await ownFolder(base);
  const { memory, threads } = config.history.converter;
  const process = { memory, threads, tempFolder: join(base, 'parquet'), log };
  return {
    sources: historySourcesOf({ config, clock, db, log, holder: `${pid}-${randomUUID()}` }),
    converter: createConverter(process),
    reader: createReader(process),
    store: configuredStore({ config, dataFolder, log }),
    spool,
  };
}

/**
 * The sources that can give a dataset, in their order, or the one that is asked for by name: at least one. Errors: `PermanentError('history.no_source')`, with the reason of
 * each.
 */
export function sourcesFor(sources: readonly HistorySource[], dataset: Dataset, only?: HistorySourceName): HistorySource[] {
  const asked = only === undefined ? sources : sources.filter(({ name }) => name === only);
  const able = asked.filter((source) => source.refuses(dataset) === undefined);
  if (able.length > 0) return able;
  const what = `${dataset.asset} ${dataset.schema}${dataset.interval === '1d' ? '' : ` of ${dataset.interval}`}`;
  if (asked.length === 0)
    throw new PermanentError(
      'history.no_source',
      `the source ${only} is not configured; history.sources names ${sources.map(({ name }) => name).join(', ')}`,
    );
  const reasons = asked.map((source) => `${source.name}: ${source.refuses(dataset)}`).join('; ');
  throw new PermanentError('history.no_source', `no source can give ${what} (${reasons}); add one to history.sources`);
}
