import { expect, test } from 'vitest';
import { type DailyIv, ivPercentile, ivRank } from '../../../../services/market/options/scoring/iv-history.ts';
import fc from '../../../support/fast-check.ts';

const FIRST = Temporal.PlainDate.from('2025-01-01');
const dateOf = (day: number) => FIRST.add({ days: day }).toString();
/** Consecutive days from 2025-01-01. */
const days = (...ivs: number[]): DailyIv[] => ivs.map((iv, day) => ({ date: dateOf(day), iv }));
const todayAfter = (history: readonly DailyIv[], iv: number): DailyIv => ({ date: dateOf(history.length), iv });
const repeat = (count: number, iv: number) => Array.from({ length: count }, () => iv);

test('the rank is the place between lowest and highest', () => {
  // By hand: lowest 0.20, highest 0.40: 0.25 is a quarter of the way.
  const history = days(0.2, 0.4, ...repeat(18, 0.3));
  expect(ivRank(history, todayAfter(history, 0.25))).toBeCloseTo(25, 10);
});

test('the percentile is the share of days below, today among the days', () => {
  // By hand: 5 of 25 days are below 0.25; equal days are not.
  const history = days(...repeat(5, 0.2), ...repeat(9, 0.25), ...repeat(10, 0.3));
  expect(ivPercentile(history, todayAfter(history, 0.25))).toBe(20);
});

test('a new high ranks 100 and a new low 0', () => {
  const history = days(...repeat(10, 0.2), ...repeat(10, 0.3));
  expect(ivRank(history, todayAfter(history, 0.5))).toBe(100);
  expect(ivRank(history, todayAfter(history, 0.1))).toBe(0);
  expect(ivPercentile(history, todayAfter(history, 0.1))).toBe(0);
});

test('a year without change ranks 50', () => {
  const history = days(...repeat(30, 0.3));
  expect(ivRank(history, todayAfter(history, 0.3))).toBe(50);
});

test('nineteen days with today are missing, twenty are not', () => {
  const history = days(...repeat(18, 0.2));
  expect(ivRank(history, todayAfter(history, 0.3))).toBeNaN();
  expect(ivPercentile(history, todayAfter(history, 0.3))).toBeNaN();
  const longer = days(...repeat(19, 0.2));
  expect(ivRank(longer, todayAfter(longer, 0.3))).toBe(100);
  expect(ivPercentile(longer, todayAfter(longer, 0.3))).toBe(95);
});

test('the window is 252 days with today: the day before it does not count', () => {
  const outside = days(0.9, ...repeat(251, 0.2));
  expect(ivRank(outside, todayAfter(outside, 0.4))).toBe(100);
  const inside = days(0.9, ...repeat(250, 0.2));
  // By hand: (0.4 - 0.2) / (0.9 - 0.2).
  expect(ivRank(inside, todayAfter(inside, 0.4))).toBeCloseTo(28.571428571, 8);
});

test('a day stored for today or later does not count: a second run of the day gives the same answer', () => {
  const history = days(...repeat(15, 0.2), ...repeat(15, 0.4));
  const today = { date: dateOf(30), iv: 0.3 };
  const again = [...history, { date: dateOf(30), iv: 0.9 }, { date: dateOf(31), iv: 0.1 }];
  expect(ivRank(again, today)).toBe(ivRank(history, today));
  expect(ivPercentile(again, today)).toBe(ivPercentile(history, today));
});

test('a history read newest first is refused', () => {
  const history = days(...repeat(30, 0.2), 0.3).reverse();
  const today = { date: dateOf(31), iv: 0.25 };
  expect(() => ivRank(history, today)).toThrow(/oldest first.*2025-01-30 follows 2025-01-31/);
  expect(() => ivPercentile(history, today)).toThrow(expect.objectContaining({ code: 'options.iv_history' }));
});

test('a day stored twice is refused, and so is a day whose IV is zero or missing', () => {
  const twice = [...days(...repeat(20, 0.2)), { date: dateOf(19), iv: 0.2 }];
  expect(() => ivRank(twice, { date: dateOf(40), iv: 0.2 })).toThrow(/one entry a day/);
  for (const iv of [0, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => ivRank(days(...repeat(20, 0.2), iv), { date: dateOf(40), iv: 0.2 })).toThrow(/leave out days without an IV/);
  }
});

test('without an IV today both are missing', () => {
  const history = days(...repeat(30, 0.2), 0.3);
  for (const iv of [Number.NaN, 0]) {
    expect(ivRank(history, todayAfter(history, iv))).toBeNaN();
    expect(ivPercentile(history, todayAfter(history, iv))).toBeNaN();
  }
});

const anIv = fc.double({ min: 0.01, max: 5, noNaN: true });

test('both stay in 0-100 and never fall when today rises', () => {
  fc.assert(
    fc.property(fc.array(anIv, { minLength: 19, maxLength: 300 }), anIv, anIv, (ivs, one, other) => {
      const history = days(...ivs);
      for (const measure of [ivRank, ivPercentile]) {
        const low = measure(history, todayAfter(history, Math.min(one, other)));
        const high = measure(history, todayAfter(history, Math.max(one, other)));
        expect(low).toBeGreaterThanOrEqual(0);
        expect(high).toBeLessThanOrEqual(100);
        if (one !== other && new Set(ivs).size > 1) expect(high).toBeGreaterThanOrEqual(low);
      }
    }),
  );
});

test('the order of values within the window does not matter', () => {
  fc.assert(
    fc.property(fc.array(anIv, { minLength: 19, maxLength: 251 }), anIv, (ivs, iv) => {
      const sorted = [...ivs].sort((a, b) => a - b);
      for (const measure of [ivRank, ivPercentile]) {
        expect(
          measure(
            days(...ivs),
            todayAfter(
              ivs.map((value) => ({ date: '', iv: value })),
              iv,
            ),
          ),
        ).toBe(
          measure(
            days(...sorted),
            todayAfter(
              ivs.map((value) => ({ date: '', iv: value })),
              iv,
            ),
          ),
        );
      }
    }),
  );
});
