/** Who may connect, and as whom: accounts, client ids, protocol versions. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Aedes, AedesOptions, Client, ConnectPacket } from 'aedes';
import type { Logger } from '../services/platform/log/log.ts';
import type { Access, Accounts } from './access.ts';

interface Identity {
  account: string;
  role: string;
}

export interface ClientAdmission {
  preConnect: NonNullable<AedesOptions['preConnect']>;
  authenticate: NonNullable<AedesOptions['authenticate']>;
  /** Undefined before the client has named itself. */
  identityOf(client: Client): Identity | undefined;
  /** The role of the client that is connected, or whose session is kept, by this id. */
  roleOf(clientId: string): string | undefined;
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
  badClientId: Buffer.from([0x20, 2, 0, 2]),
  /** In the format of MQTT 5: reason 0x84, unsupported protocol version, no properties. A client of MQTT 5 waits for ever on the format of 3.1.1. */
  mqtt5: Buffer.from([0x20, 3, 0, 0x84, 0]),
};

const digestOf = (secret: string | Buffer): Buffer => createHash('sha256').update(secret).digest();

/** Bytes. Long enough for a service whose name has 200 characters that are written in hexadecimal. */
const LONGEST_CLIENT_ID = 1024;
/** Control, format (bidi, zero-width), surrogate, line and paragraph separators; U+FFFD is what remains of bytes that are not UTF-8, in which two ids would be one. */
const UNREADABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\uFFFD]/u;
const LONGEST_SHOWN = 200;

/** Why nobody may use this id. */
function clientIdProblem(clientId: string): string | undefined {
  const bytes = Buffer.byteLength(clientId);
  if (bytes > LONGEST_CLIENT_ID) return `the client id has ${bytes} bytes, the limit is ${LONGEST_CLIENT_ID}`;
  if (UNREADABLE.test(clientId)) return 'the client id has a control or an invisible character, or is not UTF-8';
  return undefined;
}

/** A client id as a log may show it. */
function shown(clientId: string): string {
  const text = clientId.slice(0, LONGEST_SHOWN).replace(/[^\x20-\x7e]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
  return clientId.length > LONGEST_SHOWN ? `${text}…` : text;
}

export function createClientAdmission(accounts: Accounts, access: Access, log: Logger): ClientAdmission {
  const credentials = new Map(Object.entries(accounts).map(([name, { password, role }]) => [name, { role, digest: digestOf(password) }]));
  const identities = new WeakMap<Client, Identity>();
  /** Whose a client id is while it is connected or its session is kept. */
  const owners = new Map<string, Identity>();
  let refused = 0;

  function logRefusal(clientId: string, account: string | undefined, reason: string): void {
    refused++;
    log.warn({ event: 'broker.connection_refused', clientId: shown(clientId), account, reason }, `connection refused: ${reason}`);
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
        return refuse(refusal.badClientId, 'an empty client id needs a clean session: give the client an id');
      const problem = clientIdProblem(packet.clientId);
      if (problem !== undefined) return refuse(refusal.badClientId, problem);
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
      // Before the connection of that id is cut: otherwise the hook's account could take over a service's connection by naming its client id.
      if (!access.mayUse(account.role, client.id))
        return refuse(refusal.identifierRejected, `account "${username}" may not use this client id (client_ids in broker/access.yaml)`);
      const owner = owners.get(client.id)?.account;
      if (owner !== undefined && owner !== username) return refuse(refusal.identifierRejected, `client id in use by account "${owner}"`);
      identities.set(client, { account: username, role: account.role });
      done(null, true);
    },

    identityOf: (client) => identities.get(client),
    roleOf: (clientId) => owners.get(clientId)?.role,

    attach(broker) {
      broker.on('client', (client) => owners.set(client.id, identities.get(client)!));
      broker.on('clientDisconnect', (client) => {
        if (client.clean) owners.delete(client.id);
      });
    },

    refused: () => refused,
  };
}

const versionOf = (packet: ConnectPacket): number => packet.protocolVersion ?? 4;
