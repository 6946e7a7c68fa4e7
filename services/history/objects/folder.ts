/** Objects as files of a folder. */
import { randomBytes } from 'node:crypto';
import { type BigIntStats, type Dirent, renameSync, statSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, unlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, messageOf, PermanentError, StockmeshError, TransientError } from '../../platform/errors.ts';
import { type FileLock, tryFileLock } from '../../platform/registry/file-lock.ts';
import { changed, checkDigest, checkKey, checkRange, digestOf, isKey, UNFINISHED } from './keys.ts';
import type { ObjectStore, StoredObject } from './store.ts';

/** Files that are looked at together, and the length of a page. */
const PAGE = 1_000;

export interface FolderOptions {
  /** Absolute. It is made with the first object. */
  folder: string;
  /** Files and folders are open to their owner only; otherwise the process's umask says to whom. */
  isPrivate: boolean;
}

/**
 * Each object is the file of its key. A folder has no place for a checksum: `head` never knows the sha256, which the manifest has. The etag is made of the time at which the file was
 * written and its size, so a copy that keeps times (`cp -a`, `rsync -a`) keeps etags.
 */
export function folderStore({ folder, isPrivate }: FolderOptions): ObjectStore {
  const where = `the folder ${folder}`;
  const modes = isPrivate ? { folder: 0o700, file: 0o600 } : { folder: 0o777, file: 0o666 };

  /** Runs `work`, and puts the system's errors in the words of the port. */
  async function explained<T>(signal: AbortSignal, key: string, work: (path: string) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    checkKey(key);
    try {
      return await work(join(folder, key));
    } catch (error) {
      signal.throwIfAborted();
      throw failureOf(error, where, key);
    }
  }

  async function openObject(path: string, key: string): Promise<FileHandle> {
    const handle = await missingAsUndefined(open(path, 'r'));
    if (handle !== undefined && (await handle.stat()).isFile()) return handle;
    await handle?.close();
    throw new PermanentError('objects.missing', `there is no object ${key} in ${where}`);
  }

  return {
    where,

    put(key, file, { replaces, ...given }, signal) {
      return explained(signal, key, async (path) => {
        await makeFolders(dirname(path), modes.folder);
        const part = `${path}.${randomBytes(6).toString('hex')}${UNFINISHED}`;
        try {
          await writePart(part, modes.file, (target) => copyChecked(key, file, target, given, signal));
          const etag = await etagFor(part, path);
          if (replaces === undefined) await rename(part, path);
          else await replace(part, path, key, replaces, signal);
          await syncFolders(dirname(path), folder);
          return { bytes: given.bytes, sha256: given.sha256, etag };
        } finally {
          await rm(part, { force: true });
        }
      });
    },

    head(key, signal) {
      return explained(signal, key, async (path) => {
        const found = await statOf(path);
        return found?.isFile() ? storedAs(found) : undefined;
      });
    },

    read(key, signal, range) {
      return explained(signal, key, async (path) => {
        if (range !== undefined) checkRange(key, range);
        const handle = await openObject(path, key);
        try {
          if (range !== undefined) checkRange(key, range, (await handle.stat()).size);
          return handle.createReadStream({ ...range, signal });
        } catch (error) {
          await handle.close();
          throw error;
        }
      });
    },

    local(key, signal) {
      return explained(signal, key, async (path) => {
        await (await openObject(path, key)).close();
        return { path, release: async () => {} };
      });
    },

    delete(key, signal) {
      return explained(signal, key, async (path) => {
        if ((await statOf(path))?.isFile() !== true) return;
        await missingAsUndefined(unlink(path));
        await syncFolders(dirname(path), dirname(path));
      });
    },

    async *list(prefix, signal) {
      for await (const page of pagesOf(namesUnder(folder, '', prefix, isKey), signal, where)) {
        const found = await Promise.all(page.map(async (key) => ({ key, stats: await statOf(join(folder, key)) })));
        // An object that was deleted since the folder was read is not there any more.
        yield found.flatMap(({ key, stats }) =>
          stats === undefined ? [] : [{ key, bytes: Number(stats.size), modified: Temporal.Instant.fromEpochNanoseconds(stats.mtimeNs) }],
        );
      }
    },

    async prune(before, signal) {
      let pruned = 0;
      for await (const page of pagesOf(namesUnder(folder, '', '', isUnfinished), signal, where)) {
        for (const name of page) {
          const path = join(folder, name);
          const stats = await statOf(path);
          if (stats === undefined || stats.mtimeNs >= before.epochNanoseconds) continue;
          await rm(path, { force: true });
          pruned++;
        }
      }
      return pruned;
    },
  };

  /** Renames a part if the object there still has this etag. The comparison and the renaming are one step among all processes that replace so. */
  async function replace(part: string, path: string, key: string, replaces: string, signal: AbortSignal): Promise<void> {
    const lock = await takeLock(join(folder, '.lock'), signal);
    try {
      const there = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (there === undefined || etagOf(there) !== replaces) throw changed(key, where);
      renameSync(part, path);
    } finally {
      lock.release();
    }
  }
}

const isUnfinished = (name: string): boolean => name.endsWith(UNFINISHED);

function etagOf({ mtimeNs, size }: BigIntStats): string {
  return `${mtimeNs.toString(36)}-${size.toString(36)}`;
}

function storedAs(stats: BigIntStats): StoredObject {
  return { bytes: Number(stats.size), sha256: undefined, etag: etagOf(stats) };
}

/** The etag of a part, which differs from that of the object that it replaces: two files of one size can be written within one tick of the file system's clock. */
async function etagFor(part: string, path: string): Promise<string> {
  const [written, there] = [await stat(part, { bigint: true }), await statOf(path)];
  if (there === undefined || etagOf(written) !== etagOf(there)) return etagOf(written);
  // No file system counts in steps of more than two seconds.
  const later = new Date(Number(written.mtimeNs / 1_000_000n) + 2_000);
  await utimes(part, later, later);
  return etagOf(await stat(part, { bigint: true }));
}

/** Writes a new file to the disk, also against a power cut. */
async function writePart(part: string, mode: number, write: (target: FileHandle) => Promise<void>): Promise<void> {
  const target = await open(part, 'wx', mode);
  try {
    await write(target);
    await target.sync();
  } finally {
    await target.close();
  }
}

async function copyChecked(
  key: string,
  file: string,
  target: FileHandle,
  given: { bytes: number; sha256: string },
  signal: AbortSignal,
): Promise<void> {
  const found = await digestOf(file, signal, (chunk) => target.writeFile(chunk));
  checkDigest(key, file, found, given);
}

/**
 * Makes a folder and its missing parents. mkdir's own `recursive` goes round for ever where a parent is a link to a folder that is not there, such as a disk that is not
 * mounted.
 */
async function makeFolders(folder: string, mode: number): Promise<void> {
  try {
    await makeFolder(folder, mode);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(folder) === folder) throw error;
    await makeFolders(dirname(folder), mode);
    await makeFolder(folder, mode);
  }
}

async function makeFolder(folder: string, mode: number): Promise<void> {
  try {
    await mkdir(folder, { mode });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

/** Writes the names in a folder and its parents up to `last` to the disk. It costs next to nothing where they have not changed. */
async function syncFolders(folder: string, last: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (folder !== last && folder.length > last.length) await syncFolders(dirname(folder), last);
}

/** Others hold the lock for the time of a renaming. */
async function takeLock(file: string, signal: AbortSignal): Promise<FileLock> {
  for (;;) {
    const lock = tryFileLock(file);
    if (lock !== undefined) return lock;
    await delay(5, undefined, { signal });
  }
}

async function statOf(path: string): Promise<BigIntStats | undefined> {
  return missingAsUndefined(stat(path, { bigint: true }));
}

async function missingAsUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The names of the wanted files that begin with `prefix`, in the order of their bytes, as S3 gives them. */
async function* namesUnder(root: string, folder: string, prefix: string, wanted: (name: string) => boolean): AsyncGenerator<string> {
  const entries = (await missingAsUndefined(readdir(join(root, folder), { withFileTypes: true }))) ?? [];
  const names = await Promise.all(entries.map(async (entry) => ((await isFolder(root, folder, entry)) ? `${entry.name}/` : entry.name)));
  const sorted = names.map((name) => Buffer.from(folder + name)).sort(Buffer.compare);
  for (const name of sorted.map(String)) {
    if (name.endsWith('/')) {
      const ours = isKey(name.slice(0, -1)) && (name.startsWith(prefix) || prefix.startsWith(name));
      if (ours) yield* namesUnder(root, name, prefix, wanted);
    } else if (name.startsWith(prefix) && wanted(name)) yield name;
  }
}

/** A link may lead to another disk. */
async function isFolder(root: string, folder: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return (await statOf(join(root, folder, entry.name)))?.isDirectory() ?? false;
}

async function* pagesOf(names: AsyncIterable<string>, signal: AbortSignal, where: string): AsyncGenerator<string[]> {
  let page: string[] = [];
  try {
    for await (const name of names) {
      signal.throwIfAborted();
      if (page.push(name) < PAGE) continue;
      yield page;
      page = [];
    }
  } catch (error) {
    signal.throwIfAborted();
    throw failureOf(error, where, 'the list of objects');
  }
  if (page.length > 0) yield page;
}

/** Errors of the system that no later attempt mends. */
const REFUSED: Readonly<Record<string, string>> = {
  EACCES: 'give the user of this process the right to read and write there, or name another folder with history.store.folder',
  EPERM: 'give the user of this process the right to read and write there, or name another folder with history.store.folder',
  EROFS: 'the disk is mounted for reading only: mount it for writing, or name another folder with history.store.folder',
  ENOTDIR: 'a file stands where a folder is needed: remove it, or name another folder with history.store.folder',
  EISDIR: 'a folder stands where the file is needed: remove it, or name another folder with history.store.folder',
  ENAMETOOLONG: 'name a folder with a shorter path with history.store.folder',
  ELOOP: 'its links lead in a circle: mend them, or name another folder with history.store.folder',
};

const FULL = new Set(['ENOSPC', 'EDQUOT']);

function failureOf(error: unknown, where: string, key: string): unknown {
  if (error instanceof StockmeshError || !(error instanceof Error) || !('syscall' in error)) return error;
  const code = codeOf(error);
  const what = `${key} in ${where}: ${messageOf(error)}`;
  if (FULL.has(code))
    return new TransientError(
      'objects.unavailable',
      `${what}: the disk is full; free space there, then the object is stored with the next attempt`,
      { cause: error },
    );
  const wayOut = REFUSED[code];
  if (wayOut !== undefined) return new PermanentError('objects.refused', `${what}: ${wayOut}`, { cause: error });
  return new TransientError('objects.unavailable', `${what}: is the disk there and mounted?`, { cause: error });
}
