import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, systemClock } from '../clock.ts';
import { codeOf, messageOf, StockmeshError, TransientError } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { type Draft, encodeMessage } from '../messages.ts';
import { encodeLevel, type TopicKind, topicPrefix } from '../topics.ts';
import { type BrokerAddress, endConnection, openConnection } from './connection.ts';
import { createListener, type Hear, type ListenerReport, type Subscribe } from './listener.ts';
import { createPresence, type Load } from './presence.ts';
import { createPublisher, type PublishLimits } from './publisher.ts';
import { sharedWorks } from './shared.ts';

export type { Subscribe, Subscription } from './listener.ts';
export type { Received, Unread } from './receiver.ts';

/** The state is not published more often than this. */
const PRESENCE_GAP_MS = 1000;
const CLOSE_GRACE_MS = 5000;
const OFFLINE_MS = 1000;

export interface BusOptions extends BrokerAddress, PublishLimits {
  service: string;
  /** Unlike any other running instance, and for a persistent session the same at every start. */
  instance: string;
  /** Given by services, not by commands: the instance's state is kept at `mesh/{service}/{instance}/state`, with a last will. */
  version?: string | undefined;
  log: Logger;
  clientIdPrefix?: string | undefined;
  topicPrefix?: string | undefined;
  /** The broker keeps QoS 1 messages for the subscriptions while the process is away. */
  persistent?: boolean | undefined;
  clock?: Clock | undefined;
}

export type BusState = 'online' | 'offline';

/** The bus in figures, for `/readyz`, metrics and the log. */
export interface BusReport {
  state: BusState;
  since: Temporal.Instant;
  /** Why it is or was last offline. */
  reason: string;
  /** Whether the broker delivers to shared subscriptions; undefined as long as none was wanted. */
  shared: boolean | undefined;
  subscriptions: ListenerReport[];
  counters: Record<'published' | 'failed' | 'dropped' | 'received' | 'refused' | 'handlerFailed' | 'queueFull', number>;
}

export interface Bus {
  /** 'online': both connections are up and every subscription was tried. */
  readonly state: BusState;
  /** The session id in this process's presence, if it has one. */
  readonly session: string | undefined;
  /** Resolves at once or as soon as the bus is online; rejects with the signal's reason, or `TransientError('bus.closed')`. */
  online(signal?: AbortSignal): Promise<void>;
  /** Calls back at every change; gives the function that ends it. */
  onState(listener: (state: BusState) => void): () => void;
  /**
   * Checks and sends. QoS 1 resolves with the broker's acknowledgement and rejects with `TransientError` `bus.offline`, `bus.timeout`, `bus.busy` or `bus.not_published`; QoS 0 is dropped and counted
   * instead: the next state follows soon. `InputError` when the message is not valid. MQTT is the doorbell: a caller that cannot ring it goes on, the row is there.
   */
  publish<K extends TopicKind>(kind: K, message: Draft<K>): Promise<void>;
  /** Calls the handler with every message of that kind; stands over reconnections until closed. A message may come more than once. */
  subscribe: Subscribe;
  /** Calls back with the messages of that kind, unread and unacknowledged: none of them comes twice, and those of an outage not at all. Stands over reconnections until closed. */
  hear: Hear;
  /** Changes what the presence says; published at once, but not more than once a second. */
  updatePresence(load: Load): void;
  report(): BusReport;
  /** Waits for running handlers (5 s at most), publishes offline, disconnects. What was not acknowledged comes again to a persistent session. */
  close(): Promise<void>;
}

/**
 * Connects to the broker, now or whenever it is there: it never fails for want of one, and logs once an outage. Two connections, because a client that waits inside a message handler for its own
 * publish waits for ever. Throws `ConfigError('bus.invalid_url')` and `InputError('topic.invalid_prefix')`.
 */
export function connectBus(options: BusOptions): Bus {
  const { service, instance, log, clock = systemClock, persistent = false } = options;
  const prefix = topicPrefix(options.topicPrefix ?? '');
  const presence = options.version === undefined ? undefined : createPresence(service, instance, options.version, clock);
  const name = `${options.clientIdPrefix ?? 'stockmesh'}-${encodeLevel(service)}-${encodeLevel(instance)}`;
  // A stable id is what a session persists by; all others are new, so that two processes of one name do not throw each other out for ever.
  const uniqueName = `${name}-${randomUUID().slice(0, 8)}`;
  const clientId = (role: string) => `${persistent && role === 'listen' ? name : uniqueName}-${role}`;

  let state: BusState = 'offline';
  let since = clock.now();
  let reason = 'not connected yet';
  let outageLogged = false;
  let shared: boolean | undefined;
  let subscribed = false;
  let closed: Promise<void> | undefined;
  const closing = new AbortController();
  const events = new EventEmitter<{ state: [BusState] }>().setMaxListeners(0);
  const received = { handled: 0, refused: 0, failed: 0, dropped: 0 };

  function settleState(): void {
    const next: BusState = publishing.connected && listening.connected && subscribed && !closing.signal.aborted ? 'online' : 'offline';
    if (next === state) return;
    state = next;
    since = clock.now();
    if (state === 'online') {
      log.info('broker connected');
      outageLogged = false;
      announce();
    }
    events.emit('state', state);
  }

  function connectionLost(why: string): void {
    reason = why;
    if (!outageLogged && !closing.signal.aborted)
      log.warn({ reason }, `broker not reachable (${reason}): going on without it, and trying to connect for as long as it takes`);
    outageLogged = true;
    settleState();
  }

  const publishing = openConnection(
    options,
    { clientId: clientId('publish'), persistent: false },
    {
      up: () => settleState(),
      down: (why) => {
        publisher.connectionLost(why);
        connectionLost(why);
      },
    },
  );
  const publisher = createPublisher(publishing, () => publishing.connected, options);

  // The will belongs to the listening connection: a publish that makes the broker hang up must not pronounce the process dead.
  const listening = openConnection(
    options,
    { clientId: clientId('listen'), persistent, ...(presence && { will: willOf(presence.offline()) }) },
    {
      up: async () => {
        if (!(await listener.connected())) return;
        subscribed = true;
        settleState();
      },
      down: (why) => {
        subscribed = false;
        listener.disconnected();
        connectionLost(why);
      },
    },
  );
  const listener = createListener(listening, { prefix, persistent, log, counters: received, probeShared });

  function willOf(offline: Draft<'presence'>) {
    const { topic, payload, qos, retain } = encodeMessage('presence', offline, prefix);
    return { topic, payload: Buffer.from(payload), qos, retain };
  }

  async function probeShared(): Promise<boolean> {
    // Without a presence there is no topic that this process may both publish and hear.
    shared =
      presence !== undefined && (await sharedWorks(options, clientId('probe'), encodeMessage('presence', presence.online(), prefix)));
    if (!shared) log.info('the broker does not deliver to shared subscriptions: every member of a group hears every message');
    return shared;
  }

  let announcing: NodeJS.Timeout | undefined;
  let announcedAt = 0;
  /** Publishes online as soon as the gap allows, and again until the broker has it. */
  function announce(): void {
    if (presence === undefined || announcing !== undefined || state !== 'online') return;
    const wait = Math.max(0, announcedAt + PRESENCE_GAP_MS - performance.now());
    announcing = setTimeout(async () => {
      try {
        announcedAt = performance.now();
        announcing = undefined;
        if (state === 'online') await publish('presence', presence.online());
      } catch (error) {
        if (!(error instanceof StockmeshError)) throw error;
        if (state === 'online') log.warn({ code: codeOf(error) }, `presence not published, trying again: ${messageOf(error)}`);
        announce();
      }
    }, wait);
  }
  if (presence !== undefined) {
    // A will that overtook our return would leave us for dead: contradict it.
    listener.subscribe('presence', { params: { service, instance } }, ({ body }) => {
      if (body.state === 'offline' && body.session === presence.session) announce();
    });
  }

  async function publish<K extends TopicKind>(kind: K, message: Draft<K>): Promise<void> {
    await publisher.publish(encodeMessage(kind, message, prefix));
  }

  async function close(): Promise<void> {
    closing.abort(new TransientError('bus.closed', 'this process has closed its connection to the broker'));
    clearTimeout(announcing);
    settleState();
    await Promise.race([listener.stop().then(() => publisher.idle()), delay(CLOSE_GRACE_MS, undefined, { ref: false })]);
    if (presence !== undefined && publishing.connected) {
      const told = publish('presence', presence.offline()).catch((error) =>
        log.warn({ code: codeOf(error) }, `offline not published: ${messageOf(error)}`),
      );
      await Promise.race([told, delay(OFFLINE_MS, undefined, { ref: false })]);
    }
    await Promise.all([endConnection(listening), endConnection(publishing)]);
  }

  return {
    get state() {
      return state;
    },
    session: presence?.session,
    async online(signal) {
      const over = AbortSignal.any(signal === undefined ? [closing.signal] : [closing.signal, signal]);
      over.throwIfAborted();
      while (state !== 'online') await once(events, 'state', { signal: over }).catch(() => over.throwIfAborted());
    },
    onState(tell) {
      events.on('state', tell);
      return () => events.off('state', tell);
    },
    publish,
    subscribe: listener.subscribe,
    hear: listener.hear,
    updatePresence(load) {
      if (presence?.update(load)) announce();
    },
    report: () => ({
      state,
      since,
      reason,
      shared,
      subscriptions: listener.report(),
      counters: {
        ...publisher.counters,
        received: received.handled,
        refused: received.refused,
        handlerFailed: received.failed,
        queueFull: received.dropped,
      },
    }),
    close() {
      closed ??= close();
      return closed;
    },
  };
}
