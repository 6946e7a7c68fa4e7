/** How long a piece of work keeps others waiting. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface Turns<T> {
  result: T;
  /** The most processor time, in milliseconds, that this thread spent in one turn of its event loop: what nobody else could be served in, however busy the machine is. */
  longestMs: number;
  /** The longest delay of the event loop by the clock, for people: it grows with what else the machine does. */
  delayMs: number;
}

export async function measureTurns<T>(work: () => Promise<T>): Promise<Turns<T>> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  const used = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let longestMs = 0;
  let last = used();
  let running = true;
  // An immediate is called once in each turn.
  const look = (): void => {
    const now = used();
    longestMs = Math.max(longestMs, now - last);
    last = now;
    if (running) setImmediate(look);
  };
  setImmediate(look);
  histogram.enable();
  try {
    const result = await work();
    await new Promise((resolve) => setImmediate(resolve));
    return { result, longestMs, delayMs: histogram.max / 1e6 };
  } finally {
    running = false;
    histogram.disable();
  }
}
