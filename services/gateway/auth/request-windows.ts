import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit';

/** Callers that are remembered: more than any gateway has at once. */
const MOST = 5_000;

/**
 * Requests of each caller in the present window, by the monotonic clock. The plugin's own store goes by the machine's clock: once that was set back by ten minutes, who
 * had used up a window of a minute was refused for eleven.
 */
export function requestWindows(windowMs: number): FastifyRateLimitStoreCtor {
  const windows = new Map<string, { requests: number; endsAt: number }>();
  return class implements FastifyRateLimitStore {
    incr(key: string, callback: (error: Error | null, result?: { current: number; ttl: number }) => void): void {
      const now = performance.now();
      let window = windows.get(key);
      if (window === undefined || window.endsAt <= now) {
        window = { requests: 0, endsAt: now + windowMs };
        // Behind all others: the first is the oldest.
        windows.delete(key);
        windows.set(key, window);
        if (windows.size > MOST) windows.delete(windows.keys().next().value as string);
      }
      window.requests++;
      callback(null, { current: window.requests, ttl: Math.ceil(window.endsAt - now) });
    }

    /** Of a route with a limit of its own; there is none. */
    child(): FastifyRateLimitStore {
      return this;
    }
  };
}
