/** Who may connect, and as whom: accounts, client ids, protocol versions. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Aedes, AedesOptions, Client, ConnectPacket } from 'aedes';
import type { Logger } from '../services/platform/log/log.ts';
import type { Accounts } from './access.ts';

export interface ClientAdmission {
  preConnect: NonNullable<AedesOptions['preConnect']>;
  authenticate: NonNullable<AedesOptions['authenticate']>;
  /** Undefined before the client has named itself. */
  identityOf(client: Client): { account: string; role: string } | undefined;
  /** Starts to note which client id belongs to which account. */
  attach(broker: Aedes): void;
  /** Connections refused since the start. */
  refused(): number;
}

/** CONNACK packets. Mosquitto answers bad accounts and taken client ids with "not authorized" too [MQTT-3.2.2.3]. */
const refusal = {
  notAuthorized: 5,
  identifierRejected: 2,
  /** Return code 2, identifier rejected [MQTT-3.1.3-8]. */
  emptyClientId: Buffer.from([0x20, 2, 0, 2]),
  /** In the format of MQTT 5: reason 0x84, unsupported protocol version, no properties. A client of MQTT 5 waits for ever on the format of 3.1.1. */
  mqtt5: Buffer.from([0x20, 3, 0, 0x84, 0]),
};

const digestOf = (secret: string | Buffer): Buffer => createHash('sha256').update(secret).digest();

export function createClientAdmission(accounts: Accounts, log: Logger): ClientAdmission {
  const credentials = new Map(Object.entries(accounts).map(([name, { password, role }]) => [name, { role, digest: digestOf(password) }]));
  const identities = new WeakMap<Client, { account: string; role: string }>();
  /** Which account a client id belongs to while it is connected or its session is kept. */
  const owners = new Map<string, string>();
  let refused = 0;

  function logRefusal(clientId: string, account: string | undefined, reason: string): void {
    refused++;
    log.warn({ event: 'broker.connection_refused', clientId, account, reason }, `connection refused: ${reason}`);
  }

  return {
    preConnect(client, packet, done) {
      const refuse = (connack: Buffer, reason: string) => {
        logRefusal(packet.clientId, packet.username, reason);
        // Not before it is sent: an error destroys the connection.
        (client.conn as Duplex).end(connack, () => done(new Error(reason), false));
      };
      if (versionOf(packet) >= 5)
        return refuse(
          refusal.mqtt5,
          'the embedded broker speaks MQTT 3.1.1, not 5: set the client to 3.1.1 (mosquitto_pub -V mqttv311, mqtt.js protocolVersion: 4, paho MQTTv311)',
        );
      if (packet.clientId === '' && !packet.clean)
        return refuse(refusal.emptyClientId, 'an empty client id needs a clean session: give the client an id');
      done(null, true);
    },

    authenticate(client, username, password, done) {
      const account = credentials.get(username ?? '');
      // Compared for an unknown name too, so that both take the same time.
      const matches = timingSafeEqual(digestOf(password ?? ''), account?.digest ?? digestOf(''));
      const refuse = (returnCode: number, reason: string) => {
        logRefusal(client.id, username, reason);
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

    identityOf: (client) => identities.get(client),

    attach(broker) {
      broker.on('client', (client) => owners.set(client.id, identities.get(client)!.account));
      broker.on('clientDisconnect', (client) => {
        if (client.clean) owners.delete(client.id);
      });
    },

    refused: () => refused,
  };
}

const versionOf = (packet: ConnectPacket): number => packet.protocolVersion ?? 4;
