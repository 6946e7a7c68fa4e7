/** The services that are alive, a row each, known without the broker. */
import type { Sql } from '../database/database.ts';

export interface Instance {
  instance: string;
  service: string;
  /** New at each start of the process. */
  session: string;
  /** Slots for work, and those in use. */
  capacity: number;
  running: number;
  started_at: Date;
  heartbeat_at: Date;
}

/** Instances whose last heartbeat is not older than `since`. */
export function listInstances(sql: Sql, since: Date): Promise<Instance[]> {
  return sql.rows<Instance>(
    `SELECT instance, service, session, capacity, running, started_at, heartbeat_at
       FROM instances
      WHERE heartbeat_at >= ?
      ORDER BY service, instance`,
    [since],
  );
}

/** Writes a heartbeat. */
export async function reportInstance(
  sql: Sql,
  { instance, service, session, capacity, running, started_at, heartbeat_at }: Instance,
): Promise<void> {
  await sql.run(
    `INSERT INTO instances (instance, service, session, capacity, running, started_at, heartbeat_at) VALUES (?)
     ON DUPLICATE KEY UPDATE service = VALUES(service), session = VALUES(session), capacity = VALUES(capacity), running = VALUES(running),
       started_at = VALUES(started_at), heartbeat_at = VALUES(heartbeat_at)`,
    [[instance, service, session, capacity, running, started_at, heartbeat_at]],
  );
}

/** Removes an instance that ended on purpose; not the row of a process that has started under its name since. */
export async function removeInstance(sql: Sql, instance: string, session: string): Promise<void> {
  await sql.run('DELETE FROM instances WHERE instance = ? AND session = ?', [instance, session]);
}
