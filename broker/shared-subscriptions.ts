/**
 * `$share/<group>/<filter>` for aedes, which grants such a subscription and then never delivers anything to it.
 *
 * The client stays subscribed to the literal `$share/…`, where nothing is ever published, so that aedes does all the book-keeping. Each
 * group listens to its filter once, inside the broker, and hands each message to one member, in turn. A member that may not see the topic
 * is never chosen; one that does not drain its socket, or whose window is full, only where there is no other. A group gets no retained messages, as MQTT 5 wants it (4.8.2); Mosquitto 2.0 sends them to
 * each member.
 *
 * While no member is connected, QoS 1 messages wait in one of the kept sessions, if there is one. A connected member takes over what waits
 * in the kept session of an absent one, also what that one had received and not acknowledged: its service may never come back.
 */
import type { Aedes, AedesPublishPacket, Client } from 'aedes';
import { includes } from './access.ts';
import type { SessionQueues } from './session-queues.ts';

interface Member {
  /** Closed, where a session is kept and its client absent. */
  client: Client;
  qos: number;
}

interface Group {
  /** `$share/<group>/<filter>` */
  name: string;
  filter: string;
  members: Member[];
  turn: number;
  deliver: (packet: AedesPublishPacket, done: () => void) => void;
}

/** A message on its way to a member. */
export interface SharedDelivery extends AedesPublishPacket {
  group: string;
}

export interface SharedSubscriptions {
  /** Makes the client a member of its group; false where the filter is malformed. */
  join(client: Client, subscription: { topic: string; qos: number }): boolean;
  /** The members of groups that get QoS 1 messages of this topic, now or when they are back. */
  members(topic: string): Client[];
}

export interface SharedSubscriptionsOptions {
  queues: SessionQueues;
  maySee: (client: Client, topic: string) => boolean;
  /** Whether the window of this client takes one more message that is held for it. */
  hasRoom: (clientId: string) => boolean;
}

/** aedes' own delivery to one connection; its types leave it out. */
type Deliverer = { deliverQoS(packet: AedesPublishPacket, done: () => void): void };

export const isShared = (filter: string): boolean => filter.startsWith('$share/');

/** The filter inside `$share/<group>/<filter>`, or undefined where it is not well-formed. */
export function filterInside(shared: string): string | undefined {
  return /^\$share\/[^/+#]+\/(.+)$/s.exec(shared)?.[1];
}

export function emulateSharedSubscriptions(broker: Aedes, { queues, maySee, hasRoom }: SharedSubscriptionsOptions): SharedSubscriptions {
  const groups = new Map<string, Group>();

  function leave(name: string, leaves: (member: Member) => boolean): void {
    const group = groups.get(name);
    if (group === undefined) return;
    group.members = group.members.filter((member) => !leaves(member));
    if (group.members.length > 0) return;
    groups.delete(name);
    broker.unsubscribe(group.filter, group.deliver, () => {});
  }

  function deliver(group: Group, packet: AedesPublishPacket, done: () => void): void {
    const member = nextMember(group, packet.topic, { maySee, hasRoom });
    if (member !== undefined) {
      const qos = Math.min(packet.qos, member.qos) as 0 | 1;
      // Broker id and counter stay as they are: by them aedes knows what it has already sent to a client.
      const copy: SharedDelivery = Object.assign({}, packet, { retain: false, qos, group: group.name });
      if (qos > 0 && !member.client.clean) queues.enqueue(member.client.id, copy, group.name);
      (member.client as unknown as Deliverer).deliverQoS(copy, done);
      return;
    }
    const absent = group.members.find(({ client, qos }) => client.closed && !client.clean && qos > 0 && maySee(client, packet.topic));
    if (absent !== undefined && packet.qos > 0) queues.enqueue(absent.client.id, packet, group.name);
    done();
  }

  /** Gives the connected members what waits in the session of an absent client. */
  function takeOver(group: Group, absent: Client): void {
    for (const message of queues.ofGroup(absent.id, group.name)) {
      if (nextMember(group, message.packet.topic, { maySee, hasRoom }) === undefined) return;
      // A number of its own: by the old one, members take it for a double of a message that overtook it.
      const counters = broker as unknown as { counter: number };
      deliver(group, { ...message.packet, brokerCounter: ++counters.counter }, () => {});
      queues.remove(message);
    }
  }

  broker.on('unsubscribe', (filters, client) => {
    for (const filter of filters) leave(filter, (member) => member.client === client);
  });
  broker.on('clientDisconnect', (client) => {
    if (client.clean) for (const name of groups.keys()) leave(name, (member) => member.client === client);
    // It may have left a group and still hold messages of it.
    else for (const group of groups.values()) takeOver(group, client);
  });
  broker.on('client', (client) => {
    // [MQTT-3.1.2-6]: a clean session ends the kept one of the same client id.
    if (client.clean) for (const name of groups.keys()) leave(name, (member) => member.client.closed && member.client.id === client.id);
  });

  return {
    join(client, { topic: name, qos }) {
      const filter = filterInside(name);
      if (filter === undefined) return false;
      const member: Member = { client, qos };
      const known = groups.get(name);
      if (known !== undefined) {
        const others = known.members.filter((other) => other.client.id !== client.id);
        known.members = [...others, member];
        for (const other of others) if (other.client.closed) takeOver(known, other.client);
        return true;
      }
      const group: Group = { name, filter, members: [member], turn: 0, deliver: (packet, done) => deliver(group, packet, done) };
      groups.set(name, group);
      broker.subscribe(filter, group.deliver, () => {});
      return true;
    },

    members: (topic) =>
      groups
        .values()
        .filter(({ filter }) => includes(filter, topic))
        .flatMap(({ members }) => members.flatMap(({ client, qos }) => (qos > 0 ? [client] : [])))
        .toArray(),
  };
}

/** The connected member whose turn it is; one whose window is full, or that does not drain its socket, only where there is no other. */
function nextMember(
  group: Group,
  topic: string,
  { maySee, hasRoom }: Pick<SharedSubscriptionsOptions, 'maySee' | 'hasRoom'>,
): Member | undefined {
  const { members } = group;
  let busy: Member | undefined;
  for (let tried = 0; tried < members.length; tried++) {
    const member = members[group.turn++ % members.length]!;
    const { client } = member;
    if (client.closed || !(client.connected || client.connecting) || !maySee(client, topic)) continue;
    if (!client.conn.writableNeedDrain && hasRoom(client.id)) return member;
    busy ??= member;
  }
  return busy;
}
