import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Aedes, Client } from 'aedes';

const packetTypes = { puback: 0x40, pubrec: 0x50 };

/** Acknowledges a publish of this connection [MQTT-3.4, MQTT-3.5]. Does nothing where it is closed: the client sends again. */
export function writeAcknowledgement({ conn, connected, closed }: Client, type: keyof typeof packetTypes, messageId: number): void {
  if (!connected || closed) return;
  const stream = conn as Duplex;
  // `gatherWrites` collects what is written between these.
  stream.cork();
  stream.write(Buffer.from([packetTypes[type], 2, messageId >> 8, messageId & 0xff]));
  stream.uncork();
}

/** The incoming QoS 2 messages that the sender has not released; aedes' types leave it out. */
interface IncomingStore {
  incomingGetPacket(client: Client, packet: { messageId: number }): Promise<{ payload: Buffer }>;
  incomingStorePacket(client: Client, packet: object): Promise<void>;
}

export const incomingOf = (broker: Aedes): IncomingStore => (broker as unknown as { persistence: IncomingStore }).persistence;

/** What an incoming message of QoS 2 is known by until it is released. */
export const digestOf = ({ topic, payload }: { topic: string; payload: Buffer }): Buffer =>
  createHash('sha256').update(`${topic}\n`).update(payload).digest();

interface Acknowledged {
  /** Undefined: gone, nobody is answered. */
  client: Client | undefined;
  messageId: number;
  qos: 1 | 2;
  topic: string;
  payload: Buffer;
}

/** Answers the sender of a message that its receivers have acknowledged. */
export function acknowledge(broker: Aedes, { client, qos, messageId, topic, payload }: Acknowledged): void {
  if (client === undefined) return;
  if (qos === 1) {
    writeAcknowledgement(client, 'puback', messageId);
    return;
  }
  // Remembered until the sender releases it, so that a double is not delivered again. aedes answers the release.
  const seen = { cmd: 'publish', messageId, topic, qos, payload: digestOf({ topic, payload }) };
  void incomingOf(broker)
    .incomingStorePacket(client, seen)
    .then(() => writeAcknowledgement(client, 'pubrec', messageId));
}
