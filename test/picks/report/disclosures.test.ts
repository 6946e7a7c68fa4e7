import { expect, test } from 'vitest';
import { asSample } from '../../../services/picks/report/build.ts';
import { disclosuresOf, NOT_ADVICE, type Operator } from '../../../services/picks/report/disclosures.ts';
import { DEFAULT_RULES } from '../../../services/picks/rules.ts';
import { reportFor } from './invented-report.ts';

const OPERATOR: Operator = {
  name: 'Example Ltd',
  audience: 'self',
  interests: null,
  methodUrl: 'https://example.com/method',
  delayMinutes: 15,
};
const REPORT = reportFor();
const texts = (report = REPORT, operator = OPERATOR) => disclosuresOf(report, operator, DEFAULT_RULES);
const textOf = (id: string, report = REPORT, operator = OPERATOR) => texts(report, operator).find((one) => one.id === id)?.text;

test('every report says that it is no investment advice', () => {
  for (const report of [REPORT, asSample(REPORT), { ...REPORT, source: 'llm' as const, model: 'm' }])
    expect(textOf('advice', report)).toContain(NOT_ADVICE);
});

test('the method is named with its weights', () => {
  expect(textOf('method')).toContain('momentum 25, trend 10, calm 15, small falls 10, quality 20, value 20. They are set by judgement');
});

test('the data is named with its date, source, delay and the age of the figures', () => {
  expect(textOf('data')).toBe('Prices are of 2026-11-20, from yahoo_finance, delayed by 15 minutes. Company figures are of 2026-11-19.');
});

test('the borders of the risk label are named', () => {
  expect(textOf('risk')).toContain('high from a yearly volatility of 30% or a fall of 50% within a year, medium from 20% or 35%');
});

test('a sample and a simulated report are labelled first', () => {
  expect(texts(asSample(REPORT))[0]!.id).toBe('sample');
  expect(texts({ ...REPORT, simulated: true })[0]!.id).toBe('simulated');
});

test('a model is named where it wrote the words', () => {
  expect(textOf('words', { ...REPORT, model: 'sonar-pro' })).toContain("by the model sonar-pro: a model's opinion");
  expect(textOf('words')).toBe('All words and numbers are written by the program.');
});

test('who serves others must say what they hold', () => {
  expect(() => texts(REPORT, { ...OPERATOR, audience: 'others', interests: ' ' })).toThrow(
    expect.objectContaining({ code: 'picks.interests_required' }),
  );
  expect(textOf('interests', REPORT, { ...OPERATOR, audience: 'others', interests: 'none' })).toBe('Interests of the operator: none');
});

test('the change against an earlier report is counted', () => {
  expect(textOf('change', reportFor({}, undefined, REPORT))).toContain('6 kept, 0 new, 0 dropped');
  expect(textOf('change')).toBe('There is no earlier report to compare with.');
});

test('no text promises or advises', () => {
  for (const { text } of texts()) expect(text).not.toMatch(/\b(safe|top|recommend|guaranteed to|you should)\b/i);
});
