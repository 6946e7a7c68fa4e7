/** Who may connect, and as whom: accounts, client ids, protocol versions. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Aedes, AedesOptions, Client, ConnectPacket } from 'aedes';
import type { Access, Accounts } from './access.ts';
import { countGuesses } from './edge/guesses.ts';
import type { BrokerLimits, LimitReports, SparingLog } from './edge/limits.ts';
import type { Visitor } from './edge/visitors.ts';

interface Identity {
  account: string;
  role: string;
}

export interface ClientAdmission {
  preConnect: NonNullable<AedesOptions['preConnect']>;
  authenticate: NonNullable<AedesOptions['authenticate']>;
  /** Undefined before the client has named itself. */
  identityOf(client: Client): Identity | undefined;
  /** Notes where a client comes from, before it names itself. */
  welcome(client: Client, visitor: Visitor): void;
  /** The account of the client that is connected, or whose session is kept, by this id. */
  accountOf(clientId: string): string | undefined;
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
  serverUnavailable: 3,
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

export interface AdmissionOptions {
  accounts: Accounts;
  access: Access;
  limits: Pick<BrokerLimits, 'connectionsPerAccount' | 'sessionsPerAccount' | 'wrongPasswords'>;
  reports: LimitReports;
  say: SparingLog;
}

export function createClientAdmission({ accounts, access, limits, reports, say }: AdmissionOptions): ClientAdmission {
  const credentials = new Map(Object.entries(accounts).map(([name, { password, role }]) => [name, { role, digest: digestOf(password) }]));
  const identities = new WeakMap<Client, Identity>();
  const visitors = new WeakMap<Client, Visitor>();
  /** Whose a client id is while it is connected or its session is kept. */
  const owners = new Map<string, Identity>();
  const checkPassword = passwordCheck(credentials, limits, reports);
  const room = accountRoom(limits, reports);
  let refused = 0;

  function logRefusal(clientId: string, account: string | undefined, reason: string): void {
    refused++;
    // A name that is no account, and a number in a reason, can be made up without end.
    const key = `refused ${credentials.has(account ?? '') ? account : ''} ${reason.slice(0, 20)}`;
    say(key, 'warn', { event: 'broker.connection_refused', clientId: shown(clientId), account, reason }, `connection refused: ${reason}`);
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
      const refuse = (returnCode: number, reason: string) => {
        logRefusal(client.id, username, reason);
        done(Object.assign(new Error(reason), { returnCode }), null);
      };
      const login = checkPassword(username, password, visitors.get(client)?.address ?? '');
      if ('reason' in login) {
        const { returnCode, reason, lateMs } = login;
        if (lateMs > 0) setTimeout(refuse, lateMs, returnCode, reason).unref();
        else refuse(returnCode, reason);
        return;
      }
      const { account: name, role } = login;
      // Before the connection of that id is cut: otherwise the hook's account could take over a service's connection by naming its client id.
      if (!access.mayUse(role, client.id))
        return refuse(refusal.identifierRejected, `account "${name}" may not use this client id (client_ids in broker/access.yaml)`);
      const owner = owners.get(client.id)?.account;
      if (owner !== undefined && owner !== name) return refuse(refusal.identifierRejected, `client id in use by account "${owner}"`);
      const full = room.problem(client, name);
      if (full !== undefined) return refuse(refusal.serverUnavailable, full);
      room.take(client, name);
      visitors.get(client)?.admitted();
      identities.set(client, login);
      done(null, true);
    },

    welcome(client, visitor) {
      visitors.set(client, visitor);
    },

    identityOf: (client) => identities.get(client),
    accountOf: (clientId) => owners.get(clientId)?.account,
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

type Credentials = ReadonlyMap<string, { role: string; digest: Buffer }>;

/** Whose a name and a password are; or with which return code, why and how late to refuse them. */
function passwordCheck(credentials: Credentials, { wrongPasswords }: AdmissionOptions['limits'], { met }: LimitReports) {
  const guesses = countGuesses(wrongPasswords);
  return (
    username: string | undefined,
    password: Buffer | undefined,
    address: string,
  ): Identity | { returnCode: number; reason: string; lateMs: number } => {
    const account = credentials.get(username ?? '');
    // Names that are no account share one limit, since they can be made up without end.
    const guessed = account === undefined ? '' : username!;
    if (!guesses.isHeard(address, guessed)) {
      const text = `${wrongPasswords} wrong passwords within a minute (queue.mqtt.limits.wrong_passwords): not heard until it is over`;
      met('wrong_passwords', address, text);
      return { returnCode: refusal.serverUnavailable, reason: `too many wrong passwords from ${address}`, lateMs: 0 };
    }
    // Compared for an unknown name too, so that both take the same time.
    const matches = timingSafeEqual(digestOf(password ?? ''), account?.digest ?? digestOf(''));
    if (username !== undefined && account !== undefined && matches) return { account: username, role: account.role };
    const reason = username === undefined ? 'no user name' : 'unknown user or wrong password';
    return { returnCode: refusal.notAuthorized, reason, lateMs: guesses.failed(address, guessed) };
  };
}

interface AccountRoom {
  /** Why the account has no room for this client. */
  problem(client: Client, account: string): string | undefined;
  take(client: Client, account: string): void;
}

/** Connections and kept sessions of each account. */
function accountRoom({ connectionsPerAccount, sessionsPerAccount }: AdmissionOptions['limits'], { met }: LimitReports): AccountRoom {
  const connected = new Map<string, Set<Client>>();
  const kept = new Map<string, Set<string>>();
  return {
    problem(client, account) {
      const others = connected.get(account) ?? new Set();
      // Whoever comes again by an id that is connected takes that connection's place.
      if (others.size >= connectionsPerAccount && ![...others].some(({ id }) => id === client.id)) {
        const text = `account "${account}" has ${others.size} connections`;
        met('connections_per_account', account, `${text} (queue.mqtt.limits.connections_per_account): more are refused`);
        return text;
      }
      const sessions = kept.get(account) ?? new Set();
      if (!client.clean && sessions.size >= sessionsPerAccount && !sessions.has(client.id)) {
        const text = `account "${account}" has ${sessions.size} kept sessions`;
        met(
          'sessions_per_account',
          account,
          `${text} (queue.mqtt.limits.sessions_per_account): no more are kept; let clients use the same id again`,
        );
        return text;
      }
      return undefined;
    },
    take(client, account) {
      const others = connected.getOrInsertComputed(account, () => new Set());
      others.add(client);
      client.conn.once('close', () => others.delete(client));
      const sessions = kept.getOrInsertComputed(account, () => new Set());
      // [MQTT-3.1.2-6]
      if (client.clean) sessions.delete(client.id);
      else sessions.add(client.id);
    },
  };
}

const versionOf = (packet: ConnectPacket): number => packet.protocolVersion ?? 4;
