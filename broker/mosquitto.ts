/** Mosquitto in the embedded broker's place: its configuration, generated from the same access rules, and a private instance for tests and trials. */
import { spawn } from 'node:child_process';
import { pbkdf2, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ConfigError } from '../services/platform/errors.ts';
import { programEnvironment } from '../services/platform/machine/environment.ts';
import { freePort } from '../services/platform/machine/ports.ts';
import { findProgram } from '../services/platform/machine/programs.ts';
import { type AccessRules, type Accounts, checkAccounts } from './access.ts';

export interface MosquittoConfigOptions {
  access: AccessRules;
  /** Which role each user name has. */
  accounts: Readonly<Record<string, { role: string }>>;
  host?: string;
  port: number;
  /** Absolute paths, readable by the user that Mosquitto runs as. */
  passwordFile: string;
  aclFile: string;
  /** Where retained states and sessions are kept. Left out: where Mosquitto's main configuration says. */
  persistenceFolder?: string;
  /** The user to run as when started by root. Left out: `mosquitto`. */
  user?: string;
  maxPayloadBytes?: number;
  tls?: MosquittoTls;
  /** Save sessions and their queues after each change, in place of every half hour. Default true. */
  savesEachChange?: boolean;
}

/** A second listener, encrypted: TLS 1.2 or newer. */
export interface MosquittoTls {
  host: string;
  port: number;
  /** Files in PEM, readable by the user that Mosquitto runs as. */
  certFile: string;
  keyFile: string;
  /** Clients must show a certificate of this authority, beside their user name and password. */
  clientCaFile?: string | undefined;
}

const GENERATED =
  '# Generated from broker/access.yaml by broker/mosquitto.ts. Change those, then: npx vitest run test/broker/mosquitto.test.ts --update\n';

const ACL_HEAD = `
# What is not listed is not allowed. Mosquitto asks these rules for each message, not for a subscription or a client id: it grants every
# subscription, in a shared one gives each member its share whether it may see it or not, and lets an account take any client id. What keeps
# others out of the sessions and groups of services is that their names are secret: see the README.
`;

/** As the embedded broker's `connections`; Mosquitto counts them by listener and knows no limit by account. */
const MOST_CONNECTIONS = 5000;

const TLS_TEMPLATE = `
# For other machines, with your certificate. With the last two lines clients must show a certificate of that authority as well.
#listener 8883 0.0.0.0
#max_connections ${MOST_CONNECTIONS}
#certfile /etc/mosquitto/stockmesh/fullchain.pem
#keyfile /etc/mosquitto/stockmesh/privkey.pem
#cafile /etc/mosquitto/stockmesh/clients.pem
#require_certificate true
`;

const tlsListener = ({ host, port, certFile, keyFile, clientCaFile }: MosquittoTls): string => `
listener ${port} ${host}
max_connections ${MOST_CONNECTIONS}
certfile ${certFile}
keyfile ${keyFile}
${clientCaFile === undefined ? '' : `cafile ${clientCaFile}\nrequire_certificate true\n`}`;

/** The texts of `mosquitto.conf` and of its access file. For Mosquitto 2.0 and later. */
export function mosquittoConfig(options: MosquittoConfigOptions): { conf: string; acl: string } {
  const {
    access,
    accounts,
    host = '127.0.0.1',
    port,
    passwordFile,
    aclFile,
    persistenceFolder,
    user,
    maxPayloadBytes = 65_536,
    tls,
    savesEachChange = true,
  } = options;
  const optional = [
    ...(user === undefined ? [] : [`user ${user}`]),
    ...(persistenceFolder === undefined ? [] : [`persistence_location ${persistenceFolder}/`]),
  ];
  const conf = `${GENERATED}
# Reached from this machine only, since nothing is encrypted here.
listener ${port} ${host}
max_connections ${MOST_CONNECTIONS}
${tls === undefined ? TLS_TEMPLATE : tlsListener(tls)}
allow_anonymous false
password_file ${passwordFile}
acl_file ${aclFile}

# Bytes of payload. A larger publish is acknowledged and dropped; a packet beyond max_packet_size ends its connection before it takes memory.
message_size_limit ${maxPayloadBytes}
max_packet_size ${Math.max(4 * 1024 * 1024, 4 * maxPayloadBytes)}

# A thousand logins make more messages at once than the default of 1000 queued messages holds; bytes bound the memory instead. What exceeds
# them is acknowledged and dropped. Not 0 (no limit): Mosquitto 2.0 then cuts a client for its first publish that is too large or not allowed.
max_queued_messages 1000000
max_queued_bytes 16777216
max_inflight_messages 1000
# Without it a small message waits for the acknowledgement of the one before, up to 40 ms.
set_tcp_nodelay true

# Retained states, sessions and their queues survive a restart. Mosquitto acknowledges before it saves: with these two lines it saves after
# each turn of its loop (at most some 2000 messages a second, 175 with 10,000 queued), without them every half hour. Not 0: that never saves.
persistence true
${savesEachChange ? 'autosave_on_changes true\nautosave_interval 1' : 'autosave_interval 1800'}
# No persistent_client_expiration: a session that expires loses its logins.
${optional.length === 0 ? '' : `\n${optional.join('\n')}\n`}`;
  const users = Object.entries(accounts).map(([name, { role }]) => {
    const { publish, subscribe } = access.roles[role] ?? unknownRole(name, role);
    const both = publish.filter((topic) => subscribe.includes(topic));
    return [
      `user ${name}`,
      ...both.map((topic) => `topic readwrite ${topic}`),
      ...publish.filter((topic) => !both.includes(topic)).map((topic) => `topic write ${topic}`),
      ...subscribe.filter((topic) => !both.includes(topic)).map((topic) => `topic read ${topic}`),
    ].join('\n');
  });
  return { conf, acl: `${GENERATED}${ACL_HEAD}\n${users.join('\n\n')}\n` };
}

const deriveKey = promisify(pbkdf2);
/** Costs Mosquitto, which has one thread, about 5 ms a connection; `mosquitto_passwd` itself uses 101. */
const PBKDF2_ITERATIONS = 10_000;

/**
 * The text of a password file as `mosquitto_passwd` makes it: `name:$7$iterations$salt$key`, PBKDF2 of SHA-512, salt of 12 and key of 64 bytes
 * in Base64. Made here because that tool takes a password with a colon, or from a script, only on its command line, where everybody can read it.
 */
async function passwordFile(accounts: Accounts): Promise<string> {
  const lines = Object.entries(accounts).map(async ([name, { password }]) => {
    const salt = randomBytes(12);
    const key = await deriveKey(password, salt, PBKDF2_ITERATIONS, 64, 'sha512');
    return `${name}:$7$${PBKDF2_ITERATIONS}$${salt.toString('base64')}$${key.toString('base64')}\n`;
  });
  return (await Promise.all(lines)).join('');
}

function unknownRole(account: string, role: string): never {
  throw new ConfigError('access.unknown_role', `broker account "${account}" has the unknown role "${role}"`);
}

export interface MosquittoOptions {
  access: AccessRules;
  accounts: Accounts;
  /** For configuration, passwords and state; made if absent. */
  folder: string;
  /** Default: one that is free. */
  port?: number;
  maxPayloadBytes?: number;
  tls?: MosquittoTls | undefined;
  /** As in `MosquittoConfigOptions`. Default false: a private instance is faster than safe. */
  savesEachChange?: boolean;
  /** Default: the one that is installed. */
  binary?: string;
}

export interface RunningMosquitto {
  port: number;
  pid: number;
  close(): Promise<void>;
}

/** Where Mosquitto is installed, or undefined. */
export const findMosquitto = (): string | undefined => findProgram(['mosquitto']);

/**
 * Runs a private Mosquitto on loopback, as the present user, and resolves once it takes connections.
 * @throws ConfigError `broker.not_installed`, `broker.cannot_start` (with what Mosquitto said), `access.unknown_role`, `access.bad_account`.
 */
export async function startMosquitto(options: MosquittoOptions): Promise<RunningMosquitto> {
  const { access, accounts, folder, maxPayloadBytes, tls, savesEachChange = false } = options;
  checkAccounts(accounts, access);
  const binary = options.binary ?? findMosquitto();
  if (binary === undefined) throw new ConfigError('broker.not_installed', 'Mosquitto is not installed: apt-get install mosquitto');
  const port = options.port ?? (await freePort());
  const file = (name: string) => join(folder, name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { conf, acl } = mosquittoConfig({
    access,
    accounts,
    port,
    passwordFile: file('passwords'),
    aclFile: file('access.acl'),
    persistenceFolder: folder,
    // Otherwise Mosquitto, started by root, becomes "mosquitto", who may not read this folder.
    user: userInfo().username,
    savesEachChange,
    ...(maxPayloadBytes === undefined ? {} : { maxPayloadBytes }),
    ...(tls === undefined ? {} : { tls }),
  });
  await Promise.all([
    writeFile(file('mosquitto.conf'), conf, { mode: 0o600 }),
    writeFile(file('access.acl'), acl, { mode: 0o600 }),
    writeFile(file('passwords'), await passwordFile(accounts), { mode: 0o600 }),
  ]);

  const child = spawn(binary, ['-c', file('mosquitto.conf')], { stdio: ['ignore', 'ignore', 'pipe'], env: programEnvironment() });
  // Not by `once`, which rejects where the program cannot be started: nobody waits for its end then.
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const failed = () =>
      reject(new ConfigError('broker.cannot_start', `Mosquitto did not start on port ${port}: ${said.trim() || 'it said nothing'}`));
    child.once('error', (error) => {
      said += error.message;
      failed();
    });
    child.once('exit', failed);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
      if (/mosquitto version \S+ running/.test(said)) {
        child.off('exit', failed);
        resolve();
      }
    });
  });
  return {
    port,
    pid: child.pid!,
    close: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
