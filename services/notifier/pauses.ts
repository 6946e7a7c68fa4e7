/** Receivers that take nothing now: each is left alone for a while, longer each time, and then tried with one message. */
export interface Pauses {
  /** Whether it is left alone now. */
  isPaused(receiver: string, now: Date): boolean;
  /** Those that are left alone now. */
  paused(now: Date): string[];
  /** It took nothing. `seconds`: its own wish. Gives the seconds of the pause; undefined when it is paused already. */
  away(receiver: string, now: Date, seconds?: number): number | undefined;
  back(receiver: string): void;
  /** Whether it is being tried again, with one message only. */
  isTried(receiver: string): boolean;
}

const LONGEST_SECONDS = 300;

/** `first`: seconds of the first pause; each further one is twice as long, up to five minutes. */
export function createPauses(first: number): Pauses {
  const known = new Map<string, { seconds: number; until: number }>();
  const isPaused = (receiver: string, now: Date): boolean => {
    const pause = known.get(receiver);
    if (pause === undefined) return false;
    const left = pause.until - now.getTime();
    // A clock that was set back must not keep it so.
    return left > 0 && left <= pause.seconds * 1000;
  };
  return {
    isPaused,
    paused: (now) => [...known.keys()].filter((receiver) => isPaused(receiver, now)),
    away(receiver, now, wish) {
      // Tries that were under way when the pause began are no further reason.
      if (isPaused(receiver, now)) return undefined;
      const before = known.get(receiver);
      const seconds = wish ?? Math.min(before === undefined ? first : before.seconds * 2, LONGEST_SECONDS);
      known.set(receiver, { seconds, until: now.getTime() + seconds * 1000 });
      return seconds;
    },
    back: (receiver) => void known.delete(receiver),
    isTried: (receiver) => known.has(receiver),
  };
}
