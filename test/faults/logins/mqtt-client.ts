/**
 * A small MQTT 3.1.1 client over one TCP socket: what a login hook sees of a broker, packet by packet, with nothing queued or repeated behind its back.
 * It connects again 50 ms after a connection ended, always with a clean session.
 */
import { createConnection, type Socket } from 'node:net';

export interface MqttClientOptions {
  port: number;
  /** Tried in turn, the next one at each connection. This machine by default. */
  hosts?: readonly string[] | undefined;
  /** Milliseconds after which a connection on which something was sent and nothing came back is given up. Never by default. */
  silentMs?: number | undefined;
  username: string;
  password: string;
  clientId: string;
  /** After each CONNACK that accepts. */
  onConnect(): void;
  onPacket(packet: Packet): void;
}

export interface Packet {
  /** The packet type, 1 to 14. */
  type: number;
  body: Buffer;
}

export interface MqttClient {
  /** Writes the packet when connected; drops it otherwise. */
  write(packet: Buffer): void;
  close(): void;
}

export const PACKET = { CONNACK: 2, PUBLISH: 3, PUBACK: 4, PUBREC: 5, PUBCOMP: 7 } as const;
const NOT_AUTHORIZED = 5;
const RECONNECT_MS = 50;
const PING_MS = 10_000;
const LOOK_MS = 500;
const KEEPALIVE_SECONDS = 60;

export function connectMqtt(options: MqttClientOptions): MqttClient {
  const { port, hosts = ['127.0.0.1'], silentMs = Number.POSITIVE_INFINITY, username, password, clientId, onConnect, onPacket } = options;
  let socket: Socket;
  let connected = false;
  let closed = false;
  let tries = 0;
  /** When the oldest of what was sent since the last packet came back was sent. */
  let unheardSince: number | undefined;
  const listening = setInterval(() => {
    if (unheardSince !== undefined && performance.now() - unheardSince > silentMs) socket.destroy();
  }, LOOK_MS);
  const pinging = setInterval(() => write(Buffer.from([0xc0, 0])), PING_MS);

  function open(): void {
    unheardSince = performance.now();
    socket = createConnection({ port, host: hosts[tries++ % hosts.length] as string, noDelay: true });
    socket.once('connect', () => socket.write(connectPacket(clientId, username, password)));
    const split = splitPackets((packet) => {
      unheardSince = undefined;
      if (packet.type !== PACKET.CONNACK) return onPacket(packet);
      const code = packet.body[1];
      if (code === NOT_AUTHORIZED) throw new Error(`the broker refused the account ${username}: not authorized`);
      // Any other refusal closes the connection, and the next try follows.
      if (code !== 0) return;
      connected = true;
      onConnect();
    });
    socket.on('data', split);
    // A broker that is away refuses or resets: `close` follows, and the next try.
    socket.on('error', () => {});
    socket.once('close', () => {
      connected = false;
      if (!closed) setTimeout(open, RECONNECT_MS);
    });
  }

  function write(packet: Buffer): void {
    if (!connected) return;
    unheardSince ??= performance.now();
    socket.write(packet);
  }

  open();
  return {
    write,
    close() {
      closed = true;
      for (const timer of [pinging, listening]) clearInterval(timer);
      socket.destroy();
    },
  };
}

/** Gives whole packets out of a stream of bytes. */
function splitPackets(onPacket: (packet: Packet) => void): (chunk: Buffer) => void {
  let bytes = Buffer.alloc(0);
  return (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (;;) {
      let length = 0;
      let at = 1;
      for (; ; at++) {
        const byte = bytes[at];
        if (byte === undefined) return;
        length += (byte & 0x7f) << (7 * (at - 1));
        if (byte < 0x80) break;
      }
      const end = at + 1 + length;
      if (bytes.length < end) return;
      const packet = { type: bytes[0]! >> 4, body: bytes.subarray(at + 1, end) };
      bytes = bytes.subarray(end);
      onPacket(packet);
    }
  };
}

function connectPacket(clientId: string, username: string, password: string): Buffer {
  const header = Buffer.from([...text('MQTT'), 4, 0xc2, 0, KEEPALIVE_SECONDS]);
  return packet(0x10, header, text(clientId), text(username), text(password));
}

/** QoS 1 or 2. */
export function publishPacket(qos: 1 | 2, topic: string, id: number, payload: string): Buffer {
  return packet(0x30 | (qos << 1), text(topic), twoBytes(id), Buffer.from(payload));
}

export const pubrelPacket = (id: number): Buffer => packet(0x62, twoBytes(id));

/** With QoS 0. */
export const subscribePacket = (filter: string): Buffer => packet(0x82, twoBytes(1), text(filter), Buffer.from([0]));

function packet(first: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  for (let rest = body.length; ; rest >>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([twoBytes(bytes.length), bytes]);
}

function twoBytes(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
