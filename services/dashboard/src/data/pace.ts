/**
 * When the page is drawn. In quiet times at once; while many events arrive, everything that changes it (events, answers) is let through together, three times a second:
 * else a burst is drawn whenever some answer comes in between.
 */
const PACE_MS = 300;
/** Events of one message of the hub. */
const MANY = 50;
const BURST_MS = 1_000;

let busyUntil = 0;
let last = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let waiting: (() => void)[] = [];

/** Says that so many events have arrived at once. */
export function arrived(events: number): void {
  if (events >= MANY) busyUntil = performance.now() + BURST_MS;
}

/** Runs what changes the page: soon, and during a burst with the others that wait. */
export function paced(run: () => void): void {
  waiting.push(run);
  if (timer !== undefined) return;
  const now = performance.now();
  timer = setTimeout(flush, now > busyUntil ? 0 : Math.max(0, last + PACE_MS - now));
}

function flush(): void {
  timer = undefined;
  last = performance.now();
  const all = waiting;
  waiting = [];
  for (const run of all) run();
}
