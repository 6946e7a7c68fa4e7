/** The listening half of the bus: its subscriptions, and which handler gets a message that comes in. */
import { setTimeout as delay } from 'node:timers/promises';
import type { IPublishPacket, MqttClient } from 'mqtt';
import { messageOf, TransientError } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { filterFor, TOPICS, type TopicKind } from '../topics.ts';
import { type Acknowledgements, deferAcknowledgements } from './acknowledgements.ts';
import type { BoundedQueue } from './bounded-queue.ts';
import {
  type Arrival,
  createDoorbell,
  createReceiver,
  type MessageHandler,
  type ReceiverCounters,
  type SubscribeOptions,
  type Unread,
} from './receiver.ts';
import { sharedFilter } from './shared.ts';

const SUBACK_TIMEOUT_MS = 5000;
const LEAVE_MS = 10_000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;

export interface Subscription {
  /** Resolves when a broker has granted it for the first time. */
  readonly ready: Promise<void>;
  /** Takes no more messages and unsubscribes. Waiting messages are dropped, running handlers go on. For a subscription that nobody needs any more. */
  close(): Promise<void>;
  /**
   * Takes no more messages, stays subscribed, and resolves when the running handlers have ended; a handler that fails is not called again. A kept session keeps all
   * that is unacknowledged by then, and all that comes, for the next start. For a service that stops and comes back.
   */
  stop(): Promise<void>;
  /**
   * Unsubscribes, then handles what has arrived (10 s at most), then stops. For a service that stops while others of its group go on: they get all that comes, and
   * nothing waits in the session of this one.
   */
  leave(): Promise<void>;
}

export type Subscribe = <K extends TopicKind>(kind: K, options: SubscribeOptions<K>, handler: MessageHandler<K>) => Subscription;

/** Calls back with every message of that kind, unread and at most once: for a caller that then looks elsewhere, or reads few of many. */
export type OnDoorbell = <K extends TopicKind>(kind: K, onMessage: (message: Unread<K>) => void) => Subscription;

export interface SubscriptionReport {
  filter: string;
  granted: boolean;
  /** Messages that wait for the handler or are being handled. */
  waiting: number;
}

export interface Subscriptions {
  subscribe: Subscribe;
  onDoorbell: OnDoorbell;
  /** Makes every subscription on a new connection; a failed one is tried again. Resolves when each was tried once: true if the connection is still the same. */
  connected(): Promise<boolean>;
  disconnected(): void;
  report(): SubscriptionReport[];
  /** Stops every subscription. */
  stop(): Promise<void>;
}

interface SubscriptionsOptions {
  prefix: string;
  /** The session is kept by the broker while this process is away. */
  persistent: boolean;
  log: Logger;
  counters: ReceiverCounters;
  probeShared(): Promise<boolean>;
  /** What a group is called at the broker. */
  groupName(group: string): string;
}

interface ActiveSubscription {
  filter: string;
  levels: string[];
  qos: 0 | 1;
  group: string | undefined;
  /** Acknowledged when its handler is done, not when it arrives. */
  handled: boolean;
  receiver: BoundedQueue<Arrival>;
  /** The filter as the broker granted it on this connection. */
  granted: string | undefined;
  closed: boolean;
  stopping: AbortController;
  announceReady(): void;
}

interface Connection {
  lost: AbortController;
  /** Whether the broker delivers to shared subscriptions; asked once a connection. */
  sharing?: Promise<boolean>;
}

interface State extends SubscriptionsOptions {
  client: MqttClient;
  active: ActiveSubscription[];
  connection: Connection | undefined;
  acknowledgements: Acknowledgements;
  /** Messages were left unacknowledged because nothing could take them: the broker still has them. */
  turnedAway: boolean;
}

export function createSubscriptions(client: MqttClient, options: SubscriptionsOptions): Subscriptions {
  const { prefix, log, counters } = options;
  const state: State = {
    ...options,
    client,
    active: [],
    connection: undefined,
    acknowledgements: deferAcknowledgements(client),
    turnedAway: false,
  };
  // Set before anything is subscribed: a persistent session's messages arrive with the connection.
  client.handleMessage = (packet, release) => deliver(state, packet, release);

  return {
    subscribe(kind, subscribeOptions, handler) {
      const stopping = new AbortController();
      const handled = subscribeOptions.acknowledge === 'handled';
      return add(state, {
        filter: filterFor(kind, subscribeOptions.params, prefix),
        // A kept session keeps QoS 1 messages for the next start. Only those that wait for a handler may be kept: an order for this life must not reach the next one.
        qos: options.persistent && !handled ? 0 : TOPICS[kind].qos,
        group: subscribeOptions.shared === undefined ? undefined : options.groupName(subscribeOptions.shared),
        handled,
        stopping,
        receiver: createReceiver(kind, subscribeOptions, handler, { log, prefix, counters, stopping: stopping.signal }),
      });
    },
    onDoorbell: (kind, onMessage) =>
      add(state, {
        filter: filterFor(kind, undefined, prefix),
        // Unacknowledged: a doorbell that is lost with a connection only delays the next look, and each acknowledgement costs the broker as much as a delivery.
        qos: 0,
        group: undefined,
        handled: false,
        stopping: new AbortController(),
        receiver: createDoorbell(kind, onMessage, { prefix, log, counters }),
      }),
    async connected() {
      const connection = { lost: new AbortController() };
      state.connection = connection;
      await Promise.all(state.active.map((subscription) => establish(state, subscription, connection)));
      return state.connection === connection;
    },
    disconnected() {
      state.connection?.lost.abort();
      state.connection = undefined;
      for (const subscription of state.active) subscription.granted = undefined;
    },
    report: () =>
      state.active.map(({ filter, granted, receiver }) => ({
        filter: granted ?? filter,
        granted: granted !== undefined,
        waiting: receiver.size,
      })),
    async stop() {
      await Promise.all(state.active.map(stop));
    },
  };
}

/** Gives a message to every subscription that it matches. mqtt.js reads the next packet when `release` was called. */
function deliver(state: State, packet: IPublishPacket, release: (error?: Error) => void): void {
  const { topic, payload, qos, retain, dup, messageId } = packet;
  const { acknowledgements, active } = state;
  const body = Buffer.isBuffer(payload) ? payload : Buffer.from(payload);
  const levels = topic.split('/');
  const matching = active.filter((subscription) => !subscription.closed && filterMatches(subscription.levels, levels));
  if (qos === 1 && state.persistent && matching.length === 0 && !active.some(({ handled }) => handled)) {
    // Kept for this service, which has not subscribed again yet: an acknowledgement now would lose it.
    state.turnedAway = true;
    release(NOT_YET);
    return;
  }
  const later = qos === 1 && messageId !== undefined && matching.some(({ handled }) => handled);
  if (later && acknowledgements.cameAgain(messageId, topic, body)) {
    release(NOT_YET);
    return;
  }

  const acknowledge = later ? acknowledgements.expect(messageId, topic, body) : undefined;
  let open = matching.filter(({ handled }) => handled).length;
  for (const subscription of matching) {
    const done = () => {
      if (!subscription.handled) return;
      if (--open === 0) acknowledge?.();
      if (state.turnedAway && subscription.receiver.size === 1 && !subscription.stopping.signal.aborted) askAgain(state);
    };
    const arrival = { topic, payload: body, retained: retain, redelivered: dup, done };
    if (subscription.stopping.signal.aborted || subscription.receiver.offer(arrival)) continue;
    state.counters.dropped++;
    if (subscription.handled) {
      state.turnedAway = state.persistent;
      acknowledgements.forget(messageId);
    }
  }
  release(later ? NOT_YET : undefined);
}

/** mqtt.js acknowledges a message when `handleMessage` calls back without an error. An error lets it read on and leaves the acknowledgement to us. */
const NOT_YET = new Error('acknowledged later');

/** A broker delivers unacknowledged messages again only after a reconnection. */
function askAgain(state: State): void {
  state.turnedAway = false;
  state.log.info('a queue was full: connecting again, so that the broker delivers what was turned away');
  state.client.reconnect();
}

function add(
  state: State,
  wanted: Pick<ActiveSubscription, 'filter' | 'qos' | 'group' | 'handled' | 'receiver' | 'stopping'>,
): Subscription {
  const ready = Promise.withResolvers<void>();
  const subscription: ActiveSubscription = {
    ...wanted,
    levels: wanted.filter.split('/'),
    granted: undefined,
    closed: false,
    announceReady: ready.resolve,
  };
  state.active.push(subscription);
  if (subscription.handled && state.turnedAway && state.connection !== undefined) askAgain(state);
  else if (state.connection !== undefined) void establish(state, subscription, state.connection);
  return {
    ready: ready.promise,
    close: () => close(state, subscription),
    stop: () => stop(subscription),
    leave: () => leave(state, subscription),
  };
}

async function close(state: State, subscription: ActiveSubscription): Promise<void> {
  if (subscription.closed) return;
  subscription.closed = true;
  state.active.splice(state.active.indexOf(subscription), 1);
  subscription.receiver.discardWaiting();
  const { granted } = subscription;
  const stillWanted = state.active.some((other) => other.granted === granted);
  if (granted !== undefined && state.connection !== undefined && !stillWanted)
    await unsubscribe(state, granted, state.connection.lost.signal);
}

async function leave(state: State, subscription: ActiveSubscription): Promise<void> {
  const { granted, receiver } = subscription;
  if (granted !== undefined && state.connection !== undefined) await unsubscribe(state, granted, state.connection.lost.signal);
  await Promise.race([receiver.idle(), delay(LEAVE_MS, undefined, { ref: false })]);
  await stop(subscription);
}

async function stop({ receiver, stopping }: ActiveSubscription): Promise<void> {
  stopping.abort();
  receiver.discardWaiting();
  await receiver.idle();
}

/** Subscribes, again until it is granted or the connection is lost. Resolves after the first try. */
async function establish(state: State, subscription: ActiveSubscription, connection: Connection): Promise<void> {
  const { signal } = connection.lost;
  const tried = Promise.withResolvers<void>();
  const attempts = async () => {
    if (subscription.group !== undefined) connection.sharing ??= state.probeShared();
    let shared = subscription.group !== undefined && (await connection.sharing) === true;
    for (let pause = FIRST_RETRY_MS; !signal.aborted && !subscription.closed; pause = Math.min(2 * pause, LONGEST_RETRY_MS)) {
      const filter = shared ? sharedFilter(subscription.group!, subscription.filter) : subscription.filter;
      try {
        await subscribeOnce(state.client, filter, subscription.qos);
        subscription.granted = filter;
        subscription.announceReady();
        return;
      } catch (error) {
        if (signal.aborted || subscription.closed) return;
        const next = shared ? 'subscribing without sharing' : 'trying again';
        if (pause === FIRST_RETRY_MS) state.log.warn({ filter }, `subscription failed, ${next}: ${messageOf(error)}`);
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

/** mqtt.js rejects when the broker refuses the subscription, but waits for ever when no answer comes. */
async function subscribeOnce(client: MqttClient, filter: string, qos: 0 | 1): Promise<void> {
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

/** A connection that is lost meanwhile ends the subscription too; what a kept session still delivers finds no handler. */
async function unsubscribe({ client, log }: State, filter: string, lost: AbortSignal): Promise<void> {
  const over = AbortSignal.any([lost, AbortSignal.timeout(SUBACK_TIMEOUT_MS)]);
  const ended = new Promise<void>((resolve) => over.addEventListener('abort', () => resolve(), { once: true }));
  const answered = client.unsubscribeAsync(filter).then(
    () => undefined,
    (error: unknown) => log.debug({ filter, reason: messageOf(error) }, 'not unsubscribed'),
  );
  await Promise.race([answered, ended]);
}

/** Whether a topic's levels match those of a filter of this program, which may contain `+` but never `#`. */
function filterMatches(filter: string[], topic: string[]): boolean {
  return filter.length === topic.length && filter.every((level, at) => level === '+' || level === topic[at]);
}
