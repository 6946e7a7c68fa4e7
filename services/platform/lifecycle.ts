/** What all services have in common: configuration, log, database, broker, the ways to stop. A service itself only says what it does with them. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { assertSchemaCurrent } from '../../sql/migrate.ts';
import { type Bus, connectBus } from './bus/bus.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Config, LoadedConfig } from './config/load.ts';
import { brokerAddress, databaseOptions } from './connections.ts';
import { assertSuitable, type Database, openDatabase } from './database/database.ts';
import { codeOf, messageOf, TransientError } from './errors.ts';
import { componentLogger, createLogger, type Logger } from './log/log.ts';

export const VERSION = '0.1.0';

/** A service that a reload ends on purpose asks its supervisor to start it anew. */
export const EXIT_RELOAD = 75;

export interface ServiceContext {
  service: string;
  /** Unlike any other running instance; the name in the ledger and on `mesh/{service}/{instance}/state`. */
  instance: string;
  config: Config;
  log: Logger;
  clock: Clock;
  db: Database;
  bus: Bus;
}

export interface RunningService {
  /** Stops taking work, finishes or hands back what is under way. Called once. */
  drain(): Promise<void>;
  /** Orders that only this service understands; `drain` and `reload` are understood by all. */
  cancel?: (jobId: string) => void;
}

export interface ServiceOptions {
  loaded: LoadedConfig;
  dataFolder: string;
  instance?: string | undefined;
  clock?: Clock | undefined;
  /** The broker keeps this service's QoS 1 messages while it is away; its instance must then be the same at every start. */
  persistent?: boolean | undefined;
  start(context: ServiceContext): Promise<RunningService>;
}

/** Pauses between tries to reach the database at the start, in milliseconds. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** A database that does not answer does not say goodbye either. */
const CLOSE_MS = 1_000;

/**
 * Runs a service until SIGTERM, SIGINT, or an order on `control/{instance}`; resolves with the exit code. It waits for the database with back-off and goes on
 * without the broker. Errors: `ConfigError` when the configuration, the schema or the server is not what this build needs.
 */
export async function runService(service: string, options: ServiceOptions): Promise<number> {
  const { loaded, dataFolder, clock = systemClock } = options;
  const { config } = loaded;
  const instance =
    options.instance ?? `${service}-${hostname().slice(0, 20)}-${process.pid}-${randomUUID().slice(0, 4)}`.replace(/[^A-Za-z0-9_-]/g, '-');
  const log = createLogger({ ...config.logging, service, instance });
  const stop = Promise.withResolvers<{ code: number; why: string }>();
  const onSignal = (signal: string): void => stop.resolve({ code: 0, why: signal });
  process.once('SIGTERM', onSignal).once('SIGINT', onSignal);
  // A supervisor that was killed can send no signal: its closed channel tells, and it may have closed before we listened.
  const onOrphaned = (): void => stop.resolve({ code: 0, why: 'the supervisor is gone' });
  process.once('disconnect', onOrphaned);
  if (process.send !== undefined && !process.connected) onOrphaned();

  const db = openDatabase(databaseOptions(config, dataFolder, 'service'));
  const bus = connectBus({
    ...brokerAddress(config, dataFolder),
    service,
    instance,
    version: VERSION,
    log: componentLogger(log, 'mqtt'),
    clock,
    persistent: options.persistent,
    clientIdPrefix: config.queue.mqtt.client_id_prefix,
    publishTimeoutMs: config.queue.mqtt.publish_timeout * 1000,
    maxInFlight: config.queue.mqtt.max_in_flight,
  });
  try {
    if (!(await untilReachable(db, log, stop.promise))) return 0;
    const running = await options.start({ service, instance, config, log, clock, db, bus });
    const orders = bus.subscribe('control', { params: { instance } }, ({ body }) => {
      if (body.action === 'cancel') running.cancel?.(body.job_id);
      else stop.resolve({ code: body.action === 'reload' ? EXIT_RELOAD : 0, why: `${body.action} by control message` });
    });
    log.info({ pid: process.pid }, `${service} is ready`);
    // A channel that has closed meanwhile is told by `disconnect`; without the callback it would end the process.
    process.send?.({ ready: true }, undefined, undefined, () => undefined);
    const { code, why } = await stop.promise;
    log.info({ why }, `${service} stops`);
    await orders.close();
    await running.drain();
    return code;
  } finally {
    await bus.close();
    await Promise.race([db.close(), delay(CLOSE_MS, undefined, { ref: false })]);
    log.info(`${service} has stopped`);
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
    // The supervisor's channel would keep the process alive.
    if (process.connected) process.disconnect?.();
  }
}

/** Waits for the database as long as it takes, then checks that it fits. False when the service was stopped meanwhile. */
async function untilReachable(db: Database, log: Logger, stopped: Promise<unknown>): Promise<boolean> {
  let over = false;
  void stopped.then(() => {
    over = true;
  });
  for (let wait = FIRST_WAIT_MS; !over; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      await assertSchemaCurrent(db);
      await assertSuitable(db);
      return true;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      log.warn({ code: codeOf(error) }, `${messageOf(error)}; next try in ${wait} ms`);
      await Promise.race([delay(wait), stopped]);
    }
  }
  return false;
}
