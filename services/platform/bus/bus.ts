import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { MqttClient } from 'mqtt';
import { type Clock, systemClock } from '../clock.ts';
import { codeOf, messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { type Draft, encodeMessage } from '../messages.ts';
import { encodeLevel, type TopicKind, topicPrefix } from '../topics.ts';
import { type BusState, type BusStateKeeper, keepBusState } from './bus-state.ts';
import { type BrokerAddress, endConnection, openConnection } from './connection.ts';
import { encodePacketLengths } from './packet-lengths.ts';
import { createPresence, type Load, type Presence, publishOnline } from './presence.ts';
import { createPublisher, type Publisher, type PublishLimits } from './publisher.ts';
import type { ReceiverCounters } from './receiver.ts';
import { secretName } from './secret-name.ts';
import { sharedWorks } from './shared.ts';
import { createSubscriptions, type OnDoorbell, type Subscribe, type SubscriptionReport, type Subscriptions } from './subscriptions.ts';

export type { BusState } from './bus-state.ts';
export type { Received, Unread } from './receiver.ts';
export type { Subscribe, Subscription } from './subscriptions.ts';

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
  /** While the process is away the broker keeps the QoS 1 messages of the subscriptions with `acknowledge: 'handled'`, and of no others. */
  persistent?: boolean | undefined;
  clock?: Clock | undefined;
}

/** The metrics of the bus, for `/readyz`, metrics and the log. */
export interface BusReport {
  state: BusState;
  since: Temporal.Instant;
  /** Why it is or was last offline. */
  reason: string;
  /** Whether the broker delivers to shared subscriptions; undefined as long as none was wanted. */
  shared: boolean | undefined;
  subscriptions: SubscriptionReport[];
  /**
   * What this process should hear and does not: filters that the broker has not granted, and the topic of its own presence until it has come back from the broker, since some
   * brokers grant a filter and deliver nothing. Empty: it hears everything.
   */
  missing: string[];
  counters: Record<'published' | 'failed' | 'dropped' | 'received' | 'refused' | 'handlerFailed' | 'queueFull', number>;
}

export interface Bus {
  /** 'online': both connections are up and every subscription was tried. */
  readonly state: BusState;
  /** The session id in this process's presence, if it has one. */
  readonly session: string | undefined;
  /** What the presence says beside `online`; empty without a presence. */
  readonly load: Load;
  /** Resolves at once or as soon as the bus is online; rejects with the signal's reason, or `TransientError('bus.closed')`. */
  online(signal?: AbortSignal): Promise<void>;
  /** Calls back at every change. Gives the function that ends it. */
  onState(listener: (state: BusState) => void): () => void;
  /**
   * Checks and sends. QoS 1 resolves with the broker's acknowledgement and rejects with `TransientError` `bus.offline`, `bus.timeout`, `bus.busy` or `bus.not_published`; QoS 0 is dropped and counted
   * instead: the next state follows soon; only the answers to logins reject as well. `InputError` when the message is not valid. MQTT is only the doorbell: a caller that cannot publish goes on, the database has the row.
   */
  publish<K extends TopicKind>(kind: K, message: Draft<K>): Promise<void>;
  /** Calls the handler with every message of that kind; stands over reconnections until closed. A message may come more than once. */
  subscribe: Subscribe;
  /** Calls back with the messages of that kind, unread and unacknowledged: none of them comes twice, and those of an outage not at all. Stands over reconnections until closed. */
  onDoorbell: OnDoorbell;
  /** Changes what the presence says; published at once, but not more than once a second. */
  updatePresence(load: Load): void;
  report(): BusReport;
  /** Stops every subscription and waits for running handlers (5 s at most), publishes offline, disconnects. A persistent session stays subscribed and gets again what was not acknowledged. */
  close(): Promise<void>;
}

/** What the functions of one bus share. */
interface Parts {
  options: BusOptions;
  prefix: string;
  status: BusStateKeeper;
  presence: Presence | undefined;
  publishing: MqttClient;
  publisher: Publisher;
  listening: MqttClient;
  subscriptions: Subscriptions;
  /** Every subscription was tried on the present connection. */
  subscribed: boolean;
  /** The state of this process has come back on the present connection. */
  heardItself: boolean;
  /** Whether the broker delivers to shared subscriptions; undefined as long as none was wanted. */
  shared: boolean | undefined;
  received: ReceiverCounters;
  clientId(role: 'publish' | 'listen' | 'probe'): string;
  publish: Bus['publish'];
}

/**
 * Connects to the broker, now or whenever it is there: it never fails for want of one, and logs once an outage. Two connections, because a client that waits inside a message handler for its own
 * publish waits for ever. Throws `ConfigError('bus.invalid_url')` and `InputError('topic.invalid_prefix')`.
 */
export function connectBus(options: BusOptions): Bus {
  if (options.version !== undefined) encodePacketLengths();
  const parts = openParts(options);
  const { status, presence, publish, subscriptions } = parts;
  const online =
    presence === undefined
      ? undefined
      : publishOnline(presence, {
          publish: (message) => publish('presence', message),
          isOnline: () => status.state === 'online',
          log: options.log,
        });
  status.onState((state) => {
    if (state === 'online') online?.request();
  });
  if (presence !== undefined) {
    // The last will of a broken connection may be published after our return, and would show this process as offline: contradict it.
    subscriptions.subscribe('presence', { params: { service: options.service, instance: options.instance } }, ({ body }) => {
      if (body.session !== presence.session) return;
      if (body.state === 'offline') online?.request();
      else parts.heardItself = true;
    });
  }
  let closed: Promise<void> | undefined;

  return {
    get state() {
      return status.state;
    },
    session: presence?.session,
    get load() {
      return presence?.load ?? {};
    },
    online: status.online,
    onState: status.onState,
    publish,
    subscribe: subscriptions.subscribe,
    onDoorbell: subscriptions.onDoorbell,
    updatePresence(load) {
      if (presence?.update(load)) online?.request();
    },
    report: () => reportOf(parts),
    close() {
      online?.stop();
      closed ??= close(parts);
      return closed;
    },
  };
}

function openParts(options: BusOptions): Parts {
  const { service, instance, log, clock = systemClock, persistent = false } = options;
  const prefix = topicPrefix(options.topicPrefix ?? '');
  const presence = options.version === undefined ? undefined : createPresence(service, instance, options.version, clock);
  const clientId = clientIds(options);
  const status = keepBusState(clock, log);
  const received: ReceiverCounters = { handled: 0, refused: 0, failed: 0, dropped: 0 };
  const updateState = () => status.set(publishing.connected && listening.connected && parts.subscribed);
  const lost = (why: string) => {
    status.lost(why);
    updateState();
  };

  const publishing = openConnection(
    options,
    { clientId: clientId('publish'), persistent: false },
    {
      up: updateState,
      down: (why) => {
        publisher.connectionLost(why);
        lost(why);
      },
    },
  );
  const publisher = createPublisher(publishing, () => publishing.connected, options);

  // The will belongs to the listening connection: a broker that hangs up because of a publish must not show the process as dead.
  const listening = openConnection(
    options,
    { clientId: clientId('listen'), persistent, ...(presence && { will: willOf(presence.offline(), prefix) }) },
    {
      up: async () => {
        if (!(await subscriptions.connected())) return;
        parts.subscribed = true;
        updateState();
      },
      down: (why) => {
        parts.subscribed = false;
        parts.heardItself = false;
        subscriptions.disconnected();
        lost(why);
      },
    },
  );
  const probeShared = () => probe(parts);
  const groupName = (group: string) => secretName(options, group);
  const subscriptions = createSubscriptions(listening, { prefix, persistent, log, counters: received, probeShared, groupName });
  const parts: Parts = {
    ...{ options, prefix, status, presence, publishing, publisher, listening, subscriptions, received, clientId },
    subscribed: false,
    heardItself: false,
    shared: undefined,
    // Asynchronous, so that a message that is not valid rejects like one that cannot be sent.
    // The answers to a burst of logins waited behind its thousands of doorbells for 5 s, and 400 of 1,000 found no room.
    publish: async (kind, message) =>
      publisher.publish(encodeMessage(kind, message, prefix), {
        ...{ first: kind === 'portfolio', now: kind === 'work' },
        // Their row is deleted when they are published.
        orReject: kind === 'portfolio',
      }),
  };
  return parts;
}

/**
 * A kept session is found again by its client id, which is secret, since many brokers give the session to every account that names it. All other
 * ids are new at each start, so that two processes of one name do not disconnect each other for ever.
 */
function clientIds(options: BusOptions): Parts['clientId'] {
  const { clientIdPrefix = 'stockmesh', service, instance, persistent } = options;
  const name = `${clientIdPrefix}-${encodeLevel(service)}-${encodeLevel(instance)}`;
  const uniqueName = `${name}-${randomUUID().slice(0, 8)}`;
  const keptName = persistent ? secretName(options, name) : uniqueName;
  return (role) => `${role === 'listen' ? keptName : uniqueName}-${role}`;
}

function willOf(offline: Draft<'presence'>, prefix: string) {
  const { topic, payload, qos, retain } = encodeMessage('presence', offline, prefix);
  return { topic, payload: Buffer.from(payload), qos, retain };
}

async function probe(parts: Parts): Promise<boolean> {
  const { options, presence, prefix, clientId } = parts;
  // Without a presence there is no topic that this process may both publish and subscribe.
  parts.shared =
    presence !== undefined && (await sharedWorks(options, clientId('probe'), encodeMessage('presence', presence.online(), prefix)));
  if (!parts.shared) options.log.info('the broker does not deliver to shared subscriptions: every member of a group gets every message');
  return parts.shared;
}

function reportOf({ status, shared, subscriptions, publisher, received, presence, heardItself, prefix }: Parts): BusReport {
  const subscribed = subscriptions.report();
  const itself = presence === undefined || heardItself ? [] : [encodeMessage('presence', presence.online(), prefix).topic];
  return {
    state: status.state,
    since: status.since,
    reason: status.reason,
    shared,
    subscriptions: subscribed,
    missing: [...new Set([...subscribed.flatMap(({ filter, granted }) => (granted ? [] : [filter])), ...itself])],
    counters: {
      ...publisher.counters,
      received: received.handled,
      refused: received.refused,
      handlerFailed: received.failed,
      queueFull: received.dropped,
    },
  };
}

async function close({ options, status, presence, publish, publisher, subscriptions, listening, publishing }: Parts): Promise<void> {
  status.close();
  status.set(false);
  await Promise.race([subscriptions.stop().then(() => publisher.idle()), delay(CLOSE_GRACE_MS, undefined, { ref: false })]);
  if (presence !== undefined && publishing.connected) {
    const published = publish('presence', presence.offline()).catch((error) =>
      options.log.warn({ code: codeOf(error) }, `offline not published: ${messageOf(error)}`),
    );
    await Promise.race([published, delay(OFFLINE_MS, undefined, { ref: false })]);
  }
  await Promise.all([endConnection(listening), endConnection(publishing)]);
}
