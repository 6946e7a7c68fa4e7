import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { codeOf, messageOf, StockmeshError } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import type { Body, Draft } from '../messages.ts';
import type { Subscribe, Subscription } from './subscriptions.ts';

/** The state is not published more often than this. */
const PUBLISH_GAP_MS = 1000;

/** What a service says of itself beside being online. */
export interface Load {
  /** For people. */
  name?: string;
  /** Tags from the configuration. */
  capabilities?: string[];
  /** Slots for work. */
  capacity?: number;
  /** Slots in use. */
  running?: number;
  /** Why the service does less than it should, a sentence each; empty when all is well. */
  degraded?: string[];
  /** Seconds by which the machine's clock is ahead of the database's (behind: negative). */
  clock_offset_s?: number;
}

export interface Presence {
  /** New at each process start: it distinguishes this process from earlier ones of the same instance. */
  readonly session: string;
  online(): Draft<'presence'>;
  /** Also the last will, which the broker must be given beforehand: its `at` is when it was made. */
  offline(): Draft<'presence'>;
  readonly load: Load;
  /** Takes over the changes; false when nothing changed. */
  update(load: Load): boolean;
}

export function createPresence(service: string, instance: string, version: string, clock: Clock): Presence {
  const session = randomUUID();
  let load: Load = {};
  const stateMessage = (state: 'online' | 'offline') => ({ service, instance, state, session, version, at: clock.now().toString() });
  return {
    session,
    online: () => ({ ...stateMessage('online'), pid: process.pid, ...load }),
    offline: () => stateMessage('offline'),
    get load() {
      return load;
    },
    update(changes) {
      const next = { ...load, ...changes };
      if (JSON.stringify(next) === JSON.stringify(load)) return false;
      load = next;
      return true;
    },
  };
}

/** Publishes `online` on request, at most once in `PUBLISH_GAP_MS`, and again until the broker has it. A request while the bus is offline does nothing. */
export function publishOnline(
  presence: Presence,
  { publish, isOnline, log }: { publish(message: Draft<'presence'>): Promise<void>; isOnline(): boolean; log: Logger },
): { request(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  let publishedAt = 0;
  function request(): void {
    if (timer !== undefined || !isOnline()) return;
    timer = setTimeout(send, Math.max(0, publishedAt + PUBLISH_GAP_MS - performance.now()));
  }
  async function send(): Promise<void> {
    publishedAt = performance.now();
    timer = undefined;
    try {
      if (isOnline()) await publish(presence.online());
    } catch (error) {
      if (!(error instanceof StockmeshError)) throw error;
      if (isOnline()) log.warn({ code: codeOf(error) }, `presence not published, trying again: ${messageOf(error)}`);
      request();
    }
  }
  return { request, stop: () => clearTimeout(timer) };
}

/**
 * Calls back with the state of every service: once for each that the broker remembers, then at every change. An offline state of a session that is not the newest seen
 * of its instance is ignored: the broker may publish the last will of an earlier process after the next one has started.
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
