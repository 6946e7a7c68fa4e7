/** What all services have in common: configuration, log, database, broker, heartbeat, the ways to stop. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { assertSchemaCurrent } from '../../sql/migrate.ts';
import { type Bus, connectBus } from './bus/bus.ts';
import { type Clock, offsetSeconds } from './clock.ts';
import type { Config, LoadedConfig } from './config/load.ts';
import { brokerAddress, databaseOptions } from './connections.ts';
import { type Database, openDatabase } from './database/database.ts';
import { GIVE_UP_MS, giveUpWhenSilent } from './database/give-up.ts';
import { assertSuitable } from './database/suitable.ts';
import { type DatabaseClock, databaseClock } from './database-clock.ts';
import { codeOf, messageOf, TransientError } from './errors.ts';
import { componentLogger, createLogger, type Logger } from './log/log.ts';
import { systemdOf } from './machine/systemd.ts';
import { startTracing } from './monitoring/traces.ts';
import type { FileLock } from './registry/file-lock.ts';
import { startHeartbeat } from './registry/heartbeat.ts';
import { takeInstanceName } from './registry/instance-name.ts';
import { type InstanceSlot, takeInstanceSlot } from './registry/instance-slot.ts';
import { SERVICE_ACCOUNTS, type ServiceAccount } from './topics.ts';

export const VERSION = '0.1.0';

/** The exit code of a reload: the supervisor starts the service again at once. */
export const EXIT_RELOAD = 75;

export interface ServiceContext {
  service: string;
  /** Unlike any other running instance; the name in the ledger and on `mesh/{service}/{instance}/state`. */
  instance: string;
  config: Config;
  /** The same with where each value comes from, where it was loaded. */
  loaded?: LoadedConfig;
  /** The data folder of the installation, absolute. */
  dataFolder: string;
  log: Logger;
  /** The database's time. */
  clock: Clock;
  db: Database;
  bus: Bus;
}

export interface RunningService {
  /**
   * Stops taking work, finishes or releases the work under way. Called once. `retire` ends the heartbeat early and says whether another instance of the service goes
   * on (`Heartbeat.retire`); without it the service is the only one.
   */
  drain(retire?: () => Promise<boolean>): Promise<void>;
  /** Milliseconds for which `drain` waits for a database that takes no writes; then it is given up. 3,000 by default: only a worker has results that are lost with it. */
  patienceMs?: number;
  /** The message `cancel` on `control/{instance}`; `drain` and `reload` are the same for all services. */
  cancel?: (jobId: string) => void;
}

export interface ServiceOptions {
  loaded: LoadedConfig;
  dataFolder: string;
  /** By default a name that no other process has; for a `persistent` service that of a slot (`takeInstanceSlot`), which is the same after a restart. One that is given belongs to one process alone. */
  instance?: string | undefined;
  /** The broker keeps the messages that this service acknowledges when they are handled, while the service is away. */
  persistent?: boolean | undefined;
  start(context: ServiceContext): Promise<RunningService>;
}

/** Pauses between tries to reach the database at the start, in milliseconds. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** Milliseconds between looks at the subscriptions of a service that has just started, and until what is missing is said. */
const LOOK_MS = 50;
const REMIND_MS = 5_000;
/** Of `RunningService.patienceMs`. */
const PATIENCE_MS = 3_000;

/**
 * Runs a service until SIGTERM, SIGINT, or a message on `control/{instance}`; resolves with the exit code. It waits for the database with back-off and goes on
 * without the broker. Errors: `ConfigError` when the configuration, the schema or the server is not what this build needs, or another process has the name.
 */
export async function runService(service: string, options: ServiceOptions): Promise<number> {
  const stopRequest = listenForStop();
  let name: FileLock | undefined;
  let slot: InstanceSlot | undefined;
  let left = false;
  try {
    if (options.instance !== undefined) name = await takeInstanceName(options.dataFolder, options.instance);
    else if (options.persistent) slot = await takeInstanceSlot(options.dataFolder, service);
    const instance = options.instance ?? slot?.instance ?? uniqueInstance(service);
    const ended = await runAs(instance, service, options, stopRequest);
    left = ended.left;
    return ended.code;
  } finally {
    name?.release();
    slot?.release({ left });
    stopRequest.end();
    // The supervisor's channel would keep the process alive.
    if (process.connected) process.disconnect?.();
  }
}

/** Each service has an account of its own at the broker; one that is none of ours takes that of all services. */
const accountOf = (service: string): ServiceAccount | 'service' => SERVICE_ACCOUNTS.find((account) => account === service) ?? 'service';

const uniqueInstance = (service: string): string =>
  `${service}-${hostname().slice(0, 20)}-${process.pid}-${randomUUID().slice(0, 4)}`.replace(/[^A-Za-z0-9_-]/g, '-');

interface StopRequest {
  /** Resolves at the first request. */
  readonly requested: Promise<{ code: number; why: string }>;
  request(stop: { code: number; why: string }): void;
  end(): void;
}

function listenForStop(): StopRequest {
  const { promise: requested, resolve: request } = Promise.withResolvers<{ code: number; why: string }>();
  const onSignal = (signal: string): void => request({ code: 0, why: signal });
  // Until the end: a second signal must not cut the drain short that the first one began. It is bounded by the grace period.
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  // A supervisor that was killed can send no signal, but its channel closes. It may have closed before we listened.
  const onOrphaned = (): void => request({ code: 0, why: 'the supervisor is gone' });
  process.once('disconnect', onOrphaned);
  if (process.send !== undefined && !process.connected) onOrphaned();
  return {
    requested,
    request,
    end() {
      process.off('SIGTERM', onSignal).off('SIGINT', onSignal).off('disconnect', onOrphaned);
    },
  };
}

interface Ended {
  code: number;
  /** Other instances of the service go on, so that this one has left nothing with the broker. */
  left: boolean;
}

async function runAs(instance: string, service: string, options: ServiceOptions, stopRequest: StopRequest): Promise<Ended> {
  const { loaded, dataFolder } = options;
  const { config } = loaded;
  const log = createLogger({ ...config.logging, service, instance });
  const db = openDatabase(databaseOptions(config, dataFolder, 'service'));
  const clock = databaseClock({
    db,
    log,
    interval: config.database.clock_interval,
    maxOffset: config.monitoring.thresholds.max_clock_offset,
    onMeasured: (measured) => bus.updatePresence({ clock_offset_s: presentOffset(measured) }),
  });
  const bus = connectBus({
    ...brokerAddress(config, dataFolder, accountOf(service)),
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
  let stopTracing = async (): Promise<void> => {};
  try {
    if (!(await untilReachable(db, clock, log, stopRequest.requested))) return { code: 0, left: false };
    stopTracing = await startTracing({ service, instance, version: VERSION }, config.monitoring.traces, log);
    return await serve({ service, instance, config, loaded, dataFolder, log, clock, db, bus }, options.start, stopRequest);
  } finally {
    clock.close();
    await bus.close();
    await db.close();
    await stopTracing();
    log.info(`${service} has stopped`);
  }
}

async function serve(context: ServiceContext, start: ServiceOptions['start'], stopRequest: StopRequest): Promise<Ended> {
  const { service, instance, log, bus } = context;
  // Before the service takes work: a last will of an earlier process of this name must not be taken for its own.
  const heartbeat = await startHeartbeat(context);
  let stopWatching: (() => void) | undefined;
  const systemd = systemdOf(process.env, (why) => log.warn(`systemd could not be told of this service: ${why}`));
  try {
    const running = await start(context);
    let drained: Promise<void> | undefined;
    const drain = (): Promise<void> => {
      stopWatching ??= giveUpWhenSilent(context.db, (running.patienceMs ?? PATIENCE_MS) - GIVE_UP_MS);
      drained ??= running
        .drain(() => heartbeat.retire())
        .then(() => {
          // What is left is its row of the list of instances: nothing is lost with it, so a silent database is not waited for.
          stopWatching?.();
          stopWatching = giveUpWhenSilent(context.db, 0);
        });
      return drained;
    };
    try {
      const controlMessages = bus.subscribe('control', { params: { instance } }, ({ body }) => {
        if (body.action === 'cancel') running.cancel?.(body.job_id);
        else stopRequest.request({ code: body.action === 'reload' ? EXIT_RELOAD : 0, why: `${body.action} by control message` });
      });
      await heartbeat.beat();
      log.info({ pid: process.pid }, `${service} is ready`);
      // The event `disconnect` reports a channel that has closed meanwhile; without the callback it would end the process.
      process.send?.({ ready: true }, undefined, undefined, () => undefined);
      systemd.ready();
      const beat = (): void => void heartbeat.beat().catch((error: unknown) => log.warn({ code: codeOf(error) }, messageOf(error)));
      watchSubscriptions(context, stopRequest.requested, beat);
      const { code, why } = await stopRequest.requested;
      log.info({ why }, `${service} stops`);
      systemd.stopping();
      await controlMessages.close();
      await drain();
      return { code, left: await heartbeat.retire() };
    } catch (error) {
      // Its work would keep the process alive, and nobody would start it again.
      await drain();
      throw error;
    }
  } finally {
    // After the drain: a service is alive until its last work has ended.
    await heartbeat.retire();
    stopWatching?.();
    systemd.end();
  }
}

/**
 * Tells the supervisor, and the list of instances by `onHeard`, when the broker delivers all that the service subscribes to. Work that comes by the database begins before; logins over MQTT do not. Says every
 * `REMIND_MS` what is missing.
 */
function watchSubscriptions({ service, bus, log }: ServiceContext, stopped: Promise<unknown>, onHeard: () => void): void {
  let looks = 0;
  const look = (): void => {
    const { state, missing, reason } = bus.report();
    if (state === 'online' && missing.length === 0) {
      clearInterval(timer);
      onHeard();
      process.send?.({ subscribed: true }, undefined, undefined, () => undefined);
    } else if (++looks % (REMIND_MS / LOOK_MS) === 0) {
      const why = state === 'online' ? '' : ` (${reason})`;
      log.warn({ missing, reason }, `${service} does not hear the broker yet${why}: nothing comes from ${missing.join(', ')}`);
    }
  };
  const timer = setInterval(look, LOOK_MS);
  timer.unref();
  void stopped.then(() => clearInterval(timer));
  look();
}

/** To a tenth of a second: the presence is published again when it changes, and not for each measurement. */
function presentOffset(clock: Clock): number {
  return Math.round((offsetSeconds(clock) ?? 0) * 10) / 10;
}

function warnOfNewer(log: Logger, newer: readonly string[]): void {
  if (newer.length > 0)
    log.warn(
      { migrations: newer },
      `the schema is newer than this version (${newer.join(', ')}) and lets it serve; update this service: it is the one that is left from before the upgrade`,
    );
}

/** Waits for the database as long as it takes, then checks that it is suitable and takes its time. False when the service was stopped meanwhile. */
async function untilReachable(db: Database, clock: DatabaseClock, log: Logger, stopped: Promise<unknown>): Promise<boolean> {
  let over = false;
  void stopped.then(() => {
    over = true;
  });
  for (let wait = FIRST_WAIT_MS; !over; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      warnOfNewer(log, await assertSchemaCurrent(db));
      await assertSuitable(db);
      await clock.measure();
      return true;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      log.warn({ code: codeOf(error) }, `${messageOf(error)}; next try in ${wait} ms`);
      await Promise.race([delay(wait), stopped]);
    }
  }
  return false;
}
