import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { ConfigError, codeOf, messageOf } from '../errors.ts';
import { type FileLock, type Holder, holderOf, tryFileLock } from '../registry/file-lock.ts';
import { decodeFile } from '../text/encoding.ts';
import { SERVICE_ACCOUNTS } from '../topics.ts';
import { newApiKey } from './api-key.ts';
import { type Environment, FILE_SUFFIX, variableOf } from './environment.ts';
import { makeFolder } from './make-folder.ts';
import { closeToOthers } from './private-files.ts';

/*
 * The data folder: everything that one installation keeps.
 *
 *   lock, lock.json        the process that works on it now
 *   secrets.json           passwords, 0600, made at random once
 *   mqtt-<role>.password   those of the MQTT accounts that people use, one a file: `mosquitto_sub -u monitor -P "$(cat data/mqtt-monitor.password)"`
 *   gateway-operator.key   the operator's key to the HTTP API, for `curl -H "Authorization: Bearer $(cat data/gateway-operator.key)"`
 *   database/              the private database server's own folder
 *   history/               the Parquet files of historical downloads, unless they are elsewhere
 */

const PASSWORD_CHARACTERS = 8;
/** A key is stored under a fast hash, so it must be too long to be guessed. */
const KEY_CHARACTERS = 32;
const password = z.string().min(PASSWORD_CHARACTERS, `a password needs at least ${PASSWORD_CHARACTERS} characters`);
/** Those of people, each with a file of its own. `service` may do what all services may. */
const FILED_ACCOUNTS = ['hook', 'monitor', 'service'] as const;
const MQTT_ACCOUNTS = [...FILED_ACCOUNTS, ...SERVICE_ACCOUNTS] as const;
const secretsSchema = z.object({
  database: z.object({ root: password, migrate: password, service: password, read: password }),
  mqtt: z.object(
    Object.fromEntries(MQTT_ACCOUNTS.map((account) => [account, password])) as Record<(typeof MQTT_ACCOUNTS)[number], typeof password>,
  ),
  gateway: z.object({ operator: z.string().min(KEY_CHARACTERS, `a key needs at least ${KEY_CHARACTERS} characters`) }),
});

/** The passwords of all accounts, by system and account. */
export type Secrets = z.infer<typeof secretsSchema>;
/** Of a data folder: the file with the operator's key to the HTTP API. */
export const OPERATOR_KEY_FILE = 'gateway-operator.key';

const accounts = [
  ['database', 'root'],
  ['database', 'migrate'],
  ['database', 'service'],
  ['database', 'read'],
  ...MQTT_ACCOUNTS.map((account) => ['mqtt', account] as const),
  ['gateway', 'operator'],
] as const;

/** `STOCKMESH_MQTT_MONITOR_PASSWORD` and the like: an environment variable wins over `secrets.json` and is never written to the disk. */
const variableNameOf = (system: string, account: string) => `STOCKMESH_${system}_${account}_PASSWORD`.toUpperCase().replaceAll('-', '_');

const givenIn = (environment: Environment, system: string, account: string): string | undefined =>
  variableOf(environment, variableNameOf(system, account))?.value;

/** The variables with passwords that a service does not need: those of every account but its own at the broker, and the services' one at the database. */
export function foreignVariables(service: string): string[] {
  const own = [variableNameOf('database', 'service'), variableNameOf('mqtt', service)];
  return accounts
    .map(([system, account]) => variableNameOf(system, account))
    .filter((name) => !own.includes(name))
    .flatMap((name) => [name, name + FILE_SUFFIX]);
}

export interface DataFolder {
  /** Absolute. */
  readonly path: string;
  /** Where the private database server keeps its files. */
  readonly database: string;
  readonly secrets: Secrets;
  /** Gives the folder free for the next one. The end of the process does so too, however it ends. */
  release(): void;
}

/** The folder that was asked for: `--data`, else the variable `STOCKMESH_DATA`, else `./data`. Absolute. */
export function dataFolderPath(option: string | undefined, environment: Environment = process.env): string {
  return resolve(option || environment.STOCKMESH_DATA || 'data');
}

/**
 * Takes the data folder for this process alone, creating it and its passwords where they are missing.
 * Whatever is in it already is closed to others; the files of historical downloads by their folder alone.
 * @throws ConfigError `data.in_use`, `data.unusable`, `data.foreign`, `data.secrets_invalid`, `data.not_private`
 */
export async function openDataFolder(path: string, environment: Environment = process.env): Promise<DataFolder> {
  const folder = resolve(path);
  try {
    makeFolder(folder);
    refuseForeign(folder);
    chmodSync(folder, 0o700);
  } catch (error) {
    throw error instanceof ConfigError ? error : unusable(folder, error);
  }
  const release = await lock(folder);
  try {
    closeToOthers(folder, join(folder, 'history'));
    createSecrets(folder);
    const secrets = readSecrets(folder, environment);
    for (const account of FILED_ACCOUNTS)
      keep(join(folder, `mqtt-${account}.password`), secrets.mqtt[account], givenIn(environment, 'mqtt', account));
    keep(join(folder, OPERATOR_KEY_FILE), secrets.gateway.operator, givenIn(environment, 'gateway', 'operator'));
    return { path: folder, database: join(folder, 'database'), secrets, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** What stockmesh, its services and its database write there, and what a new disk holds. A file that is being written ends with `.new`. */
const OWN_FILES = /^(lock|lock\.json|secrets\.json|mqtt-[a-z-]+\.password|gateway-operator\.key|runtime\.json|lost\+found)(\.new)?$/;
const OWN_FOLDERS = new Set(['database', 'instances', 'logs', 'history', 'history-copies']);

/** Stops before the mode of a folder is changed that holds something else: with /tmp or a home folder, everybody else would be locked out. */
function refuseForeign(folder: string): void {
  const entries = readdirSync(folder);
  if (entries.includes('lock') && (entries.includes('secrets.json') || entries.includes('database'))) return;
  const foreign = entries.find((name) => !OWN_FILES.test(name) && !OWN_FOLDERS.has(name));
  if (foreign === undefined) return;
  throw new ConfigError(
    'data.foreign',
    `${folder} is not a data folder of stockmesh: it holds other files (such as "${foreign}"), and only its owner could open it afterwards; name a new or an empty folder with --data or STOCKMESH_DATA, such as --data ${join(folder, 'stockmesh')}`,
  );
}

/** One secret in a file of its own. One that is not in force, because the environment has another, would only mislead. */
function keep(file: string, secret: string, fromOutside: string | undefined): void {
  if (fromOutside) rmSync(file, { force: true });
  else writePrivately(file, `${secret}\n`);
}

/**
 * The passwords in force for a data folder, without taking it: for commands that connect to a running installation.
 * @throws ConfigError `data.not_started` where there are none yet, `data.older` where an earlier version made them, `data.secrets_invalid`
 */
export function readSecrets(path: string, environment: Environment = process.env): Secrets {
  const file = join(resolve(path), 'secrets.json');
  const stored = readStored(file);
  if (stored === undefined)
    throw new ConfigError(
      'data.not_started',
      `${resolve(path)} is not a data folder yet: start once with \`npm start\`, or name another folder with --data or STOCKMESH_DATA`,
    );
  const secrets = structuredClone(stored) as Record<string, Record<string, string>>;
  const missing = accounts.find(([system, account]) => secrets[system]?.[account] === undefined);
  if (missing !== undefined)
    throw new ConfigError(
      'data.older',
      `${file} has no password yet for ${missing.join(' ')}, which an earlier version did not know: stop the stockmesh that runs over ${resolve(path)}, if one does, and start it again`,
    );
  for (const [system, account] of accounts) {
    const value = givenIn(environment, system, account);
    if (!value) continue;
    const least = system === 'gateway' ? KEY_CHARACTERS : PASSWORD_CHARACTERS;
    if (value.length < least)
      throw new ConfigError(
        'data.secrets_invalid',
        `${variableNameOf(system, account)} is too short: it needs at least ${least} characters`,
      );
    secrets[system]![account] = value;
  }
  return parseSecrets(file, secrets);
}

function parseSecrets(file: string, value: unknown): Secrets {
  const parsed = secretsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidSecrets(file, z.prettifyError(parsed.error));
}

function invalidSecrets(file: string, why: string): ConfigError {
  return new ConfigError(
    'data.secrets_invalid',
    `${file} is not what stockmesh wrote there: ${why}\nPut it right, or remove it: the next start makes new passwords and sets them everywhere.`,
  );
}

const partialSchema = z.object({
  database: z.record(z.string(), z.string()).optional(),
  mqtt: z.record(z.string(), z.string()).optional(),
  gateway: z.record(z.string(), z.string()).optional(),
});

/** What the file holds, perhaps written by a version that knew fewer accounts; undefined where there is no file. */
function readStored(file: string): z.infer<typeof partialSchema> | undefined {
  const text = readIfThere(file);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes what stands around the error: a password.
    throw invalidSecrets(file, 'it is not JSON');
  }
  const parsed = partialSchema.safeParse(value);
  if (!parsed.success) throw invalidSecrets(file, z.prettifyError(parsed.error));
  return parsed.data;
}

function createSecrets(folder: string): void {
  const file = join(folder, 'secrets.json');
  const stored = readStored(file);
  if (stored !== undefined) chmodSync(file, 0o600);
  const secrets: Record<string, Record<string, string>> = {
    database: { ...stored?.database },
    mqtt: { ...stored?.mqtt },
    gateway: { ...stored?.gateway },
  };
  const missing = accounts.filter(([system, account]) => secrets[system]![account] === undefined);
  if (missing.length === 0) return;
  // 192 random bits in letters that need no quoting in a shell, a URL or SQL.
  for (const [system, account] of missing)
    secrets[system]![account] = system === 'gateway' ? newApiKey() : randomBytes(24).toString('base64url');
  writePrivately(file, `${JSON.stringify(parseSecrets(file, secrets), null, 2)}\n`);
}

/** Readable by the owner only. The file has either the old content or the new one, also after a power cut. */
function writePrivately(file: string, text: string): void {
  const unfinished = `${file}.new`;
  const descriptor = openSync(unfinished, 'w', 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  chmodSync(unfinished, 0o600);
  renameSync(unfinished, file);
}

/** Takes the folder for this process, or says which other one works on it. */
async function lock(folder: string): Promise<() => void> {
  const file = join(folder, 'lock');
  let held: FileLock | undefined;
  try {
    held = tryFileLock(file);
  } catch (error) {
    throw unusable(folder, error);
  }
  if (held === undefined) throw inUse(folder, await holderOf(file));
  return held.release;
}

function readIfThere(file: string): string | undefined {
  try {
    const read = decodeFile(readFileSync(file));
    if ('text' in read) return read.text;
    throw invalidSecrets(file, `in line ${read.line} byte ${read.byte} ${read.fault}`);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function inUse(folder: string, holder: Holder | undefined): ConfigError {
  const who = holder === undefined ? 'another stockmesh' : `another stockmesh (process ${holder.pid}, since ${holder.since})`;
  const stop = holder === undefined ? 'stop it' : `stop it with Ctrl-C in its terminal or \`kill ${holder.pid}\``;
  return new ConfigError(
    'data.in_use',
    `${who} works on ${folder}: ${stop}, or start this one over another folder with --data or STOCKMESH_DATA`,
  );
}

function unusable(folder: string, error: unknown): ConfigError {
  return new ConfigError(
    'data.unusable',
    `${folder} cannot be used as the data folder (${messageOf(error)}): choose a folder that you may write to with --data or STOCKMESH_DATA`,
    {
      cause: error,
    },
  );
}
