/** What a report must be beyond its shape. Run before it is stored, whoever wrote it. */

import type { Fact, Sentence } from '../../model/words/facts.ts';
import { withoutFixed } from '../../model/words/fixed.ts';
import { type PickRules, riskLevelOf } from '../rules.ts';
import { type Report, ReportSchema } from './schema.ts';

/** All that is wrong with a report, one line of text each; empty for a good one. */
export function reportViolations(value: unknown, rules: PickRules): string[] {
  const parsed = ReportSchema.safeParse(value);
  if (!parsed.success) return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  const report = parsed.data;
  return [
    ...identityViolations(report),
    ...pickViolations(report, rules),
    ...profileViolations(report, rules),
    ...themeViolations(report),
    ...sourceViolations(report),
    ...sentenceViolations(report),
  ];
}

const violation = (fails: boolean, text: string): string[] => (fails ? [text] : []);

function identityViolations({ week_of, data_date, generated_at, weights }: Report): string[] {
  const sum = Object.values(weights).reduce((total, weight) => total + weight, 0);
  return [
    ...violation(Temporal.PlainDate.from(week_of).dayOfWeek !== 1, `week_of: ${week_of} is no Monday`),
    ...violation(data_date > generated_at.slice(0, 10), `data_date: ${data_date} is after ${generated_at}`),
    ...violation(sum !== 100, `weights: they add up to ${sum}, not to 100`),
  ];
}

/** Exact: decimals of two places are compared as whole hundredths. */
const hundredths = (value: number): number => Math.round(value * 100);

function pickViolations({ stock_picks: picks, weights, shortfall }: Report, rules: PickRules): string[] {
  return [
    ...violation(picks.length < rules.picks && shortfall === null, `stock_picks: ${picks.length} picks without a shortfall`),
    ...violation(new Set(picks.map(({ ticker }) => ticker)).size < picks.length, 'stock_picks: a ticker stands twice'),
    ...picks.flatMap((pick, index) => {
      const { ticker, rank, parts, total, coverage, missing } = pick;
      const sum = 5000 + parts.reduce((points, part) => points + hundredths(part.points), 0);
      const measured = parts.filter(({ score }) => score !== null).reduce((weight, part) => weight + part.weight, 0);
      const absent = parts.filter(({ score }) => score === null).map(({ factor }) => factor);
      const wrong = parts.filter(({ score, weight, points, factor }) => {
        const exact = score === null ? 0 : (weight * (hundredths(score) - 5000)) / 100;
        return weight !== weights[factor] || Math.abs(hundredths(points) - exact) > 0.5;
      });
      const label = riskLevelOf(pick.sigma, pick.drawdown, rules);
      return [
        ...violation(rank !== index + 1, `${ticker}: rank ${rank} in place ${index + 1}`),
        ...violation(index > 0 && total > picks[index - 1]!.total, `${ticker}: its total is above that of the pick before it`),
        ...violation(sum !== hundredths(total), `${ticker}: the points add up to ${sum / 100}, the total is ${total}`),
        ...violation(wrong.length > 0, `${ticker}: score × weight is not the points of ${wrong.map(({ factor }) => factor).join(', ')}`),
        ...violation(measured !== coverage, `${ticker}: coverage ${coverage}, ${measured} was measured`),
        ...violation(coverage < rules.least_coverage, `${ticker}: coverage ${coverage} is below ${rules.least_coverage}`),
        ...violation(absent.join() !== missing.join(), `${ticker}: missing names ${missing.join(', ')}, not ${absent.join(', ')}`),
        ...violation(label !== pick.risk_level, `${ticker}: risk_level ${pick.risk_level}, measured ${label}`),
      ];
    }),
  ];
}

function profileViolations({ stock_picks: picks, profile, shortfall }: Report, rules: PickRules): string[] {
  return [
    ...violation(
      picks.length === rules.picks &&
        profile.interests.length > 0 &&
        shortfall === null &&
        fromInterests(picks, profile) < Math.ceil(rules.picks * rules.interests_share),
      'stock_picks: too few are of the sectors of the profile',
    ),
    ...picks.flatMap(({ ticker, price_at, held_pct }) => [
      ...violation(price_at < rules.least_price, `${ticker}: its price ${price_at} is below ${rules.least_price}`),
      ...violation(!profile.fractional && price_at > profile.monthly_budget, `${ticker}: its price ${price_at} is above the budget`),
      ...violation(held_pct > rules.most_held * 100, `${ticker}: ${held_pct} % of the portfolio is held already`),
    ]),
  ];
}

function fromInterests(picks: Report['stock_picks'], { interests }: Report['profile']): number {
  return picks.filter(({ sector_key }) => interests.some((interest) => interest === sector_key)).length;
}

function themeViolations({ investment_themes: themes }: Report): string[] {
  return [
    ...violation(new Set(themes.map(({ title }) => title)).size < themes.length, 'investment_themes: a title stands twice'),
    ...themes.flatMap(({ title, tickers }) =>
      violation(new Set(tickers).size < tickers.length, `investment_themes: a ticker stands twice in "${title}"`),
    ),
  ];
}

function sourceViolations({
  source,
  model,
  cost_state,
  cost_usd,
  fallback_reason,
  stock_picks,
  investment_themes,
  market_analysis,
}: Report) {
  const worded = [...investment_themes, market_analysis].some(({ written_by }) => written_by === 'model');
  const byModel = worded || stock_picks.some(({ rationale }) => rationale !== null);
  return [
    ...violation(source === 'llm' && model === null, 'model: missing in a report that a model worded'),
    ...violation(source === 'quant' && byModel, 'source: quant, but a model wrote a part'),
    ...violation(source === 'llm' && fallback_reason !== null, `fallback_reason: ${fallback_reason} in a report that a model worded`),
    ...violation((source === 'sample') !== (fallback_reason === 'sample'), 'fallback_reason: sample belongs to the source sample'),
    ...violation(
      cost_state !== 'unknown' && (cost_state === 'none') !== (cost_usd === null),
      `cost_usd: ${cost_usd} with the state ${cost_state}`,
    ),
  ];
}

/** All sentences with the place where they stand. */
function sentencesOf(report: Report): (Sentence & { where: string })[] {
  const all = (where: string, sentences: readonly Sentence[]) => sentences.map((sentence) => ({ where, ...sentence }));
  const { environment, risk_factors, opportunities } = report.market_analysis;
  return [
    ...report.stock_picks.flatMap(({ ticker, reasons, rationale }) => all(ticker, [...reasons, ...(rationale ?? [])])),
    ...report.investment_themes.flatMap(({ title, summary, paragraphs }) => all(title, [summary, ...paragraphs])),
    ...report.near_misses.flatMap(({ ticker, reason }) => all(`near_misses of ${ticker}`, [reason])),
    ...report.changes.flatMap(({ ticker, reason }) => all(`change of ${ticker}`, reason === null ? [] : [reason])),
    ...all('market_analysis', [...environment, ...risk_factors, ...opportunities]),
  ];
}

/** What may hold a digit and is no figure: tickers, names of sectors, titles of themes. */
function namesIn({ stock_picks, near_misses, changes, investment_themes }: Report): Set<string> {
  const tickers = [...stock_picks, ...near_misses, ...changes].map(({ ticker }) => ticker);
  return new Set([...tickers, ...investment_themes.flatMap((theme) => [theme.title, ...theme.tickers])]);
}

/** Each sentence names known facts, and every digit in it is of one of them, of a name or of a fixed term. */
function sentenceViolations(report: Report): string[] {
  const facts = new Map(report.facts.map((fact): [string, Fact] => [fact.id, fact]));
  const names = namesIn(report);
  return sentencesOf(report).flatMap(({ where, text, facts: ids }) => {
    const unknown = ids.filter((id) => !facts.has(id));
    if (unknown.length > 0) return [`${where}: the facts ${unknown.join(', ')} are not in the report`];
    const known = [...ids.map((id) => facts.get(id)!.shown), ...names];
    const rest = known.reduce((left, shown) => left.replaceAll(whole(shown), ' '), withoutFixed(text));
    return violation(/\p{N}/u.test(rest), `${where}: a number that is no fact stands in ${JSON.stringify(text)}`);
  });
}

/** A text that is no part of a longer figure: "1.5" does not stand in "11.5" or "1.50". */
const whole = (text: string): RegExp =>
  new RegExp(`(?<![\\p{N}.,])${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?!\\p{N}|[.,]\\p{N})`, 'gu');
