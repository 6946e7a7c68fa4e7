/** `stockmesh notify bounce` reads a message that came back, and `notify resume` writes to its address again. */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { nowOf } from '../../ledger/job.ts';
import { type Noted, noteReturned } from '../../notifier/bounces/note.ts';
import { readReturned } from '../../notifier/bounces/read.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { InputError, isDatabaseAway, messageOf } from '../../platform/errors.ts';
import { resumeAddress } from '../../platform/notify/stops.ts';
import { requireAddress } from '../../platform/notify/users.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { shellWord } from '../../platform/text/shell-word.ts';
import { cliActor } from '../actor.ts';
import { report } from '../output/failure.ts';
import { print, printJson } from '../output/print.ts';
import { plain } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

type Options = GlobalOptions & { json?: boolean | undefined };

/** A report with the headers of a message of ours has some KB, and one with the whole of it some more. */
const MOST_BYTES = 2 * 1024 * 1024;
/** EX_TEMPFAIL of sysexits.h: a mail server that pipes the message here keeps it and tries again. */
const TRY_AGAIN = 75;

/**
 * Reads one returned message from a file or standard input. Exit code 75 while the database is away. Errors: `InputError('notify.no_input' | 'notify.bounce_too_large')`,
 * those of `readReturned` and `noteReturned`.
 */
export async function bounce({ json, file, ...options }: Options & { file?: string | undefined }): Promise<number> {
  if (file === undefined && process.stdin.isTTY)
    throw new InputError('notify.no_input', 'pipe the message that came back into this command, or name its file with --file');
  const returned = await readReturned(await bytesOf(file === undefined ? process.stdin : createReadStream(file), file ?? 'standard input'));
  try {
    return await withSession(options, async ({ db, clock }) => {
      const noted = await noteReturned(db, returned, nowOf({ clock }));
      if (json) printJson({ ok: true, ...noted });
      else print(plain(wordsOf(noted)));
      return 0;
    });
  } catch (error) {
    if (!isDatabaseAway(error)) throw error;
    report(error);
    return TRY_AGAIN;
  }
}

async function bytesOf(input: Readable, name: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of input) {
      bytes += (part as Buffer).length;
      if (bytes > MOST_BYTES) break;
      parts.push(part as Buffer);
    }
  } catch (error) {
    throw new InputError('notify.no_input', `${name}: ${messageOf(error)}; name a file that this user may read`, { cause: error });
  }
  if (bytes > MOST_BYTES)
    throw new InputError(
      'notify.bounce_too_large',
      `${name} has more than ${MOST_BYTES} bytes, which no returned message of stockmesh has`,
    );
  return Buffer.concat(parts);
}

function wordsOf({ outcome, message, recipient, address, code, reason, stopped }: Noted): string {
  const why = `${code === null || reason.includes(code) ? '' : `${code}: `}${reason}`;
  switch (outcome) {
    case 'bounced':
      return `the message ${message} to ${address ?? recipient} came back: ${why}${
        stopped && address !== null ? `; nothing is sent there any more ("${COMMAND} notify resume ${shellWord(address)}" undoes that)` : ''
      }`;
    case 'delayed':
      return `the message ${message} to ${address ?? recipient} is delayed: ${why}`;
    case 'passed on':
      return `the message ${message} reached ${address ?? recipient}, and came back from where it was passed on to: ${why}`;
    case 'delivered':
      return `the message ${message} was delivered; nothing is changed`;
    case 'known':
      return `of the message ${message} this was known, or it came too late; nothing is changed`;
  }
}

/** Errors: `InputError('notify.bad_address' | 'notify.not_stopped')`. */
export async function resume(address: string, { json, ...options }: Options): Promise<number> {
  requireAddress(address);
  return withSession(options, async ({ db }) => {
    await db.transaction(async (tx) => {
      if (!(await resumeAddress(tx, address)))
        throw new InputError(
          'notify.not_stopped',
          `${address} is written to already; "${COMMAND} notify list" shows the addresses that are not`,
        );
      recordChange(tx, cliActor(), { action: 'notify.resume', target: `address:${address}` });
    });
    if (json) printJson({ ok: true });
    else print(`${address} is written to again`);
    return 0;
  });
}
