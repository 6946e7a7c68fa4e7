import { type Packet, writeToStream } from 'mqtt-packet';

/**
 * The MQTT writer keeps the encoded form of each length of a packet below this that it has written. Made one at a time, each form holds the whole 64 KiB that Node has
 * cut it from: a process that had published messages of all lengths held 1 GiB.
 */
const KEPT_BELOW = 16_384;

let isDone = false;

/** Has the writer make all of them at once, in 128 KiB. Takes 50 ms, once a process: for those that publish for days. */
export function encodePacketLengths(): void {
  if (isDone) return;
  isDone = true;
  const nowhere = { write: () => true } as unknown as NodeJS.WritableStream;
  const bytes = Buffer.alloc(KEPT_BELOW);
  // Topic and payload behind the length of the topic.
  for (let length = 3; length < KEPT_BELOW; length++) {
    const packet: Packet = { cmd: 'publish', topic: 'x', payload: bytes.subarray(0, length - 3), qos: 0, retain: false, dup: false };
    writeToStream(packet, nowhere);
  }
}
