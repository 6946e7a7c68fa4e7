/** The limits of what can be true. */
import { expect, test } from 'vitest';
import { actionFault, barFault, leftOutWarning, withoutSenseless } from '../../../services/market/bars/sense.ts';

const bar = { date: '2026-03-10', open: 10, high: 12, low: 9, close: 11, adjustedClose: 5.5, volume: 100 };

test.each([
  [{}, undefined],
  [{ high: 9, low: 9, open: 9, close: 9 }, undefined],
  [{ volume: 0 }, undefined],
  [{ open: 1e-12 }, undefined],
  [{ open: 0 }, 'open 0 is not a price'],
  [{ high: Number.NaN }, 'high NaN is not a price'],
  [{ low: -1 }, 'low -1 is not a price'],
  [{ close: Number.POSITIVE_INFINITY }, 'close Infinity is not a price'],
  [{ adjustedClose: 0 }, 'adjusted close 0 is not a price'],
  [{ high: 8.99 }, 'high 8.99 is below low 9'],
  [{ volume: -1 }, 'volume -1 is not a volume'],
  [{ volume: Number.NaN }, 'volume NaN is not a volume'],
])('a bar with %j: %s', (changes, fault) => {
  expect(barFault({ ...bar, ...changes })).toBe(fault);
});

test.each([
  ['dividend', 0.0001, undefined],
  ['dividend', 0, 'a dividend of 0 is none'],
  ['dividend', -1, 'a dividend of -1 is none'],
  ['dividend', Number.POSITIVE_INFINITY, 'a dividend of Infinity is none'],
  ['split', 4, undefined],
  ['split', 1000, undefined],
  ['split', 0.001, undefined],
  ['split', 1001, 'a split of 1001 is not between 1:1000 and 1000:1'],
  ['split', 0.0009, 'a split of 0.0009 is not between 1:1000 and 1000:1'],
  ['split', 1, 'a split of 1 changes nothing'],
  ['split', 0, 'a split of 0 is none'],
  ['split', Number.NaN, 'a split of NaN is none'],
] as const)('a %s of %d: %s', (kind, value, fault) => {
  expect(actionFault({ kind, value })).toBe(fault);
});

test('what was left out is sorted by day, with what the source had left out before', () => {
  const known = [{ date: '2026-03-11', kind: 'split' as const, reason: 'a split of 4:1 has no date' }];
  const bars = [bar, { ...bar, date: '2026-03-12', close: 0 }, { ...bar, date: '2026-03-09', open: 0 }];
  const { bars: kept, leftOut } = withoutSenseless({ bars, actions: [{ date: '2026-03-10', kind: 'dividend', value: 0 }] }, known);
  expect(kept).toEqual([bar]);
  expect(leftOut?.map(({ date, kind }) => `${date} ${kind}`)).toEqual([
    '2026-03-09 bar',
    '2026-03-10 dividend',
    '2026-03-11 split',
    '2026-03-12 bar',
  ]);
  expect(withoutSenseless({ bars: [bar], actions: [] })).toEqual({ bars: [bar], actions: [] });
});

test('a dividend and a split of one day stay two rows, and the rows of the source stay as they are', () => {
  const actions = [
    { date: '2026-03-10', kind: 'dividend' as const, value: 0.1 },
    { date: '2026-03-10', kind: 'split' as const, value: 2 },
    { date: '2026-03-10', kind: 'dividend' as const, value: 0.2 },
    { date: '2026-03-11', kind: 'dividend' as const, value: 0.2 },
  ];
  const given = structuredClone(actions);
  expect(withoutSenseless({ bars: [], actions }).actions).toEqual([
    { date: '2026-03-10', kind: 'dividend', value: 0.3 },
    { date: '2026-03-10', kind: 'split', value: 2 },
    { date: '2026-03-11', kind: 'dividend', value: 0.2 },
  ]);
  expect(actions).toEqual(given);
});

test('a warning of one row, of events alone and of five rows', () => {
  const row = (kind: 'bar' | 'split') => ({ date: '2026-03-10', kind, reason: 'why' });
  expect(leftOutWarning('lean')).toBeUndefined();
  expect(leftOutWarning('lean', [row('bar')])).toBe('1 bar of lean left out, because it cannot be true (2026-03-10: why)');
  expect(leftOutWarning('lean', [row('split'), row('split')])).toMatch(/^2 events of lean left out, because they cannot be true \(/);
  expect(
    leftOutWarning(
      'lean',
      Array.from({ length: 5 }, () => row('bar')),
    ),
  ).not.toContain('more');
  expect(
    leftOutWarning(
      'lean',
      Array.from({ length: 6 }, () => row('bar')),
    ),
  ).toMatch(/; and 1 more\)$/);
});
