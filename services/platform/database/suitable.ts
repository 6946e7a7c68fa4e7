/** What the ledger needs of its database: looked at when a service starts, and whether it takes writes whenever somebody asks. */
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from '../errors.ts';
import type { Database, Sql } from './database.ts';
import { SMALLEST_PACKET_BYTES } from './packets.ts';

/** Modes that change what a literal, a quote or a column's text means. Some of them arrive together: ORACLE brings PIPES_AS_CONCAT. */
const UNSUITABLE_MODES = [
  'NO_BACKSLASH_ESCAPES',
  'ANSI_QUOTES',
  'ANSI',
  'ORACLE',
  'MSSQL',
  'PAD_CHAR_TO_FULL_LENGTH',
  'PIPES_AS_CONCAT',
  'IGNORE_SPACE',
  'HIGH_NOT_PRECEDENCE',
  'REAL_AS_FLOAT',
  'NO_UNSIGNED_SUBTRACTION',
  'NO_AUTO_VALUE_ON_ZERO',
  'EMPTY_STRING_IS_NULL',
];

/**
 * Checks at boot what the ledger stands on: READ COMMITTED, UTC, the SQL mode, the packet size, that SKIP LOCKED really skips (some servers accept the words and lock nothing, or wait), and that
 * it takes writes. Errors: `ConfigError('database.unsuitable')` that names what was found; `TransientError('database.unavailable')` while it is read-only or not there.
 */
export async function assertSuitable(db: Database): Promise<void> {
  const settings = await db.rows<{ Variable_name: string; Value: string }>(
    "SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation', 'time_zone', 'sql_mode', 'max_allowed_packet')",
  );
  for (const { Variable_name: name, Value: value } of settings) {
    if (name.endsWith('isolation') && value !== 'READ-COMMITTED')
      throw new ConfigError(
        'database.unsuitable',
        `the database connection runs at ${value}, the ledger needs READ-COMMITTED; a proxy or init_connect changes it`,
      );
    if (name === 'time_zone' && value !== '+00:00')
      throw new ConfigError('database.unsuitable', `the database session's time_zone is "${value}", the ledger needs "+00:00"`);
    if (name === 'sql_mode') refuseMode(value);
    if (name === 'max_allowed_packet' && Number(value) < SMALLEST_PACKET_BYTES)
      throw new ConfigError(
        'database.unsuitable',
        `the database's max_allowed_packet is ${value} bytes, the ledger needs ${SMALLEST_PACKET_BYTES}: set max_allowed_packet = 16M in its configuration`,
      );
  }
  await probeSkipLocked(db);
  await probeWrite(db);
}

/** Commits a row: a server that is read-only, has lost its quorum or has a full disk answers SELECT 1. Errors: those of the database. */
export async function probeWrite(sql: Sql): Promise<void> {
  await sql.run('INSERT INTO write_probes (id, at) VALUES (1, UTC_TIMESTAMP(3)) ON DUPLICATE KEY UPDATE at = VALUES(at)');
}

/** Milliseconds for the probe. With them an answer that says "away" comes within two seconds. */
const PROBE_MS = 1_500;
/** The port is open to everybody, and each probe is a commit: many questions in this time after an answer, and all during a probe, get one answer. */
const REMEMBERED_MS = 250;

/** Whether the database takes writes, at most two seconds after the question. */
export function createReadiness(sql: Sql): () => Promise<boolean> {
  let last: { answer: Promise<boolean>; until: number } | undefined;
  const ask = (): Promise<boolean> => {
    const written = probeWrite(sql).then(
      () => true,
      () => false,
    );
    return Promise.race([written, delay(PROBE_MS, false, { ref: false })]);
  };
  return () => {
    if (last !== undefined && performance.now() < last.until) return last.answer;
    const probe = { answer: ask(), until: Number.POSITIVE_INFINITY };
    void probe.answer.then(() => {
      probe.until = performance.now() + REMEMBERED_MS;
    });
    last = probe;
    return probe.answer;
  };
}

function refuseMode(value: string): void {
  const modes = value.split(',');
  const wrong = modes.filter((mode) => UNSUITABLE_MODES.includes(mode));
  const found = wrong.length > 0 ? `has ${wrong.join(', ')}` : 'is not strict';
  if (wrong.length === 0 && modes.some((mode) => mode === 'STRICT_TRANS_TABLES' || mode === 'STRICT_ALL_TABLES')) return;
  throw new ConfigError(
    'database.unsuitable',
    `the database session's sql_mode ${found} ("${value}") although stockmesh sets its own; a proxy or a pool between changes it: let each connection keep its settings`,
  );
}

async function probeSkipLocked(db: Database): Promise<void> {
  const one = 'SELECT queue FROM queues ORDER BY queue LIMIT 1 FOR UPDATE SKIP LOCKED';
  await db.transaction(async (first) => {
    const [held] = await first.rows<{ queue: string }>(one);
    const [other] = await db.transaction((second) => second.rows<{ queue: string }>(one));
    // Both empty: other services' probes hold every row at this moment, which shows that locks work.
    if (held === undefined || other?.queue !== held.queue) return;
    // A transaction that the server ended meanwhile, as of a process that got no processor for too long, holds no row. Then this is an error that is tried again.
    await first.rows(one);
    throw new ConfigError(
      'database.unsuitable',
      'the database accepts FOR UPDATE SKIP LOCKED but gives the same row twice; use MariaDB 10.6+ or MySQL 8.0+',
    );
  });
}
