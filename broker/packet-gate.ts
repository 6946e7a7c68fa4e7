/**
 * Stops packets that are too large where their first bytes arrive, before anything collects them: aedes itself would gather up to 256 MB.
 * A publish is emptied and goes on under `DROPPED_TOPIC`, so that the broker still acknowledges it: a client that gets no acknowledgement
 * sends the same again after every reconnection. Its payload is discarded as it comes in.
 */
import type { Duplex } from 'node:stream';
import { LARGEST_SLICE, type Pace, SMALLEST_SLICE } from './edge/pace.ts';
import { inTurn, LONGEST_TURN } from './edge/turns.ts';

/** Where refused messages go: the broker delivers nothing of `$SYS`. */
export const DROPPED_TOPIC = '$SYS/dropped';

export interface GateOptions {
  /** Bytes of payload that a publish may carry. */
  maxPayloadBytes: number;
  /** Told of each publish that was emptied. */
  onOversize: (topic: string, payloadBytes: number) => void;
  /** Told of a packet of another kind that cannot be meant well. The connection should end. */
  onAbuse: (packetBytes: number) => void;
  /** Told of each packet that has passed whole, perhaps emptied; `type` as in its first byte [MQTT-2.2.1]. */
  onEnd?: (type: number) => void;
}

const PUBLISH = 3;
/** The longest topic, packet id and lengths: what a packet needs beside a payload [MQTT-1.5.3]. */
const LARGEST_HEAD = 65_535 + 9;
const NOTHING = Buffer.alloc(0);

/** From PUBACK to PUBCOMP: their number follows from what the broker itself sends. */
const isAcknowledgement = (type: number): boolean => type >= 4 && type <= 7;

/**
 * Puts a gate before `connection`: from now on `read()` gives only bytes that it let through, a slice at a time, and none before its pace allows. What is not read stays in
 * the stream, and beyond that with the client.
 */
export function gateReads<Connection extends Duplex>(connection: Connection, options: GateOptions & { pace: Pace }): Connection {
  const { pace } = options;
  let ended = 0;
  let messages = 0;
  const admit = packetGate({
    ...options,
    onEnd(type) {
      ended++;
      if (!isAcknowledgement(type)) messages++;
    },
  });
  const read = connection.read;
  let waiting: NodeJS.Timeout | undefined;
  let resting = false;
  let asked = false;
  /** Whether the last slice left something. */
  let hasMore = false;
  let turn: 'none' | 'awaited' | 'here' = 'none';
  /** Bytes of a slice that is handled within a turn. */
  let slice = LARGEST_SLICE;
  connection.once('close', () => {
    clearTimeout(waiting);
    pace.end();
  });
  /** One slice a turn of the event loop. aedes may also ask in the middle of parsing the slice before, and would take the next one in front of its rest. */
  function rest(): void {
    resting = true;
    asked = false;
    setImmediate(() => {
      resting = false;
      if (asked) connection.emit('readable');
    });
  }
  function takeTurn(): void {
    const start = performance.now();
    turn = 'here';
    connection.emit('readable');
    turn = 'none';
    slice = performance.now() - start > LONGEST_TURN ? Math.max(SMALLEST_SLICE, slice / 2) : Math.min(LARGEST_SLICE, slice * 2);
  }
  /** Whether there is nothing to be had now; the stream says when there is. */
  function isClosed(): boolean {
    if (resting) asked = true;
    if (resting || waiting !== undefined || turn === 'awaited') return true;
    const ms = pace.wait();
    if (ms > 0) {
      waiting = setTimeout(() => {
        waiting = undefined;
        connection.emit('readable');
      }, ms);
      return true;
    }
    if (!hasMore || turn === 'here') return false;
    turn = 'awaited';
    inTurn(takeTurn);
    return true;
  }
  connection.read = (size) => {
    // The stream itself, which looks for more and takes nothing.
    if (size === 0) return read.call(connection, 0);
    if (isClosed()) return null;
    const admitted: Buffer[] = [];
    let bytes = 0;
    [ended, messages] = [0, 0];
    // aedes reads again when it has handled what it got, so there has to be a whole packet in it. The size is never more than there is: only then the rest stays.
    while (ended === 0) {
      const chunk: Buffer | null = read.call(connection, Math.min(pace.slice(), slice, connection.readableLength) || undefined);
      if (chunk === null) break;
      bytes += chunk.length;
      admitted.push(admit(chunk));
    }
    if (bytes === 0) return null;
    hasMore = connection.readableLength > 0;
    pace.charge(messages, bytes, hasMore);
    rest();
    const all = admitted.length === 1 ? admitted[0]! : Buffer.concat(admitted);
    return all.length === 0 ? null : all;
  };
  return connection;
}

/** A function that is given a stream of MQTT bytes chunk by chunk and gives back what may pass. */
export function packetGate({ maxPayloadBytes, onOversize, onAbuse, onEnd }: GateOptions): (chunk: Buffer) => Buffer {
  let undecided: Buffer = NOTHING;
  let bytesLeft = 0;
  let discarding = false;
  let type = 0;

  return (chunk) => {
    const bytes = undecided.length === 0 ? chunk : Buffer.concat([undecided, chunk]);
    undecided = NOTHING;
    const passed: Buffer[] = [];
    let passFrom = 0;
    let at = 0;
    while (at < bytes.length) {
      if (bytesLeft === 0) {
        const packet = readHead(bytes, at, maxPayloadBytes);
        if (packet === undefined) {
          undecided = bytes.subarray(at);
          break;
        }
        bytesLeft = packet.bytes;
        type = bytes[at]! >> 4;
        discarding = packet.substitute !== undefined;
        if (packet.substitute !== undefined) {
          passed.push(bytes.subarray(passFrom, at), packet.substitute);
          onEnd?.(type);
          onOversize(packet.topic, packet.payloadBytes);
        } else if (packet.bytes > maxPayloadBytes + LARGEST_HEAD) {
          onAbuse(packet.bytes);
          return NOTHING;
        }
      }
      const step = Math.min(bytesLeft, bytes.length - at);
      bytesLeft -= step;
      at += step;
      if (discarding) passFrom = at;
      else if (bytesLeft === 0) onEnd?.(type);
    }
    const rest = bytes.subarray(passFrom, bytes.length - undecided.length);
    return passed.length === 0 ? rest : Buffer.concat([...passed, rest]);
  };
}

type Head = { bytes: number; substitute: undefined } | { bytes: number; substitute: Buffer; topic: string; payloadBytes: number };

/** What starts at `at`, or undefined while too little of it is here. `bytes` counts the whole packet from `at`. */
function readHead(bytes: Buffer, at: number, maxPayloadBytes: number): Head | undefined {
  // [MQTT-2.2.3]: the remaining length has one to four bytes of seven bits, the lowest first.
  let remaining = 0;
  let body = at + 1;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[body++];
    if (byte === undefined) return undefined;
    remaining += (byte & 0x7f) << shift;
    if (byte < 0x80) break;
    // A fifth byte is an error that the parser behind the gate reports.
    if (shift === 21) return { bytes: body - at, substitute: undefined };
  }
  const size = body - at + remaining;
  const type = bytes[at]! >> 4;
  const qos = (bytes[at]! >> 1) & 3;
  if (type !== PUBLISH || remaining <= maxPayloadBytes) return { bytes: size, substitute: undefined };

  if (bytes.length < body + 2) return undefined;
  const topicBytes = bytes.readUInt16BE(body);
  const idBytes = qos > 0 ? 2 : 0;
  const payloadBytes = remaining - 2 - topicBytes - idBytes;
  if (payloadBytes <= maxPayloadBytes) return { bytes: size, substitute: undefined };
  const idAt = body + 2 + topicBytes;
  if (bytes.length < idAt + idBytes) return undefined;

  const topic = Buffer.from(DROPPED_TOPIC);
  const substitute = Buffer.concat([
    Buffer.from([(PUBLISH << 4) | (qos << 1), 2 + topic.length + idBytes, 0, topic.length]),
    topic,
    bytes.subarray(idAt, idAt + idBytes),
  ]);
  return { bytes: size, substitute, topic: bytes.toString('utf8', body + 2, idAt), payloadBytes };
}
