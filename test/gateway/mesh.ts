/** A gateway as it runs: real database, real broker, and callers with keys. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, vi } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import { type EmbeddedBroker, startBroker } from '../../broker/embedded.ts';
import { createKey } from '../../services/gateway/auth/keys.ts';
import { type GatewayService, startGatewayService } from '../../services/gateway/service.ts';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import type { Ledger } from '../../services/ledger/job.ts';
import { TABLES_BY_JOB } from '../../services/ledger/maintain/delete.ts';
import { type Bus, connectBus } from '../../services/platform/bus/bus.ts';
import { type Clock, systemClock } from '../../services/platform/clock.ts';
import type { Config } from '../../services/platform/config/load.ts';
import { type Database, type DatabaseOptions, openDatabase } from '../../services/platform/database/database.ts';
import type { RunningService, ServiceContext } from '../../services/platform/lifecycle.ts';
import { accounts, silent } from '../broker/peers.ts';
import { configOf } from '../scheduler/configuration.ts';
import { emptyTables, type TestDatabase, testDatabase } from '../support/database.ts';

export interface Answer {
  status: number;
  headers: Headers;
  // What a test expects of it, it says itself.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
  body: any;
}

export interface Caller {
  id: string;
  key: string;
  /** Signs its webhooks. */
  signingSecret: string;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body?: unknown): Promise<Answer>;
  put(path: string, body?: unknown): Promise<Answer>;
}

export interface GatewayMesh {
  readonly database: TestDatabase;
  readonly db: Database;
  readonly broker: EmbeddedBroker;
  readonly config: Config;
  readonly ledger: Ledger;
  readonly gateway: GatewayService;
  readonly bus: Bus;
  /** With every scope. */
  readonly operator: Caller;
  caller(...scopes: string[]): Promise<Caller>;
  anonymous: Caller;
  /** The data folder. */
  readonly folder: string;
  /** A bus of another service. */
  connect(service: string): Bus;
  /** Ends the gateway and starts another at the same address. */
  restartGateway(): Promise<void>;
  /** Takes the broker away; the function that it gives starts one at the same address, which knows nothing of before. */
  takeBrokerAway(): Promise<() => Promise<void>>;
}

export const TABLES = [
  ...['jobs', ...TABLES_BY_JOB],
  ...['user_slots', 'slot_waits', 'dedupe_windows', 'instances', 'alerts', 'holdings', 'logins', 'symbols', 'bars', 'analyses'],
  ...['corporate_actions', 'user_portfolio_priority', 'callbacks', 'settings', 'history_objects', 'history_absences', 'history_fetches'],
];

/** One mesh a file; its tables are empty before each test, its keys stay. `reach`: how the gateway reaches the database, by default directly. `clock`: of its services. */
export function gatewayMesh(
  changes: Record<string, unknown> = {},
  reach: (direct: DatabaseOptions) => Promise<DatabaseOptions> = async (direct) => direct,
  clock: Clock = systemClock,
): GatewayMesh {
  const config = configOf({ 'gateway.port': 0, 'gateway.callbacks.poll_interval': 0.2, ...changes });
  const mesh = { config, folder: mkdtempSync(join(tmpdir(), 'stockmesh-gateway-')) } as {
    -readonly [K in keyof GatewayMesh]: GatewayMesh[K];
  };
  const buses: Bus[] = [];
  const services: RunningService[] = [];
  mesh.connect = (service) => {
    const bus = connectBus({
      port: mesh.broker.port,
      username: 'service',
      password: accounts.service!.password,
      service,
      instance: `${service}-${buses.length}`,
      version: '0.1.0',
      log: silent,
    });
    buses.push(bus);
    return bus;
  };
  const contextOf = (service: string): ServiceContext => ({
    ...{ service, instance: `${service}-1`, config, dataFolder: mesh.folder, log: silent, clock, db: mesh.db },
    bus: mesh.connect(service),
  });
  mesh.restartGateway = async () => {
    const { port } = new URL(mesh.gateway.url);
    await mesh.gateway.drain();
    const context = contextOf('gateway');
    const again = { ...context, config: { ...config, gateway: { ...config.gateway, port: Number(port) } } };
    services.splice(services.indexOf(mesh.gateway), 1);
    mesh.gateway = await startGatewayService(again);
    services.push(mesh.gateway);
    await context.bus.online();
  };
  mesh.takeBrokerAway = async () => {
    const { port } = mesh.broker;
    await mesh.broker.close();
    return async () => {
      mesh.broker = await startBroker({ port, accounts, access: loadAccess(), log: silent });
    };
  };
  mesh.caller = async (...scopes) => {
    const { key, ...made } = await createKey(mesh.db, { name: scopes.join(' '), scopes }, new Date());
    return callerWith(() => mesh.gateway.url, key, made);
  };
  mesh.anonymous = callerWith(() => mesh.gateway.url, '');

  beforeAll(async () => {
    mesh.database = await testDatabase();
    mesh.db = openDatabase({ ...(await reach(mesh.database.options)), maxConnections: 16 });
    mesh.broker = await startBroker({ port: 0, accounts, access: loadAccess(), log: silent });
    mesh.ledger = ledgerOf(mesh.db, clock, config);
    const context = contextOf('gateway');
    mesh.bus = context.bus;
    mesh.gateway = await startGatewayService(context);
    services.push(mesh.gateway);
    mesh.operator = await mesh.caller('admin');
    await Promise.all(buses.map((bus) => bus.online()));
    await vi.waitFor(() => expect(mesh.bus.report().missing).toEqual([]), { timeout: 10_000 });
  });
  beforeEach(() => emptyTables(mesh.db, TABLES));
  afterAll(async () => {
    await Promise.all(services.map((service) => service.drain()));
    await Promise.all(buses.map((bus) => bus.close()));
    await mesh.db.close();
    await mesh.broker.close();
    await mesh.database.drop();
    rmSync(mesh.folder, { recursive: true });
  });
  return mesh;
}

export function callerWith(
  url: () => string,
  key: string,
  { id, signingSecret }: Pick<Caller, 'id' | 'signingSecret'> = { id: '', signingSecret: '' },
): Caller {
  const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> => {
    const response = await fetch(`${url()}${path}`, {
      method,
      headers: {
        ...(key === '' ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  return {
    ...{ id, key, signingSecret },
    get: (path, headers) => ask('GET', path, undefined, headers),
    post: (path, body) => ask('POST', path, body),
    put: (path, body) => ask('PUT', path, body),
  };
}
