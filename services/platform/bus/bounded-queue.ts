/** A bounded queue before a function that runs a bounded number of times at once. */
export interface BoundedQueue<T> {
  /** Takes the item; false when the queue is full. An item with `first` waits only behind others of its kind, which have as much room again. */
  offer(item: T, first?: boolean): boolean;
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
  const urgent: T[] = [];
  const waiting: T[] = [];
  const idleCallbacks: (() => void)[] = [];
  let running = 0;

  async function start(item: T): Promise<void> {
    running++;
    await run(item);
    running--;
    const next = urgent.shift() ?? waiting.shift();
    if (next !== undefined) void start(next);
    else notifyWhenIdle();
  }

  function notifyWhenIdle(): void {
    if (running + urgent.length + waiting.length === 0) for (const callback of idleCallbacks.splice(0)) callback();
  }

  return {
    offer(item, first = false) {
      const line = first ? urgent : waiting;
      if (running < limits.concurrency) void start(item);
      else if (line.length < limits.queueLimit) line.push(item);
      else return false;
      return true;
    },
    get size() {
      return running + urgent.length + waiting.length;
    },
    async idle() {
      if (running + urgent.length + waiting.length > 0) await new Promise<void>((resolve) => idleCallbacks.push(resolve));
    },
    discardWaiting() {
      urgent.length = 0;
      waiting.length = 0;
      notifyWhenIdle();
    },
  };
}
