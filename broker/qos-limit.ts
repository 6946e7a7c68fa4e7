/**
 * QoS 2 at the embedded broker: taken from publishers exactly once, delivered at QoS 1.
 *
 * aedes delivers QoS 2 to a subscription of QoS 1, and its queues redeliver nothing after a reconnect where both are in flight. So a
 * subscription of QoS 2 is granted QoS 1, which [MQTT-3.8.4-6] allows, and a publish of QoS 2 goes on as QoS 1 once its identifier is noted.
 */
import type { Aedes, Client } from 'aedes';

interface Parser {
  prependListener(event: 'packet', listener: (packet: { cmd: string; subscriptions?: { qos: number }[] }) => void): void;
}

/** Grants this connection QoS 1 where it asks for 2. Done where packets come in, since aedes answers what was asked, not what was authorized. */
export function limitSubscriptions(client: Client): void {
  (client as unknown as { _parser: Parser })._parser.prependListener('packet', ({ cmd, subscriptions = [] }) => {
    if (cmd === 'subscribe') for (const subscription of subscriptions) subscription.qos = Math.min(subscription.qos, 1);
  });
}

interface IncomingStore {
  incomingStorePacket(client: Client, packet: { qos: number }): Promise<void>;
}

/** Publishes what came with QoS 2 as QoS 1. aedes notes the packet identifier first, publishes then, and answers with PUBREC. */
export function limitPublishes(broker: Aedes): void {
  const { persistence } = broker as unknown as { persistence: IncomingStore };
  const store = persistence.incomingStorePacket.bind(persistence);
  persistence.incomingStorePacket = async (client, packet) => {
    await store(client, packet);
    packet.qos = 1;
  };
}
