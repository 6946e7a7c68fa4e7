/** Handles items in batches: while one batch is under way the next one collects, so a batch grows with the load. */
import { setImmediate } from 'node:timers/promises';
import { createTurns } from './bus/turns.ts';
import { codeOf, isDatabaseAway } from './errors.ts';

export interface Batcher<Item, Result> {
  /**
   * Resolves with the item's own result. When a batch fails, its halves are tried separately, down to the item that causes the failure: only that one rejects. A
   * database that is away is not the fault of an item, and rejects the whole batch; unless the batch may have been too large for it (`database.packet_lost`).
   */
  add(item: Item): Promise<Result>;
  /** Items that wait or are under way. */
  readonly size: number;
  /** Begins what waits at once, or as soon as the batch under way has ended. */
  flush(): void;
  /** Begins what waits at once, and resolves as soon as nothing waits or is under way. */
  idle(): Promise<void>;
}

export interface BatcherOptions<Item, Result> {
  /** Most items of one batch. */
  most: number;
  /** As `most`, of the first batch after a rest, whose results are wanted soon; as many as of any other by default. */
  first?: number;
  /** For how many an item counts, at most `most`; 1 by default. */
  weigh?: (item: Item) => number;
  /** Who an item comes from: the sources have their turns. By default all items are of one, and handled in order. */
  sourceOf?: (item: Item) => string;
  /** Milliseconds that a batch which is not full waits for more items. 0, the default: items of the same turn of the event loop are one batch. */
  waitMs?: number;
  /** Gives the results in the order of its items. */
  run: (items: readonly Item[]) => Promise<readonly Result[]>;
}

interface Entry<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** One batch at a time: two transactions at once were no faster, since both want the same jobs. */
export function createBatcher<Item, Result>({
  most,
  first = most,
  weigh = () => 1,
  sourceOf = () => '',
  waitMs = 0,
  run,
}: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const waiting = createTurns<Entry<Item, Result>>(({ item }) => sourceOf(item));
  /** What all that waits counts for. */
  let weight = 0;
  let size = 0;
  let loop: Promise<void> | undefined;
  /** Callers of `idle`: while there is one, no batch waits for more items. */
  let idling = 0;
  /** What waits now is not to wait for more items. */
  let flushing = false;
  /** Ends the wait for more items. */
  let begin = (): void => {};

  async function work(): Promise<void> {
    for (let limit = first; waiting.size > 0; limit = most) {
      await collect();
      const batch = takeBatch(limit);
      await handle(batch, run);
      size -= batch.length;
    }
    loop = undefined;
  }

  function takeBatch(limit: number): Entry<Item, Result>[] {
    const batch: Entry<Item, Result>[] = [];
    let taken = 0;
    for (let entry = waiting.next(); entry !== undefined; entry = waiting.next()) {
      const more = weigh(entry.item);
      if (taken + more > limit && batch.length > 0) break;
      taken += more;
      waiting.delete(entry);
      batch.push(entry);
    }
    weight -= taken;
    flushing &&= waiting.size > 0;
    return batch;
  }

  async function collect(): Promise<void> {
    if (weight >= most || idling > 0 || flushing) return;
    if (waitMs === 0) return setImmediate();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    begin = resolve;
    await promise;
    clearTimeout(timer);
  }

  return {
    add(item) {
      size++;
      return new Promise((resolve, reject) => {
        waiting.add({ item, resolve, reject });
        weight += weigh(item);
        if (weight >= most) begin();
        loop ??= work();
      });
    },
    get size() {
      return size;
    },
    flush() {
      flushing = waiting.size > 0;
      begin();
    },
    async idle() {
      idling++;
      begin();
      await loop;
      idling--;
    },
  };
}

async function handle<Item, Result>(batch: readonly Entry<Item, Result>[], run: BatcherOptions<Item, Result>['run']): Promise<void> {
  try {
    const results = await run(batch.map(({ item }) => item));
    for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
  } catch (error) {
    if (batch.length === 1 || (isDatabaseAway(error) && codeOf(error) !== 'database.packet_lost')) {
      for (const { reject } of batch) reject(error);
      return;
    }
    const half = Math.ceil(batch.length / 2);
    await handle(batch.slice(0, half), run);
    await handle(batch.slice(half), run);
  }
}
