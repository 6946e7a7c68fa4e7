/**
 * How fast the broker reads from its clients. Nothing is dropped: a client that sends faster than its account may is read later, until its system, and with it the client,
 * waits as well. The clients of an account that are over their pace share it equally, so one that sends little does not wait for one that sends without pause.
 */
import type { BrokerLimits } from './limits.ts';

/** Of one connection. */
export interface Pace {
  /** Milliseconds to wait before the next read. */
  wait(): number;
  /** Bytes to read at once: the other connections have their turn in between. */
  slice(): number;
  /** `hasMore`: it has sent more than was read. */
  charge(messages: number, bytes: number, hasMore: boolean): void;
  end(): void;
}

export const LARGEST_SLICE = 16_384;
export const SMALLEST_SLICE = 1024;
/** Seconds at full pace that a client may make up for. */
const MOST_SAVED = 0.1;
/** Milliseconds; timers do no better. A shorter wait is made up for by the next. */
const LEAST_WAIT = 1;

/** Milliseconds between two reports of one account. */
const REPORT_MS = 1000;

/** `onSlowed` is told of an account whose clients are read later, once a second; `now` in milliseconds. The function makes the pace of a connection, whose account is known later. */
export function sharedPaces(
  { messagesPerSecond, bytesPerSecond }: Pick<BrokerLimits, 'messagesPerSecond' | 'bytesPerSecond'>,
  onSlowed: (account: string) => void,
  now: () => number = () => performance.now(),
): (accountOf: () => string | undefined) => Pace {
  /** The connections of each account that are over their pace or have more to read: that one of them is read later for another reason gives the account no more. */
  const slowed = new Map<string, Set<Pace>>();
  const reportedAt = new Map<string, number>();
  function report(account: string): void {
    if (now() - (reportedAt.get(account) ?? Number.NEGATIVE_INFINITY) < REPORT_MS) return;
    reportedAt.set(account, now());
    onSlowed(account);
  }

  return (accountOf) => {
    let account: string | undefined;
    /** Seconds at full pace: saved, or below 0 owed. */
    let saved = 0;
    let at = now();
    let busy = false;
    const sharers = () => (account === undefined ? 0 : (slowed.get(account)?.size ?? 0));
    function settle(): void {
      saved = Math.min(MOST_SAVED, saved + (now() - at) / 1000 / Math.max(1, sharers()));
      at = now();
      if (saved >= 0 && !busy && account !== undefined) leave(account);
    }
    function share(): void {
      if (account !== undefined) slowed.getOrInsertComputed(account, () => new Set()).add(pace);
    }
    function leave(of: string): void {
      const others = slowed.get(of);
      if (others?.delete(pace) && others.size === 0) slowed.delete(of);
    }
    const pace: Pace = {
      wait() {
        settle();
        if (saved * 1000 > -LEAST_WAIT) return 0;
        // Only those that wait: whoever has fallen silent takes no share.
        share();
        if (account !== undefined) report(account);
        return Math.ceil(-saved * Math.max(1, sharers()) * 1000);
      },
      slice: () => Math.max(SMALLEST_SLICE, Math.floor(LARGEST_SLICE / Math.max(1, sharers()))),
      charge(messages, bytes, hasMore) {
        account ??= accountOf();
        busy = hasMore;
        settle();
        saved -= Math.max(messages / messagesPerSecond, bytes / bytesPerSecond);
        if (busy) share();
      },
      end() {
        if (account !== undefined) leave(account);
      },
    };
    return pace;
  };
}
