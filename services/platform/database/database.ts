import type { Socket } from 'node:net';
import mysql from 'mysql2/promise';
import { ConfigError, codeOf, messageOf, PermanentError, TransientError } from '../errors.ts';

/** Anything a statement can be run on: the pool (autocommit) or one open transaction. */
export interface Sql {
  /** All rows of a SELECT. DATE comes as `YYYY-MM-DD`, DATETIME as a UTC `Date`, DECIMAL as text, JSON parsed, BINARY as `Buffer`. */
  rows<T>(sql: string, params?: readonly unknown[]): Promise<T[]>;
  /** Runs a statement; `affectedRows` counts the rows matched, changed or not. */
  run(sql: string, params?: readonly unknown[]): Promise<{ affectedRows: number }>;
}

export interface Transaction extends Sql {
  readonly open: true;
  /**
   * A statement whose result is not needed. It is sent, in its place, with the next statement or the COMMIT in one round trip (more when they are larger than a
   * packet); if it fails, that one fails with its error.
   */
  later(sql: string, params?: readonly unknown[]): void;
  /** The same, but sent just before the COMMIT: for rows that many transactions need, which must be locked as briefly as possible. */
  last(sql: string, params?: readonly unknown[]): void;
}

export interface Database extends Sql {
  /**
   * Runs `work` in one READ COMMITTED transaction. The whole of it is run again on a deadlock (1213), a lock time-out (1205, after ROLLBACK) and a changed
   * record (1020), at most 5 times with 5-50 ms of jitter; on a Galera cluster 1213 arrives at COMMIT and the same rule covers it. So `work` must have no
   * effect outside the transaction. Errors: `TransientError('database.unavailable')` when the server cannot be reached; whether a COMMIT under way took
   * effect is then unknown, and the caller must be able to do it again. `PermanentError('database.too_large')` for a statement that is larger than the server takes.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** How often a transaction was run again, by the server's error number. */
  readonly retries: ReadonlyMap<number, number>;
  /** What it was opened with: another process can open the same. */
  readonly options: DatabaseOptions;
  /** The connections of single statements: autocommit. */
  readonly pool: mysql.Pool;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  host?: string | undefined;
  port?: number | undefined;
  socketPath?: string | undefined;
  user: string;
  password: string;
  database: string;
  /** 10 by default. A quarter of them is for single statements, the others for transactions; never fewer than one and two. */
  maxConnections?: number | undefined;
  /** So many unused connections stay open; all by default. */
  minConnections?: number | undefined;
  idleTimeoutMs?: number | undefined;
  /** Seconds after which the server ends a transaction whose process sends no statement, or stops in the middle of sending one or of reading its rows, and a statement that waits for a lock: a frozen or dead process must not keep its rows locked. 15 by default. */
  idleTransactionSeconds?: number | undefined;
}

const RETRIED = new Set([1213, 1205, 1020]);
const MAX_TRIES = 5;

const UNREACHABLE = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ER_SERVER_SHUTDOWN',
  'ER_CON_COUNT_ERROR',
  'ER_NORMAL_SHUTDOWN',
  'ER_CONNECTION_KILLED',
]);

/**
 * The driver escapes text for a server that reads a backslash as an escape. With NO_BACKSLASH_ESCAPES a user id of `x'); DELETE FROM holdings; -- ` would end its
 * literal and run. So every connection sets its own mode before its first statement; the server's default never applies. Strict: a value that does not fit is an
 * error, not cut.
 */
export const SET_SQL_MODE =
  "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'";

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

/** The driver's options that every connection to the ledger needs. */
export function connectionOptions(options: DatabaseOptions): mysql.ConnectionOptions {
  const { maxConnections: _, minConnections: __, idleTimeoutMs: ___, idleTransactionSeconds: ____, ...address } = options;
  return {
    ...address,
    timezone: 'Z',
    charset: 'utf8mb4',
    dateStrings: ['DATE'],
    supportBigNumbers: true,
    connectTimeout: 5_000,
    // FOUND_ROWS (the driver's default) makes affectedRows count matches: fencing relies on it.
    flags: ['+FOUND_ROWS'],
  };
}

/** Opens the pools; nothing is connected before the first statement. */
export function openDatabase(options: DatabaseOptions): Database {
  const connections = options.maxConnections ?? 10;
  const forStatements = Math.max(Math.floor(connections / 4), 1);
  const pool = openPool(options, forStatements);
  // Of their own: without autocommit a transaction begins with its first statement, which saves a round trip, a fifth of a small claim.
  const transactions = openPool({ ...options, multipleStatements: true }, Math.max(connections - forStatements, 2), 'SET autocommit = 0');
  const retries = new Map<number, number>();

  return {
    ...statements(pool),
    retries,
    options,
    pool,
    async transaction(work) {
      for (let tries = 1; ; tries++) {
        try {
          return await runOnce(transactions, work);
        } catch (error) {
          const errno = (error as { errno?: number }).errno ?? 0;
          if (!RETRIED.has(errno) || tries === MAX_TRIES) throw error;
          retries.set(errno, (retries.get(errno) ?? 0) + 1);
          await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 45));
        }
      }
    },
    async close() {
      await Promise.all([pool.end(), transactions.end()]);
    },
  };
}

function openPool(options: DatabaseOptions & { multipleStatements?: boolean }, connectionLimit: number, ...more: string[]): mysql.Pool {
  const pool = mysql.createPool({
    ...connectionOptions(options),
    connectionLimit,
    maxIdle: Math.min(options.minConnections ?? connectionLimit, connectionLimit),
    idleTimeout: options.idleTimeoutMs ?? 60_000,
    enableKeepAlive: true,
  });
  const seconds = options.idleTransactionSeconds ?? 15;
  const settings = [
    SET_SQL_MODE,
    // READ COMMITTED: under REPEATABLE READ the same six seconds of mixed load met 258 deadlocks, here none.
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    // The columns of a symbol's bars come as one text; the servers' own limits are 1 KB and 1 MB, and what is longer is cut.
    'SET SESSION group_concat_max_len = 16777216',
    // Each server executes the comment that is meant for it. MySQL knows only a limit for all idle connections; the pool opens new ones.
    `SET SESSION time_zone = '+00:00', SESSION net_read_timeout = ${seconds}, SESSION net_write_timeout = ${seconds},
      SESSION innodb_lock_wait_timeout = ${seconds} /*M!100300 , SESSION idle_transaction_timeout = ${seconds} */ /*!80000 , SESSION wait_timeout = ${seconds} */`,
    ...more,
  ];
  pool.pool.on('connection', (connection) => {
    // Queued before the caller's first statement. A connection without its settings must not be used: it is cut, and that statement fails as on a lost connection.
    for (const setting of settings)
      connection.query(setting, (error) => {
        if (error) (connection as unknown as { stream: Socket }).stream.destroy();
      });
  });
  return pool;
}

async function runOnce<T>(pool: mysql.Pool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const connection = await pool.getConnection().catch(rethrow);
  let usable = true;
  try {
    const { tx, commit } = transactionOn(connection);
    const result = await work(tx);
    await commit();
    return result;
  } catch (error) {
    // 1205 rolls back only the statement: without this the transaction would go on holding its locks.
    await connection.query('ROLLBACK').catch(() => {
      usable = false;
    });
    throw error;
  } finally {
    if (usable) connection.release();
    else connection.destroy();
  }
}

/** The default `max_allowed_packet` of MariaDB. More is sent at once only as a single statement, and only to a server that takes it. */
export const PACKET_BYTES = 16 * 1024 * 1024;
/** What a packet holds beside the text of its statements. */
const PACKET_HEADER_BYTES = 1024;

/** Joins statements into as few packets as they fit into; one that is larger has a packet of its own. */
function packetsOf(statements: readonly string[]): { texts: string[]; bytes: number }[] {
  const packets: { texts: string[]; bytes: number }[] = [];
  for (const text of statements) {
    const bytes = Buffer.byteLength(text) + PACKET_HEADER_BYTES;
    const last = packets.at(-1);
    if (last !== undefined && last.bytes + bytes <= PACKET_BYTES) {
      last.texts.push(text);
      last.bytes += bytes;
    } else packets.push({ texts: [text], bytes });
  }
  return packets;
}

/** A server closes the connection on more than its limit, which would look like an outage and be tried for ever. */
async function refuseTooLarge(connection: mysql.PoolConnection, bytes: number): Promise<void> {
  const [rows] = await connection.query('SELECT @@max_allowed_packet AS most').catch(rethrow);
  const [{ most }] = rows as [{ most: number }];
  if (bytes > most)
    throw new PermanentError(
      'database.too_large',
      `a statement of ${bytes} bytes is not sent, since the database's max_allowed_packet is ${most}: write less at once, or raise it`,
    );
}

function transactionOn(connection: mysql.PoolConnection): { tx: Transaction; commit: () => Promise<void> } {
  let waiting: string[] = [];
  const last: string[] = [];
  const send = async (sql: string, params?: readonly unknown[]): Promise<unknown> => {
    const packets = packetsOf([...waiting, connection.format(sql, params as unknown[])]);
    waiting = [];
    let result: unknown;
    for (const { texts, bytes } of packets) {
      if (bytes > PACKET_BYTES) await refuseTooLarge(connection, bytes);
      const [results] = await connection.query(texts.join(';\n')).catch(rethrow);
      result = texts.length === 1 ? results : (results as unknown[]).at(-1);
    }
    return result;
  };
  return {
    tx: {
      open: true,
      rows: async <T>(sql: string, params?: readonly unknown[]) => (await send(sql, params)) as T[],
      run: async (sql, params) => ({ affectedRows: ((await send(sql, params)) as mysql.ResultSetHeader).affectedRows }),
      later(sql, params) {
        waiting.push(connection.format(sql, params as unknown[]));
      },
      last(sql, params) {
        last.push(connection.format(sql, params as unknown[]));
      },
    },
    commit: async () => {
      waiting.push(...last);
      await send('COMMIT');
    },
  };
}

function statements(on: mysql.Pool | mysql.PoolConnection): Sql {
  return {
    async rows<T>(sql: string, params?: readonly unknown[]) {
      const [rows] = await on.query(sql, params as unknown[]).catch(rethrow);
      return rows as T[];
    },
    async run(sql, params) {
      const [result] = await on.query(sql, params as unknown[]).catch(rethrow);
      return { affectedRows: (result as mysql.ResultSetHeader).affectedRows };
    },
  };
}

/**
 * A value for a JSON column. The driver would escape every double quote, of which JSON is full; between single quotes only `'` and the backslash need it. Measured
 * with the 5 KB of a login: a third of the driver's time, and a tenth fewer bytes. Both are doubled, which ends the literal in no SQL mode.
 */
export function toJson(value: unknown): { toSqlString(): string } {
  return mysql.raw(`'${JSON.stringify(value).replaceAll(/['\\]/g, '$&$&')}'`);
}

/** JSON columns come parsed from one server and as text from the other. */
export function fromJson(value: unknown): unknown {
  return typeof value === 'string' ? JSON.parse(value) : (value ?? null);
}

function rethrow(error: unknown): never {
  const code = codeOf(error);
  const { fatal, errno } = error as { fatal?: boolean; errno?: number };
  // The driver's own word for a connection that is over. An error of the server or the system has a number.
  const isOver = fatal === true && errno === undefined;
  if (UNREACHABLE.has(code) || isOver || (error instanceof Error && /closed state|Pool is closed|Connection lost/.test(error.message)))
    throw new TransientError('database.unavailable', `the database cannot be reached (${code}: ${messageOf(error)}); it is tried again`, {
      cause: error,
    });
  throw error;
}

/**
 * Checks at boot what the ledger stands on: READ COMMITTED, UTC, the SQL mode, the packet size, and that SKIP LOCKED really skips (some servers accept the words and lock nothing, or wait).
 * Errors: `ConfigError('database.unsuitable')` that names what was found.
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
    if (name === 'max_allowed_packet' && Number(value) < PACKET_BYTES)
      throw new ConfigError(
        'database.unsuitable',
        `the database's max_allowed_packet is ${value} bytes, the ledger needs ${PACKET_BYTES}: set max_allowed_packet = 16M in its configuration`,
      );
  }
  await probeSkipLocked(db);
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
    if (held !== undefined && other?.queue === held.queue)
      throw new ConfigError(
        'database.unsuitable',
        'the database accepts FOR UPDATE SKIP LOCKED but gives the same row twice; use MariaDB 10.6+ or MySQL 8.0+',
      );
  });
}
