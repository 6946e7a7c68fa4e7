/** Each line breaks a good report in one place. */
import { expect, test } from 'vitest';
import type { Report } from '../../../services/picks/report/schema.ts';
import { reportViolations } from '../../../services/picks/report/validate.ts';
import { DEFAULT_RULES } from '../../../services/picks/rules.ts';
import { reportFor } from './invented-report.ts';

const broken: [string, (report: Report) => void, RegExp][] = [
  [
    'a week that begins on Tuesday',
    (report) => {
      report.week_of = '2026-11-24';
    },
    /week_of.*no Monday/,
  ],
  [
    'data of tomorrow',
    (report) => {
      report.data_date = '2026-11-24';
    },
    /data_date/,
  ],
  [
    'two picks',
    (report) => {
      report.stock_picks.length = 2;
    },
    /stock_picks/,
  ],
  [
    'five picks without a word',
    (report) => {
      report.stock_picks.length = 5;
    },
    /5 picks without a shortfall/,
  ],
  [
    'a pick twice',
    (report) => {
      report.stock_picks[1] = { ...report.stock_picks[0]!, rank: 2 };
    },
    /stands twice/,
  ],
  [
    'a rank that is not its place',
    (report) => {
      report.stock_picks[1]!.rank = 1;
    },
    /rank 1 in place 2/,
  ],
  [
    'a total that is not its points',
    (report) => {
      report.stock_picks[5]!.total -= 0.01;
    },
    /points add up/,
  ],
  [
    'points that are not score × weight',
    (report) => {
      const [one, other] = report.stock_picks[0]!.parts;
      [one!.points, other!.points] = [one!.points + 0.01, other!.points - 0.01];
    },
    /score × weight is not the points of momentum, trend/,
  ],
  [
    'a wrong coverage',
    (report) => {
      report.stock_picks[0]!.coverage = 99;
    },
    /coverage 99/,
  ],
  [
    'a factor that is called missing',
    (report) => {
      report.stock_picks[0]!.missing.push('trend');
    },
    /missing names/,
  ],
  [
    'a risk label that nobody measured',
    (report) => {
      const pick = report.stock_picks[0]!;
      pick.risk_level = pick.risk_level === 'low' ? 'high' : 'low';
    },
    /risk_level/,
  ],
  [
    'a price above the budget',
    (report) => {
      report.profile.monthly_budget = 6;
    },
    /above the budget/,
  ],
  [
    'a holding of a quarter',
    (report) => {
      report.stock_picks[0]!.held_pct = 25;
    },
    /held already/,
  ],
  [
    'sectors of somebody else',
    (report) => {
      report.profile.interests = ['real-estate'];
    },
    /too few are of the sectors/,
  ],
  [
    'three themes',
    (report) => {
      report.investment_themes.length = 3;
    },
    /investment_themes/,
  ],
  [
    'a ticker twice in a theme',
    (report) => {
      const { tickers } = report.investment_themes[0]!;
      tickers[1] = tickers[0]!;
    },
    /a ticker stands twice in/,
  ],
  [
    'a title twice',
    (report) => {
      report.investment_themes[1]!.title = report.investment_themes[0]!.title;
    },
    /a title stands twice/,
  ],
  [
    'words of a model that is not named',
    (report) => {
      report.source = 'llm';
      report.fallback_reason = null;
    },
    /model: missing/,
  ],
  [
    'a rationale in a report without a model',
    (report) => {
      report.stock_picks[0]!.rationale = report.stock_picks[0]!.reasons;
    },
    /a model wrote a part/,
  ],
  [
    'a sample that is not labelled',
    (report) => {
      report.source = 'sample';
    },
    /sample belongs/,
  ],
  [
    'a cost without a state',
    (report) => {
      report.cost_usd = 3;
    },
    /cost_usd/,
  ],
  [
    'a link that is no https',
    (report) => {
      report.citations.push({ title: 'x', url: 'http://example.com', date: null });
    },
    /citations/,
  ],
  [
    'a number that is no fact',
    (report) => {
      report.stock_picks[0]!.reasons[0]!.text += ' It has 7 factories.';
    },
    /no fact stands in/,
  ],
  [
    'a digit before a known figure',
    (report) => {
      const sentence = report.stock_picks[0]!.reasons[0]!;
      sentence.text = sentence.text.replace('$', '$1');
    },
    /no fact stands in/,
  ],
  [
    'a fact that is not in the report',
    (report) => {
      report.market_analysis.environment[0]!.facts.push('f999');
    },
    /f999/,
  ],
  [
    'a field of its own',
    (report) => {
      Object.assign(report, { advice: 'buy' });
    },
    /advice/,
  ],
  [
    'weights that add up to 99',
    (report) => {
      report.weights.value -= 1;
    },
    /add up to 99/,
  ],
];

test.each(broken)('%s is a violation', (_, breakIt, message) => {
  const report = structuredClone(reportFor());
  breakIt(report);
  expect(reportViolations(report, DEFAULT_RULES).join('\n')).toMatch(message);
});
