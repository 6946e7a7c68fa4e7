/**
 * Acknowledge after commit: a publish that the access rules hold is acknowledged to its sender when its receivers have acknowledged their
 * copies, and a service does that after its commit. aedes itself acknowledges before it delivers, so a login would be lost with the process.
 *
 * - No subscriber of QoS 1 yet: the message waits and is delivered at the first subscription.
 * - Who has to acknowledge: of the clients whose role commits the topic (`commits` in access.yaml) one member of each shared subscription;
 *   where there is none, every plain subscriber of QoS 1 that is connected, at least one. Any other client that may see it is a spectator.
 * - A receiver that goes away for good gives its copy back: the message is delivered to another, or waits for one.
 * - A client that sends the same again (packet identifier and payload) waits for the first one's acknowledgement.
 * - A client that goes away is no longer answered. Its messages that no receiver was sent are forgotten: the client sends them again.
 * - Over the limits a message is neither kept nor acknowledged. When half of the room is free again, the connections of those clients are
 *   cut, since most clients send again only after a reconnect.
 *
 * The payload object is a message's identity in here: aedes passes it on as it is, while it copies packets and renumbers those that are moved.
 */
import type { Aedes, AedesPublishPacket, Client, PublishPacket } from 'aedes';
import { freeMessageId, type QueuedMessage, type SessionQueues } from '../session-queues.ts';
import type { SharedDelivery, SharedSubscriptions } from '../shared-subscriptions.ts';
import { acknowledge, digestOf, incomingOf, writeAcknowledgement } from './acknowledgement.ts';
import { type HeldStats, type HoldLimits, type LimitReached, limitReached } from './held-limits.ts';
import { createLine, type Line } from './line.ts';
import { acknowledges, createReceivers, type Receivers } from './receivers.ts';
import { createWindows, type Windows } from './windows.ts';

/** A message in the hands of one receiver. */
interface Copy {
  clientId: string;
  /** Undefined: it came by a plain subscription. */
  group: string | undefined;
}

interface Publish {
  clientId: string;
  client: Client;
  messageId: number;
  qos: 1 | 2;
  retain: boolean;
  topic: string;
  payload: Buffer;
}

interface Held extends Omit<Publish, 'client'> {
  /** Undefined: gone, nobody is answered. */
  client: Client | undefined;
  bytes: number;
  /** By `performance.now()`. */
  since: number;
  /** Those that a receiver has not acknowledged. */
  copies: Set<Copy>;
  /** By which kinds of subscription it was acknowledged, and given back without, since it was last delivered. */
  acknowledgedBy: Set<'group' | 'plain'>;
  givenBackBy: Set<'group' | 'plain'>;
}

interface State extends Pick<HeldPublishesOptions, 'limits' | 'commits'> {
  byPayload: Map<Buffer, Held>;
  /** By client id and packet identifier. */
  bySender: Map<string, Map<number, Held>>;
  /** Those that no receiver has. */
  line: Line<Held>;
  /** Copies on connections of clean sessions, by the packet identifier that will be acknowledged. */
  cleanCopies: Map<Client, Map<number, { held: Held; copy: Copy }>>;
  /** Clients whose messages were not taken. */
  refusedClients: Set<Client>;
  bytes: number;
  refused: number;
  full: LimitReached | undefined;
  windows: Windows;
  parts: { broker: Aedes; queues: SessionQueues; shared: SharedSubscriptions; receivers: Receivers } | undefined;
}

export interface HeldPublishes {
  /** Takes over a publish of QoS 1 or 2 from aedes: its delivery and its acknowledgement. */
  take(client: Client, packet: PublishPacket): void;
  /** Whether the message is held until this client, perhaps with others, has acknowledged it. */
  isHeldFor(clientId: string, packet: AedesPublishPacket): boolean;
  /** Notes that a connection of a clean session gets a copy, and gives the packet the identifier that the connection will acknowledge. */
  noteCleanDelivery(client: Client, packet: AedesPublishPacket | SharedDelivery): void;
  queued(message: QueuedMessage): void;
  acknowledged(message: QueuedMessage): void;
  removed(message: QueuedMessage): void;
  acknowledgedByClean(client: Client, messageId: number): void;
  /** Whether the window of a receiver takes one more message. */
  hasRoom(clientId: string): boolean;
  /** Starts to listen for subscriptions and disconnections. */
  attach(parts: { broker: Aedes; queues: SessionQueues; shared: SharedSubscriptions }): void;
  stats(): HeldStats;
}

export interface HeldPublishesOptions {
  limits: HoldLimits;
  /** Whether the acknowledgement of this client says that a message of the topic is committed. */
  commits: (clientId: string, topic: string) => boolean;
  /** Called for each message that is not taken. */
  onRefused: (client: Client, message: { topic: string; payload: Buffer }) => void;
  /** Called once each time that messages begin not to be taken. */
  onFull: (client: Client, topic: string) => void;
}

/** What a held message costs beside its payload, roughly. */
const MESSAGE_BYTES = 1000;

export function createHeldPublishes({ limits, commits, onRefused, onFull }: HeldPublishesOptions): HeldPublishes {
  const state: State = {
    limits,
    commits,
    byPayload: new Map(),
    bySender: new Map(),
    line: createLine<Held>({
      room: (topic) => state.parts!.receivers.room(topic),
      heldOf: (clientId) => state.bySender.get(clientId)?.size ?? 0,
      deliver: (held, done) => deliver(state, held, done),
    }),
    cleanCopies: new Map(),
    refusedClients: new Set(),
    bytes: 0,
    refused: 0,
    full: undefined,
    windows: createWindows(limits.window, () => state.line.lookSoon()),
    parts: undefined,
  };

  return {
    take: (client, packet) => takePublish(state, client, packet, { onRefused, onFull }),
    isHeldFor: (clientId, { topic, payload }) => state.byPayload.has(payload as Buffer) && commits(clientId, topic),
    noteCleanDelivery: (client, packet) => noteCleanDelivery(state, client, packet),
    queued(message) {
      if (!commits(message.clientId, message.packet.topic)) return;
      state.windows.add(message);
      heldBy(state, message)?.copies.add(message);
    },
    acknowledged(message) {
      state.windows.remove(message);
      const held = heldBy(state, message);
      if (held?.copies.has(message)) acknowledged(state, held, message);
    },
    removed(message) {
      state.windows.remove(message);
      const held = heldBy(state, message);
      if (held?.copies.has(message)) giveBack(state, held, message);
    },
    acknowledgedByClean(client, messageId) {
      const found = state.cleanCopies.get(client)?.get(messageId);
      if (found === undefined) return;
      state.cleanCopies.get(client)?.delete(messageId);
      state.windows.remove(found.copy);
      acknowledged(state, found.held, found.copy);
    },
    hasRoom: (clientId) => state.windows.leftOf(clientId) > 0,
    attach(parts) {
      state.parts = { ...parts, receivers: createReceivers({ ...parts, commits, windows: state.windows }) };
      parts.broker.on('subscribe', () => {
        state.line.look();
        for (const held of state.byPayload.values()) offerToGroups(state, held);
      });
      parts.broker.on('clientDisconnect', (client) => disconnected(state, client));
    },
    stats: () => statsOf(state),
  };
}

function takePublish(
  state: State,
  client: Client,
  packet: PublishPacket,
  { onRefused, onFull }: Pick<HeldPublishesOptions, 'onRefused' | 'onFull'>,
): void {
  const publish = {
    clientId: client.id,
    client,
    messageId: packet.messageId!,
    qos: packet.qos as 1 | 2,
    retain: packet.retain,
    topic: packet.topic,
    payload: packet.payload as Buffer,
  };
  const take = () => {
    const reached = hold(state, publish);
    if (reached === undefined) return;
    state.refused++;
    state.refusedClients.add(client);
    onRefused(client, publish);
    if (state.full !== undefined) return;
    state.full = reached;
    onFull(client, publish.topic);
  };
  if (publish.qos === 1) take();
  // Found: it was acknowledged with PUBREC and not released yet, so this is a double [MQTT-4.3.3-2]. Another content is another login, of a
  // client that lost its own state (mosquitto_pub begins with 1 at each start).
  else
    incomingOf(state.parts!.broker)
      .incomingGetPacket(client, publish)
      .then(
        ({ payload }) => (digestOf(publish).equals(payload) ? writeAcknowledgement(client, 'pubrec', publish.messageId) : take()),
        take,
      );
}

function statsOf({ byPayload, bytes, refused, full }: State): HeldStats {
  // A map keeps its order, and a message that is delivered again keeps its place.
  const [oldest] = byPayload.values();
  const heldOldestMs = oldest === undefined ? 0 : performance.now() - oldest.since;
  return { held: byPayload.size, heldBytes: bytes, heldOldestMs, heldRefused: refused, heldFull: full };
}

const heldBy = (state: State, { packet }: QueuedMessage): Held | undefined => state.byPayload.get(packet.payload as Buffer);

/** Keeps a publish until its receivers have acknowledged it, or gives the limit that leaves no room for it. */
function hold(state: State, publish: Publish): LimitReached | undefined {
  const { limits } = state;
  const own = state.bySender.getOrInsertComputed(publish.clientId, () => new Map());
  const earlier = own.get(publish.messageId);
  if (earlier !== undefined) {
    const { client, qos } = publish;
    const same = earlier.topic === publish.topic && earlier.payload.equals(publish.payload);
    if (same) Object.assign(earlier, { client, qos });
    if (same) return undefined;
    abandon(state, earlier);
  }
  const bytes = publish.payload.length + MESSAGE_BYTES;
  const reached = limitReached(limits, { own: own.size, messages: state.byPayload.size, bytes: state.bytes + bytes });
  if (reached !== undefined) {
    if (own.size === 0) state.bySender.delete(publish.clientId);
    return reached;
  }
  const held: Held = { ...publish, bytes, since: performance.now(), copies: new Set(), acknowledgedBy: new Set(), givenBackBy: new Set() };
  own.set(held.messageId, held);
  state.bySender.set(held.clientId, own);
  state.byPayload.set(held.payload, held);
  state.bytes += bytes;
  state.line.add(held);
  return undefined;
}

function deliver(state: State, held: Held, done: (isTaken: boolean) => void): void {
  const { topic, payload, retain } = held;
  state.parts!.broker.publish({ cmd: 'publish', topic, payload, qos: 1, retain, dup: false }, () =>
    done(held.copies.size > 0 || state.byPayload.get(payload) !== held),
  );
}

function acknowledged(state: State, held: Held, copy: Copy): void {
  held.copies.delete(copy);
  held.acknowledgedBy.add(kindOf(copy));
  decide(state, held);
}

/** A receiver is gone without an acknowledgement. */
function giveBack(state: State, held: Held, copy: Copy): void {
  held.copies.delete(copy);
  held.givenBackBy.add(kindOf(copy));
  decide(state, held);
}

const kindOf = ({ group }: Copy): 'group' | 'plain' => (group === undefined ? 'plain' : 'group');

const isQueued = (copy: Copy | QueuedMessage): copy is QueuedMessage => 'packet' in copy;

const isConnected = (state: State, { clientId }: Copy): boolean => state.parts!.receivers.isConnected(clientId);

/** Answers the sender once enough receivers have acknowledged, and delivers again when too few are left. */
function decide(state: State, held: Held): void {
  if (state.byPayload.get(held.payload) !== held || state.line.has(held)) return;
  const { copies, acknowledgedBy, givenBackBy } = held;
  // An absent plain subscriber may never come back, so it holds nothing back once another has acknowledged.
  const present = copies.values().filter((copy) => copy.group !== undefined || isConnected(state, copy));
  const left = new Set(present.map(kindOf));
  if (left.has('group')) return;
  // Where there is a group, a plain subscriber is a spectator.
  const decisive = acknowledgedBy.has('group') || givenBackBy.has('group') ? 'group' : 'plain';
  if (decisive === 'plain' && left.has('plain')) return;
  if (acknowledgedBy.has(decisive)) {
    forget(state, held);
    acknowledge(state.parts!.broker, held);
    makeRoom(state);
  } else if (decisive === 'plain' && copies.size > 0) {
    // Only absent plain subscribers have it.
  } else if (held.client === undefined) {
    forget(state, held);
  } else {
    acknowledgedBy.clear();
    givenBackBy.clear();
    state.line.add(held);
  }
}

/** A message that only plain subscribers have goes to a group that has begun since. A plain one may be absent for good. */
function offerToGroups(state: State, held: Held): void {
  if (state.line.has(held) || held.copies.size === 0 || !state.parts!.receivers.hasGroup(held.topic)) return;
  if (held.copies.values().some((copy) => kindOf(copy) === 'group')) return;
  state.line.add(held);
}

function forget(state: State, held: Held): void {
  if (!state.byPayload.delete(held.payload)) return;
  state.bytes -= held.bytes;
  const own = state.bySender.get(held.clientId);
  if (own?.get(held.messageId) === held) own.delete(held.messageId);
  if (own?.size === 0) state.bySender.delete(held.clientId);
  state.line.delete(held);
}

/** Nobody waits for the acknowledgement any more. A copy that was never sent is taken back, since the client sends again; one on its way still arrives. */
function abandon(state: State, held: Held): void {
  held.client = undefined;
  for (const copy of [...held.copies])
    if (isQueued(copy) && copy.sentOn === undefined && !isConnected(state, copy)) state.parts!.queues.remove(copy);
  if (state.line.has(held)) forget(state, held);
}

function disconnected(state: State, client: Client): void {
  state.refusedClients.delete(client);
  for (const held of [...(state.bySender.get(client.id)?.values() ?? [])]) if (held.client === client) abandon(state, held);
  const copies = state.cleanCopies.get(client);
  state.cleanCopies.delete(client);
  for (const { held, copy } of copies?.values() ?? []) {
    state.windows.remove(copy);
    giveBack(state, held, copy);
  }
  for (const held of state.byPayload.values()) if (held.acknowledgedBy.size > 0) decide(state, held);
  makeRoom(state);
}

/** Cuts the clients whose messages were not taken once there is room for them again: after the reconnect they send them again. */
function makeRoom(state: State): void {
  const { limits, refusedClients, bySender } = state;
  if (state.full === undefined || state.byPayload.size > limits.messages / 2 || state.bytes > limits.bytes / 2) return;
  for (const client of [...refusedClients]) {
    if ((bySender.get(client.id)?.size ?? 0) > limits.perClient / 2) continue;
    refusedClients.delete(client);
    client.close();
  }
  if (bySender.values().every((own) => own.size <= limits.perClient / 2)) state.full = undefined;
}

function noteCleanDelivery(state: State, client: Client, packet: AedesPublishPacket & { group?: string }): void {
  const held = state.byPayload.get(packet.payload as Buffer);
  if (held === undefined || packet.qos === 0 || !state.commits(client.id, packet.topic)) return;
  if (packet.group === undefined && !acknowledges(client, packet.topic)) return;
  const copies = state.cleanCopies.getOrInsertComputed(client, () => new Map());
  const copy = { clientId: client.id, group: packet.group };
  packet.messageId = freeMessageId(client, copies);
  copies.set(packet.messageId, { held, copy });
  state.windows.add(copy);
  held.copies.add(copy);
}
