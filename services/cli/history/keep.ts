/** `stockmesh history verify` and `prune`: whether what the manifest says is there, and what is there without it. */

import { withFile } from '../../history/stored/files.ts';
import { pruneObjects } from '../../history/stored/prune.ts';
import { type RowCheck, verifyObjects } from '../../history/stored/verify.ts';
import { nowOf } from '../../ledger/job.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { PermanentError } from '../../platform/errors.ts';
import { FAILURE } from '../output/failure.ts';
import { plural } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { plain, table } from '../output/table.ts';
import type { GlobalOptions } from '../session.ts';
import { bytesText } from './bar.ts';
import { withStored } from './local.ts';

interface Options extends GlobalOptions {
  json?: boolean | undefined;
}

/** The exit code is 1 when an object is not as the manifest says. */
export async function verify(root: string | undefined, options: Options): Promise<number> {
  const symbol = root === undefined ? undefined : parseSymbol(root);
  return withStored(options, async (stored) => {
    const isLive = process.stderr.isTTY === true;
    let read = 0;
    const rowsOf: RowCheck = (row, signal) =>
      withFile(stored, row, signal, async (path) => {
        const { rows, isSorted, duplicates } = await stored.reader.verify(path, signal);
        if (!isSorted) throw new PermanentError('history.bad_rows', 'its rows are not in their order');
        if (duplicates > 0) throw new PermanentError('history.bad_rows', `${plural(duplicates, 'row')} of it stand twice`);
        return rows;
      });
    const { objects, bytes, faults } = await verifyObjects({ ...stored, rowsOf }, symbol, AbortSignal.any([]), () => {
      read++;
      if (isLive) process.stderr.write(`\r\x1b[2K${read} verified`);
    });
    if (isLive) process.stderr.write('\r\x1b[2K');
    if (options.json) printJson({ ok: faults.length === 0, objects, bytes, faults });
    else {
      if (faults.length > 0)
        print(
          table(faults, [
            { title: 'KEY', value: ({ key }) => key },
            { title: 'FAULT', value: ({ fault }) => fault },
            { title: 'WHAT', value: ({ text }) => text, flexible: 20 },
          ]),
        );
      print(
        `${plural(objects, 'object')} read, ${bytesText(bytes)}: ${faults.length === 0 ? 'all as the manifest says' : `${faults.length} not as the manifest says`}`,
      );
    }
    return faults.length === 0 ? 0 : FAILURE;
  });
}

export async function prune(options: Options & { dryRun?: boolean | undefined }): Promise<number> {
  const { dryRun = false, json } = options;
  return withStored(options, async ({ store }, { clock, db }) => {
    const now = Temporal.Instant.fromEpochMilliseconds(nowOf({ clock }).getTime());
    const { objects, leftovers, lost } = await pruneObjects({ db, store }, { now, dryRun }, AbortSignal.any([]));
    if (json) printJson({ ok: lost.length === 0, dry_run: dryRun, deleted: objects, leftovers, lost });
    else {
      for (const { key, bytes } of objects) print(`${dryRun ? 'would delete' : 'deleted'} ${plain(key)} (${bytesText(bytes)})`);
      print(
        `${plural(objects.length, 'object')} without a row in the manifest${dryRun ? '' : ` and ${plural(leftovers, 'left-over')} of interrupted downloads deleted`}`,
      );
    }
    for (const key of lost)
      process.stderr.write(`stockmesh: ${plain(key)} is in the manifest, and its file is gone; a download with --force brings it back\n`);
    return lost.length === 0 ? 0 : FAILURE;
  });
}
