import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { TransientError } from '../errors.ts';
import { type Address, type Addresses, addressList } from './addresses.ts';
import { cutRows, joinWithin, mostBytes, refuseTooLarge, withPlaces } from './packets.ts';
import { type Borrowed, type Limits, limitedPool, type Pool } from './pool.ts';
import { type DatabaseTls, sslOptions } from './tls.ts';

/** Anything a statement can be run on: the pool (autocommit) or one open transaction. */
export interface Sql {
  /**
   * All rows of a SELECT. DATE comes as `YYYY-MM-DD`, DATETIME as a UTC `Date`, DECIMAL as text, JSON parsed, BINARY as `Buffer`. `how`: `prepared` is for reads of many
   * numbers, which a server otherwise writes as text: of 260 bars three quarters of its time. The text must be one of few, with texts, numbers and lists of them as
   * parameters; within a transaction it changes nothing.
   */
  rows<T>(sql: string, params?: readonly unknown[], how?: 'prepared'): Promise<T[]>;
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
  /** Calls back just before the COMMIT is sent, which may fail. A transaction that is run again calls back again. */
  committing(tell: () => void): void;
  /** The most bytes of a statement. An `INSERT … VALUES ?` with a list of rows is cut by itself; whoever writes rows into the text cuts them. */
  readonly mostBytes: number;
}

export interface Database extends Sql {
  /**
   * Runs `work` in one READ COMMITTED transaction. The whole of it is run again on a deadlock (1213), a lock time-out (1205, after ROLLBACK) and a changed
   * record (1020, or 1242 that a statement provokes), at most 5 times with 5-50 ms of jitter; on a Galera cluster 1213 arrives at COMMIT and the same rule covers it. So `work` must have no
   * effect outside the transaction. Errors: `TransientError('database.unavailable')` when the server cannot be reached, takes no writes or does not answer in time;
   * whether a COMMIT under way took effect is then unknown, and the caller must be able to do it again. `TransientError('database.busy')` when the fifth try met a conflict
   * too. `PermanentError('database.too_large')` for a statement that is larger than the server takes. `TransientError('database.packet_lost')` when the connection was lost
   * during a large one: write less at once.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** How often a transaction or a single statement was run again, by the server's error number. */
  readonly retries: ReadonlyMap<number, number>;
  /** What it was opened with: another process can open the same. */
  readonly options: DatabaseOptions;
  /** The same database for statements that may take long: migrations, clean-up, statistics, imports. They have connections and a limit of their own, as long as the server answers others. */
  readonly long: Database;
  /** For a process that stops while the database does not answer: what waits for it fails at once with `TransientError('database.closed')`, and so does all that comes. */
  giveUp(): void;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  host?: string | undefined;
  port?: number | undefined;
  socketPath?: string | undefined;
  user: string;
  password: string;
  database: string;
  /** In place of host, port and socketPath: several servers of one database, such as the nodes of a cluster. The first one that works is used until it fails. */
  addresses?: readonly Address[] | undefined;
  /** Without it nothing is encrypted. */
  tls?: DatabaseTls | undefined;
  /** 10 by default. A quarter of them is for single statements, the others for transactions; never fewer than one and two. */
  maxConnections?: number | undefined;
  /** So many unused connections stay open; all by default. */
  minConnections?: number | undefined;
  idleTimeoutMs?: number | undefined;
  /** Seconds after which the server ends a transaction whose process sends no statement, or stops in the middle of sending one or of reading its rows: a frozen process must not keep its rows locked. 15 by default. */
  idleTransactionSeconds?: number | undefined;
  /** Seconds to make a connection, 2 by default; to get one, 5; for the answer to a statement, 10; for the answer to one of `long`, 600. */
  connectSeconds?: number | undefined;
  acquireSeconds?: number | undefined;
  statementSeconds?: number | undefined;
  longStatementSeconds?: number | undefined;
}

/**
 * A conflict with another transaction: deadlock, lock time-out, changed record, and the same found by group replication at COMMIT; and a subquery of more than one row, by which
 * a transaction finds a conflict itself (`startAgainIfCancelled`).
 */
const CONFLICTS = new Set([1213, 1205, 1020, 3101, 1242]);
const MAX_TRIES = 5;

/**
 * The driver escapes text for a server that reads a backslash as an escape. With NO_BACKSLASH_ESCAPES a user id of `x'); DELETE FROM holdings; -- ` would end its
 * literal and run. So every connection sets its own mode before its first statement; the server's default never applies. Strict: a value that does not fit is an
 * error, not cut.
 */
export const SET_SQL_MODE =
  "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'";

/** The driver's options that every connection to the ledger needs. */
export function connectionOptions(options: DatabaseOptions): mysql.ConnectionOptions {
  const { host, port, socketPath, user, password, database, tls, connectSeconds = CONNECT_SECONDS } = options;
  return {
    ...{ user, password, database },
    ...(socketPath === undefined ? { host, port } : { socketPath }),
    ...(tls && { ssl: sslOptions(tls) }),
    timezone: 'Z',
    charset: 'utf8mb4',
    dateStrings: ['DATE'],
    supportBigNumbers: true,
    connectTimeout: connectSeconds * 1000,
    // FOUND_ROWS (the driver's default) makes affectedRows count matches: fencing relies on it.
    flags: ['+FOUND_ROWS'],
    // Those of `rows` have few texts; a server holds some 16,000 for all connections.
    maxPreparedStatements: 64,
    // What is sent is formatted already. The driver would look through its megabytes for placeholders once more: a twentieth of the time of a burst of logins.
    queryFormat: (sql: string, values: Parameters<typeof mysql.format>[1]) =>
      Array.isArray(values) && values.length === 0 ? sql : mysql.format(sql, values, false, 'Z'),
  };
}

const CONNECT_SECONDS = 2;
const ACQUIRE_SECONDS = 5;
const STATEMENT_SECONDS = 10;
const LONG_STATEMENT_SECONDS = 600;

/** Opens the pools; nothing is connected before the first statement. */
export function openDatabase(options: DatabaseOptions): Database {
  const { host = 'localhost', port = 3306, socketPath } = options;
  const [first = socketPath === undefined ? { host, port } : { socketPath }, ...others] = options.addresses ?? [];
  return open(options, addressList([first, ...others]));
}

function open(options: DatabaseOptions, addresses: Addresses, alive?: () => Promise<boolean>): Database {
  const connections = options.maxConnections ?? 10;
  const forStatements = Math.max(Math.floor(connections / 4), 1);
  const pool = openPool(options, { addresses, alive }, forStatements);
  // Of their own: without autocommit a transaction begins with its first statement, which saves a round trip, a fifth of a small claim.
  const transactions = openPool(
    { ...options, multipleStatements: true },
    { addresses, alive },
    Math.max(connections - forStatements, 2),
    'SET autocommit = 0',
  );
  const retries = new Map<number, number>();
  let long: Database | undefined;
  let givenUp = false;
  /** Runs it again on a conflict. */
  async function persist<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        const errno = (error as { errno?: number }).errno ?? 0;
        if (!CONFLICTS.has(errno)) throw error;
        if (tries === MAX_TRIES) throw busy(error);
        retries.set(errno, (retries.get(errno) ?? 0) + 1);
        await delay(5 + Math.random() * 45);
      }
    }
  }
  const single = statements(pool, persist);

  return {
    ...single,
    retries,
    options,
    get long() {
      long ??= open({ ...options, maxConnections: 1 }, addresses, () =>
        single.rows('SELECT 1').then(
          () => true,
          () => false,
        ),
      );
      if (givenUp) long.giveUp();
      return long;
    },
    transaction: (work) => persist(() => runOnce(transactions, work)),
    giveUp() {
      givenUp = true;
      for (const one of [pool, transactions, long]) one?.giveUp();
    },
    async close() {
      await Promise.all([pool.close(), transactions.close(), long?.close()]);
      // The connections of `long` are among them.
      if (alive === undefined) addresses.cutAll();
    },
  };
}

/** With the number of the conflict, as the driver's own error has it. */
function busy(cause: unknown): TransientError {
  const { errno, message } = cause as { errno: number; message: string };
  const error = new TransientError(
    'database.busy',
    `a transaction met a conflict with others ${MAX_TRIES} times (${errno}: ${message}); it is tried again`,
    { cause },
  );
  return Object.assign(error, { errno });
}

function openPool(
  options: DatabaseOptions & { multipleStatements?: boolean },
  { addresses, alive }: { addresses: Addresses; alive: (() => Promise<boolean>) | undefined },
  connectionLimit: number,
  ...more: string[]
): Pool {
  const pool = mysql.createPool({
    ...connectionOptions(options),
    multipleStatements: options.multipleStatements ?? false,
    stream: addresses.open,
    connectionLimit,
    maxIdle: Math.min(options.minConnections ?? connectionLimit, connectionLimit),
    idleTimeout: options.idleTimeoutMs ?? 60_000,
  });
  const { acquireSeconds = ACQUIRE_SECONDS, statementSeconds = STATEMENT_SECONDS, longStatementSeconds = LONG_STATEMENT_SECONDS } = options;
  const seconds = options.idleTransactionSeconds ?? 15;
  const settings = [
    SET_SQL_MODE,
    // READ COMMITTED: under REPEATABLE READ the same six seconds of mixed load met 258 deadlocks, here none.
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    // The columns of a symbol's bars come as one text; the servers' own limits are 1 KB and 1 MB, and what is longer is cut.
    'SET SESSION group_concat_max_len = 16777216',
    // Each server executes the comment that is meant for it. MySQL knows only a limit for all idle connections; the pool opens new ones.
    `SET SESSION time_zone = '+00:00', SESSION net_read_timeout = ${seconds}, SESSION net_write_timeout = ${seconds} /*M!100300 , SESSION idle_transaction_timeout = ${seconds} */ /*!80000 , SESSION wait_timeout = ${seconds} */`,
    // A transaction that waits for a lock gives up before its connection is cut, so that it is run again and not taken for an outage.
    `SET SESSION innodb_lock_wait_timeout = ${Math.max(Math.floor(statementSeconds / 2), 1)}`,
    ...more,
  ];
  const limits: Limits = {
    // Its statements wait for each other.
    acquireMs: (alive === undefined ? acquireSeconds : longStatementSeconds) * 1000,
    statementMs: statementSeconds * 1000,
    long: alive && { ms: longStatementSeconds * 1000, alive },
  };
  return limitedPool(pool.pool, addresses, limits, settings);
}

function runOnce<T>(pool: Pool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return pool.borrow(async (connection) => {
    try {
      const { tx, commit } = transactionOn(connection);
      const result = await work(tx);
      await commit();
      return result;
    } catch (error) {
      // 1205 rolls back only the statement: without this the transaction would go on holding its locks.
      if (!connection.broken) await connection.query('ROLLBACK').catch(() => connection.spoil());
      throw error;
    }
  });
}

function transactionOn(connection: Borrowed): { tx: Transaction; commit: () => Promise<void> } {
  let waiting: string[] = [];
  const last: string[] = [];
  const tellers: (() => void)[] = [];
  const most = mostBytes(connection.pieceBytes);
  const cut = (sql: string, params?: readonly unknown[]): string[] => cutRows(connection.format, sql, params, most);
  /** Results of the last `count` statements. */
  const send = async (texts: readonly string[], count: number): Promise<unknown[]> => {
    const results: unknown[] = [];
    const packets = joinWithin([...waiting, ...texts], most, ';\n');
    waiting = [];
    for (const packet of packets) {
      refuseTooLarge(packet.text, connection.packetBytes);
      const result = await connection.query(packet.text);
      results.push(...(packet.count === 1 ? [result] : (result as unknown[])));
    }
    return results.slice(-count);
  };
  return {
    tx: {
      open: true,
      mostBytes: most,
      rows: async <T>(sql: string, params?: readonly unknown[]) => (await send([connection.format(sql, params)], 1))[0] as T[],
      async run(sql, params) {
        const texts = cut(sql, params);
        const results = (await send(texts, texts.length)) as mysql.ResultSetHeader[];
        return { affectedRows: results.reduce((sum, { affectedRows }) => sum + affectedRows, 0) };
      },
      later(sql, params) {
        waiting.push(...cut(sql, params));
      },
      last(sql, params) {
        last.push(...cut(sql, params));
      },
      committing: (tell) => void tellers.push(tell),
    },
    commit: async () => {
      waiting.push(...last);
      for (const tell of tellers) tell();
      await send(['COMMIT'], 1);
    },
  };
}

/** Each is a transaction of its own, so it may be run again on a conflict, too. */
function statements(pool: Pool, persist: (work: () => Promise<unknown>) => Promise<unknown>): Sql {
  const send = (sql: string, params?: readonly unknown[], how?: 'prepared'): Promise<unknown> =>
    persist(() =>
      pool.borrow(async (connection) => {
        if (how === 'prepared') {
          const { text, values } = withPlaces(sql, params);
          return connection.execute(text, values);
        }
        const text = connection.format(sql, params);
        refuseTooLarge(text, connection.packetBytes);
        return connection.query(text);
      }),
    );
  return {
    rows: async <T>(sql: string, params?: readonly unknown[], how?: 'prepared') => (await send(sql, params, how)) as T[],
    run: async (sql, params) => ({ affectedRows: ((await send(sql, params)) as mysql.ResultSetHeader).affectedRows }),
  };
}

/**
 * A value for a JSON column. The driver would escape every double quote, of which JSON is full; between single quotes only `'` and the backslash need it. Measured
 * with the 5 KB of a login: a third of the driver's time, and a tenth fewer bytes. Both are doubled, which ends the literal in no SQL mode.
 */
export function toJson(value: unknown): { toSqlString(): string } {
  return mysql.raw(`'${JSON.stringify(value).replaceAll(/['\\]/g, '$&$&')}'`);
}

/** A value that many rows of a statement have in common. The driver would write it for each: of a claim of 500 jobs the two dates were a quarter of the driver's time. */
export function writtenOnce(value: string | Date): { toSqlString(): string } {
  return mysql.raw(mysql.escape(value, false, 'Z'));
}

/** JSON columns come parsed from one server and as text from the other. */
export function fromJson(value: unknown): unknown {
  return typeof value === 'string' ? JSON.parse(value) : (value ?? null);
}
