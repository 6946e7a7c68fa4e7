/** Buses that close with their test, and the ways a connection to a broker can break. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { type Bus, type BusOptions, connectBus } from '../../../services/platform/bus/bus.ts';
import { accounts, silent } from '../../broker/peers.ts';

const toClose: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of toClose.splice(0).reverse()) await one.close();
});

/** Closes it after the test, the newest first. */
export function closing<T extends { close(): Promise<unknown> }>(one: T): T {
  toClose.push(one);
  return one;
}

/** A service's bus that closes with the test. */
export function openBus(port: number, options: Partial<BusOptions> = {}): Bus {
  return closing(
    connectBus({
      port,
      username: 'service',
      password: accounts.service!.password,
      service: 'test',
      instance: `t${toClose.length}`,
      log: silent,
      ...options,
    }),
  );
}

async function listen(accept: (socket: Socket) => void): Promise<{ server: Server; port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    accept(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port, sockets };
}

export interface Proxy {
  port: number;
  /** Breaks every connection without a goodbye, as a crash or a pulled cable does. */
  cut(): void;
  close(): Promise<void>;
}

/** A stretch of wire before a broker. */
export async function proxyTo(brokerPort: number): Promise<Proxy> {
  const { server, port, sockets } = await listen((socket) => {
    const onwards = connect(brokerPort, '127.0.0.1');
    onwards.on('error', () => {});
    socket.pipe(onwards).pipe(socket);
    socket.on('close', () => onwards.destroy());
    onwards.on('close', () => socket.destroy());
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return closing({
    port,
    cut,
    async close() {
      cut();
      server.close();
    },
  });
}

export const PACKET = { connect: 1, publish: 3, puback: 4, subscribe: 8, ping: 12, disconnect: 14 } as const;

export interface ScriptedBroker {
  port: number;
  /** How many packets of each type arrived. */
  count(type: number): number;
  close(): Promise<void>;
}

/** A broker that takes every connection and does with each packet what the test says; connections and pings it answers itself. `packet` is the whole of it, header included. */
export async function scriptedBroker(answer: (type: number, packet: Buffer, socket: Socket) => void): Promise<ScriptedBroker> {
  const counts = new Map<number, number>();
  const { server, port, sockets } = await listen((socket) => {
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (let size = packetSize(bytes); size !== undefined && size <= bytes.length; size = packetSize(bytes)) {
        const packet = bytes.subarray(0, size);
        bytes = bytes.subarray(size);
        const type = packet[0]! >> 4;
        counts.set(type, (counts.get(type) ?? 0) + 1);
        if (type === PACKET.connect) socket.write(Buffer.from([0x20, 2, 0, 0]));
        else if (type === PACKET.ping) socket.write(Buffer.from([0xd0, 0]));
        else answer(type, packet, socket);
      }
    });
  });
  return closing({
    port,
    count: (type) => counts.get(type) ?? 0,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
}

/** The acknowledgement of a PUBLISH of QoS 1, or of a SUBSCRIBE with what it grants. */
export function answerTo(packet: Buffer, granted?: number): Buffer {
  if (granted !== undefined) return Buffer.from([0x90, 3, packet[2]!, packet[3]!, granted]);
  const { topicEnd } = topicOf(packet);
  return Buffer.from([0x40, 2, packet[topicEnd]!, packet[topicEnd + 1]!]);
}

/** A PUBLISH of QoS 1 as the same message of QoS 0, which has no packet id. */
export function asQos0(packet: Buffer): Buffer {
  const { topicAt, topicEnd } = topicOf(packet);
  const rest = Buffer.concat([packet.subarray(topicAt, topicEnd), packet.subarray(topicEnd + 2)]);
  return Buffer.concat([Buffer.from([0x30, (rest.length & 0x7f) | 0x80, rest.length >> 7]), rest]);
}

function topicOf(packet: Buffer): { topicAt: number; topicEnd: number } {
  let topicAt = 1;
  while (packet[topicAt++]! >= 0x80);
  return { topicAt, topicEnd: topicAt + 2 + packet.readUInt16BE(topicAt) };
}

/** [MQTT-2.2.3]: one to four bytes of seven bits each, the lowest first. */
function packetSize(bytes: Buffer): number | undefined {
  let remaining = 0;
  for (let at = 1; at < Math.min(bytes.length, 5); at++) {
    remaining += (bytes[at]! & 0x7f) << (7 * (at - 1));
    if (bytes[at]! < 0x80) return at + 1 + remaining;
  }
  return undefined;
}
