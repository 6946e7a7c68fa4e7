import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import mqtt from 'mqtt';
import type { Encoded } from '../messages.ts';
import { type BrokerAddress, clientOptions } from './connection.ts';

const PROBE_MS = 1000;
/** Until the next of several hosts is tried. */
const NEXT_HOST_MS = 10;

export function sharedFilter(group: string, filter: string): string {
  return `$share/${group}/${filter}`;
}

/**
 * Whether the broker delivers to shared subscriptions. Three brokers grant them and then deliver nothing, so the only proof is a message to oneself. It needs its own connection,
 * because another subscription of the same client would receive the message too. `message` is one that this account may publish and subscribe; it is sent unretained.
 */
export async function sharedWorks(address: BrokerAddress, clientId: string, message: Encoded): Promise<boolean> {
  const options = clientOptions(address);
  let left = options.servers?.length ?? 1;
  const client = mqtt.connect({ ...options, clientId, clean: true, reconnectPeriod: left > 1 ? NEXT_HOST_MS : 0 });
  const failed = new Promise<false>((resolve) => {
    client.on('connect', () => {
      left = 1;
    });
    client.on('close', () => --left <= 0 && resolve(false));
  });
  const probe = async (): Promise<boolean> => {
    await new Promise<void>((resolve) => client.on('connect', () => resolve()));
    const received = new Promise<true>((resolve) => {
      client.on('message', (_topic, payload, { retain }) => !retain && payload.equals(Buffer.from(message.payload)) && resolve(true));
    });
    await client.subscribeAsync(sharedFilter(randomUUID(), message.topic), { qos: 1 });
    await client.publishAsync(message.topic, message.payload, { qos: 1 });
    return received;
  };
  // A probe that cannot subscribe has answered the question: no.
  const answer = await Promise.race([probe().catch(() => false), failed, delay(PROBE_MS, false, { ref: false })]);
  client.end(true);
  return answer;
}
