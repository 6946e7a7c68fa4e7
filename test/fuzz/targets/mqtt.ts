/**
 * MQTT: streams of packets that are right, cut, joined, too long, with reserved flags, wrong text and other protocols, sent to the embedded broker; and its gate for large
 * packets, function by function. The broker stays up, lets nobody in without the password, and lets nobody say or hear what the account may not.
 */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import mqtt, { type MqttClient } from 'mqtt';
import { generate, type Packet } from 'mqtt-packet';
import { packetGate } from '../../../broker/packet-gate.ts';
import { mutated, type Random, shorterBytes, shorterLists } from '../random.ts';
import type { RunningBroker } from '../servers.ts';
import { shownBytes, type Target, type Trial, Wrong } from '../target.ts';

/** How long the broker may take for what it neither answers nor cuts. */
const PATIENCE_MS = 15_000;

function topic(random: Random): string {
  return random.pick([
    ...[
      'events/login',
      'events/login',
      'events/login',
      'stock/fetch/AAPL',
      'control/worker-1',
      'mesh/worker/w/state',
      'alerts/x',
      '$SYS/x',
      'jobs/1/status',
    ],
    ...['', '/', '#', '+', 'events/+', '$share/g/events/login', '\ud7ff', 'a/'.repeat(200), random.text(12).replaceAll('\0', '')],
  ]);
}

/** A packet that a client may send, most of them right. */
function packet(random: Random): Packet {
  const qos = random.below(3) as 0 | 1 | 2;
  const messageId = 1 + random.below(65_535);
  return random.pick<() => Packet>([
    () => ({
      cmd: 'publish',
      topic: topic(random) || 'x',
      payload: payload(random),
      qos,
      dup: qos > 0 && random.once(3),
      retain: random.once(3),
      messageId,
    }),
    () => ({ cmd: 'publish', topic: 'events/login', payload: payload(random), qos: 1, dup: false, retain: false, messageId }),
    () => ({
      cmd: 'subscribe',
      messageId,
      subscriptions: [{ topic: topic(random) || '#', qos }, ...random.list(3, () => ({ topic: topic(random) || '#', qos }))],
    }),
    () => ({ cmd: 'unsubscribe', messageId, unsubscriptions: [topic(random) || '#'] }),
    () => ({ cmd: random.pick(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const), messageId }),
    () => ({ cmd: random.pick(['pingreq', 'pingreq', 'disconnect'] as const) }),
    () => ({
      cmd: 'connect',
      clientId: random.text(8).replaceAll('\0', '').toWellFormed() || 'x',
      protocolVersion: 4,
      clean: true,
      keepalive: 10,
    }),
    () => ({ cmd: 'suback', messageId, granted: [0] }),
  ])();
}

function payload(random: Random): string {
  const size = random.pick([0, 10, 10, 200]);
  return random.once(3) ? JSON.stringify({ userId: random.text(8) }) : 'x'.repeat(size);
}

/** Its bytes; some kinds of wrong ones that no generator writes. */
function packetBytes(random: Random): Buffer {
  const kind = random.below(14);
  if (kind === 0)
    return Buffer.from([random.below(256), 0xff, 0xff, 0xff, random.pick([0x7f, 0xff, 0x01]), ...random.list(12, () => random.below(256))]);
  if (kind === 1)
    return Buffer.from(
      random.pick(['GET / HTTP/1.1\r\nhost: x\r\n\r\n', '\x16\x03\x01\x02\x00\x01', '\0\0\0\0', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n']),
      'latin1',
    );
  if (kind === 2) return Buffer.from(random.list(24, () => random.below(256)));
  // A topic that is not UTF-8, or holds NUL [MQTT-1.5.3].
  if (kind === 3) {
    const text = random.pick([
      [0xff, 0xfe],
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0x61, 0x00],
      [0xf4, 0x90, 0x80, 0x80],
    ]);
    return Buffer.from([0x30 | random.below(16), 2 + text.length, 0, text.length, ...text]);
  }
  const bytes = generate(packet(random));
  return random.once(3) ? mutated(random, bytes) : bytes;
}

interface Stream {
  /** The account whose right or nearly right CONNECT comes first; undefined: none does. */
  account: string | undefined;
  connect: Buffer;
  packets: Buffer[];
  /** Whether the bytes come one packet at a time. */
  isSlow: boolean;
}

/** The account and password in a CONNECT [MQTT-3.1], as a reader of a few lines has them; undefined for other bytes. */
function credentialsIn(bytes: Buffer): { user: string; password: string } | undefined {
  if (bytes[0]! >> 4 !== 1) return undefined;
  let at = 2;
  while (at < 6 && bytes[at - 1]! >= 0x80) at++;
  const text = (): Buffer => {
    const size = at + 2 <= bytes.length ? bytes.readUInt16BE(at) : 0;
    at += 2 + size;
    return bytes.subarray(at - size, at);
  };
  text();
  const flags = bytes[at + 1] ?? 0;
  at += 4;
  text();
  if (flags & 4) {
    text();
    text();
  }
  return { user: flags & 0x80 ? text().toString() : '', password: flags & 0x40 ? text().toString() : '' };
}

const CONNACK_ACCEPTED = Buffer.from([0x20, 0x02, 0x00, 0x00]);

async function openBroker({ broker, passwords }: RunningBroker): Promise<Trial<Stream>> {
  const join = (account: string, clientId: string): Promise<MqttClient> =>
    mqtt.connectAsync({
      host: '127.0.0.1',
      port: broker.port,
      protocolVersion: 4,
      username: account,
      password: passwords[account],
      clientId,
      reconnectPeriod: 0,
    });
  // The service that logins are for acknowledges what comes; it must hear nothing else.
  const service = await join('portfolio-priority', 'stockmesh-portfolio-priority-fuzz');
  const monitor = await join('monitor', 'fuzz-monitor');
  const hook = await join('hook', 'fuzz-hook');
  const wrong: string[] = [];
  service.on('message', (heard) => heard !== 'events/login' && wrong.push(`the service of logins hears ${JSON.stringify(heard)}`));
  // Nobody says anything that a monitor hears, except the broker itself, and the gateway of what it refused before.
  monitor.on(
    'message',
    (heard, bytes) =>
      !/^alerts\/(held_logins|login_wait)$/.test(heard) &&
      heard !== 'events/refused' &&
      wrong.push(`a monitor hears ${JSON.stringify(heard)}: ${shownBytes(bytes)}`),
  );
  await service.subscribeAsync('events/login', { qos: 1 });
  await monitor.subscribeAsync(['#', 'stock/+/+', 'jobs/+/status', 'data/+/+', 'portfolio/+/priority', 'mesh/#', 'alerts/+'], { qos: 0 });
  const constant = broker.stats().clients;
  let judged = 0;
  /** A login comes through: the broker works. */
  const works = async (): Promise<void> => {
    const timer = AbortSignal.timeout(PATIENCE_MS);
    await Promise.race([
      hook.publishAsync('events/login', JSON.stringify({ userId: 'alice' }), { qos: 1 }),
      once(timer, 'abort').then(() => Promise.reject(new Wrong(`a login is not acknowledged within ${PATIENCE_MS / 1000} s`))),
    ]);
  };

  return {
    make(random) {
      const account = random.pick(['hook', 'hook', 'hook', 'monitor', undefined]);
      const user = account ?? random.pick(['', 'hook', 'root', 'service']);
      const right = generate({
        cmd: 'connect',
        protocolId: random.once(6) ? 'MQIsdp' : 'MQTT',
        protocolVersion: random.once(6) ? 3 : 4,
        clientId: `c${random.below(200)}`,
        clean: random.below(4) > 0,
        keepalive: 10,
        username: user,
        password: Buffer.from(account === undefined ? random.text(8) : passwords[account]!),
        ...(random.once(4) && {
          will: { topic: topic(random) || 'x', payload: payload(random), qos: random.below(3) as 0 | 1 | 2, retain: random.once(2) },
        }),
      });
      const packets = random.list(8, () => packetBytes(random));
      return { account, connect: random.once(3) ? mutated(random, right) : right, packets, isSlow: random.once(4) };
    },
    async judge({ connect, packets, isSlow }) {
      const answer = await converse(broker.port, [connect, ...packets], isSlow);
      if (wrong.length > 0) throw new Wrong(wrong.splice(0).join('; '));
      if (++judged % 64 === 0) await works();
      const isIn = answer.subarray(0, 4).equals(CONNACK_ACCEPTED);
      if (!isIn) return 'refused';
      const said = credentialsIn(connect);
      // The bytes after a CONNECT that was cut complete it: only whole ones are judged.
      const isWhole = said !== undefined && said.user !== '';
      if (isWhole && passwords[said.user] !== said.password)
        throw new Wrong(`${JSON.stringify(said.user)} is let in with another password`);
      return 'accepted';
    },
    smaller: function* (stream) {
      for (const packets of shorterLists(stream.packets)) yield { ...stream, packets };
    },
    shown: ({ connect, packets }) => [connect, ...packets].map(shownBytes).join(' '),
    async settle() {
      await works();
      for (const until = performance.now() + PATIENCE_MS; broker.stats().clients > constant && performance.now() < until; )
        await once(AbortSignal.timeout(50), 'abort');
      if (broker.stats().clients > constant) throw new Wrong(`${broker.stats().clients - constant} clients are still counted as connected`);
    },
    async close() {
      await Promise.all([service, monitor, hook].map((client) => client.endAsync(true)));
    },
  };
}

/** Sends bytes and a ping, ends its side, and gives what the broker says until it ends too. */
async function converse(port: number, parts: readonly Buffer[], isSlow: boolean): Promise<Buffer> {
  const socket = connectTcp({ host: '127.0.0.1', port });
  const answers: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => answers.push(chunk));
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  if (isSlow) for (const part of parts) await new Promise<void>((resolve) => socket.write(part, () => resolve()));
  else socket.write(Buffer.concat(parts));
  socket.end();
  const timer = setTimeout(() => socket.destroy(new Wrong('hangs')), PATIENCE_MS);
  await closed;
  clearTimeout(timer);
  return Buffer.concat(answers);
}

export const brokerStreams: Target<Stream> = {
  name: 'MQTT connections',
  inputs: 40_000,
  seconds: 60,
  together: 8,
  open: async (servers) => openBroker(await servers.broker()),
};

/** Packets of a stream, by the lengths in their heads [MQTT-2.2.3]; undefined where a length is none. */
function packetsIn(bytes: Buffer): Buffer[] | undefined {
  const packets: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    let length = 0;
    let body = at + 1;
    for (let place = 1; ; place *= 128) {
      const byte = bytes[body++];
      if (byte === undefined || place > 128 ** 3) return undefined;
      length += (byte & 127) * place;
      if (byte < 128) break;
    }
    if (body + length > bytes.length) return undefined;
    packets.push(bytes.subarray(at, body + length));
    at = body + length;
  }
  return packets;
}

interface Chunks {
  bytes: Buffer;
  cuts: number[];
}

const GATE_PAYLOAD = 300;

/** What passes the gate when bytes arrive in pieces, and whether it asked to end the connection. */
function passed({ bytes, cuts }: Chunks): { bytes: Buffer; isAbuse: boolean } {
  let isAbuse = false;
  const gate = packetGate({
    maxPayloadBytes: GATE_PAYLOAD,
    onOversize: () => {},
    onAbuse: () => {
      isAbuse = true;
    },
  });
  const ends = [...cuts, bytes.length];
  const parts: Buffer[] = [];
  for (const [index, end] of ends.entries()) {
    if (isAbuse) break;
    parts.push(Buffer.from(gate(bytes.subarray(index === 0 ? 0 : ends[index - 1], end))));
  }
  return { bytes: Buffer.concat(parts), isAbuse };
}

export const gate: Target<Chunks> = {
  name: 'MQTT packet gate',
  inputs: 150_000,
  seconds: 15,
  open: () => ({
    make(random) {
      const large = (): Buffer =>
        generate({
          cmd: 'publish',
          topic: topic(random) || 'x',
          payload: 'y'.repeat(GATE_PAYLOAD - 2 + random.below(200)),
          qos: random.below(2) as 0 | 1,
          dup: false,
          retain: false,
          messageId: 7,
        });
      const bytes = Buffer.concat(random.list(5, () => (random.once(3) ? large() : packetBytes(random))));
      const cuts = random.list(4, () => random.below(bytes.length + 1)).sort((a, b) => a - b);
      return { bytes, cuts };
    },
    judge(chunks) {
      const inPieces = passed(chunks);
      const atOnce = passed({ bytes: chunks.bytes, cuts: [] });
      if (inPieces.isAbuse !== atOnce.isAbuse) throw new Wrong('how the bytes are cut decides whether the connection ends');
      if (!atOnce.isAbuse && !inPieces.bytes.equals(atOnce.bytes)) throw new Wrong('how the bytes are cut decides what passes');
      const given = packetsIn(chunks.bytes);
      if (given === undefined || atOnce.isAbuse) return 'refused';
      const out = packetsIn(atOnce.bytes);
      if (out?.length !== given.length) throw new Wrong(`${given.length} packets are ${out?.length} behind the gate`);
      for (const [index, packetIn] of given.entries()) {
        const isLarge = packetIn.length > GATE_PAYLOAD + 5;
        if (!isLarge && !packetIn.equals(out[index]!)) throw new Wrong('a packet that is not large is changed');
        if (packetIn[0]! >> 4 === 3 && out[index]!.length > GATE_PAYLOAD + MOST_HEAD) throw new Wrong('a large payload passes');
      }
      return 'accepted';
    },
    smaller: function* ({ bytes, cuts }) {
      for (const shorter of shorterBytes(bytes)) yield { bytes: shorter, cuts: cuts.map((cut) => Math.min(cut, shorter.length)) };
    },
    shown: ({ bytes, cuts }) => `${shownBytes(bytes)} cut at ${cuts.join(', ')}`,
  }),
};
/** Of a publish: type, length, topic of at most 401 bytes, id. */
const MOST_HEAD = 5 + 2 + 65_535 + 2;
