/** Hooks whose logins are held, and services that acknowledge them when the test says so. */
import { afterEach } from 'vitest';
import { loadAccess } from '../../../broker/access.ts';
import { type EmbeddedBroker, type EmbeddedBrokerOptions, startBroker } from '../../../broker/embedded.ts';
import { accounts, join, type Peer, silent } from '../peers.ts';

export const LOGIN = 'events/login';
export const SHARED = `$share/portfolio-priority/${LOGIN}`;

const running: EmbeddedBroker[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((broker) => broker.close()));
});

export async function start(options: Partial<EmbeddedBrokerOptions> = {}): Promise<EmbeddedBroker> {
  const broker = await startBroker({ port: 0, accounts, access: loadAccess(), log: silent, ...options });
  running.push(broker);
  return broker;
}

interface Service extends Peer {
  /** Acknowledges everything that has arrived, as after a commit, and from now on at once. */
  commit(): void;
  /** The packet identifiers of what has arrived and is not acknowledged, in order. */
  unacknowledged(): number[];
  acknowledge(messageId: number): void;
}

/** A service that acknowledges nothing before `commit`. */
export async function service(broker: EmbeddedBroker, clientId: string, filter = SHARED, clean = false): Promise<Service> {
  const peer = await join(broker.port, 'service', { clientId, clean });
  const unacknowledged: number[] = [];
  let committed = false;
  // mqtt.js acknowledges when this calls back, and reads on then. An error lets it read on without.
  peer.client.handleMessage = (packet, done) => {
    if (committed || packet.qos === 0) return done();
    unacknowledged.push(packet.messageId!);
    done(new Error('not committed'));
  };
  peer.client.on('packetreceive', (packet) => {
    if (packet.cmd === 'publish')
      peer.heard.push({ topic: packet.topic, payload: String(packet.payload), qos: packet.qos, retain: packet.retain, dup: packet.dup });
  });
  peer.client.removeAllListeners('message');
  await peer.client.subscribeAsync(filter, { qos: 1 });
  const acknowledge = (messageId: number): void => {
    unacknowledged.splice(unacknowledged.indexOf(messageId), 1);
    // biome-ignore lint/complexity/useLiteralKeys: its types call it private
    peer.client['_sendPacket']({ cmd: 'puback', messageId });
  };
  return {
    ...peer,
    acknowledge,
    unacknowledged: () => [...unacknowledged],
    commit() {
      committed = true;
      for (const messageId of [...unacknowledged]) acknowledge(messageId);
    },
  };
}

interface Login {
  acknowledged: boolean;
  done: Promise<unknown>;
}

export function login(hook: Peer, payload: string, qos: 1 | 2 = 1): Login {
  const state: Login = { acknowledged: false, done: Promise.resolve() };
  state.done = hook.client.publishAsync(LOGIN, payload, { qos }).then(
    () => {
      state.acknowledged = true;
    },
    () => {},
  );
  return state;
}

/** Resolves when the broker has answered a ping: everything sent to this client before is here. */
export async function ping({ client }: Peer): Promise<void> {
  const answered = new Promise<void>((resolve) => client.on('packetreceive', ({ cmd }) => cmd === 'pingresp' && resolve()));
  client.sendPing();
  await answered;
}
