import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createBoundedQueue } from '../../../services/platform/bus/bounded-queue.ts';

/** A queue whose items end when the test ends them. */
function held(concurrency: number, queueLimit: number) {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const queue = createBoundedQueue<string>({ concurrency, queueLimit }, (item) => {
    started.push(item);
    return new Promise((resolve) => ends.set(item, resolve));
  });
  const end = async (item: string): Promise<void> => {
    ends.get(item)?.();
    await turn();
  };
  return { queue, started, end };
}

test('so many run at once, so many wait, and the next is refused', () => {
  const { queue, started } = held(2, 3);
  expect(['a', 'b', 'c', 'd', 'e', 'f'].map((item) => queue.offer(item))).toEqual([true, true, true, true, true, false]);
  expect([started, queue.size]).toEqual([['a', 'b'], 5]);
});

test('those that wait begin in the order in which they came, one for each that ends', async () => {
  const { queue, started, end } = held(1, 9);
  for (const item of ['a', 'b', 'c']) queue.offer(item);
  await end('a');
  expect([started, queue.size]).toEqual([['a', 'b'], 2]);
  await end('b');
  expect(started).toEqual(['a', 'b', 'c']);
  expect(queue.offer('d')).toBe(true);
});

test('idle resolves when the last one has ended, and not before', async () => {
  const { queue, end } = held(1, 9);
  await queue.idle();
  queue.offer('a');
  queue.offer('b');
  let isIdle = false;
  void queue.idle().then(() => {
    isIdle = true;
  });
  await end('a');
  expect(isIdle).toBe(false);
  await end('b');
  expect(isIdle).toBe(true);
});

test('what waits can be forgotten: the running one ends, the others never begin', async () => {
  const { queue, started, end } = held(1, 9);
  for (const item of ['a', 'b', 'c']) queue.offer(item);
  const idle = queue.idle();
  queue.discardWaiting();
  expect(queue.size).toBe(1);
  await end('a');
  await idle;
  expect(started).toEqual(['a']);
});

test('urgent ones go first, in their order, and have as much room again', async () => {
  const { queue, started, end } = held(1, 2);
  for (const item of ['a', 'b', 'c']) queue.offer(item);
  expect(['d', 'e', 'f'].map((item) => queue.offer(item, true))).toEqual([true, true, false]);
  expect(queue.size).toBe(5);
  for (const item of ['a', 'd', 'e', 'b']) await end(item);
  expect(started).toEqual(['a', 'd', 'e', 'b', 'c']);
});

test('urgent ones that wait can be forgotten too, and are waited for', async () => {
  const { queue, started, end } = held(1, 2);
  queue.offer('a');
  queue.offer('b', true);
  let isIdle = false;
  void queue.idle().then(() => {
    isIdle = true;
  });
  await end('a');
  expect([started, isIdle]).toEqual([['a', 'b'], false]);
  queue.offer('c', true);
  queue.discardWaiting();
  await end('b');
  expect([started, isIdle, queue.size]).toEqual([['a', 'b'], true, 0]);
});
