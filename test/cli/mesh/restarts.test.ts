import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { createRestarts } from '../../../services/cli/mesh/restarts.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
});

/** The pauses after lives of so many seconds. */
function pauses(...lives: number[]): number[] {
  const restarts = createRestarts();
  return lives.map((seconds) => {
    restarts.born();
    vi.advanceTimersByTime(seconds * 1000);
    return restarts.pause();
  });
}

test('each death in a row is followed by a longer pause, the longest repeats', () => {
  expect(pauses(0, 1, 0, 0, 0, 0)).toEqual([200, 1_000, 5_000, 15_000, 15_000, 15_000]);
});

test('a part that ran for more than a minute begins anew, one that ran for a minute does not', () => {
  expect(pauses(0, 0, 60.001, 0, 60)).toEqual([200, 1_000, 200, 1_000, 5_000]);
});
