import { expect, test } from 'vitest';
import { shorterLists } from './random.ts';
import { type Fault, type Row, runTarget } from './run.ts';
import type { Servers } from './servers.ts';
import type { Trial, Verdict } from './target.ts';

/** Runs a target of lists of numbers below 100. */
async function run(judge: Trial<number[]>['judge'], { seed = 1, from = 0, inputs = 300 } = {}): Promise<{ row: Row; faults: Fault[] }> {
  const faults: Fault[] = [];
  const trial: Trial<number[]> = {
    make: (random) => random.list(9, () => random.below(100)),
    judge,
    smaller: shorterLists,
    shown: (input) => JSON.stringify(input),
  };
  const target = { name: 'lists', inputs, seconds: 60, open: () => trial };
  const row = await runTarget(target, { seed, from, inputs, seconds: 600, servers: {} as Servers, onFault: (fault) => faults.push(fault) });
  return { row, faults };
}

const judged = (input: readonly number[]): Verdict => (input.length % 2 === 0 ? 'accepted' : 'refused');

test('what is judged is counted by its verdict', async () => {
  const { row, faults } = await run(judged);
  expect(faults).toEqual([]);
  expect(row.accepted + row.refused).toBe(300);
  expect(Math.min(row.accepted, row.refused)).toBeGreaterThan(0);
});

test('an input that fails is made as small as it still fails, and its number gives it again', async () => {
  const failing = (input: readonly number[]): Verdict => {
    if (input.some((one) => one > 97)) throw new Error('too large');
    return judged(input);
  };
  const { faults } = await run(failing);
  expect(faults.length).toBeGreaterThan(0);
  for (const { input } of faults) expect(input).toMatch(/^\[9[89]\]$/);
  const [{ index, input }] = faults as [Fault];
  expect((await run(failing, { from: index, inputs: 1 })).faults).toEqual([expect.objectContaining({ index, input })]);
});

test('a seed gives the same inputs again, and another seed others', async () => {
  const inputsOf = async (seed: number): Promise<string> => {
    const seen: number[][] = [];
    await run(
      (input) => {
        seen.push(input);
        return 'accepted';
      },
      { seed, inputs: 20 },
    );
    return JSON.stringify(seen);
  };
  expect(await inputsOf(1)).toBe(await inputsOf(1));
  expect(await inputsOf(1)).not.toBe(await inputsOf(2));
});

test('an input that keeps everything else waiting is a fault', async () => {
  const { faults } = await run((input) => {
    // 80 ms of the processor, however busy the machine is.
    const begun = process.threadCpuUsage();
    while (input[0] === 7 && process.threadCpuUsage(begun).user < 80_000);
    return 'accepted';
  });
  expect(faults.length).toBeGreaterThan(0);
  for (const { message, input } of faults)
    expect([message, input]).toEqual([
      expect.stringMatching(/^keeps everything else waiting for \d+ ms$/),
      expect.stringMatching(/^\[7\b/),
    ]);
});

test('memory that grows with the inputs is a fault', async () => {
  const kept: number[][] = [];
  const { faults } = await run(
    () => {
      kept.push(new Array(4_096).fill(0.5));
      return 'accepted';
    },
    { inputs: 2_000 },
  );
  expect(faults).toEqual([expect.objectContaining({ message: expect.stringMatching(/^memory grows: /) })]);
  expect(kept.length).toBeGreaterThanOrEqual(2_000);
});
