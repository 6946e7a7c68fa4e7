/**
 * The live stream: this process subscribes once, and every client gets the messages that it may see. A client that comes back gets the recent events that it missed;
 * one that was away for too long gets `reset` and must read everything again.
 */
import { EventEmitter } from 'node:events';
import type { Bus, Subscription, Unread } from '../../platform/bus/bus.ts';
import { watchPresence } from '../../platform/bus/presence.ts';
import { END_STATES } from '../../platform/job-states.ts';
import type { Body } from '../../platform/messages.ts';
import { createRecentEvents, type LiveEvent, type RecentEvent, type SeenEvent } from './recent-events.ts';
import { frameOf } from './sse.ts';

export interface LiveClient {
  /** What this client gets of an event; undefined when it did not ask for it or may not see it. */
  view(event: LiveEvent): SeenEvent | undefined;
  send(frame: string): void;
}

export interface Live {
  /**
   * Sends a client the events since `lastEventId`, or without one the present state (statistics, alerts, instances), then every event as it happens, and `broker` when
   * this process loses the broker, from which all of them come, and when it has it again. Returns the function that detaches the client.
   */
  attach(client: LiveClient, lastEventId: string | undefined): () => void;
  /** What each instance that is online says of itself, by `service/instance`. */
  presence(): ReadonlyMap<string, Body<'presence'>>;
  /** Calls back with every status of one job. */
  onStatus(jobId: string, callback: (status: Body<'status'>) => void): () => void;
  /** Calls back when any job has ended, with its id. */
  onEnded(callback: (jobId: string) => void): () => void;
  close(): Promise<void>;
}

/** Messages that wait for this process. */
const QUEUE_LIMIT = 50_000;
/** These matches only tell the sender of callbacks where to look. The sender reads the job itself from the database. */
const ENDED = new RegExp(`"state":"(${END_STATES.join('|')})"`);
const ID = /"id":"([0-9a-f-]{36})"/;

type LiveBus = Pick<Bus, 'subscribe' | 'onDoorbell' | 'onState' | 'state'>;

/** Requests of this process that wait for a message. */
interface Waiting {
  ended: EventEmitter<{ ended: [string] }>;
  /** By job id. No emitter: an id is what a message says, and an event called "error" ends the process. */
  status: Map<string, Set<(status: Body<'status'>) => void>>;
}

/** Passes an event on to all clients: `unread` parses the message only if a client wants it. */
interface Spread {
  read(event: LiveEvent): void;
  unread<K extends 'job' | 'status' | 'data' | 'portfolio'>(type: K, message: Unread<K>): void;
}

export function createLive(bus: LiveBus): Live {
  const clients = new Set<LiveClient>();
  const recent = createRecentEvents();
  const waiting: Waiting = {
    ended: new EventEmitter<{ ended: [string] }>().setMaxListeners(0),
    status: new Map(),
  };
  const spread = spreadTo(clients, recent.add);
  const state = keepState(bus, spread);
  const subscriptions = [...state.subscriptions, ...passOn(bus, spread, waiting)];
  const stopWatching = bus.onState((broker) => {
    for (const client of clients) client.send(frameOf('broker', { state: broker }));
  });

  return {
    attach(client, lastEventId) {
      const missed = lastEventId === undefined ? undefined : recent.since(lastEventId);
      for (const event of missed ?? []) show(event, client);
      if (missed === undefined) {
        const here = recent.newestId;
        // The id is where this client stands: if it comes back at once, it has missed nothing.
        client.send(frameOf(lastEventId === undefined ? 'hello' : 'reset', { at: here }, here));
        for (const event of state.present().flatMap((one) => client.view(one) ?? [])) client.send(frameOf(event.type, event.body));
      }
      if (bus.state === 'offline') client.send(frameOf('broker', { state: bus.state }));
      clients.add(client);
      return () => clients.delete(client);
    },
    presence: () => state.instances,
    onStatus(jobId, callback) {
      const callbacks = waiting.status.getOrInsertComputed(jobId, () => new Set());
      callbacks.add(callback);
      return () => {
        callbacks.delete(callback);
        if (callbacks.size === 0 && waiting.status.get(jobId) === callbacks) waiting.status.delete(jobId);
      };
    },
    onEnded(callback) {
      waiting.ended.on('ended', callback);
      return () => waiting.ended.off('ended', callback);
    },
    async close() {
      stopWatching();
      await Promise.all(subscriptions.map((subscription) => subscription.close()));
    },
  };
}

function show(event: RecentEvent, client: LiveClient): void {
  const opened = event.open();
  const seen = opened && client.view(opened.event);
  if (opened === undefined || seen === undefined) return;
  // The frame of the whole event is made once for all clients.
  client.send(seen === opened.event ? opened.frame : frameOf(seen.type, seen.body, opened.id));
}

function spreadTo(clients: ReadonlySet<LiveClient>, add: (bytes: number, read: () => LiveEvent | undefined) => RecentEvent): Spread {
  function spread(bytes: number, read: () => LiveEvent | undefined): void {
    const event = add(bytes, read);
    for (const client of clients) show(event, client);
  }
  return {
    read: (event) => spread(JSON.stringify(event.body).length, () => event),
    unread: (type, message) =>
      spread(message.payload.length, () => {
        const body = message.read();
        return body && ({ type, body } as LiveEvent);
      }),
  };
}

/** Keeps the newest statistics, alerts and instances for clients that connect later. */
function keepState(
  bus: LiveBus,
  spread: Spread,
): { present(): LiveEvent[]; instances: ReadonlyMap<string, Body<'presence'>>; subscriptions: Subscription[] } {
  const instances = new Map<string, Body<'presence'>>();
  const alerts = new Map<string, LiveEvent>();
  let stats: LiveEvent | undefined;
  // One message at a time: the states of an alert must not overtake each other.
  const oneByOne = { concurrency: 1, queueLimit: QUEUE_LIMIT };
  return {
    instances,
    present: () => [
      ...(stats === undefined ? [] : [stats]),
      ...alerts.values(),
      ...Array.from(instances.values(), (body): LiveEvent => ({ type: 'presence', body })),
    ],
    subscriptions: [
      bus.subscribe('stats', oneByOne, ({ body }) => {
        stats = { type: 'stats', body };
        spread.read(stats);
      }),
      bus.subscribe('alert', oneByOne, ({ body }) => {
        const event: LiveEvent = { type: 'alert', body };
        alerts.set(body.name, event);
        spread.read(event);
      }),
      watchPresence(bus, (body) => {
        const event: LiveEvent = { type: 'presence', body };
        if (body.state === 'online') instances.set(`${body.service}/${body.instance}`, body);
        else instances.delete(`${body.service}/${body.instance}`);
        spread.read(event);
      }),
    ],
  };
}

/** Passes the messages about jobs, data and logins on to the clients and to the waiting requests. A message is parsed only if one of them wants it. */
function passOn(bus: LiveBus, spread: Spread, waiting: Waiting): Subscription[] {
  return [
    bus.onDoorbell('job', (message) => spread.unread('job', message)),
    bus.onDoorbell('data', (message) => spread.unread('data', message)),
    bus.onDoorbell('status', (message) => {
      spread.unread('status', message);
      if (waiting.status.size > 0) {
        const body = message.read();
        if (body !== undefined) for (const callback of waiting.status.get(body.id) ?? []) callback(body);
      }
      const text = message.payload.toString();
      const id = ENDED.test(text) ? ID.exec(text)?.[1] : undefined;
      if (id !== undefined) waiting.ended.emit('ended', id);
    }),
    bus.onDoorbell('portfolio', (message) => spread.unread('portfolio', message)),
  ];
}
