/**
 * Connections whose every wait has a limit. A connection that misses it, or that the server has ended, is cut and never used again; neither are those that were opened
 * before it failed to answer.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool as DriverPool, PoolConnection } from 'mysql2';
import { messageOf, TransientError } from '../errors.ts';
import type { Addresses } from './addresses.ts';
import { isTooLarge, outageOf, translated, unavailable } from './outage.ts';
import { type Format, SUSPICIOUS_BYTES } from './packets.ts';

/** Milliseconds. */
export interface Limits {
  /** For a free connection, making one included. */
  acquireMs: number;
  /** For the answer to one packet. */
  statementMs: number;
  /** An answer may take so long in all while the server answers `alive`. */
  long?: { ms: number; alive: () => Promise<boolean> } | undefined;
}

/** One connection, as long as its borrower has it. */
export interface Borrowed {
  /** Sends one packet. Errors: `database.unavailable`, `database.too_large`, those of the statement. */
  query(text: string): Promise<unknown>;
  /** Prepares the statement once on this connection and executes it: its numbers come as eight bytes. Errors: those of `query`. */
  execute(text: string, values: readonly (string | number)[]): Promise<unknown>;
  format: Format;
  /** `max_allowed_packet` of the server. */
  readonly packetBytes: number;
  /** The same, or less where a larger packet was followed by the loss of its connection. For what can be sent in smaller pieces. */
  readonly pieceBytes: number;
  /** The connection is lost, or must not be used again. */
  readonly broken: boolean;
  /** It must not be used again: nobody knows what state it is in. */
  spoil(): void;
}

export interface Pool {
  /** Runs `work` with a connection. Errors: those of `work`; `database.unavailable` when there is none in time. */
  borrow<T>(work: (connection: Borrowed) => Promise<T>): Promise<T>;
  /** Every statement under way and every later one fails at once with `database.closed`. */
  giveUp(): void;
  /** Takes no more work, and waits a second for what is under way. */
  close(): Promise<void>;
}

interface Opened {
  epoch: number;
  /** Resolves with what the server allows when the session is set up. */
  ready: Promise<Allowed>;
  /** The same, once it is known. */
  allowed: Allowed | undefined;
  /** When it was last given back, by `performance.now()`. */
  usedAt: number;
}

interface Allowed {
  /** `max_allowed_packet`. */
  packetBytes: number;
  /** A connection that has rested for longer is not used: the server ends it (`wait_timeout`), and a process that is busy hears of it too late. */
  restMs: number;
}

/** Of the time for which the server waits, so that its goodbye does not cross a statement. */
const OF_ITS_WAIT = 0.8;

interface State {
  pool: DriverPool;
  addresses: Addresses;
  limits: Limits;
  opened: WeakMap<PoolConnection, Opened>;
  /** Connections that the driver has given out. */
  acquired: number;
  /** Of `Borrowed.pieceBytes`. */
  pieceBytes: number;
  over: AbortController;
}

const SMALLEST_PIECE_BYTES = 128 * 1024;
/** A server that does not answer does not answer the goodbye either. */
const GOODBYE_MS = 1_000;

/** `settings`: statements that each new connection runs first. */
export function limitedPool(pool: DriverPool, addresses: Addresses, limits: Limits, settings: readonly string[]): Pool {
  const state: State = {
    ...{ pool, addresses, limits, opened: new WeakMap(), acquired: 0, pieceBytes: Number.POSITIVE_INFINITY },
    over: new AbortController(),
  };
  pool.on('acquire', () => {
    state.acquired++;
  });
  pool.on('connection', (connection: PoolConnection) => {
    const info: Opened = {
      epoch: addresses.epochOf(connection.config),
      ready: setUp(connection, settings),
      allowed: undefined,
      usedAt: performance.now(),
    };
    info.ready.then(
      (allowed) => {
        info.allowed = allowed;
      },
      // Whoever asked for the connection meets the error, unless it has stopped waiting.
      () => undefined,
    );
    state.opened.set(connection, info);
  });

  return {
    async borrow(work) {
      const { driver, epoch, packetBytes } = await acquire(state);
      const connection = borrowedOf(state, driver, epoch, packetBytes);
      try {
        return await work(connection);
      } finally {
        if (connection.broken || epoch !== addresses.epoch) discard(driver);
        else {
          (state.opened.get(driver) as Opened).usedAt = performance.now();
          driver.release();
        }
      }
    },
    giveUp() {
      state.over.abort();
      addresses.cutAll();
    },
    async close() {
      state.over.abort();
      // An error is that of a connection that was lost before it could say goodbye.
      const ended = new Promise<void>((resolve) => pool.end(() => resolve()));
      await Promise.race([ended, delay(GOODBYE_MS, undefined, { ref: false })]);
    },
  };
}

/** Queued before the caller's first statement. A connection without its settings must not be used. */
async function setUp(connection: PoolConnection, settings: readonly string[]): Promise<Allowed> {
  // The settings are among what is asked for, so they come first.
  const allowed = 'SELECT @@SESSION.max_allowed_packet AS most, @@SESSION.wait_timeout AS seconds';
  const answers = await Promise.all([...settings, allowed].map((text) => ask(connection, text)));
  const [{ most, seconds }] = answers.at(-1) as [{ most: number; seconds: number }];
  return { packetBytes: most, restMs: seconds * 1000 * OF_ITS_WAIT };
}

function ask(connection: PoolConnection, text: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    connection.query(text, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

function askPrepared(connection: PoolConnection, text: string, values: readonly (string | number)[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    connection.execute(text, values as (string | number)[], (error, result) => (error ? reject(error) : resolve(result)));
  });
}

/** A connection of the epoch in force, set up. Each address is tried once, within the time limit. */
async function acquire(state: State): Promise<{ driver: PoolConnection; epoch: number; packetBytes: number }> {
  const { addresses, limits, opened } = state;
  const end = performance.now() + limits.acquireMs;
  for (let tries = 1; ; ) {
    const asked = addresses.epoch;
    let driver: PoolConnection | undefined;
    try {
      driver = await freeConnection(state, end - performance.now());
      const info = opened.get(driver) as Opened;
      const { epoch } = info;
      const isOver = info.allowed !== undefined && performance.now() - info.usedAt > info.allowed.restMs;
      if (isOver || epoch !== addresses.epoch || !streamOf(driver).writable) {
        // Ended by the server, or about to be; or of an earlier epoch. As many as the pool holds, at most.
        discard(driver);
        continue;
      }
      const { packetBytes } = info.allowed ?? (await within(info.ready, end - performance.now(), 'its session was not set up'));
      addresses.reached = true;
      return { driver, epoch, packetBytes };
    } catch (error) {
      if (driver !== undefined) discard(driver);
      const failure = unreachable(state, error, driver !== undefined);
      // To the only address: connections that are open may still work, unless this one was open and did not.
      if (driver !== undefined || (addresses.count > 1 && outageOf(error)?.scope === 'server')) addresses.moveOn(asked);
      if (tries++ >= addresses.count || performance.now() >= end) throw failure;
    }
  }
}

/** Why there is no connection. Once one was made the account and the names are right: what refuses them later is a server in an unusual state. */
function unreachable({ addresses: { reached }, over }: State, error: unknown, connected: boolean): unknown {
  if (over.signal.aborted) return closed();
  const failure = error instanceof Late ? unavailable(error.message) : translated(error);
  return reached || connected ? (failure instanceof TransientError ? failure : unavailable(messageOf(error), error)) : failure;
}

/** A wait that missed its limit. */
class Late extends Error {}

async function freeConnection(state: State, ms: number): Promise<PoolConnection> {
  if (state.over.signal.aborted) throw closed();
  const before = state.acquired;
  const asked = new Promise<PoolConnection>((resolve, reject) => {
    state.pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection)));
  });
  // One was free: a timer and a race cost as much as all the rest.
  if (state.acquired !== before) return asked;
  try {
    return await within(asked, ms, 'no connection was free');
  } catch (error) {
    // The driver goes on looking for one.
    if (error instanceof Late)
      asked.then(
        (late) => late.release(),
        () => undefined,
      );
    throw error;
  }
}

async function within<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Late(`${what} in time`)), Math.max(ms, 0));
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Its socket is not in the driver's types. */
const streamOf = (connection: PoolConnection): Socket => (connection as unknown as { stream: Socket }).stream;

/** Takes the connection out of the pool and cuts it: a server that does not answer would keep a connection that is only ended half open for minutes. */
function discard(connection: PoolConnection): void {
  connection.destroy();
  streamOf(connection).destroy();
}

function borrowedOf(state: State, driver: PoolConnection, epoch: number, packetBytes: number): Borrowed {
  const { addresses, limits, over } = state;
  let broken = false;
  return {
    packetBytes,
    get pieceBytes() {
      return Math.min(packetBytes, state.pieceBytes);
    },
    get broken() {
      return broken;
    },
    spoil() {
      broken = true;
    },
    format: (sql, params) => driver.format(sql, params as unknown[]),
    query: (text) => limited(text, () => ask(driver, text)),
    execute: (text, values) => limited(text, () => askPrepared(driver, text, values)),
  };

  async function limited(text: string, send: () => Promise<unknown>): Promise<unknown> {
    let late = false;
    const timer = startTimer(limits, () => {
      late = true;
      addresses.moveOn(epoch);
      streamOf(driver).destroy();
    });
    try {
      return await send();
    } catch (error) {
      const outage = outageOf(error);
      // The driver's own stack ends at the socket. Its promises take one before each statement, which was a tenth of the time of a worker with single jobs.
      if (error instanceof Error) Error.captureStackTrace(error);
      if (outage === undefined)
        throw isTooLarge(error) && text.length <= state.pieceBytes ? packetLost(state, text.length, error) : translated(error);
      broken = true;
      if (over.signal.aborted) throw closed();
      if (late) throw unavailable(`no answer within ${(limits.long?.ms ?? limits.statementMs) / 1000} s`, error);
      if (outage.scope === 'server') addresses.moveOn(epoch);
      else if (text.length > SUSPICIOUS_BYTES) throw packetLost(state, text.length, error);
      throw translated(error);
    } finally {
      timer.stop();
    }
  }
}

/** Calls `onLate` once, unless it is stopped before. */
function startTimer({ statementMs, long }: Limits, onLate: () => void): { stop(): void } {
  let stopped = false;
  let waited = 0;
  let timer: NodeJS.Timeout;
  const look = async (): Promise<void> => {
    waited += statementMs;
    const goesOn = long !== undefined && waited < long.ms && (await long.alive());
    if (stopped) return;
    if (goesOn) wait();
    else onLate();
  };
  // An answer that has arrived while this process was busy is read between the two.
  const wait = (): void => {
    timer = setTimeout(() => setImmediate(() => stopped || void look()), statementMs);
  };
  wait();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** An outage, or a packet that a proxy or the server did not take. Smaller packets are right in both cases. */
function packetLost(state: State, bytes: number, cause: unknown): TransientError {
  state.pieceBytes = Math.max(Math.min(state.pieceBytes, Math.ceil(bytes / 2)), SMALLEST_PIECE_BYTES);
  return new TransientError(
    'database.packet_lost',
    `the connection to the database was lost while ${bytes} bytes were sent (${messageOf(cause)}); they are sent again in smaller packets`,
    { cause },
  );
}

function closed(): TransientError {
  return new TransientError('database.closed', 'this process stops and no longer waits for the database');
}
