/**
 * Which subscriptions are granted. A shared filter (`$share/group/filter`) obeys the rules of the filter inside.
 *
 * A connection without a kept session is granted every filter, as at Mosquitto, and gets what its role may see. A kept session is granted only
 * filters that the role may see whole: a message that is withheld from it would stay in its queue for ever.
 */
import type { Aedes, AedesOptions, Client } from 'aedes';
import type { Access } from './access.ts';
import type { ClientAdmission } from './client-admission.ts';
import { filterInside, isShared, type SharedSubscriptions } from './shared-subscriptions.ts';

export interface SubscriptionAccess {
  authorize: NonNullable<AedesOptions['authorizeSubscribe']>;
  /** Keeps what was refused out of kept sessions. */
  attach(broker: Aedes): void;
}

interface SubscriptionStore {
  addSubscriptions(client: Client, subscriptions: { topic: string }[]): Promise<void>;
}

export function createSubscriptionAccess({
  access,
  admission,
  join,
  isBeyond,
  logOnce,
}: {
  access: Access;
  admission: ClientAdmission;
  join: SharedSubscriptions['join'];
  /** Whether the client has no room for this subscription. */
  isBeyond: (subscription: object) => boolean;
  logOnce: (client: Client, topic: string, event: string, text: string) => void;
}): SubscriptionAccess {
  function covers(client: Client, topic: string): boolean {
    const role = admission.identityOf(client)?.role;
    const filter = isShared(topic) ? filterInside(topic) : topic;
    return role !== undefined && filter !== undefined && access.covers(role, filter);
  }

  return {
    authorize(client, subscription, done) {
      const { topic } = subscription;
      if (isBeyond(subscription)) return done(null, null);
      const covered = covers(client, topic);
      const allowed = covered || client.clean;
      if (!covered)
        logOnce(client, topic, 'broker.subscription_filtered', allowed ? 'sees only what its role may' : 'subscription refused');
      const granted = allowed && (!isShared(topic) || join(client, subscription));
      done(null, granted ? subscription : null);
    },

    attach(broker) {
      // For each filter that it granted, aedes stores all that stand in the same packet.
      const { persistence } = broker as unknown as { persistence: SubscriptionStore };
      const store = persistence.addSubscriptions.bind(persistence);
      persistence.addSubscriptions = (client, subscriptions) =>
        store(
          client,
          subscriptions.filter((subscription) => covers(client, subscription.topic) && !isBeyond(subscription)),
        );
    },
  };
}
