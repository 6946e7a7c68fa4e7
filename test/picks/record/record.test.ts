import { describe, expect, test } from 'vitest';
import {
  type CohortReturns,
  cohortsOf,
  equalWeightMean,
  type PublishedReport,
  recordNotes,
  recordOver,
  weeksForPower,
  wilsonInterval,
} from '../../../services/picks/record/record.ts';
import type { PickReturn } from '../../../services/picks/record/returns.ts';

const published = (weekOf: string, version: number, overrides: Partial<PublishedReport> = {}): PublishedReport => ({
  weekOf,
  version,
  generatedAt: Temporal.Instant.from(`${weekOf}T12:30:00Z`),
  source: 'quant',
  simulated: false,
  tickers: ['AAA'],
  ...overrides,
});
const returned = (value: number | null, state: PickReturn['state'] = value === null ? 'open' : 'final'): PickReturn => ({
  state,
  start: null,
  end: null,
  value,
});
const cohort = (values: readonly (number | null)[], index: number | null, universe: number | null = null): CohortReturns => ({
  weekOf: '2026-10-05',
  picks: values.map((value, i) => ({ symbol: `S${i}`, result: returned(value) })),
  index,
  universe,
});

describe('which reports count', () => {
  test('the first version of a week, whatever came after', () => {
    const { counted } = cohortsOf([published('2026-10-05', 2), published('2026-10-05', 1), published('2026-10-12', 3)], []);
    expect(counted.map(({ weekOf, version }) => [weekOf, version])).toEqual([
      ['2026-10-05', 1],
      ['2026-10-12', 3],
    ]);
  });

  test('weeks without a report are listed, samples and simulated ones too', () => {
    const reports = [published('2026-10-12', 1, { source: 'sample' }), published('2026-10-19', 1, { simulated: true })];
    expect(cohortsOf(reports, ['2026-10-05', '2026-10-12', '2026-10-19']).without).toEqual([
      { weekOf: '2026-10-05', reason: 'no_report' },
      { weekOf: '2026-10-12', reason: 'sample' },
      { weekOf: '2026-10-19', reason: 'simulated' },
    ]);
  });
});

describe('a record', () => {
  // By hand: means 2 % and 1 %, index 1 % and 3 %: excesses +1 % and −2 %, mean −0.5 %, deviation 3 %/√2, error 1.5 %.
  const record = recordOver(1, [cohort([0.04, 0], 0.01, 0.02), cohort([0.01, 0.01], 0.03, 0.01)]);

  test('has the mean excess over the index with its standard error over the cohorts', () => {
    expect(record).toMatchObject({ picks: 4, cohorts: 2, effective: 2, conclusive: false });
    expect(record.mean).toBeCloseTo(0.015, 12);
    expect(record.excess).toBeCloseTo(-0.005, 12);
    expect(record.standardError).toBeCloseTo(0.015, 12);
    expect(record.excessOverUniverse).toBeCloseTo(0, 12);
  });

  test('has the share of picks above the index', () => {
    expect(record.hitRate).toBe(0.25);
  });

  test('of twelve weeks counts windows that overlap once', () => {
    const overlapping = recordOver(12, new Array(25).fill(cohort([0.1, 0.2], 0.05)));
    expect(overlapping).toMatchObject({ cohorts: 25, effective: 2, hitRate: 1 });
    // Two of 25 windows are news: 50 picks count as 4.
    expect(overlapping.hitInterval).toEqual(wilsonInterval(1, 4));
  });

  test('of four weeks has an error that rests on the windows that do not overlap', () => {
    // Excesses ±1 %, eight of them: deviation 1 % × √(8/7), over two windows.
    const record = recordOver(
      4,
      Array.from({ length: 8 }, (_, i) => cohort([i % 2 === 0 ? 0.01 : -0.01], 0)),
    );
    expect(record.effective).toBe(2);
    expect(record.standardError).toBeCloseTo((0.01 * Math.sqrt(8 / 7)) / Math.sqrt(2), 12);
  });

  test('leaves out a cohort that is open, and counts its picks', () => {
    expect(recordOver(1, [cohort([0.1, null], 0.05), cohort([0.1], 0.05)])).toMatchObject({
      cohorts: 1,
      picks: 1,
      open: 1,
      standardError: null,
    });
  });

  test('keeps delisted picks, and says how many bars are missing', () => {
    const one = cohort([0.1], 0);
    const picks = [
      ...one.picks,
      { symbol: 'GONE', result: returned(-0.9, 'delisted') },
      { symbol: 'LOST', result: returned(null, 'missing') },
    ];
    const record = recordOver(1, [{ ...one, picks }]);
    expect(record).toMatchObject({ picks: 2, delisted: 1, missing: 1, mean: expect.closeTo(-0.4, 12) });
  });

  test('claims nothing before thirty cohorts that do not overlap', () => {
    const conclusive = (weeks: 1 | 4 | 12, count: number) => recordOver(weeks, new Array(count).fill(cohort([0.1], 0))).conclusive;
    expect([conclusive(1, 29), conclusive(1, 30), conclusive(12, 359), conclusive(12, 360)]).toEqual([false, true, false, true]);
    expect(recordNotes(record)[0]).toBe('2 cohorts do not overlap, and 30 are needed: nothing is claimed about beating the index.');
  });

  test('of nothing is empty', () => {
    expect(recordOver(4, [])).toMatchObject({
      cohorts: 0,
      mean: null,
      excess: null,
      standardError: null,
      hitRate: null,
      hitInterval: null,
    });
  });

  test('compares with the universe at equal weights', () => {
    expect(equalWeightMean([returned(0.1), returned(0.3), returned(null, 'missing')])).toBeCloseTo(0.2, 12);
    expect(equalWeightMean([])).toBeNull();
  });
});

describe('statistics', () => {
  // Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
  test.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('the interval of %i of %i after Wilson is %f to %f', (hits, n, low, high) => {
    const [from, to] = wilsonInterval(hits / n, n);
    expect(from).toBeCloseTo(low, 4);
    expect(to).toBeCloseTo(high, 4);
  });

  test('an edge of 0.1 % a week with a deviation of 2 % takes some 3,100 weeks to show', () => {
    expect(weeksForPower(2, 0.1)).toBe(3136);
  });
});
