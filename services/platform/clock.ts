/** Time is injected: every decision about time asks a clock, so a test can stand at any moment. */
export interface Clock {
  now(): Temporal.Instant;
}

export const systemClock: Clock = { now: () => Temporal.Now.instant() };

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
