/** The access rules of the brokers: who may publish and who may see which topics, and by which client ids. What no rule lists is not allowed. */
import { readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import { z } from 'zod';
import { ConfigError, messageOf } from '../services/platform/errors.ts';

/** `level/level`, where a level is a word, `+` (any one level) or, at the end, `#` (this level and all below). */
const TopicPattern = z
  .string()
  .regex(
    /^(?:[A-Za-z0-9_-]+|\+)(?:\/(?:[A-Za-z0-9_-]+|\+))*(?:\/#)?$/,
    'must be levels of letters, digits, "_" and "-", or "+", parted by "/"; "#" only as the last of several',
  );

/** How client ids of a role begin; `{prefix}` stands for `queue.mqtt.client_id_prefix`. */
const ClientIdPrefix = z
  .string()
  .regex(/^(?:\{prefix\})?[A-Za-z0-9_-]+$/, 'must be letters, digits, "_" and "-", perhaps after "{prefix}"');

const Role = z.strictObject({
  description: z.string().optional(),
  /** Left out: every id that begins like that of no other role. */
  client_ids: z.union([z.literal('any'), z.array(ClientIdPrefix).min(1)]).optional(),
  publish: z.array(TopicPattern),
  subscribe: z.array(TopicPattern),
  /** The embedded broker acknowledges a publish of QoS 1 or 2 on these topics when a role that commits them has acknowledged it. */
  acknowledge_after_commit: z.array(TopicPattern).default([]),
  /** Topics whose messages count as committed when this role has acknowledged them. */
  commits: z.array(TopicPattern).default([]),
});

const AccessRules = z.strictObject({
  roles: z
    .record(z.string().regex(/^[a-z][a-z0-9-]*$/, 'must be lower-case letters, digits and "-"'), Role)
    .refine((roles) => Object.keys(roles).length > 0, 'must name at least one role'),
});

export type AccessRules = z.infer<typeof AccessRules>;

/** Who may connect: the key is the user name. */
export type Accounts = Readonly<Record<string, { password: string; role: string }>>;

/** One account a role, named like it, with the password of its role. */
export function accountsOf(passwords: Readonly<Record<string, string>>): Accounts {
  return Object.fromEntries(Object.entries(passwords).map(([role, password]) => [role, { password, role }]));
}

const ACCESS_FILE = new URL('access.yaml', import.meta.url);

/** Reads and checks the rules. Throws `ConfigError` `access.unreadable` or `access.invalid` that names file, place and what is allowed there. */
export function loadAccess(file: URL | string = ACCESS_FILE): AccessRules {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError('access.unreadable', `the broker's access rules cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return parseAccess(text, file instanceof URL ? file.pathname : file);
}

/** As `loadAccess`, of a text; `name` is how errors call it. */
export function parseAccess(text: string, name: string): AccessRules {
  let content: unknown;
  try {
    content = load(text, { filename: name });
  } catch (error) {
    throw new ConfigError('access.invalid', `${name}: not YAML: ${messageOf(error)}`, { cause: error });
  }
  const rules = AccessRules.safeParse(content);
  if (rules.success) return rules.data;
  const issues = rules.error.issues.map(({ path, message }) => `  ${path.join('.') || 'the file'}: ${message}${given(content, path)}`);
  throw new ConfigError('access.invalid', `${name}: these access rules are not valid:\n${issues.join('\n')}`);
}

function given(content: unknown, path: PropertyKey[]): string {
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], content);
  return typeof value === 'string' ? `, not "${value}"` : '';
}

/** Throws `ConfigError` for an account that no broker can honour: unknown role, no password, a name or password that a password file cannot hold. */
export function checkAccounts(accounts: Accounts, { roles }: AccessRules): void {
  for (const [username, { password, role }] of Object.entries(accounts)) {
    if (!/^[A-Za-z0-9._-]+$/.test(username))
      throw new ConfigError('access.bad_account', `broker account "${username}": a name is letters, digits, ".", "_" and "-"`);
    if (!Object.hasOwn(roles, role))
      throw new ConfigError(
        'access.unknown_role',
        `broker account "${username}" has the unknown role "${role}"; the roles are ${Object.keys(roles).join(', ')}`,
      );
    if (password === '' || /[\r\n\0]/.test(password))
      throw new ConfigError('access.bad_account', `broker account "${username}" needs a password of one line`);
  }
}

export interface Access {
  mayPublish(role: string, topic: string): boolean;
  /** Whether some role's acknowledgements of the topic are held: its messages are events, and kept (retained) they would come again. */
  isEvent(topic: string): boolean;
  /** Whether its acknowledgement is held until a role that commits the topic has acknowledged it. */
  isHeld(role: string, topic: string): boolean;
  /** Whether the acknowledgement of this role says that a message of the topic is committed. */
  commits(role: string, topic: string): boolean;
  /** Whether a client of this role may call itself so. */
  mayUse(role: string, clientId: string): boolean;
  maySee(role: string, topic: string): boolean;
  /** Whether the role may see all that this filter could ever match. */
  covers(role: string, filter: string): boolean;
}

/** Topics are few and come again and again (measured: 0.1 µs from memory, 6 µs by the rules); the bound is for a client that invents new ones. */
const REMEMBERED_TOPICS = 10_000;

/** What the client ids of services begin with, unless the configuration says otherwise. */
export const CLIENT_ID_PREFIX = 'stockmesh';

/** How the client ids of a role begin; undefined: by no rule of its own. */
export function clientIdPrefixes({ client_ids }: AccessRules['roles'][string], prefix: string): string[] | undefined {
  return Array.isArray(client_ids) ? client_ids.map((begin) => begin.replace('{prefix}', prefix)) : undefined;
}

/** Makes the rules fast to ask: once a message and once a receiver. */
export function compileAccess({ roles }: AccessRules, clientIdPrefix = CLIENT_ID_PREFIX): Access {
  const compiled = new Map(
    Object.entries(roles).map(([name, role]) => [
      name,
      {
        publish: remembering(role.publish),
        see: remembering(role.subscribe),
        held: remembering(role.acknowledge_after_commit),
        commits: remembering(role.commits),
        filters: role.subscribe,
        anyId: role.client_ids === 'any',
        prefixes: clientIdPrefixes(role, clientIdPrefix),
      },
    ]),
  );
  // Without regard to case, although ids differ by it: a person who reads a log would take STOCKMESH-WORKER-1 for a worker.
  const reserved = [...compiled.values()].flatMap(({ prefixes = [] }) => prefixes.map((prefix) => prefix.toLowerCase()));
  return {
    mayPublish: (role, topic) => compiled.get(role)?.publish(topic) ?? false,
    isEvent: remembering(Object.values(roles).flatMap((role) => role.acknowledge_after_commit)),
    isHeld: (role, topic) => compiled.get(role)?.held(topic) ?? false,
    commits: (role, topic) => compiled.get(role)?.commits(topic) ?? false,
    maySee: (role, topic) => compiled.get(role)?.see(topic) ?? false,
    covers: (role, filter) => compiled.get(role)?.filters.some((pattern) => includes(pattern, filter)) ?? false,
    mayUse(role, clientId) {
      const rule = compiled.get(role);
      if (rule === undefined) return false;
      if (rule.anyId) return true;
      if (rule.prefixes !== undefined) return rule.prefixes.some((prefix) => clientId.startsWith(prefix));
      const id = clientId.toLowerCase();
      return !reserved.some((prefix) => id.startsWith(prefix));
    },
  };
}

function remembering(patterns: string[]): (topic: string) => boolean {
  const known = new Map<string, boolean>();
  return (topic) => {
    const answer = known.get(topic);
    if (answer !== undefined) return answer;
    const allowed = patterns.some((pattern) => includes(pattern, topic));
    if (known.size >= REMEMBERED_TOPICS) known.clear();
    known.set(topic, allowed);
    return allowed;
  };
}

/**
 * Whether `pattern` matches everything that `filter` matches; a topic is a filter that matches itself.
 * [MQTT-4.7.1-2]: `a/#` matches `a` too. [MQTT-4.7.2-1]: a leading wildcard does not match `$SYS`.
 */
export function includes(pattern: string, filter: string): boolean {
  const wanted = pattern.split('/');
  const levels = filter.split('/');
  for (const [i, level] of wanted.entries()) {
    if (level === '#') return i > 0 || !filter.startsWith('$');
    const actual = levels[i];
    if (actual === undefined || actual === '#') return false;
    if (level === '+' ? i === 0 && actual.startsWith('$') : level !== actual) return false;
  }
  return levels.length === wanted.length;
}
