/** The object store that the configuration names. */
import { join, resolve } from 'node:path';
import type { Config } from '../../platform/config/load.ts';
import type { Logger } from '../../platform/log/log.ts';
import { folderStore } from './folder.ts';
import { s3Store } from './s3.ts';
import type { ObjectStore } from './store.ts';

/** Of the data folder, with the files of the folder store. */
const FOLDER = 'history';

/**
 * Nothing is opened before the first use. `copies`: a folder for copies of the objects of a bucket, by default `history-copies` in the data folder; each is deleted as soon as
 * it was read.
 */
export function configuredStore({
  config,
  dataFolder,
  copies = join(dataFolder, 'history-copies'),
  log,
}: {
  config: Config;
  /** Absolute. */
  dataFolder: string;
  copies?: string;
  log: Logger;
}): ObjectStore {
  const { kind, folder, s3 } = config.history.store;
  // Whoever named a folder chose its readers, such as a group that analyses the files.
  if (kind === 'folder') return folderStore({ folder: resolve(folder ?? join(dataFolder, FOLDER)), isPrivate: folder === null });
  return s3Store({
    bucket: s3.bucket!,
    prefix: s3.prefix.replace(/^\/+|\/+$/g, '').replace(/.$/, '$&/'),
    region: s3.region,
    endpoint: s3.endpoint ?? undefined,
    credentials:
      s3.access_key_id && s3.secret_access_key ? { accessKeyId: s3.access_key_id, secretAccessKey: s3.secret_access_key } : undefined,
    pathStyle: s3.path_style ?? s3.endpoint !== null,
    copies,
    log,
  });
}
