import { NONE } from '../../format/numbers.ts';
import type { Metadata, Report } from './queries.ts';

type Source = Report['source'];

/** Where a report is from. */
export const MADE_BY: Record<Source, { word: string; about: string }> = {
  llm: { word: 'llm', about: 'Numbers by the program, words around them by a language model' },
  quant: { word: 'quant', about: 'All numbers and words are by the program; no language model' },
  sample: { word: 'sample', about: 'A sample of made-up prices: it is not of this week' },
};

export const FALLBACKS: Record<NonNullable<Report['fallback_reason']>, string> = {
  no_model: 'no language model is configured',
  cap_reached: 'the cap of spending was reached',
  payment_unknown: 'nobody knows whether an earlier call was paid for, so it was not repeated',
  invalid_answer: 'the answer of the model did not pass the checks',
  model_failed: 'the model failed',
  sample: 'a sample has none',
};

export const FACTORS: Record<string, string> = {
  momentum: 'momentum',
  trend: 'trend',
  low_volatility: 'calm',
  low_drawdown: 'small falls',
  quality: 'quality',
  value: 'value',
  income: 'income',
};

export const dollars = (value: number | null | undefined): string =>
  value == null ? NONE : `$${value.toFixed(value !== 0 && value < 0.01 ? 4 : 2)}`;

export function costText({ cost_usd, cost_state }: Pick<Report, 'cost_usd' | 'cost_state'>): string {
  if (cost_state === 'none') return 'cost nothing';
  if (cost_state === 'unknown') return 'cost unknown, counted as paid';
  return `cost ${cost_state === 'estimated' ? 'about ' : ''}${dollars(cost_usd)}`;
}

/** Of a report that is not of the week that was asked for, or that is being made. */
export function statusText({ status, this_week: week, is_current, week_of }: Metadata): string {
  const shown = week_of === null ? '' : ` The report below is of the week of ${week_of}.`;
  switch (status) {
    case 'making':
      return `A report is being made.${week_of === null ? '' : is_current ? ' The version below stays until then.' : shown}`;
    case 'failed':
      return `No new report could be made.${shown}`;
    case 'sample':
      return 'Static mode: no reports are made here, and everybody sees this sample (picks.generation is false).';
    case 'none':
      return week_of === null ? '' : `There is no report of the week of ${week} yet.${shown}`;
    default:
      return '';
  }
}
