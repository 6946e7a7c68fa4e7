/** Messages that wait for a receiver, and are delivered when the window of one has room: the oldest of each sender in turn. */
import { setImmediate } from 'node:timers/promises';
import { createTurns, type Turns } from '../../services/platform/batching/turns.ts';
import { MOST_OF_ONE_SENDER } from './held-limits.ts';
import type { Room } from './receivers.ts';

interface Waiting {
  /** Of its sender. */
  clientId: string;
  topic: string;
}

export interface Line<Message extends Waiting> {
  /** It waits, and is delivered at once if there is room. */
  add(message: Message): void;
  has(message: Message): boolean;
  delete(message: Message): void;
  /** The receivers have changed: delivers what they have room for. */
  look(): void;
  /** A receiver has room for one more. Most acknowledgements come hundreds at a time: the room of all of them is filled at once, in a moment. */
  lookSoon(): void;
}

export interface LineOptions<Message> {
  /** What the receivers of a topic take now; undefined where there is none. */
  room: (topic: string) => Promise<Room | undefined>;
  /** Messages of a sender that are not acknowledged, those that wait among them. */
  heldOf: (clientId: string) => number;
  /** Hands it to the receivers, then tells whether one of them took it that will acknowledge it, or that nobody needs it any more. */
  deliver: (message: Message, done: (isTaken: boolean) => void) => void;
}

/** Delivered in one turn of the event loop, so that a backlog does not stop everything else. */
const DELIVERED_AT_ONCE = 500;
/** Milliseconds. Filled one by one, the service read ten thousand logins in as many turns. */
const SOON_MS = 5;

export function createLine<Message extends Waiting>({ room, heldOf, deliver }: LineOptions<Message>): Line<Message> {
  const byTopic = new Map<string, Turns<Message>>();
  /** Topics for which `deliverWaiting` runs. */
  const delivering = new Set<string>();
  /** On their way to their receivers, and not yet in a window. */
  let underWay = 0;
  /** Counts changes of the receivers, to notice one that comes while a delivery runs. */
  let changes = 0;
  let timer: NodeJS.Timeout | undefined;

  const has = (message: Message): boolean => byTopic.get(message.topic)?.has(message) ?? false;
  const wait = (message: Message): void =>
    byTopic.getOrInsertComputed(message.topic, () => createTurns<Message>(({ clientId }) => clientId)).add(message);

  function look(): void {
    changes++;
    for (const topic of byTopic.keys()) void deliverWaiting(topic);
  }

  function lookSoon(): void {
    if (timer !== undefined || byTopic.size === 0) return;
    timer = setTimeout(() => {
      timer = undefined;
      look();
    }, SOON_MS).unref();
  }

  async function deliverWaiting(topic: string): Promise<void> {
    if (delivering.has(topic)) return;
    delivering.add(topic);
    while (byTopic.has(topic)) {
      const seen = changes;
      const found = await room(topic);
      const waiting = byTopic.get(topic);
      const taken = waiting === undefined || found === undefined ? [] : take(waiting, { ...found, left: found.left - underWay }, heldOf);
      for (const message of taken) handOver(message);
      if (waiting?.size === 0) byTopic.delete(topic);
      else if (taken.length === DELIVERED_AT_ONCE) await setImmediate();
      else if (seen === changes) break;
    }
    delivering.delete(topic);
  }

  function handOver(message: Message): void {
    const seen = changes;
    underWay++;
    deliver(message, (isTaken) => {
      underWay--;
      if (isTaken || has(message)) lookSoon();
      else {
        // It is tried again at the next change of the receivers, which may have come meanwhile.
        wait(message);
        if (seen !== changes) void deliverWaiting(message.topic);
      }
    });
  }

  return {
    has,
    look,
    lookSoon,
    add(message) {
      wait(message);
      void deliverWaiting(message.topic);
    },
    delete(message) {
      const waiting = byTopic.get(message.topic);
      waiting?.delete(message);
      if (waiting?.size === 0) byTopic.delete(message.topic);
    },
  };
}

/** What there is room for. */
function take<Message extends Waiting>(waiting: Turns<Message>, { left, window }: Room, heldOf: LineOptions<Message>['heldOf']): Message[] {
  const mostOfOne = Math.max(1, Math.floor(window * MOST_OF_ONE_SENDER));
  const mayHave = (clientId: string): boolean => heldOf(clientId) - waiting.of(clientId) < mostOfOne;
  const taken: Message[] = [];
  while (taken.length < Math.min(left, DELIVERED_AT_ONCE)) {
    const message = waiting.next(mayHave);
    if (message === undefined) break;
    waiting.delete(message);
    taken.push(message);
  }
  return taken;
}
