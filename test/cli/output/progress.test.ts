/** What a terminal shows while jobs run. */
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { FollowedJob } from '../../../services/cli/output/follow.ts';
import { describe as described, FRAMES, showProgress } from '../../../services/cli/output/progress.ts';

beforeEach(() => {
  vi.stubEnv('TERM', 'xterm');
  onTestFinished(() => void vi.unstubAllEnvs());
});

/** A terminal of 80 columns, and all that was written to it. */
function terminal(rows: number) {
  const written: string[] = [];
  const stream = new PassThrough().on('data', (chunk) => written.push(String(chunk)));
  const out = Object.assign(stream, { isTTY: true, rows, columns: 80 }) as unknown as NodeJS.WriteStream;
  const progress = showProgress({ out });
  onTestFinished(() => progress.end());
  return { progress, written };
}

const job = (id: string, state: FollowedJob['state']): FollowedJob => ({
  ...{ id, type: 'fetch', symbol: id, state, attempt: 1, worker: null, reason: null, items: null },
  endedAt: state === 'completed' ? performance.now() : null,
});

test('the block fits the terminal, with two lines free below: running jobs first, then waiting ones, ended ones last', () => {
  const { progress, written } = terminal(10);
  for (const id of ['E1', 'E2']) progress.onChange(job(id, 'completed'));
  for (const id of ['W1', 'W2', 'W3', 'W4']) progress.onChange(job(id, 'ready'));
  for (const id of ['R1', 'R2']) progress.onChange(job(id, 'running'));
  progress.onNote('a note');
  const lines = stripVTControlCharacters(written.at(-1)!).trimEnd().split('\n');
  expect(lines.slice(0, -1).map((line) => /[A-Z]\d/.exec(line)?.[0])).toEqual(['R1', 'R2', 'W1', 'W2', 'W3', 'W4', 'E1']);
  expect(lines.at(-1)).toBe('2 of 8 done');
});

test('a note stands above the block, which is removed before and at the end', () => {
  const { progress, written } = terminal(10);
  progress.onChange(job('AAPL', 'running'));
  progress.onNote('first');
  const before = written.length;
  progress.onNote('second');
  // Two lines: the job and the totals.
  expect(written[before]).toBe('\x1b[2F\x1b[Jsecond\n');
  progress.end();
  expect(written.at(-1)).toBe('\x1b[2F\x1b[J');
});

test('the block has a mark, the name, the time to the right, and what the job does, cut to the terminal', () => {
  const { progress, written } = terminal(10);
  progress.onChange({ ...job('AAPL', 'completed'), endedAt: performance.now() });
  progress.onChange({ ...job('LONGNAME', 'running'), worker: 'worker-1', attempt: 2, items: { done: 1, total: 3 } });
  progress.onChange({ ...job('BAD', 'failed'), endedAt: performance.now(), reason: 'r'.repeat(200) });
  progress.onChange({ ...job('X', 'ready'), symbol: null, type: 'batch_fetch' });
  progress.onNote('a note');
  const lines = stripVTControlCharacters(written.at(-1)!).trimEnd().split('\n');
  const [running, waiting, done, failed] = lines;
  expect(running).toMatch(new RegExp(`^[${FRAMES.join('')}] LONGNAME fetch   +\\d+ ms  running, on worker-1, attempt 2, 1 of 3$`));
  expect(waiting).toMatch(/^ {2}batch_fetch {6} +\d+ ms {2}ready$/);
  expect(done).toMatch(/^✓ AAPL fetch {5} +\d+ ms {2}completed$/);
  expect(failed).toMatch(/^✗ BAD fetch {6} +\d+ ms {2}failed: r+…$/);
  // One cell is kept free, so that the terminal does not begin a new line.
  expect(failed).toHaveLength(79);
  expect(new Set(lines.slice(0, 4).map((line) => line.indexOf(' ms')))).toEqual(new Set([22]));
});

test('a job keeps the time since it was first seen, and stops it when it ends', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(10_000);
  onTestFinished(() => now.mockRestore());
  const { progress, written } = terminal(10);
  progress.onChange(job('AAPL', 'ready'));
  now.mockReturnValue(13_400);
  progress.onChange({ ...job('AAPL', 'running') });
  progress.onNote('a note');
  expect(stripVTControlCharacters(written.at(-1)!)).toContain('AAPL fetch    3.4 s  running');
  progress.onChange({ ...job('AAPL', 'completed'), endedAt: 13_400 });
  now.mockReturnValue(99_000);
  progress.onNote('a note');
  expect(stripVTControlCharacters(written.at(-1)!)).toContain('AAPL fetch    3.4 s  completed');
});

test('while there are no jobs the reason for waiting is shown, from a second on with its time', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(10_000);
  onTestFinished(() => now.mockRestore());
  const { progress, written } = terminal(10);
  progress.waiting('connecting');
  expect(stripVTControlCharacters(written.at(-1)!)).toBe(`${FRAMES[5]} connecting\n`);
  now.mockReturnValue(11_000);
  progress.onNote('a note');
  expect(stripVTControlCharacters(written.at(-1)!)).toMatch(/ connecting 1\.0 s\n$/);
});

test('a terminal that does not name its height has 24 rows, and one line of jobs is always shown', () => {
  const shown = (rows: number) => {
    const { progress, written } = terminal(rows);
    for (let index = 0; index < 30; index++) progress.onChange(job(`S${index}`, 'running'));
    progress.onNote('a note');
    progress.end();
    return stripVTControlCharacters(written.at(-2)!).trimEnd().split('\n').length - 1;
  };
  expect([shown(0), shown(2)]).toEqual([21, 1]);
});

describe('without a terminal', () => {
  function lines({ quiet = false, isTTY = false } = {}) {
    const written: string[] = [];
    const stream = new PassThrough().on('data', (chunk) => written.push(String(chunk)));
    const out = Object.assign(stream, { isTTY, columns: 80, rows: 24 }) as unknown as NodeJS.WriteStream;
    return { progress: showProgress({ out, quiet }), written };
  }

  test('each change is a line, but waiting is none', () => {
    const { progress, written } = lines();
    for (const state of ['ready', 'blocked', 'scheduled', 'running', 'completed'] as const) progress.onChange(job('AAPL', state));
    progress.onNote('the broker\nis away');
    expect(written).toEqual(['AAPL fetch scheduled\n', 'AAPL fetch running\n', 'AAPL fetch completed\n', 'the broker is away\n']);
  });

  test('a wait is a line once it has lasted a second, and only the last one', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { progress, written } = lines();
    progress.waiting('first');
    vi.advanceTimersByTime(600);
    progress.waiting('second');
    vi.advanceTimersByTime(399);
    expect(written).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(written).toEqual(['second\n']);
    progress.waiting('third');
    progress.onNote('over');
    vi.advanceTimersByTime(10_000);
    progress.waiting('fourth');
    progress.end();
    vi.advanceTimersByTime(10_000);
    expect(written).toEqual(['second\n', 'over\n']);
  });

  test('a quiet one writes nothing', () => {
    const { progress, written } = lines({ quiet: true });
    progress.onChange(job('AAPL', 'completed'));
    progress.onNote('a note');
    expect(written).toEqual([]);
  });

  test('a dumb terminal is none', () => {
    vi.stubEnv('TERM', 'dumb');
    const { progress, written } = lines({ isTTY: true });
    progress.onChange(job('AAPL', 'completed'));
    expect(written).toEqual(['AAPL fetch completed\n']);
  });
});

test.each([
  [{}, 'ready'],
  [{ state: 'completed_with_errors' }, 'completed with errors'],
  [{ state: 'running', worker: 'w' }, 'running, on w'],
  [{ state: 'completed', worker: 'w' }, 'completed'],
  [{ attempt: 1 }, 'ready'],
  [{ attempt: 2 }, 'ready, attempt 2'],
  [{ items: { done: 2, total: 5 } }, 'ready, 2 of 5'],
  [{ reason: 'a\nb' }, 'ready: a b'],
] as const)('a job with %j is described as "%s"', (changes, text) => {
  expect(described({ ...job('AAPL', 'ready'), ...changes })).toBe(text);
});
