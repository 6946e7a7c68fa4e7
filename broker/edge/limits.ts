/** How much one client, account or address may ask of the embedded broker, and how a limit that is met is seen. */
import type { Client } from 'aedes';
import type { Logger } from '../../services/platform/log/log.ts';

/** Documented in `config/default.yaml`, `queue.mqtt.limits`. */
export interface BrokerLimits {
  connections: number;
  connectionsPerAccount: number;
  /** Connections that have not named their account yet. */
  unauthenticated: number;
  connectSeconds: number;
  /** Wrong passwords a minute, of one address and account. */
  wrongPasswords: number;
  /** Of one account: publishes, subscriptions and pings, and bytes of everything. */
  messagesPerSecond: number;
  bytesPerSecond: number;
  /** Filters of one client. */
  subscriptions: number;
  sessionsPerAccount: number;
  queuedBytesPerSession: number;
  queuedBytesPerAccount: number;
}

export const BROKER_LIMITS: BrokerLimits = {
  connections: 5000,
  connectionsPerAccount: 1000,
  unauthenticated: 500,
  connectSeconds: 10,
  wrongPasswords: 30,
  messagesPerSecond: 100_000,
  bytesPerSecond: 100 * 1024 * 1024,
  subscriptions: 1000,
  sessionsPerAccount: 1000,
  queuedBytesPerSession: 16 * 1024 * 1024,
  queuedBytesPerAccount: 64 * 1024 * 1024,
};

/** Bytes of a topic or filter. Longer than any that stockmesh uses: a user of 64 characters is at most 256 bytes, each written `_XX`. */
export const LONGEST_TOPIC = 4096;

/** Bytes that a subscriber leaves unread before its connection is cut. */
export const MOST_UNREAD_BYTES = 16 * 1024 * 1024;

/** The limits that can be met; `unread_bytes` has no key, the others are named like theirs. */
export type LimitName =
  | 'connections'
  | 'connections_per_account'
  | 'unauthenticated'
  | 'connect_timeout'
  | 'wrong_passwords'
  | 'messages_per_second'
  | 'subscriptions'
  | 'sessions_per_account'
  | 'queued_bytes'
  | 'unread_bytes';

export interface LimitReports {
  /** Counts and tells it, and logs the text unless it was said often within the minute. `subject`: whom it met, an account, a client or an address. */
  met(limit: LimitName, subject: string, text: string): void;
  /** How often each limit was met since the start. */
  counts(): Readonly<Partial<Record<LimitName, number>>>;
}

export function reportLimits(say: SparingLog, tell: (limit: LimitName, text: string) => void): LimitReports {
  const counts: Partial<Record<LimitName, number>> = {};
  return {
    met(limit, subject, text) {
      counts[limit] = (counts[limit] ?? 0) + 1;
      say(`${limit} ${subject}`, 'warn', { event: 'broker.limit', limit, subject, times: counts[limit] }, text);
      tell(limit, `${text} (${subject})`);
    },
    counts: () => ({ ...counts }),
  };
}

/** Lines of one key within a window; further ones are left out and counted in the next that is said. */
const LINES = 5;
const WINDOW_MS = 60_000;
const MOST_KEYS = 1000;

export type SparingLog = (key: string, level: 'info' | 'warn', fields: object, text: string) => void;

/** A log that no client can flood: of each key a few lines a minute. */
export function sparingLog(log: Pick<Logger, 'info' | 'warn'>, now: () => number = () => performance.now()): SparingLog {
  const windows = new Map<string, { since: number; lines: number; left: number }>();
  return (key, level, fields, text) => {
    let window = windows.get(key);
    if (window === undefined || now() - window.since >= WINDOW_MS) {
      // A client may make up new keys without end.
      if (windows.size >= MOST_KEYS) windows.clear();
      window = { since: now(), lines: 0, left: window?.left ?? 0 };
      windows.set(key, window);
    }
    if (window.lines >= LINES) {
      window.left++;
      return;
    }
    window.lines++;
    const { left } = window;
    window.left = 0;
    log[level](left === 0 ? fields : { ...fields, leftOut: left }, text);
  };
}

const LOGGED_TOPICS_PER_CLIENT = 10;

export type Once = (client: Client | null, topic: string, event: string, text: string) => void;

/** Says a thing of a client and topic once, and of a client that goes through many topics only of the first ones. */
export function onceATopic(say: Once): Once {
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
