import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { codeOf, InputError, messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { type Body, type Message, parseMessage } from '../messages.ts';
import { TOPICS, type TopicKind, type TopicParams } from '../topics.ts';
import { type Admission, createAdmission } from './bounded-queue.ts';

const CONCURRENCY = 16;
const QUEUE_LIMIT = 10_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;

/** A message as a handler gets it. */
export type Received<K extends TopicKind> = Message<K> & {
  /** The broker kept it and gives it to a new subscriber: it is the present state, not news. */
  retained: boolean;
  /** The broker has sent it before and got no acknowledgement. */
  redelivered: boolean;
};

/** A rejection with an `InputError` refuses the message; any other one is retried (`acknowledge: 'handled'`) or logged. */
export type Handler<K extends TopicKind> = (message: Received<K>) => void | Promise<void>;

export interface SubscribeOptions<K extends TopicKind> {
  /** Narrows the filter: `{ area: 'fetch' }` on jobs hears `stock/fetch/+`. */
  params?: Partial<TopicParams<K>>;
  /**
   * When the broker is told that it may forget a QoS 1 message. `received` (the default): at once. `handled`: when the handler has resolved or refused it; until then a crash means that the
   * broker delivers it again, and a failing handler is called again with growing pauses of up to 5 s. Messages are acknowledged in the order in which they are done.
   */
  acknowledge?: 'received' | 'handled';
  /** The group among whose members the broker deals each message out; where the broker cannot, every member hears every message. */
  shared?: string;
  /** Handlers that run at once; 16. A handler that waits for others to fill a batch needs as many as the batch. */
  concurrency?: number;
  /** Messages that wait for a handler; 10,000. What comes on top is dropped and counted; with `handled` and a persistent session it is asked for again once the queue is empty. */
  queueLimit?: number;
  /** Told of each message that is not understood or was refused. Without it the bus logs a warning. */
  onRefused?: (error: InputError, topic: string) => void;
}

export interface ReceiverCounters {
  handled: number;
  /** Not understood, or refused by the handler with an `InputError`. */
  refused: number;
  /** Calls of a handler that ended with another error. */
  failed: number;
  /** The queue was full. */
  dropped: number;
}

export interface Arrival {
  topic: string;
  payload: Buffer;
  retained: boolean;
  redelivered: boolean;
  /** Told once when the message is done with, well or refused; never when the bus closes before. */
  done(): void;
}

/** What happens to the messages of one subscription between the client, which must never be kept waiting, and the handler, which may take its time. */
export function createReceiver<K extends TopicKind>(
  kind: K,
  options: SubscribeOptions<K>,
  handler: Handler<K>,
  bus: { log: Logger; prefix: string; closing: AbortSignal; counters: ReceiverCounters },
): Admission<Arrival> {
  const { counters, log } = bus;

  function refuse(error: InputError, topic: string): void {
    counters.refused++;
    if (options.onRefused !== undefined) options.onRefused(error, topic);
    else log.warn({ topic, code: error.code }, `message refused: ${error.message}`);
  }

  /** Calls the handler until the message is done with; false when the bus closed before. */
  async function handle(message: Received<K>, topic: string): Promise<boolean> {
    for (let pause = FIRST_RETRY_MS; ; pause = Math.min(2 * pause, LONGEST_RETRY_MS)) {
      try {
        await handler(message);
        counters.handled++;
        return true;
      } catch (error) {
        if (error instanceof InputError) {
          refuse(error, topic);
          return true;
        }
        counters.failed++;
        const retry = options.acknowledge === 'handled';
        if (!retry) log.error({ topic, code: codeOf(error), err: error }, `handler failed: ${messageOf(error)}`);
        else if (pause === FIRST_RETRY_MS)
          log.warn({ topic, code: codeOf(error) }, `handler failed, will be called again until it succeeds: ${messageOf(error)}`);
        if (!retry) return true;
      }
      if (!(await pauseUnlessClosing(pause))) return false;
    }
  }

  /** Half of the pause is chance: a thousand messages that failed together must not come back together. */
  async function pauseUnlessClosing(ms: number): Promise<boolean> {
    await delay(ms * (0.5 + Math.random() / 2), undefined, { signal: bus.closing }).catch(() => {});
    return !bus.closing.aborted;
  }

  const admission = createAdmission<Arrival>(
    { concurrency: options.concurrency ?? CONCURRENCY, queueLimit: options.queueLimit ?? QUEUE_LIMIT },
    async ({ topic, payload, retained, redelivered, done }) => {
      await nextTurn();
      const message = understand(topic, payload);
      if (message === undefined || (await handle({ ...message, retained, redelivered } as Received<K>, topic))) done();
    },
  );

  function understand(topic: string, payload: Buffer): Message | undefined {
    // [MQTT-3.3.1-10]: an empty payload takes a retained message away. There is nothing to handle.
    if (payload.length === 0 && TOPICS[kind].retain) return undefined;
    try {
      return parseMessage(topic, payload, bus.prefix);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refuse(error, topic);
      return undefined;
    }
  }

  return admission;
}

/** A message that nobody has read yet. */
export interface Unread<K extends TopicKind> {
  payload: Buffer;
  /** Understands it; undefined for one that is none of this mesh's: that is counted and logged. */
  read(): Body<K> | undefined;
}

/** Hears that messages come, and reads none of them by itself: reading the bells of a burst took a worker a tenth of its time. */
export function createEar<K extends TopicKind>(
  onMessage: (message: Unread<K>) => void,
  { prefix, log, counters }: { prefix: string; log: Logger; counters: Pick<ReceiverCounters, 'handled' | 'refused'> },
): Admission<Arrival> {
  function understood(topic: string, payload: Buffer): Body<K> | undefined {
    try {
      return parseMessage(topic, payload, prefix).body as Body<K>;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      counters.refused++;
      log.warn({ topic, code: error.code }, `message refused: ${error.message}`);
      return undefined;
    }
  }
  return {
    admit({ topic, payload, done }) {
      counters.handled++;
      onMessage({ payload, read: () => understood(topic, payload) });
      done();
      return true;
    },
    size: 0,
    idle: async () => {},
    discardWaiting: () => {},
  };
}
