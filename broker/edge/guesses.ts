/**
 * Wrong passwords, by address and account. Beyond the limit an address is not heard for that account until the minute is over, with the right password neither: otherwise the
 * answer would tell which one is right.
 *
 * An address of this machine is heard always, else any program here could keep the services out; there a wrong password is answered late.
 */
import { BlockList, isIP } from 'node:net';
import { addressGroup, plainAddress } from '../../services/platform/machine/address-group.ts';

export interface Guesses {
  /** Whether the password may be looked at. */
  isHeard(address: string, account: string): boolean;
  /** Notes a wrong password and gives the milliseconds after which it should be answered. */
  failed(address: string, account: string): number;
}

const WINDOW_MS = 60_000;
/** Milliseconds. */
const LATE = 1000;
const MOST_KEYS = 10_000;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
function isLocal(address: string): boolean {
  const plain = plainAddress(address);
  const version = isIP(plain);
  return version !== 0 && loopback.check(plain, version === 6 ? 'ipv6' : 'ipv4');
}

export function countGuesses(perMinute: number, now: () => number = () => performance.now()): Guesses {
  const windows = new Map<string, { since: number; wrong: number }>();
  const keyOf = (address: string, account: string) => `${addressGroup(address)} ${account}`;
  const windowOf = (address: string, account: string) => {
    const window = windows.get(keyOf(address, account));
    return window === undefined || now() - window.since >= WINDOW_MS ? undefined : window;
  };
  return {
    isHeard: (address, account) => isLocal(address) || (windowOf(address, account)?.wrong ?? 0) < perMinute,
    failed(address, account) {
      let window = windowOf(address, account);
      if (window === undefined) {
        window = { since: now(), wrong: 0 };
        if (windows.size >= MOST_KEYS) for (const [key, { since }] of windows) if (now() - since >= WINDOW_MS) windows.delete(key);
        // Only whoever has thousands of addresses gets here; the oldest window goes.
        for (const key of windows.keys()) {
          if (windows.size < MOST_KEYS) break;
          windows.delete(key);
        }
        windows.set(keyOf(address, account), window);
      }
      window.wrong++;
      return window.wrong > perMinute ? LATE : 0;
    },
  };
}
