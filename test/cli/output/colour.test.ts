/** Colours carry a meaning: a test of each, on an output that has colours. */
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { paint, paintFreshness, paintSignal, paintState } from '../../../services/cli/output/colour.ts';
import { table } from '../../../services/cli/output/table.ts';

beforeEach(() => {
  vi.stubEnv('FORCE_COLOR', '1');
  vi.stubEnv('NO_COLOR', undefined);
  onTestFinished(() => void vi.unstubAllEnvs());
});

/** ECMA-48, select graphic rendition: 31 red, 32 green, 33 yellow, 35 magenta, 36 cyan; 2 is faint. */
const code = (painted: string): string => /^\x1b\[(\d+)m/.exec(painted)?.[1] ?? 'plain';

test.each([
  ['scheduled', '2'],
  ['blocked', '2'],
  ['ready', 'plain'],
  ['running', '36'],
  ['completed', '32'],
  ['completed_with_errors', '33'],
  ['failed', '31'],
  ['cancelled', '2'],
  ['expired', '33'],
] as const)('a job that is %s', (state, style) => {
  expect(code(paintState('text', state))).toBe(style);
  expect(paintState('text', state)).toContain('text');
});

test.each([
  ['fresh', '32'],
  ['outdated', '35'],
  ['stale', '33'],
  ['missing', '31'],
] as const)('a price that is %s', (state, style) => {
  expect(code(paintFreshness('text', state))).toBe(style);
});

test.each([
  ['buy', '32'],
  ['sell', '31'],
  ['hold', '2'],
  [null, 'plain'],
  ['other', 'plain'],
])('a signal %s', (signal, style) => {
  expect(code(paintSignal('text', signal))).toBe(style);
});

test('an output without colours has none', () => {
  vi.stubEnv('FORCE_COLOR', undefined);
  vi.stubEnv('NO_COLOR', '1');
  expect(paint('red', 'text')).toBe('text');
});

test('a cell is painted without its padding, a missing one is faint, a title is bold', () => {
  const text = table(
    [{ value: 'ab' }, { value: null }],
    [
      { title: 'LEFT', value: ({ value }) => value, paint: (cell) => paint('red', cell) },
      { title: 'RIGHT', value: ({ value }) => value, align: 'right', paint: (cell) => paint('red', cell) },
    ],
    80,
  );
  expect(text.split('\n')).toEqual([
    '\x1b[1mLEFT\x1b[22m  \x1b[1mRIGHT\x1b[22m',
    '\x1b[31mab\x1b[39m       \x1b[31mab\x1b[39m',
    '\x1b[2m–\x1b[22m         \x1b[2m–\x1b[22m',
    '',
  ]);
});
