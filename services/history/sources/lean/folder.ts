/** Where Lean keeps what, and what was read of it. */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isFolder, isMissing, type OpenZip, openZip } from '../../../market/sources/lean-files.ts';
import { PermanentError, TransientError } from '../../../platform/errors.ts';
import type { SourceRequest } from '../source.ts';

export const FOLDERS = {
  option: { day: 'option/usa/daily', minute: 'option/usa/minute' },
  stock: { day: 'equity/usa/daily', minute: 'equity/usa/minute' },
} as const;

/** The styles of exercise in the names of option zips. A folder has one of them for a root. */
const STYLES = ['american', 'european'] as const;

/** The files of a download: each read one is noted as a request, and the newest one's time is the data's. */
export class FolderReader {
  readonly #path: string;
  readonly requests: SourceRequest[] = [];
  modified: Temporal.Instant | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  absolute(file: string): string {
    return join(this.#path, file);
  }

  /** Notes a file as read; false where there is none. A status of 404 stands for a missing file. */
  async note(file: string): Promise<boolean> {
    try {
      const { size, mtime } = await stat(this.absolute(file));
      const modified = Temporal.Instant.fromEpochMilliseconds(mtime.getTime());
      if (this.modified === undefined || Temporal.Instant.compare(modified, this.modified) > 0) this.modified = modified;
      this.requests.push({ url: file, status: 200, bytes: size });
      return true;
    } catch (error) {
      if (!isMissing(error)) throw error;
      this.requests.push({ url: file, status: 404, bytes: 0 });
      return false;
    }
  }

  /** The zip of options whose name begins so (`option/usa/daily/aapl_2014_quote`), of either style. Undefined where there is none. Errors: those of `openZip`. */
  async optionZip(start: string, signal: AbortSignal): Promise<(OpenZip & { file: string }) | undefined> {
    const style = STYLES.find((name) => existsSync(this.absolute(`${start}_${name}.zip`))) ?? STYLES[0];
    const file = `${start}_${style}.zip`;
    if (!(await this.note(file))) return undefined;
    const zip = await openZip(this.absolute(file), signal);
    return zip && { ...zip, file };
  }

  /**
   * Called where an object has no file: no data of these days, unless the folder has nothing of the root at all. `folder` holds files that begin with `ticker`, or a folder of it.
   * Errors: `TransientError('source.unavailable')` for a folder that is gone, as an unmounted disk; `PermanentError('source.unknown_symbol')`.
   */
  async confirmKnown(folder: string, ticker: string, root: string): Promise<void> {
    const path = this.absolute(folder);
    if (!(await isFolder(path))) throw new TransientError('source.unavailable', `lean: the folder ${path} is gone`);
    const names = await readdir(path);
    if (!names.some((name) => name === ticker || name === `${ticker}.zip` || name.startsWith(`${ticker}_`)))
      throw new PermanentError(
        'source.unknown_symbol',
        `lean: ${path} has nothing of ${root}; add its files, or name another source in history.sources`,
      );
  }
}
