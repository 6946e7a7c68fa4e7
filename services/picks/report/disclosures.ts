/**
 * What stands on every report: the list follows Regulation (EU) 2016/958 (identity, facts apart from opinion, method, date and time, conflicts). It is no legal advice:
 * whether serving other people needs a licence is the operator's to settle.
 */
import { ConfigError } from '../../platform/errors.ts';
import type { PickRules } from '../rules.ts';
import { dateOf, dayOf } from '../universe/input.ts';
import { FACTOR_NAMES } from './pick-text.ts';
import type { Report } from './schema.ts';

/** Rises when the wording changes in its meaning. */
export const DISCLOSURES_VERSION = 1;

/** The sentence that no report is without. */
export const NOT_ADVICE = 'This is not investment advice.';

export interface Operator {
  /** Who runs the service, as readers know them. */
  name: string;
  /** `others`: reports are served to people who are not the operator. */
  audience: 'self' | 'others';
  /** What the operator holds or earns that readers should know. Required for `others`. */
  interests: string | null;
  /** Where the method is described. */
  methodUrl: string;
  /** Of the prices, in minutes, as the source states it; null where it does not. */
  delayMinutes: number | null;
}

export interface Disclosure {
  id:
    | 'advice'
    | 'operator'
    | 'sample'
    | 'simulated'
    | 'method'
    | 'words'
    | 'data'
    | 'price'
    | 'risk'
    | 'horizon'
    | 'suitability'
    | 'losses'
    | 'interests'
    | 'change';
  text: string;
}

/** The disclosures of a report, in the order in which they are shown. Throws `ConfigError('picks.interests_required')` where reports are served to others without the text. */
export function disclosuresOf(report: Report, operator: Operator, { risk_levels: risk }: Pick<PickRules, 'risk_levels'>): Disclosure[] {
  if (operator.audience === 'others' && (operator.interests ?? '').trim() === '') {
    throw new ConfigError(
      'picks.interests_required',
      'picks.audience is "others" and picks.disclosure.interests is empty; say there what you hold or earn that readers should know, or that it is nothing',
    );
  }
  const percent = (value: number) => `${Math.round(value * 100)}%`;
  const disclosure = (id: Disclosure['id'], text: string, when = true): Disclosure[] => (when ? [{ id, text }] : []);
  const labels = `high from a yearly volatility of ${percent(risk.high.sigma)} or a fall of ${percent(risk.high.drawdown)} within a year, medium from ${percent(risk.medium.sigma)} or ${percent(risk.medium.drawdown)}`;
  return [
    ...disclosure('sample', 'A sample that shows what a report looks like. It is not of this week.', report.source === 'sample'),
    ...disclosure(
      'simulated',
      'The prices or company figures are simulated. Nothing in this report is about a real share.',
      report.simulated,
    ),
    ...disclosure('advice', `${NOT_ADVICE} It is the result of an automatic screen.`),
    ...disclosure('operator', `The service is operated by ${operator.name}.`),
    ...disclosure(
      'method',
      `Weights of the score: ${weightsText(report.weights)}. They are set by judgement and are not fitted. Method: ${operator.methodUrl}`,
    ),
    ...disclosure('words', wordsText(report)),
    ...disclosure('data', dataText(report, operator)),
    ...disclosure('price', `Prices are the closes of ${report.data_date}. The report was made at ${report.generated_at}.`),
    ...disclosure('risk', `The risk label is measured, not judged: ${labels}.`),
    ...disclosure('horizon', 'The score looks at a year of prices. It says nothing about how long to hold a share.'),
    ...disclosure(
      'suitability',
      'The screen knows the profile and the holdings that are stored here, not your whole situation. Nobody has checked whether a share suits you.',
    ),
    ...disclosure('losses', 'No result is guaranteed. You can lose all the money you put into a share.'),
    ...disclosure('interests', `Interests of the operator: ${operator.interests?.trim()}`, (operator.interests ?? '').trim() !== ''),
    ...disclosure('change', changeText(report)),
  ];
}

function weightsText(weights: Report['weights']): string {
  const parts = Object.entries(weights).filter(([, weight]) => weight > 0);
  return parts.map(([factor, weight]) => `${FACTOR_NAMES[factor as keyof typeof FACTOR_NAMES]} ${weight}`).join(', ');
}

function wordsText({ model }: Report): string {
  if (model === null) return 'All words and numbers are written by the program.';
  return `Where it is marked, the words are by the model ${model}: a model's opinion. All numbers and names are written by the program, and each sentence was checked for them; a right number can still stand in a wrong sentence.`;
}

function dataText({ data_date, facts, universe }: Report, { delayMinutes }: Operator): string {
  const sources = [...new Set(facts.map(({ source }) => source))].filter((source) => source !== 'screen');
  const delay = delayMinutes === null ? '' : `, delayed by ${delayMinutes} minutes`;
  const { fundamentals_oldest: oldest, fundamentals_newest: newest } = universe;
  const figures =
    oldest === null || newest === null ? '' : ` Company figures are of ${oldest === newest ? oldest : `${oldest} to ${newest}`}.`;
  return `Prices are of ${data_date}, from ${sources.join(', ')}${delay}.${figures}`;
}

function changeText({ changes, week_of }: Report): string {
  if (changes.length === 0) return 'There is no earlier report to compare with.';
  const count = (change: string) => changes.filter((one) => one.change === change).length;
  return `Against the report before the week of ${dateOf(dayOf(week_of))}: ${count('kept')} kept, ${count('new')} new, ${count('dropped')} dropped.`;
}
