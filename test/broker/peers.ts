import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { pino } from 'pino';
import { afterEach } from 'vitest';
import type { Accounts } from '../../broker/access.ts';

export const silent = pino({ level: 'silent' });

/** One account a role; the colon is there because password files part by it. */
export const accounts: Accounts = {
  hook: { password: 'hook:one', role: 'hook' },
  monitor: { password: 'monitor two', role: 'monitor' },
  service: { password: 'service-3', role: 'service' },
  'portfolio-priority': { password: 'priority%4', role: 'portfolio-priority' },
  worker: { password: 'worker=5', role: 'worker' },
  scheduler: { password: 'scheduler/6', role: 'scheduler' },
  notifier: { password: 'notifier 9', role: 'notifier' },
  gateway: { password: 'gateway+7', role: 'gateway' },
  cli: { password: 'cli$8', role: 'cli' },
};

/** A client id that the account may use at the embedded broker. */
export const clientIdOf = (account: string): string => `${account in accounts ? 'stockmesh-' : ''}${account}-${randomUUID().slice(0, 8)}`;

interface Heard {
  topic: string;
  payload: string;
  qos: number;
  retain: boolean;
  dup: boolean;
}

export interface Peer {
  client: MqttClient;
  /** Everything that arrived, in order. */
  heard: Heard[];
}

export const happens = (client: MqttClient, event: 'connect' | 'close') =>
  new Promise<void>((resolve) => client.once(event, () => resolve()));

const open: MqttClient[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(open.splice(0).map((client) => client.endAsync(true)));
});

/** A connected client of an account, by an id of its own. It does not reconnect unless asked to, and ends with the test. `live`: retained states are not heard. */
export async function join(port: number, account: string, options: IClientOptions = {}, { live = false } = {}): Promise<Peer> {
  const client = mqtt.connect({
    host: '127.0.0.1',
    port,
    protocolVersion: 4,
    username: account,
    password: accounts[account]?.password ?? '',
    clientId: clientIdOf(account),
    reconnectPeriod: 0,
    ...options,
  });
  open.push(client);
  const heard: Heard[] = [];
  client.on('message', (topic, payload, { qos, retain, dup }) => {
    if (!(live && retain)) heard.push({ topic, payload: payload.toString(), qos, retain, dup });
  });
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.on('error', reject);
  });
  // mqtt.js leaves Nagle's algorithm on: on a connection that both hears and speaks an acknowledgement then waits up to 40 ms.
  (client.stream as Socket).setNoDelay(true);
  return { client, heard };
}

/** The return code with which a connection is refused. */
export async function refusalOf(port: number, options: IClientOptions): Promise<number> {
  const client = mqtt.connect({ host: '127.0.0.1', port, protocolVersion: 4, reconnectPeriod: 0, ...options });
  open.push(client);
  return await new Promise<number>((resolve, reject) => {
    client.once('connect', () => reject(new Error('the connection was accepted')));
    client.once('error', (error) => resolve((error as { code?: number }).code ?? -1));
  });
}

/** A TCP connection on which a test says MQTT byte by byte. */
export async function rawConnection(port: number): Promise<Socket> {
  const socket = connectTcp({ host: '127.0.0.1', port });
  sockets.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

/** A CONNECT packet [MQTT-3.1] of fewer than 16,384 bytes: user, password, a clean session unless said otherwise, and a will of QoS 1 where one is given. */
export function connectPacket(
  account: string,
  clientId: string,
  keepaliveSeconds: number,
  { will, clean = true }: { will?: { topic: string; payload: string }; clean?: boolean } = {},
): Buffer {
  const flags = 0b1100_0000 | (clean ? 0b0000_0010 : 0) | (will ? 0b0000_1100 : 0);
  const body = Buffer.concat([
    text('MQTT'),
    Buffer.from([4, flags, keepaliveSeconds >> 8, keepaliveSeconds & 0xff]),
    text(clientId),
    ...(will ? [text(will.topic), text(will.payload)] : []),
    text(account),
    text(accounts[account]!.password),
  ]);
  const length = body.length < 128 ? [body.length] : [(body.length & 0x7f) | 0x80, body.length >> 7];
  return Buffer.concat([Buffer.from([0x10, ...length]), body]);
}
