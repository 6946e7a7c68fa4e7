/**
 * Which receivers this gateway calls now. A receiver (host and port) is called by a few connections at once, a key's receivers by some hundreds, so that receivers that
 * never answer hold up nobody else's. One that fails several times in a row is left alone for a while (an open circuit); then a single call tries it.
 */
import type { Config } from '../../platform/config/load.ts';

/** The due callbacks of one key to one receiver. */
export interface Lane {
  keyId: string;
  host: string;
}

/** `failed`: the receiver could not be reached, or had a fault of its own. */
export type Outcome = 'answered' | 'failed';

export interface Lanes {
  /** Calls that may begin now. */
  free(): number;
  /** Receivers and keys whose callbacks wait: enough calls are under way, or the circuit is open. */
  full(now: Date): { hosts: string[]; keys: string[] };
  /** Of lanes in the order of their turn, those that may be called, each with the number of its calls. */
  share(lanes: readonly Lane[], now: Date): (Lane & { most: number })[];
  begin(lane: Lane): void;
  /** Gives the seconds for which the circuit opened with this call, if it did. `outcome`: undefined for one that was not made after all. */
  end(lane: Lane, outcome: Outcome | undefined, now: Date): number | undefined;
  /** Receivers whose circuit is open. */
  open(now: Date): string[];
}

interface Receiver {
  running: number;
  /** In a row. */
  failures: number;
  /** Seconds of the last pause. */
  pause: number;
  /** Milliseconds since the epoch. */
  openUntil: number;
}

/** Receivers that have failed and are remembered. A forgotten one is only tried again earlier. */
const MOST_REMEMBERED = 10_000;

export function createLanes({ max_concurrent, max_per_key, max_per_host, circuit }: Config['gateway']['callbacks']): Lanes {
  const receivers = new Map<string, Receiver>();
  const keys = new Map<string, number>();
  let running = 0;

  const isOpen = ({ failures, pause, openUntil }: Receiver, now: Date): boolean => {
    const left = openUntil - now.getTime();
    // A clock that was set back must not keep it open.
    return failures >= circuit.failures && left > 0 && left <= pause * 1000;
  };
  function roomOf(host: string, now: Date): number {
    const receiver = receivers.get(host);
    if (receiver === undefined) return max_per_host;
    if (isOpen(receiver, now)) return 0;
    return (receiver.failures >= circuit.failures ? 1 : max_per_host) - receiver.running;
  }
  const hostsWhere = (test: (host: string, receiver: Receiver) => boolean): string[] =>
    [...receivers].flatMap(([host, receiver]) => (test(host, receiver) ? [host] : []));

  function forgetOldest(): void {
    for (const [host, receiver] of receivers) {
      if (receivers.size <= MOST_REMEMBERED) return;
      if (receiver.running === 0) receivers.delete(host);
    }
  }

  return {
    free: () => max_concurrent - running,
    full: (now) => ({
      hosts: hostsWhere((host) => roomOf(host, now) <= 0),
      keys: [...keys].flatMap(([key, calls]) => (calls >= max_per_key ? [key] : [])),
    }),
    share(lanes, now) {
      let free = max_concurrent - running;
      const hosts = new Map<string, number>();
      const left = new Map<string, number>();
      return lanes.flatMap(({ keyId, host }) => {
        const room = hosts.get(host) ?? roomOf(host, now);
        const ofKey = left.get(keyId) ?? max_per_key - (keys.get(keyId) ?? 0);
        const most = Math.min(room, ofKey, free);
        if (most <= 0) return [];
        hosts.set(host, room - most);
        left.set(keyId, ofKey - most);
        free -= most;
        return [{ keyId, host, most }];
      });
    },
    begin({ keyId, host }) {
      running++;
      keys.set(keyId, (keys.get(keyId) ?? 0) + 1);
      receivers.getOrInsertComputed(host, () => ({ running: 0, failures: 0, pause: 0, openUntil: 0 })).running++;
    },
    end({ keyId, host }, outcome, now) {
      running--;
      const calls = (keys.get(keyId) as number) - 1;
      if (calls === 0) keys.delete(keyId);
      else keys.set(keyId, calls);
      const receiver = receivers.get(host) as Receiver;
      receiver.running--;
      if (outcome === 'answered') Object.assign(receiver, { failures: 0, pause: 0, openUntil: 0 });
      if (outcome !== 'failed') {
        if (receiver.running === 0 && receiver.failures === 0) receivers.delete(host);
        return undefined;
      }
      receiver.failures++;
      forgetOldest();
      // Calls that were under way when it opened are no further reason.
      if (receiver.failures < circuit.failures || isOpen(receiver, now)) return undefined;
      receiver.pause = receiver.pause === 0 ? circuit.first_pause : Math.min(receiver.pause * 2, circuit.longest_pause);
      receiver.openUntil = now.getTime() + receiver.pause * 1000;
      return receiver.pause;
    },
    open: (now) => hostsWhere((_, receiver) => isOpen(receiver, now)),
  };
}
