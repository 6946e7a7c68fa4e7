/**
 * Which errors mean that the database is away: the server cannot be reached, takes no writes, or ended this connection. They say nothing about the statement, so nothing
 * is acknowledged, no attempt of a job is used, the connection is thrown away, and the same work is done again later.
 */
import { ConfigError, codeOf, messageOf, PermanentError, StockmeshError, TransientError } from '../errors.ts';
import { tlsRefusal } from './tls.ts';

const MYSQL = 'https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html';
const MARIADB = 'https://mariadb.com/docs/server/reference/error-codes';
const CLIENT = 'https://dev.mysql.com/doc/mysql-errors/8.4/en/client-error-reference.html';
const GALERA = 'https://galeracluster.com/library/documentation/crash-recovery.html';
const PROXYSQL = 'https://proxysql.com/documentation/global-variables/mysql-variables/#mysql-connect_timeout_server_max';
const SYSTEM = 'https://nodejs.org/api/errors.html#common-system-errors';
const DRIVER = 'mysql2/lib/base/connection.js';

export interface Outage {
  /** `server`: another address of the database may work, and the other connections to this one are as bad. `connection`: a new connection is enough. */
  scope: 'server' | 'connection';
  name: string;
  means: string;
  /** Where the code is documented. */
  source: string;
}

const server = (name: string, source: string, means: string): Outage => ({ scope: 'server', name, source, means });
const connection = (name: string, source: string, means: string): Outage => ({ scope: 'connection', name, source, means });

/** By the server's number. MySQL and MariaDB share those below 1900. */
export const OUTAGES_BY_NUMBER: ReadonlyMap<number, Outage> = new Map([
  [1021, server('ER_DISK_FULL', MYSQL, 'the disk of the server is full')],
  [1026, server('ER_ERROR_ON_WRITE', MYSQL, 'the server cannot write a file; most likely its disk is full')],
  [1037, server('ER_OUTOFMEMORY', MYSQL, 'the server has no memory left')],
  [
    1040,
    connection(
      'ER_CON_COUNT_ERROR',
      MYSQL,
      'max_connections is reached: raise it on the server, or lower database.pool.max_connections; each process may open three more than that',
    ),
  ],
  [1041, server('ER_OUT_OF_RESOURCES', MYSQL, 'the server has no memory left')],
  [1042, connection('ER_BAD_HOST_ERROR', MYSQL, 'the server could not resolve the address of this client')],
  [1043, connection('ER_HANDSHAKE_ERROR', MYSQL, 'the connection was damaged while it was made')],
  [1047, server('ER_UNKNOWN_COM_ERROR', GALERA, 'the Galera node has no quorum, or is not ready yet')],
  [1053, server('ER_SERVER_SHUTDOWN', MYSQL, 'the server shuts down')],
  [1077, server('ER_NORMAL_SHUTDOWN', MYSQL, 'the server shuts down')],
  [1079, server('ER_SHUTDOWN_COMPLETE', MYSQL, 'the server shuts down')],
  [1080, server('ER_FORCING_CLOSE', MYSQL, 'the server shuts down and ends this connection')],
  [1114, server('ER_RECORD_FILE_FULL', MYSQL, 'a tablespace or the disk of the server is full')],
  [1129, server('ER_HOST_IS_BLOCKED', MYSQL, 'the server blocks this machine after many connections that failed')],
  [1135, server('ER_CANT_CREATE_THREAD', MYSQL, 'the server can make no thread for a connection')],
  [1152, connection('ER_ABORTING_CONNECTION', MYSQL, 'the server has ended this connection')],
  [1158, connection('ER_NET_READ_ERROR', MYSQL, 'the server could not read from this connection')],
  [1159, connection('ER_NET_READ_INTERRUPTED', MYSQL, 'the server waited too long for this connection (net_read_timeout)')],
  [1160, connection('ER_NET_ERROR_ON_WRITE', MYSQL, 'the server could not write to this connection')],
  [1161, connection('ER_NET_WRITE_INTERRUPTED', MYSQL, 'the server waited too long to write to this connection (net_write_timeout)')],
  [1180, server('ER_ERROR_DURING_COMMIT', MYSQL, 'the server could not commit: its log, or the other nodes, did not take it')],
  [1184, connection('ER_NEW_ABORTING_CONNECTION', MYSQL, 'the server has ended this connection')],
  [1203, connection('ER_TOO_MANY_USER_CONNECTIONS', MYSQL, 'max_user_connections is reached')],
  [1206, connection('ER_LOCK_TABLE_FULL', MYSQL, 'the server has no memory left for locks')],
  [1226, connection('ER_USER_LIMIT_REACHED', MYSQL, 'the account has reached a limit of its own, such as MAX_USER_CONNECTIONS')],
  [
    1290,
    server(
      'ER_OPTION_PREVENTS_STATEMENT',
      MYSQL,
      'the server is read-only (read_only, super_read_only): a replica, or no longer the primary',
    ),
  ],
  [1317, connection('ER_QUERY_INTERRUPTED', MYSQL, 'the statement was ended with KILL QUERY, or by a shutdown')],
  [
    1792,
    server('ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION', MYSQL, 'the session is read-only (transaction_read_only): a replica behind a proxy'),
  ],
  [1836, server('ER_READ_ONLY_MODE', MYSQL, 'the server runs in read-only mode')],
  [1927, connection('ER_CONNECTION_KILLED', MARIADB, 'the connection was ended with KILL')],
  [1969, connection('ER_STATEMENT_TIMEOUT', MARIADB, 'the statement took longer than max_statement_time')],
  [2002, server('CR_CONNECTION_ERROR', CLIENT, 'a proxy between cannot reach the server by its socket')],
  [2003, server('CR_CONN_HOST_ERROR', CLIENT, 'a proxy between cannot reach the server')],
  [2006, connection('CR_SERVER_GONE_ERROR', CLIENT, 'a proxy between found that the server has gone away')],
  [2013, connection('CR_SERVER_LOST', CLIENT, 'a proxy between lost the server during the statement')],
  [2055, connection('CR_SERVER_LOST_EXTENDED', CLIENT, 'a proxy between lost the server')],
  [3024, connection('ER_QUERY_TIMEOUT', MYSQL, 'the statement took longer than max_execution_time')],
  [3032, server('ER_SERVER_OFFLINE_MODE', MYSQL, 'the server is in offline mode')],
  [
    3100,
    server('ER_RUN_HOOK_ERROR', MYSQL, 'group replication did not take the transaction: the node is no member, or there is no quorum'),
  ],
  [3168, server('ER_SERVER_ISNT_AVAILABLE', MYSQL, 'the server is not available at the moment')],
  [3169, connection('ER_SESSION_WAS_KILLED', MYSQL, 'the connection was ended with KILL')],
  [4031, connection('ER_CLIENT_INTERACTION_TIMEOUT', MYSQL, 'the server ended the connection because it was idle (wait_timeout)')],
  // MariaDB gives it to a client that sends a file. stockmesh sends none, so the connection is out of step with the server, or a proxy confused two of them.
  [4166, connection('ER_LOAD_INFILE_CAPABILITY_DISABLED', MARIADB, 'the connection is out of step with the server')],
  [9001, server('ProxySQL 9001', PROXYSQL, 'ProxySQL reached no server of the host group in time')],
]);

/** By the code of the driver or of the system. */
export const OUTAGES_BY_CODE: ReadonlyMap<string, Outage> = new Map([
  ...(
    ['ECONNREFUSED', 'ENOENT', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT'] as const
  ).map((code): [string, Outage] => [code, server(code, SYSTEM, 'nothing answers at the address of the database')]),
  ...(['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ENOTCONN'] as const).map((code): [string, Outage] => [
    code,
    connection(code, SYSTEM, 'the connection was cut'),
  ]),
  ...(
    [
      'PROTOCOL_CONNECTION_LOST',
      'PROTOCOL_SEQUENCE_TIMEOUT',
      'PROTOCOL_UNEXPECTED_PACKET',
      'PROTOCOL_INCORRECT_PACKET_SEQUENCE',
      'PROTOCOL_ERROR',
    ] as const
  ).map((code): [string, Outage] => [code, connection(code, DRIVER, 'the connection was cut, or is out of step with the server')]),
  // Of a handshake that was refused, and not cut: `tlsRefusal`.
  ['HANDSHAKE_SSL_ERROR', server('HANDSHAKE_SSL_ERROR', DRIVER, 'the connection was cut while its encryption was agreed on')],
]);

/** Another server of a list may have what this one lacks. */
const TLS_REFUSED = server('HANDSHAKE_SSL_ERROR', DRIVER, 'encryption or certificate are not what database.tls asks for');

/** The driver's errors without a code, for a connection that is over. */
const OVER = /closed state|Connection lost/;

/** What an error of the driver or the server says about the database; undefined when it says something about the statement. */
export function outageOf(error: unknown): Outage | undefined {
  if (tlsRefusal(error) !== undefined) return TLS_REFUSED;
  const { errno, fatal } = (error ?? {}) as { errno?: number; fatal?: boolean };
  const known = (errno === undefined ? undefined : OUTAGES_BY_NUMBER.get(errno)) ?? OUTAGES_BY_CODE.get(codeOf(error));
  if (known !== undefined) return known;
  // The driver's own word for a connection that is over. An error of the server or the system has a number.
  const isOver = (fatal === true && errno === undefined) || (error instanceof Error && OVER.test(error.message));
  return isOver ? connection(codeOf(error), DRIVER, 'the connection is over') : undefined;
}

const ER_NET_PACKET_TOO_LARGE = 1153;

/** Whether the server said that a packet is larger than it takes. Most servers close the connection instead, or as well. */
export function isTooLarge(error: unknown): boolean {
  return (error as { errno?: number } | null)?.errno === ER_NET_PACKET_TOO_LARGE;
}

/**
 * What the caller gets in place of an error of the driver: `TransientError('database.unavailable')` for an outage, `ConfigError('database.tls_refused')` for a server that is
 * not trusted, `PermanentError('database.too_large')` for a packet that the server refused, everything else as it is.
 */
export function translated(error: unknown): unknown {
  if (error instanceof StockmeshError) return error;
  if (isTooLarge(error))
    return new PermanentError(
      'database.too_large',
      `the database refused a statement as too large (${messageOf(error)}): write less at once`,
      {
        cause: error,
      },
    );
  const refusal = tlsRefusal(error);
  if (refusal !== undefined)
    return new ConfigError(
      'database.tls_refused',
      `the database is not trusted (${refusal}): correct its certificate, or database.tls (ssl-mode, ssl-ca in database.url)`,
      { cause: error },
    );
  const outage = outageOf(error);
  return outage === undefined ? error : unavailable(`${codeOf(error)}: ${messageOf(error)}: ${outage.means}`, error);
}

/** The one error for a database that is away. */
export function unavailable(why: string, cause?: unknown): TransientError {
  return new TransientError('database.unavailable', `the database cannot be reached (${why}); it is tried again`, { cause });
}
