import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { codeOf, InputError, messageOf, PermanentError } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { type Body, isPastEvent, type Message, parseMessage, pastEvent } from '../messages.ts';
import { TOPICS, type TopicKind, type TopicParams } from '../topics.ts';
import { type BoundedQueue, createBoundedQueue } from './bounded-queue.ts';

const CONCURRENCY = 16;
const QUEUE_LIMIT = 10_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;

/** A message as a handler gets it. */
export type Received<K extends TopicKind> = Message<K> & {
  /** The broker stored it and gives it to a new subscriber: it is the present state, not a change. */
  retained: boolean;
  /** The broker has sent it before and got no acknowledgement. */
  redelivered: boolean;
};

/** An `InputError` or a `PermanentError` refuses the message; any other error is retried (`acknowledge: 'handled'`) or logged. */
export type MessageHandler<K extends TopicKind> = (message: Received<K>) => void | Promise<void>;

export interface SubscribeOptions<K extends TopicKind> {
  /** Narrows the filter: `{ area: 'fetch' }` on jobs subscribes to `stock/fetch/+`. */
  params?: Partial<TopicParams<K>>;
  /**
   * When a QoS 1 message is acknowledged. `received` (the default): at once. `handled`: when the handler has resolved or refused it. Until then a crash means that the broker
   * delivers the message again, and a failing handler is called again with growing pauses of up to 5 s. Messages are acknowledged in the order in which they are handled.
   */
  acknowledge?: 'received' | 'handled';
  /** A group of subscribers, all of one account, of which one gets each message. Where the broker cannot do that, every member gets every message. */
  shared?: string;
  /** Handlers that run at once; 16. A handler that waits for others to fill a batch needs as many as the batch. */
  concurrency?: number;
  /** Messages that wait for a handler; 10,000. More are dropped and counted; with `handled` and a persistent session the broker is asked for them again once the queue is empty. */
  queueLimit?: number;
  /** Called for each message that is not valid or was refused. Without it the bus logs a warning. */
  onRefused?: (error: InputError | PermanentError, message: Pick<Arrival, 'topic' | 'payload'>) => void;
}

export interface ReceiverCounters {
  handled: number;
  /** Not valid, or refused by the handler with an `InputError` or a `PermanentError`. */
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
  /** Called once when the message is handled or refused; never when the subscription stops before. */
  done(): void;
}

/**
 * The queue of one subscription, between the client, which must never wait, and the handler, which may take long. After `stopping` a handler that fails is not called
 * again; its message stays unacknowledged.
 */
export function createReceiver<K extends TopicKind>(
  kind: K,
  options: SubscribeOptions<K>,
  handler: MessageHandler<K>,
  bus: { log: Logger; prefix: string; stopping: AbortSignal; counters: ReceiverCounters },
): BoundedQueue<Arrival> {
  const { counters, log } = bus;

  function refuse(error: InputError | PermanentError, { topic, payload }: Arrival): void {
    counters.refused++;
    if (options.onRefused !== undefined) options.onRefused(error, { topic, payload });
    else log.warn({ topic, code: error.code }, `message refused: ${error.message}`);
  }

  /** Calls the handler until the message is handled or refused; false when the subscription stopped before. */
  async function handle(message: Received<K>, arrival: Arrival): Promise<boolean> {
    const { topic } = arrival;
    for (let pause = FIRST_RETRY_MS; ; pause = Math.min(2 * pause, LONGEST_RETRY_MS)) {
      try {
        await handler(message);
        counters.handled++;
        return true;
      } catch (error) {
        if (error instanceof InputError || error instanceof PermanentError) {
          refuse(error, arrival);
          return true;
        }
        counters.failed++;
        const retry = options.acknowledge === 'handled';
        if (!retry) log.error({ topic, code: codeOf(error), err: error }, `handler failed: ${messageOf(error)}`);
        else if (pause === FIRST_RETRY_MS)
          log.warn({ topic, code: codeOf(error) }, `handler failed, will be called again until it succeeds: ${messageOf(error)}`);
        if (!retry) return true;
      }
      if (!(await pauseUnlessStopping(pause))) return false;
    }
  }

  /** Half of the pause is random: a thousand messages that failed together must not be tried again together. */
  async function pauseUnlessStopping(ms: number): Promise<boolean> {
    await delay(ms * (0.5 + Math.random() / 2), undefined, { signal: bus.stopping }).catch(() => {});
    return !bus.stopping.aborted;
  }

  function understand(arrival: Arrival): Message | undefined {
    const { topic, payload, retained } = arrival;
    // [MQTT-3.3.1-10]: an empty payload removes a retained message. There is nothing to handle.
    if (payload.length === 0 && TOPICS[kind].retain) return undefined;
    try {
      if (isPastEvent(kind, retained)) throw pastEvent(topic);
      return parseMessage(topic, payload, bus.prefix);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refuse(error, arrival);
      return undefined;
    }
  }

  return createBoundedQueue<Arrival>(
    { concurrency: options.concurrency ?? CONCURRENCY, queueLimit: options.queueLimit ?? QUEUE_LIMIT },
    async (arrival) => {
      await nextTurn();
      const message = understand(arrival);
      const { retained, redelivered, done } = arrival;
      if (message === undefined || (await handle({ ...message, retained, redelivered } as Received<K>, arrival))) done();
    },
  );
}

/** A message whose payload was not parsed yet. */
export interface Unread<K extends TopicKind> {
  payload: Buffer;
  /** Parses it; undefined for a message that is not valid, which is counted and logged. */
  read(): Body<K> | undefined;
}

/** Notices that messages come, and parses none of them by itself: parsing the doorbells of a burst took a worker a tenth of its time. */
export function createDoorbell<K extends TopicKind>(
  kind: K,
  onMessage: (message: Unread<K>) => void,
  { prefix, log, counters }: { prefix: string; log: Logger; counters: Pick<ReceiverCounters, 'handled' | 'refused'> },
): BoundedQueue<Arrival> {
  function refuse({ code, message }: InputError, topic: string): void {
    counters.refused++;
    log.warn({ topic, code }, `message refused: ${message}`);
  }
  function understood(topic: string, payload: Buffer): Body<K> | undefined {
    try {
      return parseMessage(topic, payload, prefix).body as Body<K>;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refuse(error, topic);
      return undefined;
    }
  }
  return {
    offer({ topic, payload, retained, done }) {
      if (isPastEvent(kind, retained)) refuse(pastEvent(topic), topic);
      else {
        counters.handled++;
        onMessage({ payload, read: () => understood(topic, payload) });
      }
      done();
      return true;
    },
    size: 0,
    idle: async () => {},
    discardWaiting: () => {},
  };
}
