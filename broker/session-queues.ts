/**
 * What aedes' memory lacks for a session that outlives its connection: a bound, since a client that never comes back must not fill the
 * process, and the mark of a message that is sent again [MQTT-3.3.1-1].
 */
import type { Readable } from 'node:stream';
import type { Aedes, AedesPublishPacket, Client } from 'aedes';

interface Receiver {
  clientId: string;
}

/** The part of aedes' persistence that queues; its types leave it out. */
interface OutgoingQueues {
  outgoingEnqueue(receiver: Receiver, packet: AedesPublishPacket): Promise<void>;
  outgoingEnqueueCombi(receivers: Receiver[], packet: AedesPublishPacket): Promise<void>;
  outgoingClearMessageId(client: Client, packet: AedesPublishPacket): Promise<AedesPublishPacket | undefined>;
  outgoingStream(client: Client): Readable;
}

export interface SessionQueues {
  /** Keeps a message for a session that is absent. */
  enqueue(clientId: string, packet: AedesPublishPacket): Promise<void>;
}

/** What a queued packet costs beside its payload, roughly. */
const PACKET_BYTES = 300;

/** Each session queues at most `maxBytes`; what comes later is dropped, as Mosquitto does by `max_queued_bytes`. `onFull` is told once each time that begins. */
export function keepSessionQueues(broker: Aedes, maxBytes: number, onFull: (clientId: string) => void): SessionQueues {
  const queues = (broker as unknown as { persistence: OutgoingQueues }).persistence;
  const enqueue = queues.outgoingEnqueueCombi.bind(queues);
  const clear = queues.outgoingClearMessageId.bind(queues);
  const stream = queues.outgoingStream.bind(queues);
  const queuedBytes = new Map<string, number>();
  const full = new Set<string>();
  const cost = (packet: AedesPublishPacket) => packet.payload.length + PACKET_BYTES;

  queues.outgoingEnqueueCombi = (receivers, packet) => {
    const fitting = receivers.filter(({ clientId }) => {
      const bytes = (queuedBytes.get(clientId) ?? 0) + cost(packet);
      if (bytes > maxBytes) {
        if (!full.has(clientId)) onFull(clientId);
        full.add(clientId);
        return false;
      }
      queuedBytes.set(clientId, bytes);
      return true;
    });
    return enqueue(fitting, packet);
  };
  queues.outgoingEnqueue = (receiver, packet) => queues.outgoingEnqueueCombi([receiver], packet);
  queues.outgoingClearMessageId = async (client, packet) => {
    const cleared = await clear(client, packet);
    if (cleared === undefined) return cleared;
    full.delete(client.id);
    const bytes = (queuedBytes.get(client.id) ?? 0) - cost(cleared);
    if (bytes > 0) queuedBytes.set(client.id, bytes);
    else queuedBytes.delete(client.id);
    return cleared;
  };
  // A queued packet has a message id once it was sent.
  queues.outgoingStream = (client) =>
    stream(client).map((packet: AedesPublishPacket) => (packet.messageId === undefined ? packet : Object.assign(packet, { dup: true })));

  return { enqueue: (clientId, packet) => queues.outgoingEnqueue({ clientId }, packet) };
}
