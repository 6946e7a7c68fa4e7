/**
 * The broker inside `stockmesh up`: aedes behind accounts, access rules and a payload limit, behaving towards a client as Mosquitto with the
 * generated configuration does (`test/broker/conformance*.test.ts` run against both).
 *
 * It keeps everything in memory: after a restart retained states and sessions are gone and the clients, which reconnect, state theirs anew.
 * A login is safe nevertheless: the access rules hold its acknowledgement until the service has committed it (`held/held-publishes.ts`).
 * It speaks MQTT 3.1 and 3.1.1.
 */
import type { Duplex } from 'node:stream';
import { Aedes, type AedesPublishPacket, type Client, type PublishPacket } from 'aedes';
import { gatherWrites } from '../services/platform/bus/gather-writes.ts';
import type { Logger } from '../services/platform/log/log.ts';
import type { Certificate } from '../services/platform/machine/certificate.ts';
import { encodeMessage } from '../services/platform/messages.ts';
import { type Access, type AccessRules, type Accounts, checkAccounts, compileAccess } from './access.ts';
import { type ClientAdmission, createClientAdmission } from './client-admission.ts';
import {
  HELD_ALERT_TIMES,
  type HeldAlerts,
  type HeldAlertTimes,
  type HeldStats,
  HOLD_LIMITS,
  type HoldLimits,
  startHeldAlerts,
} from './held/held-limits.ts';
import { createHeldPublishes, type HeldPublishes } from './held/held-publishes.ts';
import { DROPPED_TOPIC, gateReads } from './packet-gate.ts';
import { limitPublishes, limitSubscriptions } from './qos-limit.ts';
import { listenTcp, listenWebSocket, type ServerSocket } from './server-sockets.ts';
import { keepSessionQueues, type SessionQueues } from './session-queues.ts';
import { emulateSharedSubscriptions, type SharedSubscriptions } from './shared-subscriptions.ts';
import { createSubscriptionAccess } from './subscription-access.ts';

export interface EmbeddedBrokerOptions {
  /** Default 127.0.0.1: reached from this machine only. */
  host?: string;
  /** 0: the system picks one. */
  port: number;
  /** MQTT over WebSocket, for browsers. Off by default. */
  webSocketPort?: number;
  /** Encrypted ports beside these. Off by default. */
  tls?: BrokerTls;
  accounts: Accounts;
  access: AccessRules;
  /** What the client ids of services begin with. Default `CLIENT_ID_PREFIX`. */
  clientIdPrefix?: string;
  /** A publish with more is acknowledged and dropped. Default 64 KiB. */
  maxPayloadBytes?: number;
  /** How much may wait for the acknowledgement of a service. Default `HOLD_LIMITS`. */
  holdLimits?: Partial<HoldLimits>;
  /** When the alerts about it are raised and cleared. Default `HELD_ALERT_TIMES`. */
  heldAlertTimes?: Partial<HeldAlertTimes>;
  log: Logger;
}

export interface BrokerTls {
  host: string;
  /** 0: the system picks one. */
  port: number;
  webSocketPort?: number;
  certificate: Certificate;
}

/** Counted since the start. */
interface BrokerStats extends HeldStats {
  /** Connected now. */
  clients: number;
  /** Publishes accepted. */
  messagesIn: number;
  /** Deliveries, one a receiver. */
  messagesOut: number;
  /** Publishes dropped because the role may not. */
  denied: number;
  /** Publishes and wills dropped because of their size. */
  oversize: number;
  /** Deliveries withheld because the role may not see the topic. */
  withheld: number;
  /** Connections refused: unknown account, wrong password, a client id that is none, unreadable or another account's, MQTT 5. */
  refusedConnections: number;
}

export interface EmbeddedBroker {
  port: number;
  webSocketPort: number | undefined;
  tlsPort: number | undefined;
  tlsWebSocketPort: number | undefined;
  stats(): BrokerStats;
  /** Cuts every connection, without their wills, and resolves when no handle is left. */
  close(): Promise<void>;
}

/** A subscriber that reads nothing holds up its publishers until its socket's buffer drains or this has passed. */
const DRAIN_TIMEOUT_MS = 1000;
const CONNECT_TIMEOUT_MS = 10_000;
const MAX_QUEUED_BYTES_PER_SESSION = 16 * 1024 * 1024;
// aedes takes a client whose broker missed three heartbeats for dead and publishes its will: a laptop that slept would announce every service
// as offline. Meant for clusters; here as rare as a timer can be (its sweep waits four times as long, and Node's timers end at 24.8 days).
const HEARTBEAT_MS = 6 * 86_400_000;
const LOGGED_TOPICS_PER_CLIENT = 10;

/** What the broker's callbacks share. */
interface BrokerParts {
  access: Access;
  admission: ClientAdmission;
  held: HeldPublishes;
  /** Set once aedes runs, which its callbacks wait for. */
  queues: SessionQueues | undefined;
  shared: SharedSubscriptions | undefined;
  alerts: HeldAlerts | undefined;
  counts: { messagesIn: number; messagesOut: number; denied: number; oversize: number; withheld: number };
  maxPayloadBytes: number;
  log: Logger;
  logOnce: Once;
  maySee: (client: Client, topic: string) => boolean;
}

/**
 * Starts the broker and resolves once it listens.
 * @throws ConfigError `broker.port_in_use`, `broker.cannot_listen`, `access.unknown_role`, `access.bad_account`.
 */
export async function startBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  checkAccounts(options.accounts, options.access);
  const parts = createParts(options);
  const broker = await createAedes(parts);
  parts.alerts = startAlerts(parts, broker, { ...HELD_ALERT_TIMES, ...options.heldAlertTimes });
  const sockets: ServerSocket[] = [];
  async function close(): Promise<void> {
    parts.alerts?.stop();
    await Promise.all(sockets.map((socket) => socket.close()));
    await new Promise<void>((resolve) => broker.close(() => resolve()));
  }
  const listen = listenersOf(parts, broker, sockets);
  const { host = '127.0.0.1', port, webSocketPort, tls } = options;
  try {
    const ports = {
      port: await listen(listenTcp, 'queue.mqtt.port (--mqtt-port)', host, port),
      webSocketPort:
        webSocketPort === undefined ? undefined : await listen(listenWebSocket, 'queue.mqtt.websocket_port', host, webSocketPort),
      tlsPort: tls && (await listen(listenTcp, 'queue.mqtt.tls.listen_port', tls.host, tls.port, tls.certificate)),
      tlsWebSocketPort:
        tls?.webSocketPort === undefined
          ? undefined
          : await listen(listenWebSocket, 'queue.mqtt.tls.listen_websocket_port', tls.host, tls.webSocketPort, tls.certificate),
    };
    return {
      ...ports,
      stats: () => ({
        clients: broker.connectedClients,
        ...parts.counts,
        ...parts.held.stats(),
        refusedConnections: parts.admission.refused(),
      }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

type Listen = (listener: typeof listenTcp, option: string, host: string, port: number, certificate?: Certificate) => Promise<number>;

/** Opens ports, adds them to `sockets`, and resolves to the number of each. */
function listenersOf(parts: BrokerParts, broker: Aedes, sockets: ServerSocket[]): Listen {
  return async (listener, option, host, port, certificate) => {
    const socket = await listener({
      ...{ option, host, port, certificate },
      enter: () => {},
      accept: (connection) => acceptConnection(parts, broker, connection),
      onRefusedHandshake({ remoteAddress }, reason) {
        parts.log.info({ event: 'broker.handshake_refused', address: remoteAddress, reason }, 'connection refused in the handshake of TLS');
      },
    });
    sockets.push(socket);
    return socket.port;
  };
}

function createParts(options: EmbeddedBrokerOptions): BrokerParts {
  const { maxPayloadBytes = 65_536, log } = options;
  const access = compileAccess(options.access, options.clientIdPrefix);
  const admission = createClientAdmission(options.accounts, access, log);
  const maySee = (client: Client, topic: string) => {
    const role = admission.identityOf(client)?.role;
    return role !== undefined && access.maySee(role, topic);
  };
  const logOnce = onceATopic((client, topic, event, text) => {
    log.warn({ event, clientId: client?.id, account: client && admission.identityOf(client)?.account, topic }, text);
  });
  const limits = { ...HOLD_LIMITS, ...options.holdLimits };
  const held = createHeldPublishes({
    limits,
    commits: (clientId, topic) => access.commits(admission.roleOf(clientId) ?? '', topic),
    onFull(client, topic) {
      const text =
        `${limits.perClient} messages of one client, ${limits.messages} messages or ${limits.bytes} bytes wait for the acknowledgement of a ` +
        'service: more are not taken and not acknowledged; is portfolio-priority running?';
      log.warn({ event: 'broker.held_full', clientId: client.id, topic }, text);
      parts.alerts?.look();
    },
  });
  const counts = { messagesIn: 0, messagesOut: 0, denied: 0, oversize: 0, withheld: 0 };
  const unset = { queues: undefined, shared: undefined, alerts: undefined };
  const parts: BrokerParts = { access, admission, held, ...unset, counts, maxPayloadBytes, log, logOnce, maySee };
  return parts;
}

function startAlerts({ held, log }: BrokerParts, broker: Aedes, times: HeldAlertTimes): HeldAlerts {
  return startHeldAlerts({
    stats: held.stats,
    times,
    log,
    publish(alert) {
      const { topic, payload, qos, retain } = encodeMessage('alert', alert);
      broker.publish({ cmd: 'publish', topic, payload: Buffer.from(payload), qos, retain, dup: false }, () => undefined);
    },
  });
}

async function createAedes(parts: BrokerParts): Promise<Aedes> {
  const { access, admission, held, log, logOnce, maySee } = parts;
  const subscriptionAccess = createSubscriptionAccess({ access, admission, join: (...member) => parts.shared!.join(...member), logOnce });
  const broker = await Aedes.createBroker({
    drainTimeout: DRAIN_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
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
    maxBytes: MAX_QUEUED_BYTES_PER_SESSION,
    isExempt: (packet, clientId) => held.isHeldFor(clientId, packet),
    maySee: (clientId, topic) => access.maySee(admission.roleOf(clientId) ?? '', topic),
    onFull(clientId) {
      log.warn({ event: 'broker.queue_full', clientId }, 'the queue of an absent client is full: message dropped for it');
    },
    onQueued: held.queued,
    onAcknowledged: held.acknowledged,
    onRemoved: held.removed,
    onCleanAcknowledgement: held.acknowledgedByClean,
  });
  const shared = emulateSharedSubscriptions(broker, { queues, maySee });
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
    log.info({ event: 'broker.client_error', clientId: client.id, reason: error.message }, 'connection ended by an error');
  });
  broker.on('connectionError', (_client, error) => {
    log.info({ event: 'broker.connection_error', reason: error.message }, 'connection ended before it named itself');
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
  } else if (role === undefined || !access.mayPublish(role, packet.topic)) {
    counts.denied++;
    logOnce(client, packet.topic, 'broker.publish_denied', 'publish not allowed: acknowledged and dropped');
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
  { counts, held, maySee, queues }: BrokerParts,
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
  counts.messagesOut++;
  return packet;
}

function countOversize({ counts, logOnce, maxPayloadBytes }: BrokerParts, client: Client | null, topic: string, bytes: number): void {
  counts.oversize++;
  logOnce(client, topic, 'broker.oversize', `payload of ${bytes} bytes, the limit is ${maxPayloadBytes}: acknowledged and dropped`);
}

function acceptConnection(parts: BrokerParts, broker: Aedes, connection: Duplex): void {
  const gated = gateReads(gatherWrites(connection), {
    maxPayloadBytes: parts.maxPayloadBytes,
    onOversize: (topic, bytes) => countOversize(parts, client, topic, bytes),
    onAbuse: (packetBytes) => connection.destroy(new Error(`a packet of ${packetBytes} bytes that is no publish`)),
  });
  const client: Client = broker.handle(gated);
  limitSubscriptions(client);
}

/** Leaves of a message only what its acknowledgement needs. */
function empty(packet: PublishPacket): void {
  packet.topic = DROPPED_TOPIC;
  packet.payload = Buffer.alloc(0);
}

type Once = (client: Client | null, topic: string, event: string, text: string) => void;

/** Says a thing of a client and topic once, and of a client that goes through many topics only of the first ones. */
function onceATopic(say: Once): Once {
  const said = new WeakMap<Client, Set<string>>();
  return (client, topic, event, text) => {
    if (client === null) return say(client, topic, event, text);
    const of = said.getOrInsertComputed(client, () => new Set());
    const key = `${event} ${topic}`;
    if (of.has(key) || of.size >= LOGGED_TOPICS_PER_CLIENT) return;
    of.add(key);
    say(client, topic, event, text);
  };
}
