/** Writes down what a returned message tells: of which message, why, and, where the address is wrong for good, that nothing is sent there any more. */

import { COMMAND } from '../../platform/command-name.ts';
import type { Database } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { stopAddress } from '../../platform/notify/stops.ts';
import type { MessageRow } from '../../platform/registry/told.ts';
import { isPermanent } from './codes.ts';
import type { Fate, Returned } from './read.ts';

export interface Noted {
  /**
   * bounced: the message is marked so. delayed, passed on: it is noted beside the message, which counts as sent (passed on: it came back from somebody to whom its receiver
   * forwards mail). delivered, known: nothing was changed.
   */
  outcome: 'bounced' | 'delayed' | 'passed on' | 'delivered' | 'known';
  /** 32 hexadecimal digits. */
  message: string;
  recipient: string;
  /** Where it was sent; null for a message of before this was kept. */
  address: string | null;
  code: string | null;
  reason: string;
  /** Whether the address is not written to any more. */
  stopped: boolean;
}

interface Row {
  state: MessageRow['state'];
  channel: string;
  recipient: string;
  address: string | null;
}

/**
 * Whoever can write to the address of returned messages can send anything: only a message that was really sent is changed, and only the address that it was sent to is
 * stopped; its id is 128 bits that its receiver alone knows. Errors: `InputError('notify.bounce_unknown' | 'notify.bounce_unsent')`.
 */
export async function noteReturned(db: Database, { message, fates }: Returned, now: Date): Promise<Noted> {
  return db.transaction(async (tx) => {
    const id = Buffer.from(message, 'hex');
    const [row] = await tx.rows<Row>(
      'SELECT state, channel, recipient, address FROM notify_messages FORCE INDEX (PRIMARY) WHERE id = ? FOR UPDATE',
      [id],
    );
    if (row === undefined)
      throw new InputError(
        'notify.bounce_unknown',
        `there is no message ${message}: it was deleted (notify.keep_days), or another stockmesh sent it ("${COMMAND} notify list" shows those that are kept)`,
      );
    if (row.state === 'open' || row.state === 'suppressed' || row.channel === 'webhook')
      throw new InputError('notify.bounce_unsent', `the message ${message} was never sent by e-mail, so it cannot come back`);
    const address = row.address ?? (row.channel === 'email' ? row.recipient : null);
    const { fate, isOwn } = fateFor(address, fates);
    const { code, reason } = fate;
    const noted = { message, recipient: row.recipient, address, code, reason, stopped: false };
    const set = (columns: string, ...values: unknown[]): void =>
      tx.later(`UPDATE notify_messages FORCE INDEX (PRIMARY) SET code = ?, last_error = ?${columns} WHERE id = ?`, [code, ...values, id]);
    if (fate.outcome === 'delivered') return { ...noted, outcome: 'delivered' };
    // The same report again, or an older one: what an operator has cleared meanwhile stays cleared.
    if (row.state === 'bounced' || (row.state !== 'sent' && (fate.outcome === 'delayed' || !isOwn))) return { ...noted, outcome: 'known' };
    if (fate.outcome === 'delayed') {
      set('', `delayed: ${reason}`);
      return { ...noted, outcome: 'delayed' };
    }
    if (!isOwn) {
      set('', `came back from ${fate.addresses.final}, to whom it was passed on: ${reason}`);
      return { ...noted, outcome: 'passed on' };
    }
    set(", state = 'bounced', due_at = ?", reason, now);
    const stopped = address !== null && code !== null && isPermanent(code);
    if (stopped) stopAddress(tx, { address, code, reason, stopped_at: now }, message);
    return { ...noted, outcome: 'bounced', stopped };
  });
}

/** What became of the message at the address that it was sent to. A report that names nobody is about that one: each message of ours has one receiver. */
function fateFor(address: string | null, fates: readonly Fate[]): { fate: Fate; isOwn: boolean } {
  const own = fates.find(({ addresses: { final, original } }) => {
    const named = final ?? original;
    return address === null || named === undefined || named === address.toLowerCase();
  });
  return { fate: own ?? (fates[0] as Fate), isOwn: own !== undefined };
}
