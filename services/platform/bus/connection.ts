import type { Socket } from 'node:net';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { addressesIn, type HostAddress } from '../database/addresses.ts';
import { ConfigError, messageOf } from '../errors.ts';
import { PORTS, readBrokerUrl } from './broker-url.ts';
import { gatherWrites } from './gather-writes.ts';

/** The address of the broker and the account to use. */
export interface BrokerAddress {
  /** Such as `mqtts://user:password@broker.example:8883` (or mqtt, ws, wss); wins over host, port, username, password. Nodes of one cluster: several hosts with "," between them. */
  url?: string | undefined;
  /** The same: `mq1,mq2:1884`. */
  host?: string | undefined;
  /** Of the hosts that name none. */
  port?: number | undefined;
  username?: string | undefined;
  password?: string | undefined;
  /** Wins over the account in `url`. */
  account?: { username: string; password: string } | undefined;
  /** Encrypts the connection to `host`, and names the trusted authorities, also for an encrypted `url`: `ca` is PEM text, without it those of the system. `verify: false` for trials only. */
  tls?: { ca?: string | undefined; verify?: boolean | undefined } | undefined;
  /** Seconds; after one and a half of it without a packet the broker publishes the last will. */
  keepalive?: number | undefined;
  /** 4 is MQTT 3.1.1, which every broker speaks; 5 only where the broker offers it. */
  protocolVersion?: 4 | 5 | undefined;
}

export interface ConnectionEvents {
  up(): void;
  /** After a lost connection, and after every attempt that failed. */
  down(reason: string): void;
}

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 2000;
const CONNECT_TIMEOUT_MS = 5000;
const END_TIMEOUT_MS = 1000;
/** MQTT 5 ends a session with its connection unless told otherwise; 3.1.1 brokers keep it as long as they are configured to. */
const SESSION_EXPIRY_SECONDS = 7 * 24 * 3600;

/**
 * The options that all our clients share. With several hosts a client tries the next one at each attempt, and stays where it gets in. Throws
 * `ConfigError('bus.invalid_url' | 'bus.bad_host')`.
 */
export function clientOptions(address: BrokerAddress): IClientOptions {
  return {
    ...(address.url === undefined
      ? { ...placeOf(address), ...credentials(address.username, address.password) }
      : parseUrl(address.url, address)),
    ...address.account,
    ...(address.tls?.ca !== undefined && { ca: address.tls.ca }),
    rejectUnauthorized: address.tls?.verify ?? true,
    keepalive: address.keepalive ?? 60,
    protocolVersion: address.protocolVersion ?? 4,
    connectTimeout: CONNECT_TIMEOUT_MS,
    queueQoSZero: false,
    resubscribe: false,
    reconnectOnConnackError: true,
  };
}

function placeOf({ host = '127.0.0.1', port, tls }: BrokerAddress): IClientOptions {
  const protocol = tls === undefined ? 'mqtt' : 'mqtts';
  const hosts = addressesIn(host, port ?? PORTS[protocol]);
  if (hosts !== undefined) return { protocol, ...placesIn(hosts) };
  throw new ConfigError(
    'bus.bad_host',
    `queue.mqtt.host is ${JSON.stringify(host)}; write a host, or several as host1,host2:1884, an IPv6 address with a port as [::1]:1884`,
  );
}

const placesIn = (hosts: [HostAddress, ...HostAddress[]]): IClientOptions => ({ ...hosts[0], ...(hosts.length > 1 && { servers: hosts }) });

function credentials(username: string | undefined, password: string | undefined): IClientOptions {
  return { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
}

function parseUrl(text: string, { username, password }: BrokerAddress): IClientOptions {
  const url = readBrokerUrl(text);
  // The text itself is not repeated: it may hold a password.
  if ('fault' in url) throw new ConfigError('bus.invalid_url', `the broker's url ${url.fault}`);
  const { username: name, password: secret, hosts, ...rest } = url;
  return { ...rest, ...placesIn(hosts), ...(name ? credentials(name, secret ?? '') : credentials(username, password)) };
}

/** Opens a connection that comes back by itself, after 100 ms at first and never later than 2 s, for as long as it takes. */
export function openConnection(
  address: BrokerAddress,
  options: { clientId: string; persistent: boolean; will?: IClientOptions['will'] },
  events: ConnectionEvents,
): MqttClient {
  const client = mqtt.connect({
    ...clientOptions(address),
    clientId: options.clientId,
    clean: !options.persistent,
    ...(options.will && { will: options.will }),
    ...(options.persistent && address.protocolVersion === 5 && { properties: { sessionExpiryInterval: SESSION_EXPIRY_SECONDS } }),
    reconnectPeriod: FIRST_RETRY_MS,
  });
  let reason: string | undefined;
  client.on('connect', () => {
    reason = undefined;
    client.options.reconnectPeriod = FIRST_RETRY_MS;
    sendAtOnce(client);
    gatherWrites(client.stream);
    events.up();
  });
  // mqtt.js reads the period again before each attempt. The jitter keeps many services from connecting at the same moment.
  client.on('reconnect', () => {
    const doubled = Math.min(2 * (client.options.reconnectPeriod ?? FIRST_RETRY_MS), LONGEST_RETRY_MS);
    client.options.reconnectPeriod = doubled * (0.75 + Math.random() / 4);
    // mqtt.js keeps the first host's name, and would compare the certificate of the next one with it.
    Object.assign(client.options, { servername: undefined });
  });
  client.on('error', (error) => {
    reason = messageOf(error);
  });
  client.on('close', () => events.down(reason ?? 'the broker closed the connection'));
  return client;
}

/** Nagle's algorithm would hold a small packet back until the one before it is acknowledged. */
export function sendAtOnce(client: MqttClient): void {
  (client.stream as Partial<Socket>).setNoDelay?.(true);
}

/** Disconnects properly, so that the broker drops the last will. Cuts the connection after a second without an answer. */
export async function endConnection(client: MqttClient): Promise<void> {
  for (const id of Object.keys(client.outgoing)) client.removeOutgoingMessage(Number(id));
  if (!client.connected) return client.endAsync(true);
  const hangUp = setTimeout(() => client.stream.destroy(), END_TIMEOUT_MS);
  await client.endAsync();
  clearTimeout(hangUp);
}
