/**
 * The live stream: what the broker says, once for the whole process, to every client that may hear it. The newest events are kept for those who come back
 * (`Last-Event-ID`), within a fixed number of bytes; whoever was away for longer is told to read anew (`reset`).
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Bus } from '../platform/bus.ts';
import type { Body } from '../platform/messages.ts';
import { watchPresence } from '../platform/presence.ts';
import { frameOf } from './sse.ts';

/** Event types, named like the topics whose content they carry. */
export const EVENT_TYPES = ['job', 'status', 'data', 'portfolio', 'presence', 'stats', 'alert'] as const;
export type EventType = (typeof EVENT_TYPES)[number];
export type LiveEvent = { [K in EventType]: { type: K; body: Body<K> } }[EventType];

export interface Listener {
  /** Whether this client asked for the event and may see it. */
  wants(event: LiveEvent): boolean;
  send(frame: string): void;
}

export interface Live {
  /**
   * Sends a listener what it missed since `lastEventId`, or without one the state of things (figures, alerts, who is there), then everything as it happens. Gives
   * the function that ends it.
   */
  attach(listener: Listener, lastEventId: string | undefined): () => void;
  /** Calls back with every status of one job. */
  onStatus(jobId: string, tell: (status: Body<'status'>) => void): () => void;
  /** Calls back when any job has ended. */
  onEnded(tell: () => void): () => void;
  /** Resolves with the next answer to a login of that user; never, when none comes before the signal. */
  answerTo(user: string, signal: AbortSignal): Promise<void>;
  readonly clients: number;
  close(): Promise<void>;
}

/** Bytes of past events that are kept. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** Messages that wait for this process; a burst of ended jobs is short. */
const QUEUE_LIMIT = 50_000;
const LIVE = new Set(['scheduled', 'blocked', 'ready', 'running']);

interface Kept {
  number: number;
  event: LiveEvent;
  frame: string;
}

export function createLive(bus: Pick<Bus, 'subscribe'>): Live {
  const epoch = randomUUID().slice(0, 8);
  const listeners = new Set<Listener>();
  const inside = new EventEmitter<{ ended: [] }>().setMaxListeners(0);
  const byJob = new EventEmitter<Record<string, [Body<'status'>]>>().setMaxListeners(0);
  const byUser = new EventEmitter<Record<string, []>>().setMaxListeners(0);
  const present = new Map<string, LiveEvent>();
  const alerts = new Map<string, LiveEvent>();
  let stats: LiveEvent | undefined;
  const kept: Kept[] = [];
  let keptBytes = 0;
  let newest = 0;

  function spread(event: LiveEvent): void {
    const number = ++newest;
    const frame = frameOf(event.type, event.body, `${epoch}-${number}`);
    kept.push({ number, event, frame });
    keptBytes += frame.length;
    while (keptBytes > KEPT_BYTES) keptBytes -= (kept.shift() as Kept).frame.length;
    for (const listener of listeners) if (listener.wants(event)) listener.send(frame);
  }

  // One at a time a kind: a job's states must not overtake each other.
  const inOrder = { concurrency: 1, queueLimit: QUEUE_LIMIT };
  const subscriptions = [
    bus.subscribe('job', inOrder, ({ body }) => spread({ type: 'job', body })),
    bus.subscribe('status', inOrder, ({ body }) => {
      spread({ type: 'status', body });
      byJob.emit(body.id, body);
      if (!LIVE.has(body.state)) inside.emit('ended');
    }),
    bus.subscribe('data', inOrder, ({ body }) => spread({ type: 'data', body })),
    bus.subscribe('portfolio', inOrder, ({ body }) => {
      spread({ type: 'portfolio', body });
      byUser.emit(body.user_id);
    }),
    bus.subscribe('stats', inOrder, ({ body }) => {
      stats = { type: 'stats', body };
      spread(stats);
    }),
    bus.subscribe('alert', inOrder, ({ body }) => {
      const event: LiveEvent = { type: 'alert', body };
      alerts.set(body.name, event);
      spread(event);
    }),
    watchPresence(bus, (body) => {
      const event: LiveEvent = { type: 'presence', body };
      if (body.state === 'online') present.set(`${body.service}/${body.instance}`, event);
      else present.delete(`${body.service}/${body.instance}`);
      spread(event);
    }),
  ];

  /** What a client that comes back has missed; undefined when that is not known any more. */
  function missedSince(lastEventId: string): Kept[] | undefined {
    const [, of, digits] = /^([0-9a-f]{8})-(\d+)$/.exec(lastEventId) ?? [];
    const last = Number(digits);
    if (of !== epoch || last > newest || last + 1 < (kept[0]?.number ?? newest + 1)) return undefined;
    return kept.filter(({ number }) => number > last);
  }

  return {
    attach(listener, lastEventId) {
      const missed = lastEventId === undefined ? undefined : missedSince(lastEventId);
      if (missed !== undefined) for (const { event, frame } of missed) if (listener.wants(event)) listener.send(frame);
      if (missed === undefined) {
        const here = `${epoch}-${newest}`;
        // The id is where this client stands: coming back at once it misses nothing.
        listener.send(frameOf(lastEventId === undefined ? 'hello' : 'reset', { at: here }, here));
        for (const event of [...(stats === undefined ? [] : [stats]), ...alerts.values(), ...present.values()])
          if (listener.wants(event)) listener.send(frameOf(event.type, event.body));
      }
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onStatus(jobId, tell) {
      byJob.on(jobId, tell);
      return () => byJob.off(jobId, tell);
    },
    onEnded(tell) {
      inside.on('ended', tell);
      return () => inside.off('ended', tell);
    },
    answerTo: (user, signal) =>
      new Promise((resolve) => {
        const hear = (): void => {
          signal.removeEventListener('abort', leave);
          resolve();
        };
        const leave = (): void => void byUser.off(user, hear);
        byUser.once(user, hear);
        signal.addEventListener('abort', leave, { once: true });
      }),
    get clients() {
      return listeners.size;
    },
    async close() {
      await Promise.all(subscriptions.map((subscription) => subscription.close()));
    },
  };
}
