import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { coalesced } from '../../../../services/market/options/sources/coalesce.ts';

const never = new AbortController().signal;

/** Work that ends when it is told, and what it was asked for. */
function slowWork() {
  const runs: { key: string; signal: AbortSignal; end: PromiseWithResolvers<string> }[] = [];
  const ask = coalesced((key: string, signal) => {
    const end = Promise.withResolvers<string>();
    runs.push({ key, signal, end });
    return end.promise;
  });
  return { runs, ask };
}

test('those who ask for one key at the same time get one answer, another key runs on its own', async () => {
  const { runs, ask } = slowWork();
  const answers = [ask('A', never), ask('A', never), ask('B', never)];
  expect(runs.map(({ key }) => key)).toEqual(['A', 'B']);
  runs[0]?.end.resolve('a');
  runs[1]?.end.resolve('b');
  expect(await Promise.all(answers)).toEqual(['a', 'a', 'b']);
});

test('an answer and an error are not remembered', async () => {
  const { runs, ask } = slowWork();
  const first = ask('A', never);
  runs[0]?.end.reject(new Error('once'));
  await expect(first).rejects.toThrow('once');
  const second = ask('A', never);
  runs[1]?.end.resolve('a');
  expect(await second).toBe('a');
});

test("one caller's abort ends that one's wait alone, the last one's the work", async () => {
  const { runs, ask } = slowWork();
  const [one, two] = [new AbortController(), new AbortController()];
  const first = ask('A', one.signal);
  const second = ask('A', two.signal);
  one.abort(new Error('first gave up'));
  await expect(first).rejects.toThrow('first gave up');
  expect(runs[0]?.signal.aborted).toBe(false);
  two.abort(new Error('second gave up'));
  await expect(second).rejects.toThrow('second gave up');
  expect(runs[0]?.signal.aborted).toBe(true);
});

test('work that is being aborted is nobody else’s: who asks next gets work of their own', async () => {
  const { runs, ask } = slowWork();
  const gone = new AbortController();
  const first = ask('A', gone.signal);
  gone.abort(new Error('gave up'));
  await expect(first).rejects.toThrow('gave up');
  const second = ask('A', never);
  expect(runs).toHaveLength(2);
  runs[1]?.end.resolve('a');
  expect(await second).toBe('a');
});

test('who has gone before asking starts nothing', async () => {
  const { runs, ask } = slowWork();
  const gone = new AbortController();
  gone.abort(new Error('gone'));
  await expect(ask('A', gone.signal)).rejects.toThrow('gone');
  expect(runs).toEqual([]);
});

test('who asks while an answer is on its way shares it, also after another has gone; who asks after it gets a new one', async () => {
  const { runs, ask } = slowWork();
  const one = new AbortController();
  const first = ask('A', one.signal);
  const second = ask('A', never);
  one.abort(new Error('gone'));
  await expect(first).rejects.toThrow('gone');
  const third = ask('A', never);
  expect(runs).toHaveLength(1);
  runs[0]?.end.resolve('a');
  expect(await Promise.all([second, third])).toEqual(['a', 'a']);
  const fourth = ask('A', never);
  expect(runs).toHaveLength(2);
  runs[1]?.end.resolve('b');
  expect(await fourth).toBe('b');
});

test('nothing of an answered question stays with the signal of who asked', async () => {
  const { runs, ask } = slowWork();
  const { signal } = new AbortController();
  const answer = ask('A', signal);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  runs[0]?.end.resolve('a');
  await answer;
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});
