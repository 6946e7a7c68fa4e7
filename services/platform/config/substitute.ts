import { ConfigError } from '../errors.ts';
import { variableOf } from '../machine/environment.ts';
import type { Kind } from './keys.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A value after substitution, the variables that it used, and the faults. */
interface Substituted {
  value: unknown;
  variables: string[];
  faults: { code: string; text: string }[];
}

// $${ stands for a literal ${; a name, then optionally :- and the text to use when the variable is unset or empty.
const VARIABLE = /\$(\$?)\{([^}]*)\}?/g;
const REFERENCE = /^([A-Za-z_]\w*)(?::-((?:[^$]|\$(?!\{))*))?$/;

/** What Node gives for bytes of the command line and of the environment that are not UTF-8. */
export const NOT_UTF8 = '\ufffd';

/** Fills `${NAME}` and `${NAME:-default}` in every string of a value. */
export function substitute(value: unknown, env: Environment): Substituted {
  const result: Substituted = { value, variables: [], faults: [] };
  result.value = fill(value, env, result);
  return result;
}

function fill(value: unknown, env: Environment, result: Substituted): unknown {
  if (Array.isArray(value)) return value.map((item) => fill(item, env, result));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, env, result)]));
  if (typeof value !== 'string' || !value.includes('${')) return value;
  return value.replace(VARIABLE, (whole, escaped: string, content: string) => {
    if (escaped !== '') return whole.slice(1);
    const [, name, fallback] = REFERENCE.exec(content) ?? [];
    if (name === undefined || !whole.endsWith('}')) {
      result.faults.push({
        code: 'config.bad_variable',
        text: `"\${${content.split(':-')[0]}…" is not a variable; write \${NAME} or \${NAME:-default}, and $\${ for a plain \${`,
      });
      return whole;
    }
    const found = readVariable(env, name, result);
    const given = found?.value;
    if (found !== undefined && given !== undefined && (given !== '' || fallback === undefined)) {
      result.variables.push(found.variable);
      if (given.includes(NOT_UTF8))
        result.faults.push({ code: 'config.encoding', text: `variable ${name} holds bytes that are not UTF-8; set it in UTF-8` });
      return given;
    }
    if (fallback === undefined)
      result.faults.push({ code: 'config.unset_variable', text: `variable ${name} is not set; set it, or write \${${name}:-default}` });
    return fallback ?? whole;
  });
}

function readVariable(env: Environment, name: string, { faults }: Substituted): { value: string; variable: string } | undefined {
  try {
    return variableOf(env, name);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    faults.push({ code: error.code, text: error.message });
    return { value: '', variable: name };
  }
}

/** Converts text from the environment or the command line to the kind of its key. Text that does not fit stays text, and the schema refuses it. */
export function typed(text: string, kind: Kind, itemKind: Kind): unknown {
  const trimmed = text.trim();
  if (kind === 'list') return trimmed === '' ? [] : trimmed.split(',').map((item) => typed(item.trim(), itemKind, 'text'));
  if (trimmed === '') return null;
  if (kind === 'number' && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) return Number(trimmed);
  // The files of earlier deployments use the booleans of YAML 1.1, such as yes and on.
  if (kind === 'boolean' && /^(true|yes|on)$/i.test(trimmed)) return true;
  if (kind === 'boolean' && /^(false|no|off)$/i.test(trimmed)) return false;
  return kind === 'text' ? text : trimmed;
}
