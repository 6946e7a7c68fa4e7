/** Time is injected: every decision about time asks a clock, so a test can stand at any moment. */
export interface Clock {
  now(): Temporal.Instant;
  /** Milliseconds by which this machine's own clock is ahead of this one (behind: negative). Undefined where that was never measured. */
  readonly offsetMs?: number | undefined;
  /** The last time that this clock jumped by more than a second: the database's was set, or the machine was suspended. Undefined when it never did. */
  readonly lastJump?: ClockJump | undefined;
}

export interface ClockJump {
  /** Milliseconds forward, or back where negative. */
  byMs: number;
  /** Milliseconds since then. */
  agoMs: number;
}

/** This machine's time, for what concerns this machine alone. What another process compares is by `databaseClock`. */
export const systemClock: Clock = { now: () => Temporal.Now.instant() };

/** `offsetMs` in seconds, to the millisecond; null where it is not known. */
export function offsetSeconds({ offsetMs }: Clock): number | null {
  return offsetMs === undefined ? null : Math.round(offsetMs) / 1000;
}

/**
 * Whether a time that another process stamped may be judged as run out. Not for some seconds after a jump: what was stamped before it, and by processes that have not
 * seen it yet, would run out at once. Whoever lives renews meanwhile.
 */
export function isSettled({ lastJump }: Clock, seconds: number): boolean {
  return lastJump === undefined || lastJump.agoMs >= seconds * 1000;
}

/** A clock that stands still until it is moved. For tests and replays. */
export class ManualClock implements Clock {
  #now: Temporal.Instant;
  constructor(start: Temporal.Instant | string) {
    this.#now = Temporal.Instant.from(start);
  }
  now(): Temporal.Instant {
    return this.#now;
  }
  set(instant: Temporal.Instant | string): void {
    this.#now = Temporal.Instant.from(instant);
  }
  advance(duration: Temporal.DurationLike): void {
    this.#now = this.#now.add(duration);
  }
}
