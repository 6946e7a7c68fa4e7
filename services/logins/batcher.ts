/** Handles items in batches: while one batch is under way the next one collects, so a batch grows with the load, and a single item does not wait. */
import { TransientError } from '../platform/errors.ts';

export interface Batcher<Item, Result> {
  /**
   * Resolves with the item's own result. When a batch fails, its halves are tried separately, down to the item that causes the failure: only that one rejects. A
   * `TransientError` is not caused by an item, and rejects the whole batch.
   */
  add(item: Item): Promise<Result>;
  /** Items that wait or are under way. */
  readonly size: number;
  /** Resolves as soon as there are none. */
  idle(): Promise<void>;
}

interface Entry<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** `run` gives the results in the order of its items, at most `most` of them. One batch at a time: two at once were no faster, since both want the same jobs. */
export function createBatcher<Item, Result>(
  most: number,
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): Batcher<Item, Result> {
  let waiting: Entry<Item, Result>[] = [];
  let size = 0;
  let loop: Promise<void> | undefined;

  async function work(): Promise<void> {
    while (waiting.length > 0) {
      // Items of the same turn of the event loop are one batch.
      await new Promise((resolve) => setImmediate(resolve));
      const batch = waiting.slice(0, most);
      waiting = waiting.slice(most);
      await handle(batch);
      size -= batch.length;
    }
    loop = undefined;
  }

  async function handle(batch: readonly Entry<Item, Result>[]): Promise<void> {
    try {
      const results = await run(batch.map(({ item }) => item));
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
    } catch (error) {
      if (batch.length === 1 || error instanceof TransientError) {
        for (const { reject } of batch) reject(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await handle(batch.slice(0, half));
      await handle(batch.slice(half));
    }
  }

  return {
    add(item) {
      size++;
      return new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        loop ??= work();
      });
    },
    get size() {
      return size;
    },
    async idle() {
      await loop;
    },
  };
}
