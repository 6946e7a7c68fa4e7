import { expect, test } from 'vitest';
import { z } from 'zod';
import { readAnswer } from '../../services/model/answer-text.ts';

const shape = z.strictObject({ a: z.number().max(9) });
const raw = (text: string, more: { finish_reason?: string; refusal?: string | null } = {}): string =>
  JSON.stringify({ text, finish_reason: 'stop', refusal: null, ...more });

test.each([
  ['plain', '{"a": 1}'],
  ['in a fence of code', '```json\n{"a": 1}\n```'],
  ['after thinking with braces', '<think>{"a": 2} or {maybe}</think>{"a": 1}'],
  ['after words with a brace', 'Here {it} is: {"a": 1}'],
])('JSON %s is read', (_, text) => {
  expect(readAnswer(raw(text), shape)).toEqual({ ok: true, value: { a: 1 } });
});

test.each([
  ['no JSON', raw('I cannot'), 'is no JSON'],
  ['cut JSON', raw('{"a": 1'), 'is no JSON'],
  ['another field', raw('{"a": 1, "b": 2}'), 'does not fit'],
  ['a value beyond the limit', raw('{"a": 10}'), 'a: '],
  ['an answer that met the limit of tokens', raw('{"a": 1}', { finish_reason: 'length' }), 'model.max_tokens'],
  ['a refusal', raw('', { refusal: 'I will not' }), 'refused: I will not'],
])('%s is a fault with its reason', (_, text, fault) => {
  const read = readAnswer(text, shape);
  expect(read.ok ? '' : read.fault).toContain(fault);
});
