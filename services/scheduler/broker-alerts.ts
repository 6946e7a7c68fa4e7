/** The alerts of the embedded broker as checks of the scheduler, so that the table `alerts` and all that reads it (`top`, `stats`, `/v1/alerts`, `/metrics`) have them. */
import type { Bus } from '../platform/bus/bus.ts';
import type { Body } from '../platform/messages.ts';
import { BROKER_ALERTS } from '../platform/topics.ts';
import type { LimitCheck } from './thresholds.ts';

export interface BrokerAlerts {
  /** The state of each alert of the broker. None while the broker cannot be reached: its alerts stay as they are. */
  checks(): LimitCheck[];
  close(): Promise<void>;
}

export const isOfBroker = (name: string): boolean => (BROKER_ALERTS as readonly string[]).includes(name);

export function listenToBroker(bus: Pick<Bus, 'subscribe' | 'onState' | 'state'>): BrokerAlerts {
  const heard = new Map<string, Body<'alert'>>();
  const subscription = bus.subscribe('alert', {}, ({ body }) => {
    if (isOfBroker(body.name)) heard.set(body.name, body);
  });
  // A broker that starts again has forgotten what it had raised; one that goes on sends its retained alerts again.
  const stopWatching = bus.onState((state) => {
    if (state === 'offline') heard.clear();
  });
  return {
    checks: () => (bus.state === 'online' ? BROKER_ALERTS.map((name) => checkOf(name, heard.get(name))) : []),
    async close() {
      stopWatching();
      await subscription.close();
    },
  };
}

function checkOf(name: string, alert: Body<'alert'> | undefined): LimitCheck {
  if (alert === undefined) return { name, beyond: false, value: 0, threshold: 0, text: 'the broker reports nothing of this kind' };
  const { state, value, threshold, text } = alert;
  return { name, beyond: state === 'raised', value, threshold, text };
}
