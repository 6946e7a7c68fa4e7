/** Real prices: the six equities of a QuantConnect Lean folder, at dates from the dot-com years to 2020. They have no figures of companies, so only prices count. */
import { expect, test } from 'vitest';
import type { BarsAnswer } from '../../../services/market/bars/bars.ts';
import { usCalendar } from '../../../services/market/calendar/calendar.ts';
import { leanSource } from '../../../services/market/sources/lean.ts';
import { quantReport } from '../../../services/picks/report/build.ts';
import { reportViolations } from '../../../services/picks/report/validate.ts';
import { weekOf } from '../../../services/picks/report/week.ts';
import { DEFAULT_RULES } from '../../../services/picks/rules.ts';
import { screenFor } from '../../../services/picks/screen/screen.ts';
import { dataDateOf } from '../../../services/picks/universe/data-date.ts';
import { priceHistoryOf, type UniverseMember } from '../../../services/picks/universe/input.ts';
import { screenUniverse } from '../../../services/picks/universe/universe.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { describeWithData, sharedData } from '../../support/shared-data.ts';
import { fundamentals, user } from '../invented-universe.ts';

const EQUITIES = ['AAPL', 'AIG', 'BAC', 'GOOG', 'IBM', 'WM'];

describeWithData('lean', 'the six equities of the Lean folder', () => {
  const source = leanSource({ path: sharedData('lean'), clock: systemClock });
  let answers: Promise<BarsAnswer[]> | undefined;
  const load = () => {
    answers ??= Promise.all(
      [...EQUITIES, 'SPY'].map((symbol) => source.bars(symbol, { from: '1998-01-01' }, new AbortController().signal)),
    );
    return answers;
  };

  const universeAt = async (date: string) => {
    const at = Temporal.Instant.from(`${date}T12:30:00Z`);
    const all = await load();
    const members = all.map(
      ({ symbol, bars, actions }): UniverseMember => ({
        symbol,
        history: priceHistoryOf(bars),
        barsSource: 'lean',
        splits: actions.filter(({ kind }) => kind === 'split').map((split) => ({ date: split.date, ratio: split.value })),
        fundamentals: fundamentals({ fetchedAt: at, name: symbol, quoteType: symbol === 'SPY' ? 'ETF' : 'EQUITY' }),
        simulated: false,
      }),
    );
    const universe = screenUniverse({
      members,
      index: members.find(({ symbol }) => symbol === 'SPY')!.history,
      dataDate: dataDateOf(members, at, usCalendar)!,
      at,
      calendar: usCalendar,
      allowSimulated: false,
      rules: DEFAULT_RULES,
    });
    return { universe, at, all };
  };

  test.each(['2000-03-13', '2008-10-13', '2014-06-16', '2015-11-02', '2018-12-24', '2020-03-23'])(
    'at %s make a report that holds, or say why not',
    async (date) => {
      const { universe, at } = await universeAt(date);
      expect(universe.dataDate < date).toBe(true);
      expect(usCalendar.sessionsAfter(universe.dataDate, usCalendar.previous(date).date)).toBe(0);
      expect(universe.excluded.get('SPY')?.reason).toBe('not_equity');
      for (const risk_tolerance of ['conservative', 'moderate', 'aggressive']) {
        const screen = screenFor(universe, user({ risk_tolerance, fractional: true }));
        const make = () =>
          quantReport({
            universe,
            screen,
            userId: 'alice',
            weekOf: weekOf(at),
            version: 1,
            generatedAt: at,
            earlier: null,
            fallbackReason: 'no_model',
          });
        if (screen.picks.length < 3) expect(make).toThrow(expect.objectContaining({ code: 'picks.too_few' }));
        else expect(reportViolations(make(), DEFAULT_RULES)).toEqual([]);
        expect(screen.picks.length === 6 || screen.shortfall !== null).toBe(true);
      }
    },
  );

  test('a split of seven for one is no fall: Apple in June 2014', async () => {
    const { universe, all } = await universeAt('2014-06-30');
    const apple = universe.candidates.find(({ symbol }) => symbol === 'AAPL')!;
    const bars = all[0]!.bars.filter(({ date }) => date <= universe.dataDate).slice(-253);
    const adjusted = bars.map(({ adjustedClose }) => adjustedClose);
    expect(apple.measures.momentum).toBeCloseTo(Math.log(adjusted[231]! / adjusted[0]!), 8);
    expect(apple.measures.drawdown).toBeLessThan(0.2);
    expect(apple.riskLevel).not.toBe('high');
  });

  test('in the crisis of 2008 all labels are high, and picks are still made or their lack explained', async () => {
    const { universe } = await universeAt('2008-12-15');
    expect(universe.candidates.length).toBeGreaterThanOrEqual(3);
    expect(new Set(universe.candidates.map(({ riskLevel }) => riskLevel))).toEqual(new Set(['high']));
  });
});
