import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { clientOptions } from '../../services/platform/bus/connection.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { brokerAddress, databaseOptions, type Runtime, removeRuntime, writeRuntime } from '../../services/platform/connections.ts';
import { openDataFolder, type Secrets } from '../../services/platform/machine/datafolder.ts';

const config = (keys: Record<string, unknown> = {}) => {
  const overrides = Object.fromEntries(Object.entries(keys).map(([key, value]) => [key, { value, option: 'test' }]));
  return loadConfig({ environment: 'development', files: [], env: {}, overrides }).config;
};
const runtime: Runtime = {
  pid: process.pid,
  database: { socket: '/tmp/server.sock', port: 3307, name: 'stockmesh' },
  broker: { host: '127.0.0.1', port: 1884 },
};

let folder: string;
let secrets: Secrets;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-connections-'));
  const opened = await openDataFolder(folder, {});
  secrets = opened.secrets;
  opened.release();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('over a data folder', () => {
  test.each([
    ['service', 'stockmesh'],
    ['migrate', 'stockmesh_migrate'],
    ['read', 'stockmesh_read'],
  ] as const)('%s reaches the embedded database with its own account', (role, user) => {
    writeRuntime(folder, runtime);
    expect(databaseOptions(config(), folder, role)).toMatchObject({
      socketPath: '/tmp/server.sock',
      user,
      password: secrets.database[role],
      database: 'stockmesh',
    });
  });

  test.each([
    [15, 15],
    [60, 60],
    [0.4, 1],
  ])('a transaction is left idle for half a lease, with a heartbeat of %s s for %s s', (heartbeat, seconds) => {
    writeRuntime(folder, runtime);
    // A lease is two heartbeats; the servers take whole seconds.
    expect(databaseOptions(config({ 'worker.heartbeat_interval': heartbeat }), folder, 'service').idleTransactionSeconds).toBe(seconds);
  });

  test('the sizes and limits of the connections are those of the configuration, in the units of the pool', () => {
    writeRuntime(folder, runtime);
    const keys = {
      ...{ 'database.pool.min_connections': 2, 'database.pool.max_connections': 9, 'database.pool.idle_timeout': 250 },
      ...{ 'database.connect_timeout': 3, 'database.acquire_timeout': 4, 'database.statement_timeout': 6 },
      'database.long_statement_timeout': 700,
    };
    expect(databaseOptions(config(keys), folder, 'service')).toMatchObject({
      ...{ minConnections: 2, maxConnections: 9, idleTimeoutMs: 250_000 },
      ...{ connectSeconds: 3, acquireSeconds: 4, statementSeconds: 6, longStatementSeconds: 700 },
    });
  });

  test.each(['portfolio-priority', 'worker', 'scheduler', 'gateway', 'cli', 'hook'] as const)(
    '%s reaches the embedded broker with an account of its own',
    (account) => {
      writeRuntime(folder, runtime);
      expect(brokerAddress(config(), folder, account)).toMatchObject({
        host: '127.0.0.1',
        port: 1884,
        username: account,
        password: secrets.mqtt[account],
        keepalive: 60,
        protocolVersion: 4,
      });
    },
  );

  test('in which nothing runs: the message names it and the ways out', () => {
    for (const ask of [() => databaseOptions(config(), folder, 'read'), () => brokerAddress(config(), folder, 'worker')])
      expect(ask).toThrow(
        expect.objectContaining({
          code: 'mesh.not_running',
          message: expect.stringMatching(new RegExp(`${folder}.*npm start.*--data.*database\\.url`)),
        }),
      );
  });

  test('after the end nothing runs in it any more', () => {
    writeRuntime(folder, runtime);
    removeRuntime(folder);
    removeRuntime(folder);
    expect(() => brokerAddress(config(), folder, 'worker')).toThrow(expect.objectContaining({ code: 'mesh.not_running' }));
  });

  test('that is a file is one in which nothing runs', () => {
    expect(() => brokerAddress(config(), join(folder, 'secrets.json'), 'worker')).toThrow(
      expect.objectContaining({ code: 'mesh.not_running' }),
    );
  });

  test('whose runtime.json cannot be read is not taken for one in which nothing runs', () => {
    mkdirSync(join(folder, 'runtime.json'));
    expect(() => brokerAddress(config(), folder, 'worker')).toThrow(expect.objectContaining({ code: 'EISDIR' }));
  });

  test('whose stockmesh uses a database and a broker from elsewhere: give the same configuration', () => {
    writeRuntime(folder, { ...runtime, database: null, broker: null });
    for (const ask of [() => databaseOptions(config(), folder, 'read'), () => brokerAddress(config(), folder, 'worker')])
      expect(ask).toThrow(expect.objectContaining({ code: 'mesh.not_running', message: expect.stringContaining('--config') }));
  });

  test.each(['', '{"pid": 1', '{"pid":"one"}', '[]'])('whose runtime.json is %j: it is named, with the way out', (text) => {
    writeFileSync(join(folder, 'runtime.json'), text);
    expect(() => brokerAddress(config(), folder, 'worker')).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        code: 'mesh.runtime_invalid',
        message: expect.stringContaining(join(folder, 'runtime.json')),
      }),
    );
  });

  test('what runs is written for the owner alone, and no half of it is left behind', () => {
    writeRuntime(folder, runtime);
    expect(statSync(join(folder, 'runtime.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).filter((name) => name.startsWith('runtime'))).toEqual(['runtime.json']);
  });
});

describe('a broker by configuration', () => {
  test.each([
    ['mqtt://u:p@mq?clientId=other', 'parameters'],
    ['mqtts://u:p@mq/path', 'paths'],
    ['mqtt://u:p@mq#x', 'ws://'],
    ['wss://u:p@mq/bus#x', 'wss://'],
    ['mqtt://u:1/2@mq', '%2F'],
    ['mqtt://u:1?2@mq', '%3F'],
    ['mqtt://u:1#2@mq', '%23'],
    ['mqtt://u:1@2@mq', '%40'],
    ['mqtt://u:1%@mq', '%25'],
    ['mqtt://u:p@mq:0', 'must look like'],
    ['mqtt://u:p@mq1,,mq2', 'must look like'],
    ['mqtt://u:p@mq1,mq2:0', 'must look like'],
    ['mqtt://u:p@mq1,mq2?clientId=other', 'parameters'],
    ['http://mq', 'must look like'],
  ])('a URL that would not do what it says is refused: %s', (url, says) => {
    expect(() => config({ 'queue.mqtt.url': url })).toThrow(
      expect.objectContaining({ code: 'bus.invalid_url', message: expect.stringContaining(says) }),
    );
    expect(() => clientOptions({ url })).toThrow(expect.objectContaining({ code: 'bus.invalid_url' }));
  });

  test.each([['ca_file'], ['enabled']])('a URL that does not encrypt is refused where tls.%s asks for it', (key) => {
    writeFileSync(join(folder, 'ca.pem'), 'PEM');
    const keys = { 'queue.mqtt.url': 'mqtt://u:p@mq', [`queue.mqtt.tls.${key}`]: key === 'enabled' || join(folder, 'ca.pem') };
    expect(() => brokerAddress(config(keys), folder, 'worker')).toThrow(
      expect.objectContaining({ code: 'config.conflicting_keys', message: expect.stringContaining('mqtts://') }),
    );
  });

  test('by host, with its account', () => {
    const keys = { 'queue.mqtt.host': 'mq', 'queue.mqtt.port': 1885, 'queue.mqtt.username': 'u', 'queue.mqtt.password': 'p' };
    expect(brokerAddress(config(keys), folder, 'worker')).toEqual({
      host: 'mq',
      port: 1885,
      username: 'u',
      password: 'p',
      keepalive: 60,
      protocolVersion: 4,
    });
  });

  test.each([
    ['by host', { 'queue.mqtt.host': 'mq', 'queue.mqtt.username': 'all', 'queue.mqtt.password': 'p' }],
    ['by URL', { 'queue.mqtt.url': 'mqtt://all:p@mq' }],
  ])('%s: a service with a password of its own has an account of its own, another one that of all', (_name, keys) => {
    const withOwn = { ...keys, 'queue.mqtt.passwords.portfolio_priority': 'p%1' };
    const accountAt = (service: 'portfolio-priority' | 'worker') => {
      const { username, password } = clientOptions(brokerAddress(config(withOwn), folder, service));
      return [username, password];
    };
    expect([accountAt('portfolio-priority'), accountAt('worker')]).toEqual([
      ['portfolio-priority', 'p%1'],
      ['all', 'p'],
    ]);
  });

  test('by host, encrypted', () => {
    const keys = { 'queue.mqtt.host': 'mq', 'queue.mqtt.tls.enabled': true };
    expect(brokerAddress(config(keys), folder, 'worker')).toEqual({
      ...{ host: 'mq', port: 1883, tls: { ca: undefined, verify: true } },
      ...{ username: undefined, password: undefined, keepalive: 60, protocolVersion: 4 },
    });
  });

  test("by URL, whom to believe is still the configuration's", () => {
    const url = 'mqtts://u:p@mq:8884';
    expect(brokerAddress(config({ 'queue.mqtt.url': url, 'queue.mqtt.tls.verify': false }), folder, 'worker')).toMatchObject({
      url,
      tls: { verify: false },
    });
  });

  test('with the certificate of its authority, read from its file', () => {
    writeFileSync(join(folder, 'ca.pem'), 'PEM');
    const keys = { 'queue.mqtt.url': 'mqtts://mq', 'queue.mqtt.tls.ca_file': join(folder, 'ca.pem') };
    expect(brokerAddress(config(keys), folder, 'worker')).toMatchObject({ tls: { ca: 'PEM', verify: true } });
    // Whoever names an authority wants encryption.
    const byHost = { 'queue.mqtt.host': 'mq', 'queue.mqtt.tls.ca_file': join(folder, 'ca.pem') };
    expect(brokerAddress(config(byHost), folder, 'worker')).toMatchObject({ host: 'mq', tls: { ca: 'PEM' } });
  });

  test("whose authority's file cannot be read: the key and the file are named", () => {
    const keys = { 'queue.mqtt.host': 'mq', 'queue.mqtt.tls.ca_file': '/no/such/ca.pem' };
    expect(() => brokerAddress(config(keys), folder, 'worker')).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        code: 'bus.ca_file',
        message: expect.stringMatching(/queue\.mqtt\.tls\.ca_file.*\/no\/such\/ca\.pem/),
      }),
    );
  });
});
