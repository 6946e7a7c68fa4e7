/**
 * The messages that a kept session (one that outlives its connection) has not acknowledged yet. They replace the queues of aedes' memory, which
 * search the whole queue for each acknowledgement, know no bound, and reuse a packet identifier that is still in flight.
 *
 * A message is here from its publication until its PUBACK. After a reconnect all of them are sent again in order, those that were sent before
 * with the DUP flag [MQTT-3.3.1-1], [MQTT-4.4.0-1]. What is published meanwhile waits behind them [MQTT-4.6.0-6].
 */
import { Readable } from 'node:stream';
import type { Aedes, AedesPublishPacket, Client } from 'aedes';
import { includes } from './access.ts';

/** One message in one kept session. */
export interface QueuedMessage {
  clientId: string;
  packet: AedesPublishPacket;
  /** The shared subscription (`$share/…`) that it came by; undefined: a plain subscription. */
  group: string | undefined;
  /** Known once it was sent. */
  messageId: number | undefined;
  /** The connection that it was last sent on. */
  sentOn: Client | undefined;
  /** Resolves when the redelivery hands it to the connection. */
  written: PromiseWithResolvers<void> | undefined;
  bytes: number;
}

interface Session {
  /** By the number that the broker gave the message; in the order of publication. */
  messages: Map<number, QueuedMessage>;
  byMessageId: Map<number, QueuedMessage>;
  lastMessageId: number;
  account: string | undefined;
  /** Of the messages that the bound applies to. */
  bytes: number;
  full: boolean;
}

/** The part of aedes' persistence that queues; its types leave it out. */
interface OutgoingQueues {
  outgoingEnqueueCombi(receivers: { clientId: string }[], packet: AedesPublishPacket): Promise<void>;
  outgoingUpdate(client: Client, packet: Partial<AedesPublishPacket>): Promise<void>;
  outgoingClearMessageId(client: Client, packet: { cmd: string; messageId: number }): Promise<AedesPublishPacket | undefined>;
  outgoingStream(client: Client): Readable;
  subscriptionsByClient(client: { id: string }): Promise<{ topic: string }[]>;
  subscriptionsByTopic(topic: string): Promise<{ clientId: string }[]>;
}

export interface SessionQueuesOptions {
  /** Bytes that one session queues at most, apart from exempt messages. What comes later is dropped, as Mosquitto does by `max_queued_bytes`. */
  maxBytes: number;
  /** The same for all sessions of one account. */
  maxBytesPerAccount: number;
  accountOf: (clientId: string) => string | undefined;
  /** Messages that the bound does not apply to. */
  isExempt: (packet: AedesPublishPacket, clientId: string) => boolean;
  /** Whether the session's account may see the topic. */
  maySee: (clientId: string, topic: string) => boolean;
  /** Called once each time that a session begins to drop messages. */
  onFull: (clientId: string) => void;
  onQueued: (message: QueuedMessage) => void;
  onAcknowledged: (message: QueuedMessage) => void;
  /** The message left the session without an acknowledgement. */
  onRemoved: (message: QueuedMessage) => void;
  /** A PUBACK from a clean session, which has no queue. */
  onCleanAcknowledgement: (client: Client, messageId: number) => void;
}

export interface SessionQueues {
  /** Keeps a message for a session, connected or not. */
  enqueue(clientId: string, packet: AedesPublishPacket, group?: string): void;
  /** Whether this delivery must not happen now, because the redelivery after the reconnect sends or sent the message. */
  isRedelivered(client: Client, packet: AedesPublishPacket): boolean;
  /** The messages that a session got by a shared subscription. */
  ofGroup(clientId: string, group: string): QueuedMessage[];
  remove(message: QueuedMessage): void;
  /** The clients of kept sessions that are subscribed to the topic by a plain subscription. */
  subscribers(topic: string): Promise<string[]>;
}

/** What a queued packet costs beside its payload, roughly. */
const PACKET_BYTES = 300;
const LARGEST_MESSAGE_ID = 65_535;

/** What the functions below share. */
interface Queues {
  options: SessionQueuesOptions;
  persistence: OutgoingQueues;
  sessions: Map<string, Session>;
  /** Bytes that the sessions of an account queue. */
  accounts: Map<string | undefined, number>;
  /** Connections whose redelivery is complete. */
  ready: WeakSet<Client>;
}

/** Replaces the queues of the broker's memory. */
export function keepSessionQueues(broker: Aedes, options: SessionQueuesOptions): SessionQueues {
  const { persistence } = broker as unknown as { persistence: OutgoingQueues };
  const queues: Queues = { options, persistence, sessions: new Map(), accounts: new Map(), ready: new WeakSet() };
  const { sessions, ready } = queues;

  broker.on('clientDisconnect', (client) => {
    if (sessions.get(client.id)?.messages.size === 0) sessions.delete(client.id);
    else void removeUnsubscribed(queues, client);
  });
  persistence.outgoingEnqueueCombi = async (receivers, packet) => {
    for (const { clientId } of receivers) if (options.maySee(clientId, packet.topic)) enqueue(queues, clientId, packet);
  };
  // aedes calls it directly before it writes the packet.
  persistence.outgoingUpdate = async (client, packet) => noteSent(queues, client, packet);
  persistence.outgoingClearMessageId = async (client, packet) => acknowledge(queues, client, packet);
  // Once a connection, before aedes calls it ready.
  persistence.outgoingStream = (client) => {
    if (client.clean) {
      // [MQTT-3.1.2-6]: a clean session ends the kept one of the same client id.
      for (const message of [...(sessions.get(client.id)?.messages.values() ?? [])]) remove(queues, message);
      sessions.delete(client.id);
      return Readable.from([]);
    }
    const session = sessionOf(queues, client.id);
    // One sequence over all connections, so that an identifier is used again only after 65,535 others.
    if (session.lastMessageId > 0) counterOf(client)._nextId = (session.lastMessageId % LARGEST_MESSAGE_ID) + 1;
    return Readable.from(redeliver(queues, client, session));
  };

  return {
    enqueue: (clientId, packet, group) => enqueue(queues, clientId, packet, group),
    remove: (message) => remove(queues, message),
    isRedelivered(client, packet) {
      if (client.clean) return false;
      const message = sessions.get(client.id)?.messages.get(packet.brokerCounter);
      return message !== undefined && (!ready.has(client) || message.sentOn === client);
    },
    ofGroup: (clientId, group) => [...(sessions.get(clientId)?.messages.values() ?? [])].filter((message) => message.group === group),
    subscribers: async (topic) => (await persistence.subscriptionsByTopic(topic)).map(({ clientId }) => clientId),
  };
}

function enqueue(queues: Queues, clientId: string, packet: AedesPublishPacket, group?: string): void {
  const { options, accounts } = queues;
  const session = sessionOf(queues, clientId);
  const exempt = options.isExempt(packet, clientId);
  const bytes = exempt ? 0 : packet.payload.length + PACKET_BYTES;
  // Overlapping subscriptions deliver a message once.
  if (session.messages.has(packet.brokerCounter)) return;
  const ofAccount = (accounts.get(session.account) ?? 0) + bytes;
  if (!exempt && (session.bytes + bytes > options.maxBytes || ofAccount > options.maxBytesPerAccount)) {
    if (!session.full) options.onFull(clientId);
    session.full = true;
    return;
  }
  session.bytes += bytes;
  accounts.set(session.account, ofAccount);
  // Not retained: only a message that answers a new subscription is marked so [MQTT-3.3.1-9].
  const copy = { ...packet, retain: false };
  const message = { clientId, packet: copy, group, messageId: undefined, sentOn: undefined, written: undefined, bytes };
  session.messages.set(packet.brokerCounter, message);
  options.onQueued(message);
}

function noteSent(queues: Queues, client: Client, packet: Partial<AedesPublishPacket>): void {
  const session = sessionOf(queues, client.id);
  const message = packet.brokerCounter === undefined ? undefined : session.messages.get(packet.brokerCounter);
  if (message === undefined) {
    // Dropped by the bound or moved to another session: it is sent, but not kept.
    packet.messageId = freeMessageId(client, session.byMessageId, packet.messageId);
    return;
  }
  message.messageId ??= freeMessageId(client, session.byMessageId, packet.messageId);
  session.byMessageId.set(message.messageId, message);
  session.lastMessageId = message.messageId;
  message.sentOn = client;
  packet.messageId = message.messageId;
  message.written?.resolve();
}

function acknowledge(queues: Queues, client: Client, packet: { cmd: string; messageId: number }): AedesPublishPacket | undefined {
  const { options, sessions } = queues;
  // For a publish aedes asks to forget what it does not deliver now: a double, or what `isRedelivered` holds back.
  if (packet.cmd !== 'puback' && packet.cmd !== 'pubcomp') return undefined;
  if (client.clean) {
    options.onCleanAcknowledgement(client, packet.messageId);
    return undefined;
  }
  const message = sessions.get(client.id)?.byMessageId.get(packet.messageId);
  if (message === undefined) return undefined;
  forget(queues, message);
  options.onAcknowledged(message);
  return message.packet;
}

async function* redeliver({ ready }: Queues, client: Client, session: Session): AsyncGenerator<AedesPublishPacket> {
  // The iterator of a Map also visits what is added while it runs.
  for (const message of session.messages.values()) {
    message.written = Promise.withResolvers();
    const { messageId } = message;
    yield { ...message.packet, dup: messageId !== undefined, ...(messageId !== undefined && { messageId }) };
    await message.written.promise;
  }
  ready.add(client);
}

/** A client that unsubscribed and left may never come back, so it must not keep an exempt message from the others. */
async function removeUnsubscribed(queues: Queues, { id }: Client): Promise<void> {
  const filters = (await queues.persistence.subscriptionsByClient({ id })).map(({ topic }) => topic);
  for (const message of [...(queues.sessions.get(id)?.messages.values() ?? [])]) {
    const { packet, group } = message;
    const subscribed = group === undefined ? filters.some((filter) => includes(filter, packet.topic)) : filters.includes(group);
    if (!subscribed && queues.options.isExempt(packet, id)) remove(queues, message);
  }
}

function forget({ sessions, accounts }: Queues, message: QueuedMessage): void {
  const session = sessions.get(message.clientId);
  if (!session?.messages.delete(message.packet.brokerCounter)) return;
  if (message.messageId !== undefined) session.byMessageId.delete(message.messageId);
  session.bytes -= message.bytes;
  const ofAccount = (accounts.get(session.account) ?? 0) - message.bytes;
  if (ofAccount > 0) accounts.set(session.account, ofAccount);
  else accounts.delete(session.account);
  if (message.bytes > 0) session.full = false;
}

function remove(queues: Queues, message: QueuedMessage): void {
  forget(queues, message);
  queues.options.onRemoved(message);
}

function sessionOf({ sessions, options }: Queues, clientId: string): Session {
  return sessions.getOrInsertComputed(clientId, () => {
    const account = options.accountOf(clientId);
    return { account, messages: new Map(), byMessageId: new Map(), lastMessageId: 0, bytes: 0, full: false };
  });
}

/** aedes takes the packet identifiers of a connection from here. */
const counterOf = (client: Client) => client as unknown as { _nextId: number };

/** `proposed`, or the connection's next packet identifier, whichever is not in flight. */
export function freeMessageId(client: Client, inFlight: ReadonlyMap<number, unknown>, proposed?: number): number {
  if (inFlight.size >= LARGEST_MESSAGE_ID) throw new Error('65,535 messages wait for an acknowledgement, no more can be sent');
  let messageId = proposed;
  while (messageId === undefined || inFlight.has(messageId)) {
    messageId = counterOf(client)._nextId;
    counterOf(client)._nextId = (messageId % LARGEST_MESSAGE_ID) + 1;
  }
  return messageId;
}
