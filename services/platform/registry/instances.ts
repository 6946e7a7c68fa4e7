/** The services that are alive, a row each, known without the broker. */
import { type Database, fromJson, type Sql, toJson } from '../database/database.ts';

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
  /** Seconds by which the machine's clock was ahead of the database's (behind: negative); null where it was not measured. */
  clock_offset_s: number | null;
  /** The tags of a worker (`worker.capabilities`). */
  capabilities: string[];
}

/** Instances whose last heartbeat is not older than `since`. */
export async function listInstances(sql: Sql, since: Date): Promise<Instance[]> {
  const rows = await sql.rows<Omit<Instance, 'capabilities'> & { capabilities: unknown }>(
    `SELECT instance, service, session, capacity, running, started_at, heartbeat_at, clock_offset_ms / 1000e0 AS clock_offset_s, capabilities
       FROM instances
      WHERE heartbeat_at >= ?
      ORDER BY service, instance`,
    [since],
  );
  return rows.map((row) => ({ ...row, capabilities: (fromJson(row.capabilities) ?? []) as string[] }));
}

/** Writes a heartbeat. Without an offset its clock counts as not measured. */
export async function reportInstance(
  sql: Sql,
  row: Omit<Instance, 'clock_offset_s' | 'capabilities'> & Partial<Pick<Instance, 'clock_offset_s' | 'capabilities'>>,
): Promise<void> {
  const { clock_offset_s: offset = null, capabilities = [] } = row;
  const tags = capabilities.length === 0 ? null : toJson(capabilities);
  const clockOffsetMs = offset === null ? null : Math.round(offset * 1000);
  await sql.run(
    `INSERT INTO instances (instance, service, session, capacity, running, started_at, heartbeat_at, clock_offset_ms, capabilities) VALUES (?)
     ON DUPLICATE KEY UPDATE service = VALUES(service), session = VALUES(session), capacity = VALUES(capacity), running = VALUES(running),
       started_at = VALUES(started_at), heartbeat_at = VALUES(heartbeat_at), clock_offset_ms = VALUES(clock_offset_ms), capabilities = VALUES(capabilities)`,
    [[row.instance, row.service, row.session, row.capacity, row.running, row.started_at, row.heartbeat_at, clockOffsetMs, tags]],
  );
}

/**
 * Removes an instance that ends on purpose, and not the row of a process that has started under its name since. True when another instance of its service has a
 * heartbeat since `since`, and capacity where this one had some: an instance that takes no work yet does not stand in for it.
 */
export function retireInstance(
  db: Database,
  { instance, service, session, capacity }: Pick<Instance, 'instance' | 'service' | 'session' | 'capacity'>,
  since: Date,
): Promise<boolean> {
  return db.transaction(async (tx) => {
    await tx.run('DELETE FROM instances WHERE instance = ? AND session = ?', [instance, session]);
    // Locked: of two instances that retire at the same moment, the second one must see that the first has gone.
    const others = await tx.rows<{ capacity: number }>(
      'SELECT capacity FROM instances WHERE service = ? AND instance <> ? AND heartbeat_at >= ? FOR UPDATE',
      [service, instance, since],
    );
    return others.some((other) => capacity === 0 || other.capacity > 0);
  });
}
