/**
 * Who gets held messages, and how many each has not acknowledged. A receiver has a window of them, so that its memory does not grow with a burst, and that the login of another
 * hook, which comes in the middle of the burst, is among its next ones.
 */
import type { Aedes, Client } from 'aedes';
import { includes } from '../access.ts';
import type { SessionQueues } from '../session-queues.ts';
import type { SharedSubscriptions } from '../shared-subscriptions.ts';
import type { Windows } from './windows.ts';

export interface Receivers {
  /** How many messages of the topic its receivers take now in all, and how large their windows are; undefined where nobody receives it. */
  room(topic: string): Promise<Room | undefined>;
  /** Whether a group commits the topic. */
  hasGroup(topic: string): boolean;
  isConnected(clientId: string): boolean;
}

export interface Room {
  left: number;
  window: number;
}

export interface ReceiversOptions {
  broker: Aedes;
  queues: SessionQueues;
  shared: SharedSubscriptions;
  commits: (clientId: string, topic: string) => boolean;
  windows: Windows;
}

export function createReceivers({ broker, queues, shared, commits, windows }: ReceiversOptions): Receivers {
  const isConnected = (clientId: string): boolean => clientId in clientsOf(broker);

  const cleanOf = (topic: string): string[] =>
    Object.values(clientsOf(broker)).flatMap((client) =>
      client.clean && commits(client.id, topic) && acknowledges(client, topic) ? [client.id] : [],
    );

  /** The connected ones, or those that are absent when none is: their sessions keep a window of messages for their return. */
  const present = (clientIds: readonly string[]): string[] => {
    const connected = clientIds.filter(isConnected);
    return connected.length > 0 ? connected : clientIds.slice(0, 1);
  };

  return {
    isConnected,
    hasGroup: (topic) => shared.members(topic).some(({ id }) => commits(id, topic)),
    async room(topic) {
      const members = present(shared.members(topic).flatMap(({ id }) => (commits(id, topic) ? [id] : [])));
      if (members.length > 0)
        return { left: members.reduce((sum, id) => sum + windows.leftOf(id), 0), window: members.length * windows.size };
      const kept = (await queues.subscribers(topic)).filter((clientId) => commits(clientId, topic));
      const plain = present(kept.some(isConnected) ? kept : [...cleanOf(topic), ...kept]);
      // Each of them gets every message. The slowest does not hold back the others.
      return plain.length === 0 ? undefined : { left: Math.max(...plain.map(windows.leftOf)), window: windows.size };
    },
  };
}

/** By client id; aedes' types leave it out. */
const clientsOf = (broker: Aedes) => (broker as unknown as { clients: Record<string, Client> }).clients;

/** Whether a connection of a clean session gets this topic at QoS 1: with an overlapping subscription of QoS 0, aedes may deliver by that one. */
export function acknowledges(client: Client, topic: string): boolean {
  const { subscriptions } = client as unknown as { subscriptions: Record<string, { qos: number }> };
  const matching = Object.entries(subscriptions).filter(([filter]) => includes(filter, topic));
  return matching.length > 0 && matching.every(([, { qos }]) => qos > 0);
}
