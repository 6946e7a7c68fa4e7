import type { z } from 'zod';
import type { Admitted, Origin, Setting } from './admit.ts';
import { elementOf, isNullable, kindOf, leaves, shapeOf } from './keys.ts';
import { isMap } from './layers.ts';
import type { Place, Problem } from './problems.ts';
import { type Environment, substitute, typed } from './substitute.ts';

/** The effective value of a key, with the setting it came from. */
export interface Resolved {
  value: unknown;
  setting: Setting;
  origin: Origin;
  /** Where a person corrects it: the variable, where the line that names it is one of the defaults. `below` is a path inside the value. */
  place(below?: string): Place;
}

/** The strongest value of each key, its variables filled in. Null for a key that does not accept null means "not set here": the next weaker value is used. */
export function resolve({ settings }: Admitted, env: Environment, problems: Problem[]): Map<string, Resolved> {
  const resolved = new Map<string, Resolved>();
  for (const [path, node] of leaves) {
    for (const setting of settings.get(path)?.toReversed() ?? []) {
      const { value: filled, variables, faults } = substitute(setting.value, env);
      const origin: Origin = variables.length > 0 ? `environment ${variables.join(', ')}` : setting.origin;
      const place = (below?: string) => (origin !== 'default' && setting.origin === 'default' ? origin : setting.place(below));
      for (const { code, text } of faults) problems.push({ code, place: place(), text: `${path}: ${text}` });
      // Not resolved, since the schema would report it a second time.
      if (faults.length > 0) break;
      const value = fitted(filled, setting.value, node);
      if (value === null && !isNullable(node)) continue;
      resolved.set(path, { value, setting, origin, place });
      break;
    }
  }
  return resolved;
}

/** Converts text from a variable to the type of its key. Text written in the file stays text, except `yes`, `off` and similar words for a boolean. */
function fitted(filled: unknown, written: unknown, node: z.ZodType): unknown {
  if (typeof filled === 'string') return filled !== written || kindOf(node) === 'boolean' ? typedFor(filled, node) : filled;
  const item = elementOf(node);
  if (Array.isArray(filled) && item !== undefined) return filled.map((part, index) => fitted(part, (written as unknown[])[index], item));
  const shape = shapeOf(node);
  if (!isMap(filled) || shape === undefined) return filled;
  return Object.fromEntries(
    Object.entries(filled).map(([name, part]) => [
      name,
      Object.hasOwn(shape, name) ? fitted(part, (written as Record<string, unknown>)[name], shape[name]!) : part,
    ]),
  );
}

export function typedFor(text: string, node: z.ZodType): unknown {
  const item = elementOf(node);
  return typed(text, kindOf(node), item === undefined ? 'text' : kindOf(item));
}
