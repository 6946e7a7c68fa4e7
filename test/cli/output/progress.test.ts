/** What a terminal shows while jobs run. */
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { FollowedJob } from '../../../services/cli/output/follow.ts';
import { showProgress } from '../../../services/cli/output/progress.ts';

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
