/** How many filters one client may have. Counted where packets come in: aedes adds the filters of one packet one by one, after it has allowed all of them. */
import type { Client } from 'aedes';
import type { BrokerLimits, LimitReports } from './limits.ts';
import { LONGEST_TOPIC } from './limits.ts';

interface Subscriber {
  subscriptions: Readonly<Record<string, unknown>>;
  _parser: {
    prependListener(
      event: 'packet',
      listener: (packet: { cmd: string; subscriptions?: object[]; unsubscriptions?: string[] }) => void,
    ): void;
  };
}

export interface SubscriptionLimit {
  /** Begins to count. `account` names the client's in reports. */
  count(client: Client, account: () => string | undefined): void;
  /** Whether there was no room for this subscription, or its filter is too long. */
  isBeyond(subscription: object): boolean;
}

export function limitSubscriptionCount(
  { subscriptions: most }: Pick<BrokerLimits, 'subscriptions'>,
  { met }: LimitReports,
): SubscriptionLimit {
  const beyond = new WeakSet<object>();
  return {
    count(client, account) {
      const { subscriptions: granted, _parser } = client as unknown as Subscriber;
      const asked = new Set<string>();
      _parser.prependListener('packet', ({ cmd, subscriptions = [], unsubscriptions = [] }) => {
        if (cmd === 'unsubscribe') for (const topic of unsubscriptions) asked.delete(topic);
        if (cmd !== 'subscribe') return;
        // A kept session brings filters along that were not asked for on this connection.
        let room = most - Math.max(asked.size, Object.keys(granted).length);
        for (const subscription of subscriptions as { topic: string }[]) {
          const { topic } = subscription;
          if (asked.has(topic) || topic in granted) continue;
          if (room > 0 && topic.length <= LONGEST_TOPIC) {
            asked.add(topic);
            room--;
            continue;
          }
          beyond.add(subscription);
          const text =
            room > 0
              ? `a filter of more than ${LONGEST_TOPIC} characters is refused`
              : `a client has ${most} subscriptions (queue.mqtt.limits.subscriptions): more are refused`;
          met('subscriptions', account() ?? '', text);
        }
      });
    },
    isBeyond: (subscription) => beyond.has(subscription),
  };
}
