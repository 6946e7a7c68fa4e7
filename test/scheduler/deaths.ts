/** Workers as the broker sees them, and a scheduler that watches for their deaths. */
import type { MqttClient } from 'mqtt';
import { onTestFinished } from 'vitest';
import type { Change, Ledger } from '../../services/ledger/job.ts';
import type { Logger } from '../../services/platform/log/log.ts';
import { encodeMessage } from '../../services/platform/messages.ts';
import { watchForDeaths } from '../../services/scheduler/rescue.ts';
import { join, silent } from '../broker/peers.ts';
import { openBus } from '../platform/bus/brokers.ts';

export interface Presence {
  instance: string;
  session: string;
  state: 'online' | 'offline';
  service?: string;
}

/** The message as a will or a publish takes it. `at`: when it was true. */
export function presence({ service = 'worker', ...who }: Presence, at: Temporal.Instant) {
  const { topic, payload, qos, retain } = encodeMessage('presence', { ...who, service, version: '0.1.0', at: at.toString() });
  return { topic, payload: Buffer.from(payload), qos, retain };
}

export async function say(client: MqttClient, who: Presence, at: Temporal.Instant): Promise<void> {
  const { topic, payload, ...options } = presence(who, at);
  await client.publishAsync(topic, payload, options);
}

/** A worker: connected, with its will, and online. */
export async function connectWorker(port: number, instance: string, session: string, at: Temporal.Instant): Promise<MqttClient> {
  const { client } = await join(port, 'service', {
    clientId: `raw-${instance}-${session}`,
    will: presence({ instance, session, state: 'offline' }, at),
  });
  await say(client, { instance, session, state: 'online' }, at);
  return client;
}

/** Watches for deaths until the test ends; gives what it announced and which schedulers it reported as ended. */
export async function watchDeaths(port: number, ledger: Ledger, log: Logger = silent): Promise<{ told: Change[]; ended: string[] }> {
  const told: Change[] = [];
  const ended: string[] = [];
  const bus = openBus(port);
  const rescuer = watchForDeaths({
    bus,
    ledger,
    log,
    announce: (changes) => told.push(...changes),
    schedulerEnded: async (instance) => {
      ended.push(instance);
    },
  });
  onTestFinished(() => rescuer.close());
  await bus.online();
  return { told, ended };
}
