interface Flight<T> {
  answer: Promise<T>;
  cancel: AbortController;
  waiting: number;
}

/**
 * Concurrent requests for one key share one run of `work`. A request that is aborted stops waiting, with its signal's reason; the work is aborted when no request
 * waits for it any more. Results are not kept.
 */
export function coalesced<T>(work: (key: string, signal: AbortSignal) => Promise<T>): (key: string, signal: AbortSignal) => Promise<T> {
  const flights = new Map<string, Flight<T>>();

  function launch(key: string): Flight<T> {
    const cancel = new AbortController();
    const flight: Flight<T> = { answer: work(key, cancel.signal), cancel, waiting: 0 };
    flights.set(key, flight);
    return flight;
  }

  return async (key, signal) => {
    signal.throwIfAborted();
    const flight = flights.get(key) ?? launch(key);
    flight.waiting++;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await Promise.race([flight.answer, aborted]);
    } finally {
      signal.removeEventListener('abort', stop);
      flight.waiting--;
      if (flight.waiting === 0) {
        // A later request starts new work, because this work has ended or is being aborted.
        flights.delete(key);
        flight.cancel.abort(signal.reason);
      }
    }
  };
}
