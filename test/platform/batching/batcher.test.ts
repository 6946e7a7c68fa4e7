import { describe, expect, test } from 'vitest';
import { createBatcher } from '../../../services/platform/batching/batcher.ts';
import { TransientError } from '../../../services/platform/errors.ts';

/** Doubles numbers; what it was given, batch by batch. -1 is to blame for an error, -2 is a database that is away, -3 is to be tried again alone, a batch of more than two with -4 is too large. */
function doubling(most: number, waitMs?: number) {
  const batches: number[][] = [];
  const run = async (items: readonly number[]) => {
    batches.push([...items]);
    await new Promise((resolve) => setImmediate(resolve));
    if (items.includes(-2)) throw new TransientError('database.unavailable', 'away');
    if (items.includes(-3)) throw new TransientError('bars.mixed', 'try it again');
    if (items.includes(-4) && items.length > 2) throw new TransientError('database.packet_lost', 'too large, perhaps');
    if (items.includes(-1)) throw new Error('-1 is to blame');
    return items.map((item) => item * 2);
  };
  const batcher = createBatcher({ most, run, ...(waitMs !== undefined && { waitMs }) });
  return { batcher, batches };
}

test('items that arrive together are one batch, and each gets its own result', async () => {
  const { batcher, batches } = doubling(10);
  expect(await Promise.all([1, 2, 3].map(batcher.add))).toEqual([2, 4, 6]);
  expect(batches).toEqual([[1, 2, 3]]);
});

test('no batch is larger than the limit', async () => {
  const { batcher, batches } = doubling(2);
  await Promise.all([1, 2, 3, 4, 5].map(batcher.add));
  expect(batches).toEqual([[1, 2], [3, 4], [5]]);
});

test('the items of several sources go by turns', async () => {
  const batches: number[][] = [];
  const run = async (items: readonly number[]) => {
    batches.push([...items]);
    return items;
  };
  const batcher = createBatcher({ most: 3, sourceOf: (item: number) => (item < 10 ? 'one' : 'ten'), run });
  await Promise.all([1, 2, 3, 4, 10, 20].map(batcher.add));
  expect(batches).toEqual([
    [1, 10, 2],
    [20, 3, 4],
  ]);
});

test('what arrives while a batch is under way goes with the next one', async () => {
  const { batcher, batches } = doubling(10);
  const first = batcher.add(1).then(() => batcher.add(4));
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([batcher.add(2), batcher.add(3), first]);
  expect(batches[0]).toEqual([1]);
  expect(batches[1]).toEqual(expect.arrayContaining([2, 3]));
});

describe('an error', () => {
  test('is tried in halves, one after the other: no batch begins before both have ended, and idle waits for them', async () => {
    const batches: number[][] = [];
    let open = 0;
    let atOnce = 0;
    const run = async (items: readonly number[]) => {
      batches.push([...items]);
      atOnce = Math.max(atOnce, ++open);
      await new Promise((resolve) => setImmediate(resolve));
      open--;
      if (items.includes(-1)) throw new Error('-1 is to blame');
      return items;
    };
    const batcher = createBatcher({ most: 4, run });
    const results = Promise.allSettled([1, -1, 3, 4, 5, 6].map(batcher.add));
    await batcher.idle();
    expect({ size: batcher.size, open, atOnce }).toEqual({ size: 0, open: 0, atOnce: 1 });
    expect(batches).toEqual([[1, -1, 3, 4], [1, -1], [1], [-1], [3, 4], [5, 6]]);
    expect((await results).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ]);
  });

  test('rejects only the item that is to blame', async () => {
    const { batcher } = doubling(10);
    const results = await Promise.allSettled([1, 2, -1, 4, 5].map(batcher.add));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  });

  test("that is nobody's fault rejects the batch at once", async () => {
    const { batcher, batches } = doubling(10);
    const results = await Promise.allSettled([1, -2, 3].map(batcher.add));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(batches).toHaveLength(1);
  });

  test('of a batch that may be too large for the database is no error of smaller ones', async () => {
    const { batcher, batches } = doubling(10);
    expect(await Promise.all([1, 2, -4, 4].map(batcher.add))).toEqual([2, 4, -8, 8]);
    expect(batches.map(({ length }) => length)).toEqual([4, 2, 2]);
  });

  test('does not stop what comes after it', async () => {
    const { batcher } = doubling(10);
    await expect(batcher.add(-1)).rejects.toThrow('to blame');
    expect(await batcher.add(7)).toBe(14);
    await batcher.idle();
    expect(batcher.size).toBe(0);
  });
});

describe('with a wait for more items', () => {
  /** Longer than any test: a batch that waits for its end makes the test fail. */
  const FOR_EVER = 3_600_000;

  test('items of several turns of the event loop are one batch', async () => {
    const { batcher, batches } = doubling(10, 20);
    const first = batcher.add(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await Promise.all([first, batcher.add(2)])).toEqual([2, 4]);
    expect(batches).toEqual([[1, 2]]);
  });

  test('a batch that is full begins at once', async () => {
    const { batcher, batches } = doubling(2, FOR_EVER);
    const first = batcher.add(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await Promise.all([first, batcher.add(2)])).toEqual([2, 4]);
    expect(batches).toEqual([[1, 2]]);
  });

  test('when no more are expected, all that waits is handled at once', async () => {
    const { batcher, batches } = doubling(2, FOR_EVER);
    const results = Promise.all([1, 2, 3].map(batcher.add));
    await batcher.idle();
    expect(batches).toEqual([[1, 2], [3]]);
    expect(batcher.size).toBe(0);
    expect(await results).toEqual([2, 4, 6]);
  });
});

test('a transient error of one item rejects that item alone', async () => {
  const { batcher } = doubling(10);
  const results = await Promise.allSettled([1, -3, 2].map(batcher.add));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});
