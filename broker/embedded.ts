/**
 * The broker inside `stockmesh up`: aedes behind accounts, access rules and a payload limit, behaving towards a client as Mosquitto with the
 * generated configuration does (`test/broker/conformance*.test.ts` run against both).
 *
 * It keeps everything in memory: after a restart retained states and sessions are gone and the clients, which reconnect, state theirs anew.
 * A login is safe nevertheless: the access rules hold its acknowledgement until the service has committed it (`held/held-publishes.ts`).
 * It speaks MQTT 3.1 and 3.1.1.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Aedes, type AedesPublishPacket, type Client, type PublishPacket } from 'aedes';
import { gatherWrites } from '../services/platform/bus/gather-writes.ts';
import { encodePacketLengths } from '../services/platform/bus/packet-lengths.ts';
import type { InputError } from '../services/platform/errors.ts';
import type { Logger } from '../services/platform/log/log.ts';
import { connectionsWithin } from '../services/platform/machine/descriptors.ts';
import { type Draft, encodeMessage } from '../services/platform/messages.ts';
import { createRefusals, LIMIT_CODE, type Refusal, type Refusals } from '../services/platform/refusals.ts';
import { type Access, type AccessRules, type Accounts, checkAccounts, compileAccess } from './access.ts';
import { type ClientAdmission, createClientAdmission } from './client-admission.ts';
import {
  BROKER_LIMITS,
  type BrokerLimits,
  type LimitReports,
  LONGEST_TOPIC,
  MOST_UNREAD_BYTES,
  type Once,
  onceATopic,
  reportLimits,
  type SparingLog,
  sparingLog,
} from './edge/limits.ts';
import { sharedPaces } from './edge/pace.ts';
import { type BrokerPorts, type OpenPorts, openPorts } from './edge/ports.ts';
import { limitSubscriptionCount, type SubscriptionLimit } from './edge/subscription-limit.ts';
import { keepVisitors, type Visitors } from './edge/visitors.ts';
import {
  HELD_ALERT_TIMES,
  type HeldAlerts,
  type HeldAlertTimes,
  HOLD_LIMITS,
  type HoldLimits,
  startHeldAlerts,
} from './held/held-limits.ts';
import { createHeldPublishes, type HeldPublishes } from './held/held-publishes.ts';
import { DROPPED_TOPIC, gateReads } from './packet-gate.ts';
import { limitPublishes, limitSubscriptions } from './qos-limit.ts';
import type { ServerSocket } from './server-sockets.ts';
import { keepSessionQueues, type SessionQueues } from './session-queues.ts';
import { emulateSharedSubscriptions, type SharedSubscriptions } from './shared-subscriptions.ts';
import type { BrokerStats } from './stats.ts';
import { createSubscriptionAccess } from './subscription-access.ts';

export interface EmbeddedBrokerOptions extends BrokerPorts {
  accounts: Accounts;
  access: AccessRules;
  /** What the client ids of services begin with. Default `CLIENT_ID_PREFIX`. */
  clientIdPrefix?: string;
  /** A publish with more is acknowledged and dropped. Default 64 KiB. */
  maxPayloadBytes?: number;
  /** What is wrong with an event (a topic that some role has acknowledged after a commit): it is acknowledged and dropped. By default the service says it, which does not know whose it is. */
  faultOf?: (topic: string, payload: Buffer) => InputError | undefined;
  /** Gets what is published on `events/refused`: of many refusals the first, then their number. */
  onRefused?: (message: Draft<'refused'>) => void;
  /** How much may wait for the acknowledgement of a service. Default `HOLD_LIMITS`. */
  holdLimits?: Partial<HoldLimits>;
  /** How much one client, account or address may ask. Default `BROKER_LIMITS`. */
  limits?: Partial<BrokerLimits>;
  /** When the alerts about it are raised and cleared. Default `HELD_ALERT_TIMES`. */
  heldAlertTimes?: Partial<HeldAlertTimes>;
  log: Logger;
}

export interface EmbeddedBroker extends OpenPorts {
  stats(): BrokerStats;
  /** Cuts every connection, without their wills, and resolves when no handle is left. */
  close(): Promise<void>;
}

/** A subscriber that reads nothing holds up its publishers until its socket's buffer drains or this has passed. */
const DRAIN_TIMEOUT_MS = 1000;
// aedes takes a client whose broker missed three heartbeats for dead and publishes its will: a laptop that slept would announce every service
// as offline. Meant for clusters; here as rare as a timer can be (its sweep waits four times as long, and Node's timers end at 24.8 days).
const HEARTBEAT_MS = 6 * 86_400_000;

const LONGEST_LOGGED_TOPIC = 200;

/** What the broker's callbacks share. */
interface BrokerParts {
  access: Access;
  admission: ClientAdmission;
  held: HeldPublishes;
  /** Set once aedes runs, which its callbacks wait for. */
  queues: SessionQueues | undefined;
  shared: SharedSubscriptions | undefined;
  alerts: HeldAlerts | undefined;
  refusals: Refusals | undefined;
  counts: { messagesIn: number; messagesOut: number; denied: number; oversize: number; withheld: number };
  maxPayloadBytes: number;
  faultOf: NonNullable<EmbeddedBrokerOptions['faultOf']>;
  limits: BrokerLimits;
  reports: LimitReports;
  visitors: Visitors;
  subscriptions: SubscriptionLimit;
  paceOf: ReturnType<typeof sharedPaces>;
  log: Logger;
  say: SparingLog;
  logOnce: Once;
  maySee: (client: Client, topic: string) => boolean;
}

/**
 * Starts the broker and resolves once it listens.
 * @throws ConfigError `broker.port_in_use`, `broker.cannot_listen`, `access.unknown_role`, `access.bad_account`.
 */
export async function startBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  checkAccounts(options.accounts, options.access);
  encodePacketLengths();
  const parts = createParts(options);
  const broker = await createAedes(parts);
  const say: Say = (kind, message) => {
    const { topic, payload, qos, retain } = encodeMessage(kind, message);
    broker.publish({ cmd: 'publish', topic, payload: Buffer.from(payload), qos, retain, dup: false }, () => undefined);
  };
  parts.alerts = startAlerts(parts, say, { ...HELD_ALERT_TIMES, ...options.heldAlertTimes });
  const publish = (message: Draft<'refused'>): void => {
    say('refused', message);
    options.onRefused?.(message);
  };
  parts.refusals = createRefusals({ source: 'broker', now: () => new Date(), publish });
  const sockets: ServerSocket[] = [];
  async function close(): Promise<void> {
    parts.alerts?.stop();
    parts.refusals?.stop();
    await Promise.all(sockets.map((socket) => socket.close()));
    await new Promise<void>((resolve) => broker.close(() => resolve()));
  }
  try {
    const ports = await openPorts(options, sockets, {
      enter: parts.visitors.enter,
      accept: (connection, carrier) => acceptConnection(parts, broker, connection, carrier),
      onRefusedHandshake({ remoteAddress }, reason) {
        const fields = { event: 'broker.handshake_refused', address: remoteAddress, reason };
        parts.say(`handshake ${reason}`, 'info', fields, 'connection refused in the handshake of TLS');
      },
    });
    return {
      ...ports,
      stats: () => ({
        clients: broker.connectedClients,
        ...parts.counts,
        ...parts.held.stats(),
        unauthenticated: parts.visitors.unauthenticated(),
        limitsMet: parts.reports.counts(),
        refusedConnections: parts.admission.refused(),
      }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function createParts(options: EmbeddedBrokerOptions): BrokerParts {
  const { maxPayloadBytes = 65_536, faultOf = () => undefined, log } = options;
  const access = compileAccess(options.access, options.clientIdPrefix);
  const wanted = { ...BROKER_LIMITS, ...options.limits };
  const limits = { ...wanted, connections: connectionsWithin(wanted.connections, 'queue.mqtt.limits.connections', log) };
  const say = sparingLog(log);
  const reports = reportLimits(say, (limit, text) => parts.refusals?.add({ code: `${LIMIT_CODE}${limit}`, text }));
  const onSlowed = (account: string): void => {
    const text = `an account sends faster than queue.mqtt.limits.messages_per_second or bytes_per_second: its clients are read later`;
    reports.met('messages_per_second', account, text);
  };
  const edge = { limits, reports, say, visitors: keepVisitors(limits, reports), paceOf: sharedPaces(limits, onSlowed) };
  const admission = createClientAdmission({ accounts: options.accounts, access, limits, reports, say });
  const maySee = (client: Client, topic: string) => {
    const role = admission.identityOf(client)?.role;
    return role !== undefined && access.maySee(role, topic);
  };
  const logOnce = onceATopic((client, topic, event, text) => {
    const account = client === null ? undefined : admission.identityOf(client)?.account;
    const fields = { event, clientId: client?.id, account, topic: topic.slice(0, LONGEST_LOGGED_TOPIC) };
    // Whoever connects again and again is a new client each time.
    say(`${event} ${account ?? ''}`, 'warn', fields, text);
  });
  const holdLimits = { ...HOLD_LIMITS, ...options.holdLimits };
  const held = createHeldPublishes({
    limits: holdLimits,
    commits: (clientId, topic) => access.commits(admission.roleOf(clientId) ?? '', topic),
    onRefused: (client, { topic, payload }) =>
      refused(parts, client, {
        code: 'broker.held_full',
        text: 'too much waits for the acknowledgement of a service: neither kept nor acknowledged',
        topic,
        bytes: payload.length,
      }),
    onFull(client, topic) {
      const text =
        `${holdLimits.perClient} messages of one client, ${holdLimits.messages} messages or ${holdLimits.bytes} bytes wait for the acknowledgement of a ` +
        'service: more are not taken and not acknowledged; is portfolio-priority running?';
      log.warn({ event: 'broker.held_full', clientId: client.id, topic }, text);
      parts.alerts?.look();
    },
  });
  const counts = { messagesIn: 0, messagesOut: 0, denied: 0, oversize: 0, withheld: 0 };
  const unset = { queues: undefined, shared: undefined, alerts: undefined, refusals: undefined };
  const subscriptions = limitSubscriptionCount(limits, reports);
  const given = { maxPayloadBytes, faultOf, log, logOnce, maySee };
  const parts: BrokerParts = { access, admission, held, ...unset, ...edge, subscriptions, counts, ...given };
  return parts;
}

/** Publishes a message of the broker itself. */
type Say = <K extends 'alert' | 'refused'>(kind: K, message: Draft<K>) => void;

function startAlerts({ held, log }: BrokerParts, say: Say, times: HeldAlertTimes): HeldAlerts {
  return startHeldAlerts({ stats: held.stats, times, log, publish: (alert) => say('alert', alert) });
}

/** Counts and publishes that a publish was refused: its sender is not told over MQTT 3.1.1. */
function refused({ admission, refusals }: BrokerParts, client: Client | null, refusal: Omit<Refusal, 'clientId' | 'account'>): void {
  const account = client === null ? undefined : admission.identityOf(client)?.account;
  // Before its CONNECT a client has no id yet.
  refusals?.add({ ...refusal, clientId: client?.id || undefined, account });
}

async function createAedes(parts: BrokerParts): Promise<Aedes> {
  const { access, admission, held, limits, reports, say, logOnce, maySee } = parts;
  const subscriptionAccess = createSubscriptionAccess({
    ...{ access, admission, logOnce, isBeyond: parts.subscriptions.isBeyond },
    join: (...member) => parts.shared!.join(...member),
  });
  const broker = await Aedes.createBroker({
    drainTimeout: DRAIN_TIMEOUT_MS,
    // The visitors' own is first, since it begins with the connection.
    connectTimeout: limits.connectSeconds * 1000 + 1000,
    heartbeatInterval: HEARTBEAT_MS,
    // No common limit on deliveries under way: with one, those that wait for a single frozen subscriber stop all the others too.
    concurrency: 0,
    preConnect: admission.preConnect,
    authenticate: admission.authenticate,
    authorizePublish: (client, packet, done) => authorizePublish(parts, client, packet, done),
    authorizeSubscribe: (client, subscription, done) => subscriptionAccess.authorize(client, subscription, done),
    authorizeForward: (client, packet) => authorizeForward(parts, client, packet),
  });
  const queues = keepSessionQueues(broker, {
    maxBytes: limits.queuedBytesPerSession,
    maxBytesPerAccount: limits.queuedBytesPerAccount,
    accountOf: admission.accountOf,
    isExempt: (packet, clientId) => held.isHeldFor(clientId, packet),
    maySee: (clientId, topic) => access.maySee(admission.roleOf(clientId) ?? '', topic),
    onFull(clientId) {
      reports.met('queued_bytes', clientId, 'the queue of an absent client is full: message dropped for it');
    },
    onQueued: held.queued,
    onAcknowledged: held.acknowledged,
    onRemoved: held.removed,
    onCleanAcknowledgement: held.acknowledgedByClean,
  });
  const shared = emulateSharedSubscriptions(broker, { queues, maySee, hasRoom: held.hasRoom });
  held.attach({ broker, queues, shared });
  admission.attach(broker);
  limitPublishes(broker);
  subscriptionAccess.attach(broker);
  Object.assign(parts, { queues, shared });
  // Each delivery that waited for a connection fails with it, thousands in a burst.
  const ended = new WeakSet<Client>();
  broker.on('clientError', (client, error) => {
    if (ended.has(client)) return;
    ended.add(client);
    const fields = { event: 'broker.client_error', clientId: client.id, reason: error.message };
    say(`ended ${error.message}`, 'info', fields, 'connection ended by an error');
  });
  broker.on('connectionError', (_client, error) => {
    const fields = { event: 'broker.connection_error', reason: error.message };
    say(`before ${error.message.slice(0, 10)}`, 'info', fields, 'connection ended before it named itself');
  });
  return broker;
}

/**
 * A publish answered by an error closes the connection, and a client sends it again after every reconnection. So what is not allowed goes on,
 * emptied, to where nothing is delivered, and is acknowledged like any other. Wills come this way too.
 */
function authorizePublish(parts: BrokerParts, client: Client | null, packet: PublishPacket, done: (error?: Error | null) => void): void {
  const { access, admission, counts, held, maxPayloadBytes, logOnce } = parts;
  const role = client === null ? undefined : admission.identityOf(client)?.role;
  // aedes numbers messages when it takes them and drops one that overtook as a duplicate. A retained message is stored first and so
  // overtaken by the next plain one of the same read, unless each has its own turn of the event loop, as QoS 1 has by its PUBACK.
  const isAcknowledgedByAedes = packet.qos === 1;
  if (packet.topic === DROPPED_TOPIC) {
    empty(packet);
  } else if (packet.payload.length > maxPayloadBytes) {
    countOversize(parts, client, packet.topic, packet.payload.length);
    empty(packet);
  } else if (role === undefined || packet.topic.length > LONGEST_TOPIC || !access.mayPublish(role, packet.topic)) {
    counts.denied++;
    const denied = { code: 'broker.publish_denied', text: 'publish not allowed: acknowledged and dropped' };
    logOnce(client, packet.topic, denied.code, denied.text);
    refused(parts, client, { ...denied, topic: packet.topic, bytes: packet.payload.length });
    empty(packet);
  } else if (access.isEvent(packet.topic) && refuseEvent(parts, client, packet)) {
    empty(packet);
  } else {
    counts.messagesIn++;
    // A will has no packet identifier: nobody waits for its acknowledgement.
    if (client !== null && packet.qos > 0 && packet.messageId !== undefined && access.isHeld(role, packet.topic)) {
      held.take(client, packet);
      empty(packet);
      // aedes acknowledges nothing of QoS 0.
      packet.qos = 0;
      packet.retain = false;
      setImmediate(done, null);
      return;
    }
  }
  if (isAcknowledgedByAedes) done(null);
  else setImmediate(done, null);
}

function authorizeForward(
  { admission, counts, held, maySee, queues, reports }: BrokerParts,
  client: Client,
  packet: AedesPublishPacket,
): AedesPublishPacket | null {
  if (!maySee(client, packet.topic)) {
    counts.withheld++;
    return null;
  }
  // A redelivery after a reconnect comes this way too; it has its packet identifier already.
  if (packet.messageId === undefined) {
    if (queues!.isRedelivered(client, packet)) return null;
    // Whether its sender sent it again is not for the receiver [MQTT-3.3.1-3].
    packet.dup = false;
    if (client.clean) held.noteCleanDelivery(client, packet);
  }
  const { writableLength } = client.conn as Duplex;
  if (writableLength > MOST_UNREAD_BYTES) {
    const account = admission.identityOf(client)?.account ?? '';
    reports.met('unread_bytes', account, `a subscriber left ${writableLength} bytes unread: its connection is cut`);
    (client.conn as Duplex).destroy();
    return null;
  }
  counts.messagesOut++;
  return packet;
}

/** Whether an event is refused. One that is not has no retain flag any more: it counts now, and not again at each subscription. */
function refuseEvent(parts: BrokerParts, client: Client | null, packet: PublishPacket): boolean {
  packet.retain = false;
  const { topic } = packet;
  const payload = Buffer.from(packet.payload);
  const fault = parts.faultOf(topic, payload);
  if (fault === undefined) return false;
  parts.logOnce(client, topic, 'broker.event_refused', `acknowledged and dropped (${fault.code}): ${fault.message}`);
  refused(parts, client, { code: fault.code, text: fault.summary, topic, bytes: payload.length });
  return true;
}

function countOversize(parts: BrokerParts, client: Client | null, topic: string, bytes: number): void {
  const { counts, logOnce, maxPayloadBytes } = parts;
  counts.oversize++;
  const text = `payload of ${bytes} bytes, the limit is ${maxPayloadBytes}: acknowledged and dropped`;
  logOnce(client, topic, 'broker.oversize', text);
  refused(parts, client, { code: 'broker.oversize', text, topic, bytes });
}

function acceptConnection(parts: BrokerParts, broker: Aedes, connection: Duplex, carrier: Socket): void {
  const visitor = parts.visitors.of(carrier);
  // Gone, or sent away, while it shook hands.
  if (visitor === undefined) {
    connection.destroy();
    return;
  }
  const accountOf = () => parts.admission.identityOf(client)?.account;
  const gated = gateReads(gatherWrites(connection), {
    maxPayloadBytes: parts.maxPayloadBytes,
    pace: parts.paceOf(accountOf),
    onOversize: (topic, bytes) => countOversize(parts, client, topic, bytes),
    onAbuse: (packetBytes) => connection.destroy(new Error(`a packet of ${packetBytes} bytes that is no publish`)),
  });
  const client: Client = broker.handle(gated);
  parts.admission.welcome(client, visitor);
  limitSubscriptions(client);
  parts.subscriptions.count(client, accountOf);
}

/** Leaves of a message only what its acknowledgement needs. */
function empty(packet: PublishPacket): void {
  packet.topic = DROPPED_TOPIC;
  packet.payload = Buffer.alloc(0);
}
