/** Callers that are remembered: more than any gateway has at once. */
const MOST = 5_000;

export interface RequestWindows {
  /** Counts a request, or several. `requests`: those of this caller in its present window, with this one. `endsInMs`: until the window ends. */
  count(caller: string, times?: number): { requests: number; endsInMs: number };
  /** Takes counted requests back. */
  uncount(caller: string, times?: number): void;
}

/**
 * Requests of each caller in the present window, by the monotonic clock. By the machine's clock, once that was set back by ten minutes, who had used up a window of a
 * minute was refused for eleven.
 */
export function requestWindows(windowMs: number): RequestWindows {
  const windows = new Map<string, { requests: number; endsAt: number }>();
  return {
    count(caller, times = 1) {
      const now = performance.now();
      let window = windows.get(caller);
      if (window === undefined || window.endsAt <= now) {
        window = { requests: 0, endsAt: now + windowMs };
        // Behind all others: the first is the oldest.
        windows.delete(caller);
        windows.set(caller, window);
        if (windows.size > MOST) windows.delete(windows.keys().next().value as string);
      }
      window.requests += times;
      return { requests: window.requests, endsInMs: Math.ceil(window.endsAt - now) };
    },
    uncount(caller, times = 1) {
      const window = windows.get(caller);
      if (window !== undefined) window.requests -= times;
    },
  };
}
