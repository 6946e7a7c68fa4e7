/** The access rules of both brokers: who may publish and who may see which topics. What no rule lists is not allowed. */
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

const Role = z.strictObject({
  description: z.string().optional(),
  publish: z.array(TopicPattern),
  subscribe: z.array(TopicPattern),
  /** The embedded broker acknowledges a publish of QoS 1 or 2 on these topics when a subscriber of QoS 1 has acknowledged it. */
  acknowledge_after_commit: z.array(TopicPattern).default([]),
});

const AccessRules = z.strictObject({
  roles: z
    .record(z.string().regex(/^[a-z][a-z0-9-]*$/, 'must be lower-case letters, digits and "-"'), Role)
    .refine((roles) => Object.keys(roles).length > 0, 'must name at least one role'),
});

export type AccessRules = z.infer<typeof AccessRules>;

/** Who may connect: the key is the user name. */
export type Accounts = Readonly<Record<string, { password: string; role: string }>>;

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
  /** Whether its acknowledgement is held until a subscriber has acknowledged it. */
  isHeld(role: string, topic: string): boolean;
  maySee(role: string, topic: string): boolean;
  /** Whether the role may see all that this filter could ever match. */
  covers(role: string, filter: string): boolean;
}

/** Topics are few and come again and again (measured: 0.1 µs from memory, 6 µs by the rules); the bound is for a client that invents new ones. */
const REMEMBERED_TOPICS = 10_000;

/** Makes the rules fast to ask: once a message and once a receiver. */
export function compileAccess({ roles }: AccessRules): Access {
  const compiled = new Map(
    Object.entries(roles).map(([name, { publish, subscribe, acknowledge_after_commit }]) => [
      name,
      { publish: remembering(publish), see: remembering(subscribe), held: remembering(acknowledge_after_commit), filters: subscribe },
    ]),
  );
  return {
    mayPublish: (role, topic) => compiled.get(role)?.publish(topic) ?? false,
    isHeld: (role, topic) => compiled.get(role)?.held(topic) ?? false,
    maySee: (role, topic) => compiled.get(role)?.see(topic) ?? false,
    covers: (role, filter) => compiled.get(role)?.filters.some((pattern) => includes(pattern, filter)) ?? false,
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
