import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Body, Draft } from '../messages.ts';
import type { Subscribe, Subscription } from './listener.ts';

/** What a service says of itself beside being there. */
export interface Load {
  /** For people. */
  name?: string;
  /** Tags from the configuration. */
  capabilities?: string[];
  /** Slots for work. */
  capacity?: number;
  /** Slots in use. */
  running?: number;
  /** Why it does less than it should, a sentence each; empty when all is well. */
  degraded?: string[];
}

export interface Presence {
  /** New at each process start: it tells this life of the instance from its earlier ones. */
  readonly session: string;
  online(): Draft<'presence'>;
  /** Also the last will, which the broker must be given beforehand: its `at` is when it was made. */
  offline(): Draft<'presence'>;
  /** Takes over what changed; false when nothing did. */
  update(load: Load): boolean;
}

export function createPresence(service: string, instance: string, version: string, clock: Clock): Presence {
  const session = randomUUID();
  let load: Load = {};
  const said = (state: 'online' | 'offline') => ({ service, instance, state, session, version, at: clock.now().toString() });
  return {
    session,
    online: () => ({ ...said('online'), pid: process.pid, ...load }),
    offline: () => said('offline'),
    update(changes) {
      const next = { ...load, ...changes };
      if (JSON.stringify(next) === JSON.stringify(load)) return false;
      load = next;
      return true;
    },
  };
}

/**
 * Tells who is there: once for each service that the broker remembers, then at every change. The offline of a session that is not the newest seen of its instance is ignored: the broker
 * may publish the will of a life that ended after the next one has begun.
 */
export function watchPresence(bus: { subscribe: Subscribe }, handler: (state: Body<'presence'>) => void | Promise<void>): Subscription {
  const newest = new Map<string, string>();
  // One at a time: online and offline of an instance must not overtake each other.
  return bus.subscribe('presence', { concurrency: 1 }, async ({ body }) => {
    const instance = `${body.service}/${body.instance}`;
    if (body.state === 'online') newest.set(instance, body.session);
    else if ((newest.get(instance) ?? body.session) !== body.session) return;
    await handler(body);
  });
}
