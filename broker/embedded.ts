/**
 * The broker inside `stockmesh up`: aedes behind accounts, access rules and a payload limit, behaving towards a client as Mosquitto with the
 * generated configuration does (`test/broker/conformance*.test.ts` run against both).
 *
 * It keeps everything in memory and acknowledges before it delivers: after a restart retained states and sessions are gone and the clients,
 * which reconnect, state theirs anew. Nothing durable may rest on it. It speaks MQTT 3.1 and 3.1.1.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { Aedes, type Client, type PublishPacket } from 'aedes';
import { gatherWrites } from '../services/platform/bus/gather-writes.ts';
import type { Logger } from '../services/platform/log/log.ts';
import { type AccessRules, type Accounts, checkAccounts, compileAccess } from './access.ts';
import { type Listener, listenTcp, listenWebSocket } from './listeners.ts';
import { DROPPED_TOPIC, gateReads } from './packet-gate.ts';
import { keepSessionQueues } from './session-queues.ts';
import { emulateSharedSubscriptions, isShared } from './shared-subscriptions.ts';

export interface EmbeddedBrokerOptions {
  /** Default 127.0.0.1: reached from this machine only. */
  host?: string;
  /** 0: the system picks one. */
  port: number;
  /** MQTT over WebSocket, for browsers. Off by default. */
  webSocketPort?: number;
  accounts: Accounts;
  access: AccessRules;
  /** A publish with more is acknowledged and dropped. Default 64 KiB. */
  maxPayloadBytes?: number;
  log: Logger;
}

/** Counted since the start. */
interface BrokerStats {
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
  /** Connections refused: unknown account, wrong password, or a client id of another account. */
  refusedConnections: number;
}

export interface EmbeddedBroker {
  port: number;
  webSocketPort: number | undefined;
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
/** Mosquitto answers both with "not authorized", so do we; 2 is "identifier rejected" [MQTT-3.2.2.3]. */
const refusal = { notAuthorized: 5, identifierRejected: 2 };

/**
 * Starts the broker and resolves once it listens.
 * @throws ConfigError `broker.port_in_use`, `broker.cannot_listen`, `access.unknown_role`, `access.bad_account`.
 */
export async function startBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const { host = '127.0.0.1', accounts, maxPayloadBytes = 65_536, log } = options;
  checkAccounts(accounts, options.access);
  const access = compileAccess(options.access);
  const credentials = new Map(Object.entries(accounts).map(([name, { password, role }]) => [name, { role, digest: digestOf(password) }]));
  const identities = new WeakMap<Client, { account: string; role: string }>();
  /** Which account a client id belongs to while it is connected or its session is kept. */
  const owners = new Map<string, string>();
  const counts = { messagesIn: 0, messagesOut: 0, denied: 0, oversize: 0, withheld: 0, refusedConnections: 0 };

  const maySee = (client: Client, topic: string) => {
    const role = identities.get(client)?.role;
    return role !== undefined && access.maySee(role, topic);
  };
  const logOnce = onceATopic((client, topic, event, text) => {
    log.warn({ event, clientId: client?.id, account: client && identities.get(client)?.account, topic }, text);
  });

  const broker = await Aedes.createBroker({
    drainTimeout: DRAIN_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    heartbeatInterval: HEARTBEAT_MS,
    // No common limit on deliveries under way: with one, those that wait for a single frozen subscriber stop all the others too.
    concurrency: 0,

    authenticate(client, username, password, done) {
      const account = credentials.get(username ?? '');
      // Compared for an unknown name too, so that both take the same time.
      const matches = timingSafeEqual(digestOf(password ?? ''), account?.digest ?? digestOf(''));
      const refuse = (returnCode: number, reason: string) => {
        counts.refusedConnections++;
        log.warn({ event: 'broker.connection_refused', clientId: client.id, account: username, reason }, 'connection refused');
        done(Object.assign(new Error(reason), { returnCode }), null);
      };
      if (username === undefined || account === undefined || !matches)
        return refuse(refusal.notAuthorized, username === undefined ? 'no user name' : 'unknown user or wrong password');
      // Otherwise the hook's account could take over a service's connection by naming its client id.
      const owner = owners.get(client.id);
      if (owner !== undefined && owner !== username) return refuse(refusal.identifierRejected, `client id in use by account "${owner}"`);
      identities.set(client, { account: username, role: account.role });
      done(null, true);
    },

    // A publish answered by an error closes the connection, and a client sends it again after every reconnection. So what is not allowed
    // goes on, emptied, to where nothing is delivered, and is acknowledged like any other. Wills come this way too.
    authorizePublish(client, packet, done) {
      const role = client === null ? undefined : identities.get(client)?.role;
      if (packet.topic === DROPPED_TOPIC) {
        empty(packet);
      } else if (packet.payload.length > maxPayloadBytes) {
        countOversize(client, packet.topic, packet.payload.length);
        empty(packet);
      } else if (role === undefined || !access.mayPublish(role, packet.topic)) {
        counts.denied++;
        logOnce(client, packet.topic, 'broker.publish_denied', 'publish not allowed: acknowledged and dropped');
        empty(packet);
      } else {
        counts.messagesIn++;
      }
      // aedes numbers messages when it takes them and drops one that overtook as a duplicate. A retained QoS 0 message is stored first and
      // so overtaken by the next plain one of the same read, unless each has its own turn of the event loop, as QoS 1 has by its PUBACK.
      if (packet.qos === 0) setImmediate(done, null);
      else done(null);
    },

    authorizeSubscribe(client, subscription, done) {
      if (isShared(subscription.topic)) {
        return done(null, shared.join(client, subscription) ? subscription : null);
      }
      const role = identities.get(client)?.role;
      if (role === undefined || !access.covers(role, subscription.topic)) {
        // aedes mixes up a kept session's queue when it withholds a message of it, so there the filter has to fit.
        const granted = client.clean;
        logOnce(
          client,
          subscription.topic,
          'broker.subscription_filtered',
          granted ? 'sees only what its role may' : 'subscription refused',
        );
        return done(null, granted ? subscription : null);
      }
      done(null, subscription);
    },

    authorizeForward(client, packet) {
      if (!maySee(client, packet.topic)) {
        counts.withheld++;
        return null;
      }
      counts.messagesOut++;
      return packet;
    },
  });

  const queues = keepSessionQueues(broker, MAX_QUEUED_BYTES_PER_SESSION, (clientId) => {
    log.warn({ event: 'broker.queue_full', clientId }, 'the queue of an absent client is full: message dropped for it');
  });
  const shared = emulateSharedSubscriptions(broker, queues, maySee);
  broker.on('client', (client) => {
    owners.set(client.id, identities.get(client)!.account);
  });
  broker.on('clientDisconnect', (client) => {
    if (client.clean) owners.delete(client.id);
  });
  broker.on('clientError', (client, error) => {
    log.info({ event: 'broker.client_error', clientId: client.id, reason: error.message }, 'connection ended by an error');
  });
  broker.on('connectionError', (_client, error) => {
    log.info({ event: 'broker.connection_error', reason: error.message }, 'connection ended before it named itself');
  });

  function countOversize(client: Client | null, topic: string, payloadBytes: number): void {
    counts.oversize++;
    logOnce(
      client,
      topic,
      'broker.oversize',
      `payload of ${payloadBytes} bytes, the limit is ${maxPayloadBytes}: acknowledged and dropped`,
    );
  }

  function accept(connection: Duplex): void {
    const gated = gateReads(gatherWrites(connection), {
      maxPayloadBytes,
      onOversize: (topic, payloadBytes) => countOversize(client, topic, payloadBytes),
      onAbuse: (packetBytes) => connection.destroy(new Error(`a packet of ${packetBytes} bytes that is no publish`)),
    });
    const client: Client = broker.handle(gated);
  }

  const listeners: Listener[] = [];
  async function close(): Promise<void> {
    await Promise.all(listeners.map((listener) => listener.close()));
    await new Promise<void>((resolve) => broker.close(() => resolve()));
  }

  try {
    const tcp = await listenTcp({ host, port: options.port, accept });
    listeners.push(tcp);
    const webSocket =
      options.webSocketPort === undefined ? undefined : await listenWebSocket({ host, port: options.webSocketPort, accept });
    if (webSocket !== undefined) listeners.push(webSocket);
    return { port: tcp.port, webSocketPort: webSocket?.port, stats: () => ({ clients: broker.connectedClients, ...counts }), close };
  } catch (error) {
    await close();
    throw error;
  }
}

const digestOf = (secret: string | Buffer): Buffer => createHash('sha256').update(secret).digest();

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
