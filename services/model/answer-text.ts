/** Reads the JSON of a model's answer. */
import type { z } from 'zod';
import { RawText } from './client.ts';

/** A value of the schema, or why there is none, as half a sentence. `isFinal`: the same question would bring no other answer, so it is not worth a second payment. */
export type ReadAnswer<T> = { ok: true; value: T } | { ok: false; fault: string; isFinal: boolean };

/** Reads a stored raw answer by a schema: text before and after the JSON, such as `<think>…</think>` and a fence of code, is left out. */
export function readAnswer<Shape extends z.ZodType>(raw: string, shape: Shape): ReadAnswer<z.output<Shape>> {
  const { text, finish_reason, refusal } = RawText.parse(JSON.parse(raw));
  if (refusal !== null && refusal !== '') return { ok: false, fault: `the model refused: ${refusal.slice(0, 200)}`, isFinal: true };
  if (finish_reason === 'length') return { ok: false, fault: 'the answer was longer than model.max_tokens', isFinal: true };
  const parsed = jsonIn(text);
  if (parsed === undefined) return { ok: false, fault: `the answer is no JSON: ${JSON.stringify(text.slice(0, 100))}`, isFinal: false };
  const checked = shape.safeParse(parsed);
  if (checked.success) return { ok: true, value: checked.data };
  const issues = checked.error.issues.slice(0, 5).map(({ path, message }) => `${path.join('.') || 'answer'}: ${message}`);
  return { ok: false, fault: `the answer does not fit its schema: ${issues.join('; ')}`, isFinal: false };
}

/** The first object of a text that is JSON. */
function jsonIn(text: string): unknown {
  const answer = text.replace(/<think>[\s\S]*?<\/think>/g, '');
  const end = answer.lastIndexOf('}');
  for (
    let start = answer.indexOf('{'), tries = 0;
    start !== -1 && start < end && tries < 20;
    start = answer.indexOf('{', start + 1), tries++
  ) {
    try {
      return JSON.parse(answer.slice(start, end + 1));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  return undefined;
}
