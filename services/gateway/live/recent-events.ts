/** The newest events of the live stream, kept within a fixed number of bytes, so that a client that comes back (`Last-Event-ID`) gets the ones it missed. */
import { randomUUID } from 'node:crypto';
import type { Body } from '../../platform/messages.ts';
import { frameOf } from './sse.ts';

/** Event types, named like the topics whose content they carry. */
export const EVENT_TYPES = ['job', 'status', 'data', 'portfolio', 'presence', 'stats', 'alert'] as const;
export type EventType = (typeof EVENT_TYPES)[number];
/** An event as one client sees it: what belongs to others is left out. */
export interface SeenEvent {
  type: EventType;
  body: object;
}

export type LiveEvent = { [K in EventType]: { type: K; body: Body<K> } }[EventType];

/** An event is parsed when the first client wants to see it: a burst of logins is thousands of messages, and mostly no client is connected. */
export interface RecentEvent {
  number: number;
  bytes: number;
  /** undefined for a message that is not a valid one of this mesh. */
  open(): { id: string; event: LiveEvent; frame: string } | undefined;
}

export interface RecentEvents {
  /** Keeps an event of so many bytes and drops the oldest ones over the limit. `read` is called at most once. */
  add(bytes: number, read: () => LiveEvent | undefined): RecentEvent;
  /** The events after `lastEventId`; undefined when they are not all kept any more. */
  since(lastEventId: string): RecentEvent[] | undefined;
  /** The id of the newest event. */
  readonly newestId: string;
}

/** Bytes of past events that are kept. */
const KEPT_BYTES = 4 * 1024 * 1024;

export function createRecentEvents(): RecentEvents {
  /** Ids of another process, or of this one before its restart, are not ours. */
  const epoch = randomUUID().slice(0, 8);
  const kept: RecentEvent[] = [];
  let keptBytes = 0;
  let newest = 0;

  return {
    add(bytes, read) {
      const number = ++newest;
      const added: RecentEvent = { number, bytes, open: openOnce(read, `${epoch}-${number}`) };
      kept.push(added);
      keptBytes += bytes;
      while (keptBytes > KEPT_BYTES) keptBytes -= (kept.shift() as RecentEvent).bytes;
      return added;
    },
    since(lastEventId) {
      const [, of, digits] = /^([0-9a-f]{8})-(\d+)$/.exec(lastEventId) ?? [];
      const last = Number(digits);
      if (of !== epoch || last > newest || last + 1 < (kept[0]?.number ?? newest + 1)) return undefined;
      return kept.filter(({ number }) => number > last);
    },
    get newestId() {
      return `${epoch}-${newest}`;
    },
  };
}

function openOnce(read: () => LiveEvent | undefined, id: string): RecentEvent['open'] {
  let opened: ReturnType<RecentEvent['open']>;
  let isOpen = false;
  return () => {
    if (isOpen) return opened;
    isOpen = true;
    const event = read();
    opened = event && { id, event, frame: frameOf(event.type, event.body, id) };
    return opened;
  };
}
