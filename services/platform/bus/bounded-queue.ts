/** A bounded queue before a function that runs a bounded number of times at once. */
export interface BoundedQueue<T> {
  /** Takes the item; false when the queue is full. */
  offer(item: T): boolean;
  /** Items that wait or run. */
  readonly size: number;
  /** Resolves as soon as nothing waits or runs. */
  idle(): Promise<void>;
  /** Forgets the waiting items. The running ones go on. */
  discardWaiting(): void;
}

/** `run` must not reject: it handles the errors of its item itself. */
export function createBoundedQueue<T>(
  limits: { concurrency: number; queueLimit: number },
  run: (item: T) => Promise<void>,
): BoundedQueue<T> {
  const waiting: T[] = [];
  const idleCallbacks: (() => void)[] = [];
  let running = 0;

  async function start(item: T): Promise<void> {
    running++;
    await run(item);
    running--;
    const next = waiting.shift();
    if (next !== undefined) void start(next);
    else notifyWhenIdle();
  }

  function notifyWhenIdle(): void {
    if (running + waiting.length === 0) for (const callback of idleCallbacks.splice(0)) callback();
  }

  return {
    offer(item) {
      if (running < limits.concurrency) void start(item);
      else if (waiting.length < limits.queueLimit) waiting.push(item);
      else return false;
      return true;
    },
    get size() {
      return running + waiting.length;
    },
    async idle() {
      if (running + waiting.length > 0) await new Promise<void>((resolve) => idleCallbacks.push(resolve));
    },
    discardWaiting() {
      waiting.length = 0;
      notifyWhenIdle();
    },
  };
}
