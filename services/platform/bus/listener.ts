import { setTimeout as delay } from 'node:timers/promises';
import type { MqttClient } from 'mqtt';
import { messageOf, TransientError } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { filterFor, TOPICS, type TopicKind } from '../topics.ts';
import type { Admission } from './bounded-queue.ts';
import {
  type Arrival,
  createEar,
  createReceiver,
  type Handler,
  type ReceiverCounters,
  type SubscribeOptions,
  type Unread,
} from './receiver.ts';
import { sharedFilter } from './shared.ts';

const SUBACK_TIMEOUT_MS = 5000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;

export interface Subscription {
  /** Resolves when a broker has granted it for the first time. */
  readonly ready: Promise<void>;
  /** Unsubscribes; what waits for the handler is dropped, what runs goes on. */
  close(): Promise<void>;
}

export type Subscribe = <K extends TopicKind>(kind: K, options: SubscribeOptions<K>, handler: Handler<K>) => Subscription;

interface Entry {
  filter: string;
  levels: string[];
  qos: 0 | 1;
  group: string | undefined;
  handled: boolean;
  receiver: Admission<Arrival>;
  /** The filter as the broker granted it on this connection. */
  granted: string | undefined;
  closed: boolean;
  announceReady(): void;
}

export interface ListenerReport {
  filter: string;
  granted: boolean;
  /** Messages that wait for the handler or are with it. */
  waiting: number;
}

/** Calls back whenever a message of that kind comes, unread and at most once: for whoever looks elsewhere then, or reads few of many. */
export type Hear = <K extends TopicKind>(kind: K, onMessage: (message: Unread<K>) => void) => Subscription;

export interface Listener {
  subscribe: Subscribe;
  hear: Hear;
  /** Makes every subscription on a new connection; those that fail are tried on. Resolves when each was tried once: true if the connection is still the same. */
  connected(): Promise<boolean>;
  disconnected(): void;
  report(): ListenerReport[];
  /** Stops taking messages and waits for the running handlers. Messages that wait stay unacknowledged. */
  stop(): Promise<void>;
}

/** The listening half of the bus: its subscriptions, and what becomes of the messages that come in. */
export function createListener(
  client: MqttClient,
  options: { prefix: string; persistent: boolean; log: Logger; counters: ReceiverCounters; probeShared(): Promise<boolean> },
): Listener {
  const { log, counters, prefix } = options;
  const entries: Entry[] = [];
  const closing = new AbortController();
  let connection: { lost: AbortController; sharing?: Promise<boolean> } | undefined;
  const acknowledgements = deferAcknowledgements(client);
  /** Messages were turned away unacknowledged: the broker has them still. */
  let turnedAway = false;

  // Set before anything is subscribed: a persistent session's messages arrive with the connection.
  client.handleMessage = ({ topic, payload, qos, retain, dup, messageId }, release) => {
    const body = Buffer.isBuffer(payload) ? payload : Buffer.from(payload);
    const levels = topic.split('/');
    const entriesHere = entries.filter((entry) => !entry.closed && filterMatches(entry.levels, levels));
    if (qos === 1 && options.persistent && entriesHere.length === 0 && !entries.some(({ handled }) => handled)) {
      // Meant for an earlier life of this service, and it has not subscribed again yet: an acknowledgement now would lose it.
      turnedAway = true;
      return release(NOT_YET);
    }
    const later = qos === 1 && messageId !== undefined && entriesHere.some(({ handled }) => handled);
    if (later && acknowledgements.cameAgain(messageId, topic, body)) return release(NOT_YET);

    const acknowledge = later ? acknowledgements.expect(messageId, topic, body) : undefined;
    let open = entriesHere.filter(({ handled }) => handled).length;
    for (const entry of entriesHere) {
      const done = () => {
        if (entry.handled && --open === 0) acknowledge?.();
        if (entry.handled && turnedAway && entry.receiver.size === 1) askAgain();
      };
      if (closing.signal.aborted || entry.receiver.admit({ topic, payload: body, retained: retain, redelivered: dup, done })) continue;
      counters.dropped++;
      if (entry.handled) {
        turnedAway = options.persistent;
        acknowledgements.forget(messageId);
      }
    }
    release(later ? NOT_YET : undefined);
  };

  /** A broker delivers unacknowledged messages again only when the client comes back. */
  function askAgain(): void {
    turnedAway = false;
    log.info('a queue was full: connecting again, so that the broker delivers what was turned away');
    client.reconnect();
  }

  async function establish(entry: Entry, here: NonNullable<typeof connection>): Promise<void> {
    const { signal } = here.lost;
    const tried = Promise.withResolvers<void>();
    const attempts = async () => {
      if (entry.group !== undefined) here.sharing ??= options.probeShared();
      let shared = entry.group !== undefined && (await here.sharing) === true;
      for (let pause = FIRST_RETRY_MS; !signal.aborted && !entry.closed; pause = Math.min(2 * pause, LONGEST_RETRY_MS)) {
        const filter = shared ? sharedFilter(entry.group!, entry.filter) : entry.filter;
        try {
          await subscribeOnce(filter, entry.qos);
          entry.granted = filter;
          entry.announceReady();
          return;
        } catch (error) {
          if (signal.aborted || entry.closed) return;
          const way = shared ? 'subscribing without sharing' : 'trying again';
          if (pause === FIRST_RETRY_MS) log.warn({ filter }, `subscription failed, ${way}: ${messageOf(error)}`);
          if (shared) {
            shared = false;
            continue;
          }
        }
        tried.resolve();
        await delay(pause, undefined, { signal }).catch(() => {});
      }
    };
    void attempts().finally(tried.resolve);
    await tried.promise;
  }

  /** mqtt.js rejects a SUBACK that refuses, but waits for ever for one that does not come. */
  async function subscribeOnce(filter: string, qos: 0 | 1): Promise<void> {
    const over = new AbortController();
    const late = delay(SUBACK_TIMEOUT_MS, undefined, { signal: over.signal, ref: false }).then(
      () => Promise.reject(new TransientError('bus.timeout', `the broker did not answer the subscription within ${SUBACK_TIMEOUT_MS} ms`)),
      () => {},
    );
    try {
      await Promise.race([client.subscribeAsync(filter, { qos }), late]);
    } finally {
      over.abort();
    }
  }

  /** A connection that is lost meanwhile takes the subscription with it; what a kept session still delivers meets no handler. */
  async function unsubscribe(filter: string, lost: AbortSignal): Promise<void> {
    const over = AbortSignal.any([lost, AbortSignal.timeout(SUBACK_TIMEOUT_MS)]);
    const ended = new Promise<void>((resolve) => over.addEventListener('abort', () => resolve(), { once: true }));
    const answered = client.unsubscribeAsync(filter).then(
      () => undefined,
      (error: unknown) => log.debug({ filter, reason: messageOf(error) }, 'not unsubscribed'),
    );
    await Promise.race([answered, ended]);
  }

  function add(wanted: Pick<Entry, 'filter' | 'qos' | 'group' | 'handled' | 'receiver'>): Subscription {
    const ready = Promise.withResolvers<void>();
    const entry: Entry = {
      ...wanted,
      levels: wanted.filter.split('/'),
      granted: undefined,
      closed: false,
      announceReady: ready.resolve,
    };
    entries.push(entry);
    if (entry.handled && turnedAway && connection !== undefined) askAgain();
    else if (connection !== undefined) void establish(entry, connection);
    return {
      ready: ready.promise,
      async close() {
        if (entry.closed) return;
        entry.closed = true;
        entries.splice(entries.indexOf(entry), 1);
        entry.receiver.discardWaiting();
        const stillWanted = entries.some(({ granted }) => granted === entry.granted);
        if (entry.granted !== undefined && connection !== undefined && !stillWanted)
          await unsubscribe(entry.granted, connection.lost.signal);
      },
    };
  }

  return {
    subscribe: (kind, subscribeOptions, handler) =>
      add({
        filter: filterFor(kind, subscribeOptions.params, prefix),
        qos: TOPICS[kind].qos,
        group: subscribeOptions.shared,
        handled: subscribeOptions.acknowledge === 'handled',
        receiver: createReceiver(kind, subscribeOptions, handler, { log, prefix, counters, closing: closing.signal }),
      }),
    hear: (kind, onMessage) =>
      add({
        filter: filterFor(kind, undefined, prefix),
        // Unacknowledged: what is lost with a connection costs no more than a late look, and each acknowledgement costs the broker as much as a delivery.
        qos: 0,
        group: undefined,
        handled: false,
        receiver: createEar(onMessage, { prefix, log, counters }),
      }),
    async connected() {
      const here = { lost: new AbortController() };
      connection = here;
      await Promise.all(entries.map((entry) => establish(entry, here)));
      return connection === here;
    },
    disconnected() {
      connection?.lost.abort();
      connection = undefined;
      for (const entry of entries) entry.granted = undefined;
    },
    report: () =>
      entries.map(({ filter, granted, receiver }) => ({
        filter: granted ?? filter,
        granted: granted !== undefined,
        waiting: receiver.size,
      })),
    async stop() {
      closing.abort();
      for (const { receiver } of entries) receiver.discardWaiting();
      await Promise.all(entries.map(({ receiver }) => receiver.idle()));
    },
  };
}

/** Whether a topic's levels are those of a filter of ours, which has `+` but never `#`. */
function filterMatches(filter: string[], topic: string[]): boolean {
  return filter.length === topic.length && filter.every((level, at) => level === '+' || level === topic[at]);
}

/** mqtt.js acknowledges a message when `handleMessage` calls back, and reads no further before it does; an error lets it read on and leaves the acknowledgement to us. */
const NOT_YET = new Error('acknowledged later');

interface Acknowledgements {
  /** Remembers an unacknowledged message. Gives the function that acknowledges it. */
  expect(messageId: number, topic: string, payload: Buffer): () => void;
  /** Whether this is a message of an earlier connection that is still being handled; its acknowledgement then goes to the connection that brought it again. */
  cameAgain(messageId: number, topic: string, payload: Buffer): boolean;
  forget(messageId: number | undefined): void;
}

/**
 * Acknowledgements that go out when a message is done with, a thousand of them open at once. A message id means something on its own connection only: after a reconnection the broker
 * delivers again what was not acknowledged, and an old id may by then be another message's.
 * [MQTT-4.6.0-2] asks for acknowledgements in the order of arrival; they are sent in the order of completion instead, since one message that waits for the database must not hold up all others.
 * aedes and Mosquitto look an acknowledged message up by its id, and so are content with any order.
 */
function deferAcknowledgements(client: MqttClient): Acknowledgements {
  const open = new Map<number, { topic: string; payload: Buffer; stream: MqttClient['stream'] }>();
  return {
    expect(messageId, topic, payload) {
      const message = { topic, payload, stream: client.stream };
      open.set(messageId, message);
      return () => {
        if (open.get(messageId) === message) open.delete(messageId);
        // biome-ignore lint/complexity/useLiteralKeys: private in the types of mqtt.js, which has no other way to acknowledge late.
        if (client.connected && client.stream === message.stream) client['_sendPacket']({ cmd: 'puback', messageId });
      };
    },
    cameAgain(messageId, topic, payload) {
      const message = open.get(messageId);
      // Not told by the DUP flag: aedes keeps the id of what it sends again but does not set it.
      if (message === undefined || message.stream === client.stream || message.topic !== topic || !message.payload.equals(payload))
        return false;
      message.stream = client.stream;
      return true;
    },
    forget(messageId) {
      if (messageId !== undefined) open.delete(messageId);
    },
  };
}
