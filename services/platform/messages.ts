import { z } from 'zod';
import { InputError } from './errors.ts';
import { JOB_STATES } from './job-states.ts';
import { firstInvalidUtf8, hex } from './text/encoding.ts';
import { twiceFault } from './text/json-names.ts';
import { named } from './text/name.ts';
import { jobTopic, matchTopic, TOPICS, type TopicKind, type TopicParams, topicFor } from './topics.ts';
import { userId } from './user-id.ts';

/** The version of every payload, its field `v`. A change that an older reader would misread raises it. */
export const SCHEMA_VERSION = 1;
/** The largest payload, in bytes of UTF-8. */
export const MAX_PAYLOAD_BYTES = 64 * 1024;

const v = z.literal(SCHEMA_VERSION);
/** An instant with its offset, `2026-01-02T14:30:00Z`. */
const instant = z.iso.datetime({ offset: true });
const label = named(64);
const sentence = z.string().min(1).max(500);
/** Text of a stranger, with the codes of what cannot be seen in place of it. */
const shown = z.string().max(200);
const count = z.int().min(0);
const jobId = z.string().regex(/^[A-Za-z0-9-]{1,64}$/);
/** A ticker: `AAPL`, `BRK.B`, `^GSPC`, `EURUSD=X`, `M&M.NS`. Upper case, so no symbol gives the topic `stock/fetch/batch`. */
const symbol = z.string().regex(/^[A-Z0-9.=^_&-]{1,32}$/);
const priority = z.int().min(1).max(10);
const score = z.number().min(0).max(1);
/** `text` is a sentence for people. The other fields are its numbers (factors, weights, ages). */
const why = z.looseObject({ text: sentence });

/** The trace that a message belongs to, `00-{trace id}-{span id}-{flags}`. Source: W3C Trace Context, section 3.2. One that is not valid begins a new trace: no message is refused for it. */
const traceparent = z.string().max(200);

/**
 * A name that `job-types/` lists. This folder does not know the list and checks the form only. The ledger refuses jobs of other types, so none is announced. A
 * service of an earlier version can read messages about types that were added later. `listed` fills the names into the AsyncAPI document.
 */
const listed = (list: keyof Listed) =>
  z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,23}$/)
    .meta({ listed: list });
const jobType = listed('jobTypes');
const dataKind = listed('dataKinds');

export interface Listed {
  jobTypes: readonly string[];
  dataKinds: readonly string[];
}

const portfolioJob = z.strictObject({
  id: jobId,
  symbol,
  type: jobType,
  priority,
  queue: label,
  score,
  why,
  coalesced: z.boolean(),
});

/** The parts that refuse logins. */
export const REFUSAL_SOURCES = ['broker', 'portfolio-priority', 'gateway'] as const;

/** The payload of each topic. All but logins are strict: an unknown field is refused, not dropped. */
export const SCHEMAS = {
  // A hook is code of another application, so the version is optional, and what else its events have is left out: refused for it, a login would be lost.
  login: z
    .object({
      v: v.default(SCHEMA_VERSION),
      userId,
      at: instant.optional(),
      sessionId: named(128).optional(),
      traceparent: traceparent.optional().catch(undefined),
    })
    .meta({ additionalProperties: true }),
  refused: z.strictObject({
    v,
    /** Who refused. */
    source: z.enum(REFUSAL_SOURCES),
    /** Why, for programs; never changes. */
    code: z.string().regex(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$/),
    /** Why, for people. Nothing of what was sent but names of known fields, and users whose name is valid. */
    text: sentence,
    /** Refusals with this code that this source tells by this message; the other fields are about the newest of them. */
    count: z.int().min(1),
    client_id: shown.optional(),
    account: shown.optional(),
    topic: shown.optional(),
    /** Of the payload. */
    bytes: count.optional(),
    at: instant,
  }),
  job: z.strictObject({
    v,
    id: jobId,
    type: jobType,
    queue: label,
    priority,
    score,
    why,
    symbol: symbol.optional(),
    symbols: z.array(symbol).max(500).optional(),
    user: userId.optional(),
    triggered_by: label,
    enqueued_at: instant,
    traceparent: traceparent.optional(),
  }),
  work: z.strictObject({ v }),
  status: z.strictObject({
    v,
    id: jobId,
    type: jobType,
    symbol: symbol.optional(),
    state: z.enum(JOB_STATES),
    attempt: count,
    worker: label.optional(),
    progress: z
      .strictObject({
        done: count,
        total: count,
        failed: count.optional(),
        skipped: count.optional(),
        no_data: count.optional(),
        not_entitled: count.optional(),
        not_yet: count.optional(),
      })
      .optional(),
    reason: z.string().max(2000).optional(),
    /** Why it ended other than completed, for programs. */
    code: z.string().max(64).optional(),
    /** Where a list shows it: known to most who change a job, and left out by the others. */
    queue: label.optional(),
    priority: priority.optional(),
    user: userId.optional(),
    at: instant,
  }),
  data: z.strictObject({
    v,
    symbol,
    kind: dataKind,
    source: label,
    as_of: instant,
    rows: count.optional(),
    through: z.iso.date().optional(),
    stale: z.boolean().optional(),
    simulated: z.boolean().optional(),
  }),
  portfolio: z.strictObject({
    v,
    user_id: userId,
    at: instant,
    total: count,
    queued: count,
    fresh: count,
    /** Of the symbols without a job: the sources were asked lately and have nothing newer, or nothing at all. 0 from a service that does not know them. */
    outdated: count.default(0),
    missing: count.default(0),
    /** Not asked for, since the answer of the sources was a failure lately. */
    unknown: count.default(0),
    joined: count,
    refused: count.optional(),
    text: sentence,
    jobs: z.array(portfolioJob),
    skipped: z.array(z.strictObject({ symbol, reason: sentence })),
    truncated: z.boolean().optional(),
  }),
  presence: z.strictObject({
    v,
    service: label,
    instance: label,
    state: z.enum(['online', 'offline']),
    session: z.uuid(),
    version: label,
    /** For people, and the tags that the configuration gives a worker. */
    name: label.optional(),
    capabilities: z.array(label).max(50).optional(),
    capacity: count.optional(),
    running: count.optional(),
    at: instant,
    pid: count.optional(),
    degraded: z.array(sentence).max(20).optional(),
    clock_offset_s: z.number().optional(),
  }),
  stats: z.strictObject({
    v,
    at: instant,
    /** Waiting jobs by priority, '1' to '10'. */
    depth: z.record(z.string().regex(/^([1-9]|10)$/), count),
    queues: z
      .array(
        z.strictObject({
          queue: label,
          ready: count,
          running: count,
          scheduled: count,
          blocked: count,
          oldest_s: z.number().min(0).nullable(),
        }),
      )
      .max(100),
    rates: z.strictObject({ enqueued_per_s: z.number().min(0), completed_per_s: z.number().min(0), failed_per_s: z.number().min(0) }),
    workers: z.strictObject({ online: count, slots: count, busy: count }),
    /** Busy slots ÷ slots, 0 when there is no worker. */
    utilisation: z.number().min(0).max(1),
    /** Held and watched symbols by the freshness of their price. */
    freshness: z.strictObject({ fresh: count, outdated: count, stale: count, missing: count }).optional(),
  }),
  alert: z.strictObject({
    v,
    name: label,
    state: z.enum(['raised', 'cleared']),
    value: z.number(),
    threshold: z.number(),
    since: instant,
    text: sentence,
  }),
  control: z.discriminatedUnion('action', [
    z.strictObject({ v, instance: label, action: z.literal('cancel'), job_id: jobId }),
    z.strictObject({ v, instance: label, action: z.literal('drain') }),
    z.strictObject({ v, instance: label, action: z.literal('reload') }),
  ]),
} satisfies Record<TopicKind, z.ZodType>;

const ownList = z.custom<unknown[]>(Array.isArray, 'must be a list');
/** For messages that this process sends. Their lists come from checked rows, and checking forty entries again took ten times as long as encoding them (0.45 ms to 0.05). */
const SENT: Record<TopicKind, z.ZodType> = {
  ...SCHEMAS,
  login: SCHEMAS.login.strict(),
  portfolio: SCHEMAS.portfolio.extend({ jobs: ownList, skipped: ownList }),
};

/** A valid payload of a kind. */
export type Body<K extends TopicKind> = z.output<(typeof SCHEMAS)[K]>;
type WithoutVersion<T> = T extends unknown ? Omit<T, 'v'> : never;
/** A payload to be sent: `v` is added. */
export type Draft<K extends TopicKind> = WithoutVersion<Body<K>>;
/** A message that was read: its kind, the raw levels of its topic, its payload, and how many fields of a login were left out since they are unknown. */
export type Message<K extends TopicKind = TopicKind> = {
  [Kind in K]: { kind: Kind; params: TopicParams<Kind>; body: Body<Kind>; unknownFields: number };
}[K];

/** An encoded message. */
export interface Encoded {
  topic: string;
  payload: string;
  qos: 0 | 1;
  retain: boolean;
}

/**
 * Checks a payload and gives its topic and JSON. Measured: 3.5 µs for the schema and 1.3 µs for the JSON of a job on one core, so messages are checked on sending too, as strictly as on receiving, except the lists of a portfolio.
 * Throws `InputError` `message.invalid` or `message.too_large`; a portfolio's lists are shortened to fit instead.
 */
export function encodeMessage<K extends TopicKind>(kind: K, draft: Draft<K>, prefix = ''): Encoded {
  const checked = check<K>(SENT[kind], { v: SCHEMA_VERSION, ...draft }, TOPICS[kind].pattern);
  const topic = topicOfBody(kind, checked, prefix);
  let payload = JSON.stringify(checked);
  if (kind === 'portfolio' && Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES)
    payload = JSON.stringify(fitPortfolio(checked as Body<'portfolio'>));
  refuseTooLarge(topic, Buffer.byteLength(payload));
  return { topic, payload, qos: TOPICS[kind].qos, retain: TOPICS[kind].retain };
}

/** Whether a message that the broker has kept is none: it says what happened then, not what is so now. */
export const isPastEvent = (kind: TopicKind, retained: boolean): boolean => retained && !TOPICS[kind].retain;

export function pastEvent(topic: string): InputError {
  return new InputError(
    'message.retained',
    `${shorten(topic)}: the broker has kept this message (retain flag) and gives it to each new subscriber, so it is no event; publish an empty retained message there to delete it`,
  );
}

/** The number of fields that a login has beside those of its schema. */
export function countUnknownFields(login: object): number {
  return Object.keys(login).filter((key) => !Object.hasOwn(SCHEMAS.login.shape, key)).length;
}

/**
 * Reads a message that a broker delivered. Errors: `InputError` `message.unknown_topic`, `message.too_large`, `message.empty`, `message.not_utf8` (which byte), `message.invalid_json`, `message.name_twice` (a login), `message.invalid` (which field has which value),
 * `topic.invalid_level`. A payload that belongs on another topic is refused too, because the access rules check the topic only.
 */
export function parseMessage(topic: string, payload: Uint8Array, prefix = ''): Message {
  const match = matchTopic(topic, prefix);
  if (match === undefined)
    throw new InputError('message.unknown_topic', `topic "${shorten(topic)}" is not one of this mesh: see asyncapi.yaml`);
  refuseTooLarge(topic, payload.byteLength);
  const content = parseJson(topic, payload, match.kind);
  const body = check(SCHEMAS[match.kind], content, topic);
  const proper = topicOfBody(match.kind, body, prefix);
  if (proper !== topic) throw new InputError('message.invalid', `${shorten(topic)}: the payload belongs on "${shorten(proper)}"`);
  return { ...match, body, unknownFields: match.kind === 'login' ? countUnknownFields(content as object) : 0 } as Message;
}

/** What is wrong with a message, as `parseMessage` says it; undefined when nothing is. */
export function faultOf(topic: string, payload: Uint8Array): InputError | undefined {
  try {
    parseMessage(topic, payload);
    return undefined;
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

/** The raw levels of a payload's topic. The payload contains them, so the topic follows from it. */
const levelsOf: { [K in TopicKind]: (body: Body<K>) => TopicParams<K> } = {
  login: () => ({}),
  refused: () => ({}),
  job: jobTopic,
  work: () => ({}),
  status: ({ id }) => ({ id }),
  data: ({ symbol, kind }) => ({ symbol, kind }),
  portfolio: ({ user_id }) => ({ user: user_id }),
  presence: ({ service, instance }) => ({ service, instance }),
  stats: () => ({}),
  alert: ({ name }) => ({ name }),
  control: ({ instance }) => ({ instance }),
};

function topicOfBody<K extends TopicKind>(kind: K, body: Body<K>, prefix: string): string {
  return topicFor(kind, levelsOf[kind](body), prefix);
}

function check<K extends TopicKind>(schema: z.ZodType, value: unknown, topic: string): Body<K> {
  const result = schema.safeParse(value);
  if (result.success) return result.data as Body<K>;
  const reasons = result.error.issues.slice(0, 3).map((issue) => {
    if (issue.code === 'unrecognized_keys') return `unknown field ${issue.keys.map((key) => `"${shorten(key)}"`).join(', ')}`;
    const found = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
    const where = issue.path.length === 0 ? 'payload' : `field "${issue.path.join('.')}"`;
    return found === undefined
      ? `${where} is missing: ${issue.message}`
      : `${where} is ${shorten(JSON.stringify(found))}: ${issue.message}`;
  });
  const fields = [...new Set(result.error.issues.map(({ path }) => (path[0] === undefined ? 'payload' : `field "${String(path[0])}"`)))];
  throw new InputError('message.invalid', `${shorten(topic)}: ${reasons.join('; ')}`, {
    summary: `not what the schema of ${shorten(topic)} asks for: ${shorten(fields.join(', '))} (asyncapi.yaml)`,
  });
}

function parseJson(topic: string, payload: Uint8Array, kind: TopicKind): unknown {
  if (payload.byteLength === 0) throw new InputError('message.empty', `${shorten(topic)}: the payload is empty`);
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const invalid = firstInvalidUtf8(bytes);
  // Read with U+FFFD in its place, two users with different names would become one.
  if (invalid !== undefined)
    throw new InputError(
      'message.not_utf8',
      `${shorten(topic)}: byte ${invalid + 1} of the payload is 0x${hex(bytes[invalid]!)}, which is not UTF-8 there; send JSON in UTF-8`,
    );
  const text = bytes.toString();
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new InputError('message.invalid_json', `${shorten(topic)}: payload ${shorten(JSON.stringify(text))} is not JSON`, {
      cause,
      summary: `${shorten(topic)}: the payload is not JSON`,
    });
  }
  // All other messages are made by these services.
  const twice = kind === 'login' ? twiceFault(text, 'message.name_twice', `${shorten(topic)}: the payload`) : undefined;
  if (twice !== undefined) throw twice;
  return content;
}

function refuseTooLarge(topic: string, bytes: number): void {
  if (bytes > MAX_PAYLOAD_BYTES) {
    throw new InputError(
      'message.too_large',
      `${shorten(topic)}: payload of ${bytes} bytes; at most ${MAX_PAYLOAD_BYTES} are allowed: send less, the rows are in the database`,
    );
  }
}

/** Keeps the first jobs and skipped symbols that fit, jobs before skipped symbols, and sets `truncated`. */
function fitPortfolio(body: Body<'portfolio'>): Body<'portfolio'> {
  let room = MAX_PAYLOAD_BYTES - Buffer.byteLength(JSON.stringify({ ...body, jobs: [], skipped: [], truncated: true }));
  const fits = (entry: unknown) => {
    room -= Buffer.byteLength(JSON.stringify(entry)) + 1;
    return room >= 0;
  };
  const firstThatFit = <T>(entries: T[]): T[] => {
    const end = entries.findIndex((entry) => !fits(entry));
    return end === -1 ? entries : entries.slice(0, end);
  };
  return { ...body, jobs: firstThatFit(body.jobs), skipped: firstThatFit(body.skipped), truncated: true };
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}… (${text.length} characters)`;
}
