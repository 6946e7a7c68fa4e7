import { InputError } from './errors.ts';

/**
 * The one table of topics: sender, receiver, QoS, and whether the broker keeps the last message (retained). `messages.ts` gives each its schema; `asyncapi.yaml` is
 * generated from both.
 * Only announced jobs have the shape `stock/+/+`, so that `mosquitto_sub -t 'stock/+/+' -v` shows every job and nothing else.
 */
export const TOPICS = {
  login: { pattern: 'events/login', qos: 1, retain: false, from: 'login hook', to: 'portfolio-priority', about: 'A user has signed in.' },
  refused: {
    pattern: 'events/refused',
    qos: 0,
    retain: false,
    from: 'embedded broker, portfolio-priority, gateway',
    to: 'scheduler, monitors',
    about:
      'A login, or a publish that the access rules do not allow, was refused. Of many with one reason the first is told at once, the others together.',
  },
  job: {
    pattern: 'stock/{area}/{key}',
    qos: 1,
    retain: false,
    from: 'the service that enqueued it',
    to: 'workers, monitors',
    about: 'A job is ready to be claimed. The message only wakes the workers; the job itself is a row of the database.',
  },
  work: {
    pattern: 'mesh/work',
    qos: 0,
    retain: false,
    from: 'the service that enqueues',
    to: 'workers, monitors',
    about: 'The commit of jobs begins: workers look for them. It promises no job, since the commit may fail.',
  },
  status: {
    pattern: 'jobs/{id}/status',
    qos: 0,
    retain: false,
    from: 'the service that changed it',
    to: 'gateway, monitors',
    about: 'A job has changed its state.',
  },
  data: {
    pattern: 'data/{symbol}/{kind}',
    qos: 0,
    retain: false,
    from: 'worker',
    to: 'gateway, monitors',
    about: 'New data of a symbol is stored.',
  },
  portfolio: {
    pattern: 'portfolio/{user}/priority',
    qos: 0,
    retain: false,
    from: 'whoever committed the login',
    to: 'gateway, monitors',
    about: 'What a login queued and skipped, with the reasons.',
  },
  presence: {
    pattern: 'mesh/{service}/{instance}/state',
    qos: 1,
    retain: true,
    from: 'each service, and its last will',
    to: 'scheduler, gateway, monitors',
    about: 'Whether a service is online, and how busy it is.',
  },
  stats: {
    pattern: 'mesh/stats',
    qos: 0,
    retain: false,
    from: 'scheduler',
    to: 'gateway, monitors',
    about: 'Depths, ages, rates and utilisation.',
  },
  alert: {
    pattern: 'alerts/{name}',
    qos: 1,
    retain: true,
    from: 'scheduler, embedded broker',
    to: 'scheduler, gateway, monitors',
    about: 'A value has crossed its threshold, or is back within it.',
  },
  control: {
    pattern: 'control/{instance}',
    qos: 1,
    retain: false,
    from: 'gateway',
    to: 'one service',
    about: 'A control message to one running service.',
  },
} as const satisfies Record<string, TopicRow>;

interface TopicRow {
  pattern: string;
  qos: 0 | 1;
  retain: boolean;
  from: string;
  to: string;
  about: string;
}

/** The alerts that the embedded broker raises and clears by itself; all others are the scheduler's. */
export const BROKER_ALERTS = ['held_logins', 'login_wait'] as const;

/** The roles of `broker/access.yaml` that a service or a command of this program takes; each has an account of its own at the broker. */
export const SERVICE_ACCOUNTS = ['portfolio-priority', 'worker', 'scheduler', 'notifier', 'gateway', 'cli'] as const;
export type ServiceAccount = (typeof SERVICE_ACCOUNTS)[number];

export type TopicKind = keyof typeof TOPICS;
export const TOPIC_KINDS = Object.keys(TOPICS) as TopicKind[];

type LevelNames<Pattern extends string> = Pattern extends `${string}{${infer Name}}${infer Rest}` ? Name | LevelNames<Rest> : never;
/** The variable levels of a kind of topic, raw (not encoded). */
export type TopicParams<K extends TopicKind> = { [Name in LevelNames<(typeof TOPICS)[K]['pattern']>]: string };

/** The key of a job of many symbols. It cannot be a symbol, since symbols have no lower-case letters. */
const BATCH_KEY = 'batch';
const BATCH_TYPE = /^batch_(.+)$/;

/** The area of a job type. `batch_fetch` has many symbols and shares the area of `fetch`. */
export function areaOf(type: string): { area: string; isBatch: boolean } {
  const area = BATCH_TYPE.exec(type)?.[1];
  return { area: area ?? type, isBatch: area !== undefined };
}

/**
 * The levels of a job's topic, which follow from its type and its subject: `stock/{type}/{symbol}`, without a symbol `stock/{type}/{user}`, and for `batch_{type}`
 * `stock/{type}/batch`. Throws `InputError('message.invalid')` when there is no subject.
 */
export function jobTopic({ type, symbol, user }: { type: string; symbol?: string | undefined; user?: string | undefined }) {
  const { area, isBatch } = areaOf(type);
  const key = isBatch ? BATCH_KEY : (symbol ?? user);
  if (key === undefined)
    throw new InputError('message.invalid', `job: field "symbol" is missing: a job of type ${type} needs it (or "user") for its topic`);
  return { area, key };
}

const VARIABLE = /^\{(.+)\}$/;
const LEVELS = new Map(TOPIC_KINDS.map((kind) => [kind, TOPICS[kind].pattern.split('/')]));

/**
 * Encodes a variable level to `[A-Za-z0-9_-]+`: every other character becomes `_` and two upper-case hexadecimal digits for each of its UTF-8 bytes (`BRK.B` → `BRK_2EB`, `_` → `_5F`).
 * One broker loses dots, another closes the connection when it meets one. Throws `InputError('topic.invalid_level')` on an empty string and on half a surrogate pair, which cannot be encoded as UTF-8.
 */
export function encodeLevel(raw: string): string {
  if (raw === '' || !raw.isWellFormed())
    throw new InputError('topic.invalid_level', `topic level ${JSON.stringify(raw)}: give text that is not empty and is valid Unicode`);
  return raw.replace(/[^A-Za-z0-9-]/gu, (character) => Buffer.from(character).toString('hex').toUpperCase().replace(/../g, '_$&'));
}

/** The inverse of `encodeLevel`. Throws `InputError('topic.invalid_level')` on text that `encodeLevel` never returns. */
export function decodeLevel(level: string): string {
  const raw = level.replace(/(?:_[0-9A-F]{2})+/g, (bytes) => Buffer.from(bytes.replaceAll('_', ''), 'hex').toString());
  if (level === '' || encodeLevel(raw) !== level) {
    throw new InputError(
      'topic.invalid_level',
      `topic level "${level}": write each character outside A-Z a-z 0-9 - as "_" and two upper-case hexadecimal digits a byte`,
    );
  }
  return raw;
}

/** The topic of a kind with these raw levels, below `prefix` ('' for none). */
export function topicFor<K extends TopicKind>(kind: K, params: TopicParams<K>, prefix = ''): string {
  return filterFor(kind, params, prefix);
}

/** The subscription filter of a kind: `+` for each level that is not given. `filterFor('job', { area: 'fetch' })` → `stock/fetch/+`. */
export function filterFor<K extends TopicKind>(kind: K, params: Partial<TopicParams<K>> = {}, prefix = ''): string {
  const values = params as Record<string, string | undefined>;
  const levels = LEVELS.get(kind)!.map((level) => {
    const name = VARIABLE.exec(level)?.[1];
    if (name === undefined) return level;
    const raw = values[name];
    return raw === undefined ? '+' : encodeLevel(raw);
  });
  return prefix + levels.join('/');
}

/** Finds the kind of a topic below `prefix` and decodes its variable levels; undefined when the topic is not in the table. Throws `InputError('topic.invalid_level')`. */
export function matchTopic(topic: string, prefix = ''): { [K in TopicKind]: { kind: K; params: TopicParams<K> } }[TopicKind] | undefined {
  if (!topic.startsWith(prefix)) return undefined;
  const given = topic.slice(prefix.length).split('/');
  for (const [kind, levels] of LEVELS) {
    if (levels.length !== given.length || !levels.every((level, at) => level === given[at] || level.startsWith('{'))) continue;
    const names = levels.flatMap((level, at) => {
      const name = VARIABLE.exec(level)?.[1];
      return name === undefined ? [] : [[name, decodeLevel(given[at]!)] as const];
    });
    return { kind, params: Object.fromEntries(names) } as ReturnType<typeof matchTopic>;
  }
  return undefined;
}

/**
 * Checks a configured `topic_prefix` and returns it with its slash: `site-1` → `site-1/`, '' → ''. Throws `InputError('topic.invalid_prefix')`: wildcards would subscribe to
 * other topics, `$` begins the broker's own topics.
 */
export function topicPrefix(configured: string): string {
  const prefix = configured.replace(/\/$/, '');
  if (prefix === '') return '';
  if (!/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/.test(prefix)) {
    throw new InputError(
      'topic.invalid_prefix',
      `topic_prefix "${configured}": write levels of A-Z a-z 0-9 _ - with "/" between them, like "site-1"`,
    );
  }
  return `${prefix}/`;
}
