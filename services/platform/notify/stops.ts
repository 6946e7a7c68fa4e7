/** Addresses that are not written to, since a mail server said for good that nothing arrives there: during the delivery, or later by a message that came back. */
import type { Sql, Transaction } from '../database/database.ts';

export interface Stop {
  /** In lower case. */
  address: string;
  /** `5.1.1` (RFC 3463), or `550`. */
  code: string;
  reason: string;
  stopped_at: Date;
}

/** Of a mailbox that is not there, or takes nothing any more: RFC 3463, 3.2 and 3.3. Others, such as 5.7.1 of a relay that was set up wrongly, say nothing of the address. */
const OF_MAILBOX = /^5\.(1\.(1|2|3|6|10)|2\.1)$/;

export const isOfMailbox = (code: string): boolean => OF_MAILBOX.test(code);

const COLUMNS = 'address, code, reason, stopped_at';

export async function readStop(sql: Sql, address: string): Promise<Stop | undefined> {
  return (await sql.rows<Stop>(`SELECT ${COLUMNS} FROM notify_stops WHERE address = ?`, [address.toLowerCase()]))[0];
}

/** The newest first. */
export async function listStops(sql: Sql, limit: number): Promise<Stop[]> {
  return sql.rows<Stop>(`SELECT ${COLUMNS} FROM notify_stops ORDER BY stopped_at DESC, address LIMIT ?`, [limit]);
}

/** `message`: 32 hexadecimal digits. */
export function stopAddress(tx: Transaction, { address, code, reason, stopped_at }: Stop, message: string): void {
  tx.later(
    `INSERT INTO notify_stops (address, code, reason, message_id, stopped_at) VALUES (?)
      ON DUPLICATE KEY UPDATE code = VALUES(code), reason = VALUES(reason), message_id = VALUES(message_id), stopped_at = VALUES(stopped_at)`,
    [[address.toLowerCase(), code, reason.slice(0, 500), Buffer.from(message, 'hex'), stopped_at]],
  );
}

/** Writes to an address again. False where it was not stopped. */
export async function resumeAddress(tx: Transaction, address: string): Promise<boolean> {
  return (await tx.run('DELETE FROM notify_stops WHERE address = ?', [address.toLowerCase()])).affectedRows > 0;
}
