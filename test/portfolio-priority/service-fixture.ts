/** The service as it runs, with a real broker and a real database. */
import { tmpdir } from 'node:os';
import mqtt, { type MqttClient } from 'mqtt';
import { type Logger, pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { EmbeddedBroker } from '../../broker/embedded.ts';
import { type Bus, connectBus } from '../../services/platform/bus/bus.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { type Config, loadConfig } from '../../services/platform/config/load.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import type { Body } from '../../services/platform/messages.ts';
import { type PortfolioPriorityService, startPortfolioPriorityService } from '../../services/portfolio-priority/service.ts';
import { type RunningBroker, startEmbedded } from '../broker/brokers.ts';
import { accounts, silent } from '../broker/peers.ts';
import type { TestDatabase } from '../support/database.ts';

export const { config: defaults } = loadConfig({ env: {} });

export interface Site<Broker extends RunningBroker = EmbeddedBroker> {
  broker: Broker;
  /** Publishes a login as a hook does; resolves when the broker has it. */
  signIn(event: object | string): Promise<void>;
  /** Publishes anything on `events/login`. */
  publish(payload: string | Buffer, options?: { retain?: boolean; qos?: 0 | 1 }): Promise<void>;
  /** The answers that a monitor has seen, by user. */
  answers: Map<string, Body<'portfolio'>>;
  /** The refusals that a monitor has seen. */
  refusals: Body<'refused'>[];
}

/** A broker with a login hook and a monitor on it, until the test ends. */
export const startSite = (): Promise<Site> => startSiteOn(startEmbedded);

/** The same with another broker. */
export async function startSiteOn<Broker extends RunningBroker>(start: () => Promise<Broker>): Promise<Site<Broker>> {
  const broker = await start();
  onTestFinished(() => broker.close());
  const hook: MqttClient = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
    username: 'hook',
    password: accounts.hook!.password,
  });
  onTestFinished(() => hook.endAsync(true));
  const monitor = connectBus({
    port: broker.port,
    username: 'monitor',
    password: accounts.monitor!.password,
    service: 'monitor',
    instance: 'm1',
    log: silent,
  });
  onTestFinished(() => monitor.close());
  const answers = new Map<string, Body<'portfolio'>>();
  await monitor.subscribe('portfolio', { queueLimit: 100_000 }, ({ body }) => void answers.set(body.user_id, body)).ready;
  const refusals: Body<'refused'>[] = [];
  await monitor.subscribe('refused', {}, ({ body }) => void refusals.push(body)).ready;
  const publish: Site<Broker>['publish'] = async (payload, options) => {
    await hook.publishAsync('events/login', payload, { qos: 1, ...options });
  };
  return {
    ...{ broker, answers, refusals, publish },
    signIn: (event) => publish(typeof event === 'string' ? event : JSON.stringify(event)),
  };
}

export interface Running {
  service: PortfolioPriorityService;
  bus: Bus;
  db: Database;
  /** What it logged, parsed. */
  lines: Record<string, unknown>[];
}

/** Starts an instance of the service, ready to hear logins; it is stopped with the test unless it is stopped before. */
export async function startInstance(
  site: Site<RunningBroker>,
  database: Pick<TestDatabase, 'options'>,
  { instance = 'pp1', config = defaults, persistent = false }: { instance?: string; config?: Config; persistent?: boolean } = {},
): Promise<Running & { stop(): Promise<void> }> {
  const lines: Record<string, unknown>[] = [];
  const log: Logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const db = openDatabase({ ...database.options, maxConnections: 5 });
  const bus = connectBus({
    port: site.broker.port,
    username: 'service',
    password: accounts.service!.password,
    service: 'portfolio-priority',
    instance,
    version: '0.0.0',
    persistent,
    log,
  });
  const service = await startPortfolioPriorityService({
    service: 'portfolio-priority',
    instance,
    config,
    log,
    clock: systemClock,
    dataFolder: tmpdir(),
    db,
    bus,
  });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= service.drain().finally(async () => {
      await bus.close();
      await db.close();
    });
    return stopped;
  };
  onTestFinished(stop);
  await bus.online();
  return { service, bus, db, lines, stop };
}

/** Logins that this process has got and the broker still remembers. */
export function loginsWaiting(bus: Bus): number | undefined {
  return bus.report().subscriptions.find(({ filter }) => filter.endsWith('events/login'))?.waiting;
}
