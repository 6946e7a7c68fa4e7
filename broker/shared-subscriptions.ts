/**
 * `$share/<group>/<filter>` for aedes, which grants such a subscription and then never delivers anything to it.
 *
 * The client stays subscribed to the literal `$share/…`, where nothing is ever published, so that aedes does all the book-keeping. Each
 * group listens to its filter once, inside the broker, and hands each message to one member, in turn. A member that may not see the topic
 * or does not drain its socket is passed over. While no member is connected, QoS 1 messages wait in one of the sessions that outlive their
 * connection, if there is one. What was on its way to a member that dies is not sent to another, as with Mosquitto. A group gets no
 * retained messages, as MQTT 5 wants it (4.8.2); Mosquitto 2.0 sends them to each member.
 */
import type { Aedes, AedesPublishPacket, Client } from 'aedes';
import type { SessionQueues } from './session-queues.ts';

interface Member {
  /** Closed, where a session is kept and its client absent. */
  client: Client;
  qos: number;
}

interface Group {
  filter: string;
  members: Member[];
  turn: number;
  deliver: (packet: AedesPublishPacket, done: () => void) => void;
}

export interface SharedSubscriptions {
  /** Makes the client a member of its group; false where the filter is malformed. */
  join(client: Client, subscription: { topic: string; qos: number }): boolean;
}

export const isShared = (filter: string): boolean => filter.startsWith('$share/');

/** The filter inside `$share/<group>/<filter>`, or undefined where it is not well-formed. */
function sharedFilter(shared: string): string | undefined {
  return /^\$share\/[^/+#]+\/(.+)$/s.exec(shared)?.[1];
}

export function emulateSharedSubscriptions(
  broker: Aedes,
  queues: SessionQueues,
  maySee: (client: Client, topic: string) => boolean,
): SharedSubscriptions {
  const groups = new Map<string, Group>();

  function leave(shared: string, leaves: (member: Member) => boolean): void {
    const group = groups.get(shared);
    if (group === undefined) return;
    group.members = group.members.filter((member) => !leaves(member));
    if (group.members.length > 0) return;
    groups.delete(shared);
    broker.unsubscribe(group.filter, group.deliver, () => {});
  }

  broker.on('unsubscribe', (filters, client) => {
    for (const filter of filters) leave(filter, (member) => member.client === client);
  });
  broker.on('clientDisconnect', (client) => {
    if (client.clean) for (const shared of groups.keys()) leave(shared, (member) => member.client === client);
  });
  broker.on('client', (client) => {
    // [MQTT-3.1.2-6]: a clean session ends the kept one of the same client id.
    if (client.clean) for (const shared of groups.keys()) leave(shared, (member) => member.client.closed && member.client.id === client.id);
  });

  function nextMember(group: Group, topic: string): Member | undefined {
    const { members } = group;
    let congested: Member | undefined;
    for (let tried = 0; tried < members.length; tried++) {
      const member = members[group.turn++ % members.length]!;
      const { client } = member;
      if (client.closed || !(client.connected || client.connecting) || !maySee(client, topic)) continue;
      if (!client.conn.writableNeedDrain) return member;
      congested ??= member;
    }
    return congested;
  }

  function deliver(group: Group, packet: AedesPublishPacket, done: () => void): void {
    const member = nextMember(group, packet.topic);
    // Broker id and counter stay as they are: by them aedes knows what it has already sent to a client.
    const unretained = Object.assign({}, packet, { retain: false });
    if (member !== undefined) {
      member.client.publish(Object.assign(unretained, { qos: Math.min(packet.qos, member.qos) }), () => done());
      return;
    }
    const absent = group.members.find(({ client, qos }) => client.closed && !client.clean && qos > 0);
    if (absent === undefined || packet.qos === 0) done();
    else void queues.enqueue(absent.client.id, unretained).then(done);
  }

  return {
    join(client, { topic: shared, qos }) {
      const filter = sharedFilter(shared);
      if (filter === undefined) return false;
      const member: Member = { client, qos };
      const known = groups.get(shared);
      if (known !== undefined) {
        known.members = [...known.members.filter((other) => other.client.id !== client.id), member];
        return true;
      }
      const group: Group = { filter, members: [member], turn: 0, deliver: (packet, done) => deliver(group, packet, done) };
      groups.set(shared, group);
      broker.subscribe(filter, group.deliver, () => {});
      return true;
    },
  };
}
