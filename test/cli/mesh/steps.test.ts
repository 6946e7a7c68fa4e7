/** The steps of a start, on a terminal and without one. */
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createSteps } from '../../../services/cli/mesh/steps.ts';

beforeEach(() => {
  vi.stubEnv('TERM', 'xterm');
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval', 'setTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });
});

function output(isTTY: boolean) {
  const written: string[] = [];
  // Without colours, which are not what these tests are about.
  const stream = new PassThrough().on('data', (chunk) => written.push(String(chunk).replaceAll(/\x1b\[\d+m/g, '')));
  return { steps: createSteps(Object.assign(stream, { isTTY, columns: 80 }) as unknown as NodeJS.WriteStream), written };
}
const lasting =
  <T>(ms: number, result: T) =>
  async () => {
    vi.advanceTimersByTime(ms);
    return result;
  };

describe('without a terminal', () => {
  test('a step is a line when it has ended, with its time and what it did', async () => {
    const { steps, written } = output(false);
    expect(await steps.run('database', lasting(1_240, 'applied 3'))).toBe('applied 3');
    expect(await steps.run('broker', lasting(0, { port: 1 }))).toEqual({ port: 1 });
    steps.note('a note');
    expect(written).toEqual(['ok database           1.2 s  applied 3\n', 'ok broker             0.0 s\n', 'a note\n']);
  });

  test('one that fails says so and gives its error', async () => {
    const { steps, written } = output(false);
    const failing = steps.run('services', async () => {
      throw new Error('no port');
    });
    await expect(failing).rejects.toThrow('no port');
    expect(written).toEqual(['failed services           0.0 s\n']);
  });
});

describe('on a terminal', () => {
  test('the running step is drawn with its time, and replaced by its end', async () => {
    const { steps, written } = output(true);
    await steps.run('database', async () => {
      expect(written).toEqual([expect.stringMatching(/^\r\x1b\[K.* database 0\.0 s$/)]);
      vi.advanceTimersByTime(2_000);
      expect(written.at(-1)).toMatch(/ database 2\.0 s$/);
      steps.note('waiting');
      // The note takes the line of the step, which is drawn again below it.
      expect(written.slice(-3)).toEqual(['\r\x1b[K', 'waiting\n', expect.stringMatching(/ database 2\.0 s$/)]);
    });
    expect(written.slice(-2)).toEqual(['\r\x1b[K', '✓ database           2.0 s\n']);
    const before = written.length;
    vi.advanceTimersByTime(5_000);
    steps.note('over');
    expect(written.slice(before).map(stripVTControlCharacters)).toEqual(['\r', 'over\n']);
  });

  test('one that fails has a cross, and is drawn no more', async () => {
    const { steps, written } = output(true);
    const failing = steps.run('broker', async () => {
      throw new Error('no port');
    });
    await expect(failing).rejects.toThrow('no port');
    expect(written.at(-1)).toBe('✗ broker             0.0 s\n');
    const before = written.length;
    vi.advanceTimersByTime(5_000);
    expect(written).toHaveLength(before);
  });

  test('a dumb one is none', async () => {
    vi.stubEnv('TERM', 'dumb');
    const { steps, written } = output(true);
    await steps.run('database', lasting(100, undefined));
    expect(written).toEqual(['ok database           0.1 s\n']);
  });
});
