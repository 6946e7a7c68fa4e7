import { afterEach, expect, test, vi } from 'vitest';
import type { Sql } from '../../../services/platform/database/database.ts';
import { createReadiness } from '../../../services/platform/database/suitable.ts';

afterEach(() => vi.restoreAllMocks());

/** A database whose probes end when the test says so. */
function setUp() {
  let monotonic = 1_000;
  vi.spyOn(performance, 'now').mockImplementation(() => monotonic);
  const probes: PromiseWithResolvers<number>[] = [];
  const run = () => {
    const probe = Promise.withResolvers<number>();
    probes.push(probe);
    return probe.promise;
  };
  return {
    probes,
    takesWrites: createReadiness({ run } as unknown as Sql),
    pass(ms: number) {
      monotonic += ms;
    },
  };
}

test('many questions at once, and a moment later, are one write', async () => {
  const { probes, takesWrites, pass } = setUp();
  const answers = Array.from({ length: 50 }, () => takesWrites());
  pass(1_000);
  answers.push(takesWrites());
  probes[0]?.resolve(1);
  expect(new Set(await Promise.all(answers))).toEqual(new Set([true]));
  pass(200);
  expect(await takesWrites()).toBe(true);
  expect(probes).toHaveLength(1);
});

test('an answer is not remembered for longer than a second', async () => {
  const { probes, takesWrites, pass } = setUp();
  const before = takesWrites();
  probes[0]?.resolve(1);
  await before;
  pass(1_000);
  const after = takesWrites();
  probes[1]?.reject(new Error('it is read-only'));
  expect([await before, await after]).toEqual([true, false]);
});
