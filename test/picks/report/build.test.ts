import { describe, expect, test } from 'vitest';
import { shownChange, shownDollars } from '../../../services/model/words/facts.ts';
import { asSample } from '../../../services/picks/report/build.ts';
import { factBook, MOST_FACTS } from '../../../services/picks/report/facts.ts';
import { ReportSchema } from '../../../services/picks/report/schema.ts';
import { reportViolations } from '../../../services/picks/report/validate.ts';
import { weekOf } from '../../../services/picks/report/week.ts';
import { DEFAULT_RULES } from '../../../services/picks/rules.ts';
import { inventedMembers, screened, user } from '../invented-universe.ts';
import { reportFor, UNIVERSE } from './invented-report.ts';

const REPORT = reportFor();

describe('a report without a model', () => {
  test('has six picks, four themes and no violation', () => {
    expect(REPORT).toMatchObject({ source: 'quant', fallback_reason: 'no_model', cost_state: 'none', model: null, shortfall: null });
    expect([REPORT.stock_picks.length, REPORT.investment_themes.length]).toEqual([6, 4]);
    expect(reportViolations(REPORT, DEFAULT_RULES)).toEqual([]);
  });

  test('of any profile has no violation, and at most 160 facts', () => {
    for (const risk_tolerance of ['conservative', 'moderate', 'aggressive'])
      for (const goals of [[], ['extra_income']])
        for (const interests of [[], ['technology'], ['real-estate', 'energy']]) {
          const report = reportFor({ risk_tolerance, goals, interests });
          expect(reportViolations(report, DEFAULT_RULES)).toEqual([]);
          expect(report.facts.length).toBeLessThanOrEqual(MOST_FACTS);
        }
  });

  test('reads the same from the database: JSON and back', () => {
    expect(ReportSchema.parse(JSON.parse(JSON.stringify(REPORT)))).toEqual(REPORT);
  });

  test('may be made at any moment, and no data is later than it', () => {
    const made = { ...REPORT, generated_at: Temporal.Instant.from('2026-11-23T13:30:00.123456789Z').toString() };
    expect(reportViolations(made, DEFAULT_RULES)).toEqual([]);
  });

  test('is the same for the same inputs', () => {
    expect(reportFor()).toEqual(REPORT);
  });

  test('traces every number in its sentences to a fact with source and date', () => {
    const pick = REPORT.stock_picks[0]!;
    const price = REPORT.facts.find(({ symbol, label }) => symbol === pick.ticker && label === 'close')!;
    expect(price).toMatchObject({
      value: pick.price_at,
      unit: 'usd',
      source: 'yahoo_finance',
      as_of: REPORT.data_date,
      shown: shownDollars(pick.price_at),
    });
    expect(pick.reasons[0]!.text).toContain(price.shown);
    expect(pick.reasons[0]!.facts).toContain(price.id);
  });

  test('says of each pick why, what is against it and how risky it is', () => {
    for (const { reasons, risk_level } of REPORT.stock_picks) {
      expect(reasons.length).toBeGreaterThanOrEqual(3);
      expect(reasons.at(-1)!.text).toContain(`The risk level is ${risk_level}`);
    }
  });

  test('names what is missing instead of inventing it', () => {
    const bare = screened(
      inventedMembers(60).map((one) => ({ ...one, fundamentals: { ...one.fundamentals!, returnOnEquity: null, debtToEquity: null } })),
    );
    const [pick] = reportFor({}, bare).stock_picks;
    expect(pick!.missing).toEqual(['quality']);
    expect(pick!.parts.find(({ factor }) => factor === 'quality')).toMatchObject({ score: null, points: 0 });
    expect(pick!.reasons.map(({ text }) => text).join(' ')).toContain(
      'Nothing is stored about quality, which therefore counts as neutral.',
    );
  });

  test('shows what just missed, best first', () => {
    expect(REPORT.near_misses).toHaveLength(5);
    expect(REPORT.near_misses.every(({ total }) => total <= REPORT.stock_picks[0]!.total)).toBe(true);
  });

  test('traces the numbers in the reasons of what just missed, and of what was dropped, to facts', () => {
    const conservative = reportFor({ risk_tolerance: 'conservative', monthly_budget: 60 }, UNIVERSE, REPORT);
    const reasons = [...conservative.near_misses, ...conservative.changes].flatMap(({ reason }) => reason ?? []);
    expect(reasons.length).toBeGreaterThan(5);
    const shown = new Map(conservative.facts.map((fact) => [fact.id, fact.shown]));
    for (const { text, facts } of reasons) {
      expect(facts.length).toBeGreaterThan(0);
      for (const id of facts) expect(text).toContain(shown.get(id));
    }
    expect(reportViolations(conservative, DEFAULT_RULES)).toEqual([]);
  });

  test('says how old the figures of the companies are', () => {
    expect(REPORT.universe).toMatchObject({
      size: 60,
      eligible: 60,
      small: false,
      fundamentals_oldest: '2026-11-19',
      fundamentals_newest: '2026-11-19',
    });
  });

  test('compares itself with the report of an earlier week', () => {
    const next = reportFor({}, UNIVERSE, REPORT);
    expect(next.stock_picks.map(({ change }) => change)).toEqual(new Array(6).fill('kept'));
    expect(next.changes.map(({ change, moved }) => [change, moved])).toEqual(new Array(6).fill(['kept', null]));
    const other = reportFor({ risk_tolerance: 'conservative' }, UNIVERSE, REPORT);
    expect(new Set(other.changes.map(({ change }) => change))).toContain('dropped');
  });

  test('of fewer than three symbols is none: the error counts the reasons', () => {
    const poor = user({ monthly_budget: 5 });
    const make = () => reportFor(poor.profile);
    expect(make).toThrow(
      expect.objectContaining({
        code: 'picks.too_few',
        message: expect.stringMatching(/only 0 of the 60 symbols .* over_budget.*monthly_budget/),
      }),
    );
  });

  test('of three to five symbols has a shortfall with the counts', () => {
    const report = reportFor({}, screened(inventedMembers(5)));
    expect(report.stock_picks.length).toBeLessThan(6);
    expect(report.shortfall).toMatchObject({ reason: 'too_few_candidates', wanted: 6, found: report.stock_picks.length });
    expect(reportViolations(report, DEFAULT_RULES)).toEqual([]);
  });

  test('as a sample is labelled', () => {
    expect(asSample(REPORT)).toMatchObject({ source: 'sample', fallback_reason: 'sample', week_of: REPORT.week_of });
    expect(reportViolations(asSample(REPORT), DEFAULT_RULES)).toEqual([]);
  });
});

describe('facts', () => {
  const fact = {
    symbol: 'AAA',
    kind: 'price',
    label: 'close',
    value: 1,
    unit: 'usd',
    as_of: '2026-11-20',
    source: 'x',
    shown: '$1.00',
  } as const;

  test('that are told twice have one slot', () => {
    const book = factBook();
    expect([book.slot(fact), book.slot({ ...fact })]).toEqual(['{f1}', '{f1}']);
  });

  test('of one name and two values are two', () => {
    const book = factBook();
    expect([book.slot(fact), book.slot({ ...fact, value: 2, shown: '$2.00' })]).toEqual(['{f1}', '{f2}']);
    expect(book.sentence('From {f1} to {f2}.')).toEqual({ text: 'From $1.00 to $2.00.', facts: ['f1', 'f2'] });
  });
});

describe('figures as they are shown', () => {
  test.each([
    [0.1234, '+12.3%'],
    [-0.04, '-4.0%'],
    [0, '+0.0%'],
    [-0.0001, '+0.0%'],
  ])('a change of %f is shown with its sign: %s', (value, shown) => {
    expect(shownChange(value)).toBe(shown);
  });

  test('dollars have thousands and cents', () => {
    expect(shownDollars(1234.5)).toBe('$1,234.50');
  });
});

describe('the week of a report', () => {
  // Midnight in Los Angeles is 07:00 UTC in summer and 08:00 in winter; the clocks change on 2026-03-08 and 2026-11-01, both Sundays.
  test.each([
    ['2026-11-23T07:59:59Z', '2026-11-16'],
    ['2026-11-23T08:00:00Z', '2026-11-23'],
    ['2026-03-09T06:59:59Z', '2026-03-02'],
    ['2026-03-09T07:00:00Z', '2026-03-09'],
    ['2026-11-02T07:59:59Z', '2026-10-26'],
    ['2026-11-02T08:00:00Z', '2026-11-02'],
    ['2027-01-01T12:00:00Z', '2026-12-28'],
  ])('at %s it began on %s', (at, monday) => {
    expect(weekOf(Temporal.Instant.from(at))).toBe(monday);
  });
});
