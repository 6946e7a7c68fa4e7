import type { Duplex } from 'node:stream';
import type { Client } from 'aedes';

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
