/**
 * The live stream: what the broker says, once for the whole process, to every client that may hear it. The newest events are kept for those who come back
 * (`Last-Event-ID`), within a fixed number of bytes; whoever was away for longer is told to read anew (`reset`).
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Bus, Unread } from '../../platform/bus/bus.ts';
import { watchPresence } from '../../platform/bus/presence.ts';
import type { Body } from '../../platform/messages.ts';
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
  readonly clients: number;
  close(): Promise<void>;
}

/** Bytes of past events that are kept. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** Messages that wait for this process. */
const QUEUE_LIMIT = 50_000;
/** A bell only: who hears it looks into the database. */
const ENDED = /"state":"(completed|completed_with_errors|failed|cancelled|expired)"/;

/** An event is read when the first client wants to see it: a burst of logins is thousands of messages, and mostly nobody looks. */
interface Kept {
  number: number;
  bytes: number;
  /** undefined for a message that is none of this mesh's. */
  open(): { event: LiveEvent; frame: string } | undefined;
}

export function createLive(bus: Pick<Bus, 'subscribe' | 'onDoorbell'>): Live {
  const epoch = randomUUID().slice(0, 8);
  const listeners = new Set<Listener>();
  const inside = new EventEmitter<{ ended: [] }>().setMaxListeners(0);
  const byJob = new EventEmitter<Record<string, [Body<'status'>]>>().setMaxListeners(0);
  const present = new Map<string, LiveEvent>();
  const alerts = new Map<string, LiveEvent>();
  let stats: LiveEvent | undefined;
  const kept: Kept[] = [];
  let keptBytes = 0;
  let newest = 0;

  function spread(bytes: number, read: () => LiveEvent | undefined): void {
    const number = ++newest;
    let opened: { event: LiveEvent; frame: string } | undefined;
    let isOpen = false;
    const one: Kept = {
      number,
      bytes,
      open() {
        if (isOpen) return opened;
        isOpen = true;
        const event = read();
        opened = event && { event, frame: frameOf(event.type, event.body, `${epoch}-${number}`) };
        return opened;
      },
    };
    kept.push(one);
    keptBytes += bytes;
    while (keptBytes > KEPT_BYTES) keptBytes -= (kept.shift() as Kept).bytes;
    for (const listener of listeners) show(one, listener);
  }

  function show(one: Kept, listener: Listener): void {
    const seen = one.open();
    if (seen !== undefined && listener.wants(seen.event)) listener.send(seen.frame);
  }

  /** What was read already. */
  function spreadRead(event: LiveEvent): void {
    spread(JSON.stringify(event.body).length, () => event);
  }

  function spreadUnread<K extends 'job' | 'status' | 'data' | 'portfolio'>(type: K, message: Unread<K>): void {
    spread(message.payload.length, () => {
      const body = message.read();
      return body && ({ type, body } as LiveEvent);
    });
  }

  // One at a time a kind: an alert's states must not overtake each other.
  const inOrder = { concurrency: 1, queueLimit: QUEUE_LIMIT };
  const subscriptions = [
    bus.onDoorbell('job', (message) => spreadUnread('job', message)),
    bus.onDoorbell('status', (message) => {
      spreadUnread('status', message);
      if (byJob.eventNames().length > 0) {
        const body = message.read();
        if (body !== undefined) byJob.emit(body.id, body);
      }
      if (ENDED.test(message.payload.toString())) inside.emit('ended');
    }),
    bus.onDoorbell('data', (message) => spreadUnread('data', message)),
    bus.onDoorbell('portfolio', (message) => spreadUnread('portfolio', message)),
    bus.subscribe('stats', inOrder, ({ body }) => {
      stats = { type: 'stats', body };
      spreadRead(stats);
    }),
    bus.subscribe('alert', inOrder, ({ body }) => {
      const event: LiveEvent = { type: 'alert', body };
      alerts.set(body.name, event);
      spreadRead(event);
    }),
    watchPresence(bus, (body) => {
      const event: LiveEvent = { type: 'presence', body };
      if (body.state === 'online') present.set(`${body.service}/${body.instance}`, event);
      else present.delete(`${body.service}/${body.instance}`);
      spreadRead(event);
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
      if (missed !== undefined) for (const one of missed) show(one, listener);
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
    get clients() {
      return listeners.size;
    },
    async close() {
      await Promise.all(subscriptions.map((subscription) => subscription.close()));
    },
  };
}
