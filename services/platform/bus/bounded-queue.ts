/** A bounded queue before a function that runs a bounded number of times at once. */
export interface Admission<T> {
  /** Takes the item, or says false when the queue is full. */
  admit(item: T): boolean;
  /** Items that wait or run. */
  readonly size: number;
  /** Resolves as soon as nothing waits or runs. */
  idle(): Promise<void>;
  /** Forgets what waits; what runs goes on. */
  discardWaiting(): void;
}

/** `run` must not reject: what can go wrong with an item is its own business. */
export function createAdmission<T>(limits: { concurrency: number; queueLimit: number }, run: (item: T) => Promise<void>): Admission<T> {
  const waiting: T[] = [];
  const idlers: (() => void)[] = [];
  let running = 0;

  async function start(item: T): Promise<void> {
    running++;
    await run(item);
    running--;
    const next = waiting.shift();
    if (next !== undefined) void start(next);
    else tellIdlers();
  }

  function tellIdlers(): void {
    if (running + waiting.length === 0) for (const tell of idlers.splice(0)) tell();
  }

  return {
    admit(item) {
      if (running < limits.concurrency) void start(item);
      else if (waiting.length < limits.queueLimit) waiting.push(item);
      else return false;
      return true;
    },
    get size() {
      return running + waiting.length;
    },
    async idle() {
      if (running + waiting.length > 0) await new Promise<void>((resolve) => idlers.push(resolve));
    },
    discardWaiting() {
      waiting.length = 0;
      tellIdlers();
    },
  };
}
