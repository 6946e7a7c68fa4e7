import type { z } from 'zod';
import type { Setting } from './admit.ts';
import { isSecret, leaves, nearest } from './keys.ts';
import { type Problem, shorten, shown } from './problems.ts';
import type { Resolved } from './resolve.ts';

/** A problem that the schema found, as text: file and line, key, the accepted values, the given value, and the default. */
export function explain(
  issue: z.core.$ZodIssue,
  resolved: ReadonlyMap<string, Resolved>,
  standard: (key: string) => Setting | undefined,
): Problem {
  const path = issue.path.join('.');
  const leaf = [...leaves.keys()].find((key) => path === key || path.startsWith(`${key}.`));
  return leaf === undefined ? sectionProblem(path, issue, resolved) : leafProblem(leaf, path, issue, resolved.get(leaf), standard(leaf));
}

/** A problem of several keys of a section is reported at the line of the strongest of them. */
function sectionProblem(path: string, issue: z.core.$ZodIssue, resolved: ReadonlyMap<string, Resolved>): Problem {
  const inside = [...resolved].filter(([key]) => key.startsWith(`${path}.`)).map(([, found]) => found);
  const strongest = inside.findLast(({ origin }) => origin !== 'default') ?? inside.at(-1);
  return { code: codeOf(issue), place: strongest?.place() ?? 'config/default.yaml', text: `${path}: ${issue.message}` };
}

function leafProblem(
  leaf: string,
  path: string,
  issue: z.core.$ZodIssue,
  found: Resolved | undefined,
  standard: Setting | undefined,
): Problem {
  if (found === undefined) return { code: 'config.missing_value', text: `${leaf}: has no value; config/default.yaml must give one` };
  const below = path.slice(leaf.length + 1);
  const value = below
    .split('.')
    .reduce<unknown>((part, name) => (name === '' ? part : (part as Record<string, unknown> | undefined)?.[name]), found.value);
  const place = found.place(below);
  const by =
    typeof found.origin === 'string' && found.origin.startsWith('environment') && place !== found.origin ? ` (from ${found.origin})` : '';
  const hint =
    below === '' && standard !== undefined && standard !== found.setting
      ? `; the default is ${shownUnlessSecret(leaf, standard.value)}`
      : '';
  const given = givenText(path, value, wantsText(issue) ? found.setting.written?.(below) : undefined);
  return { code: codeOf(issue), place, text: `${path}: ${wanted(issue, value)}, got ${given}${by}${hint}` };
}

const wantsText = (issue: z.core.$ZodIssue): boolean => issue.code === 'invalid_type' && issue.expected === 'string';

/** `written`: as the file has it, where YAML made something else than text of it. */
function givenText(path: string, value: unknown, written: string | undefined): string {
  if (!written) return shownUnlessSecret(path, value);
  if (isSecret(path)) return '•••, which YAML does not read as text; put it in quotes';
  return `${shorten(written)}, which YAML reads as ${typeof value === 'number' ? 'the number ' : ''}${shown(value)}; put it in quotes: ${shown(written)}`;
}

function shownUnlessSecret(path: string, value: unknown): string {
  return isSecret(path) ? '•••' : shown(value);
}

function codeOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'custom':
      return (issue.params as { code?: string } | undefined)?.code ?? 'config.invalid_value';
    case 'too_small':
    case 'too_big':
      return 'config.out_of_range';
    case 'invalid_value':
      return 'config.unknown_value';
    case 'unrecognized_keys':
      return 'config.unknown_key';
    case 'invalid_format':
      return 'config.invalid_value';
    default:
      return 'config.wrong_type';
  }
}

const TYPES: Record<string, string> = {
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  string: 'text',
  array: 'a list',
  object: 'a map',
};

function wanted(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'too_small':
      if (issue.origin === 'array' || issue.origin === 'string') return 'must not be empty';
      return `must be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    case 'invalid_value': {
      const near = typeof value === 'string' ? nearest(value, issue.values.map(String)) : undefined;
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.join(', ')}${near === undefined ? '' : ` (did you mean "${near}"?)`}`;
    }
    case 'invalid_type':
      return `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'unrecognized_keys':
      return `has unknown ${issue.keys.length === 1 ? 'key' : 'keys'} ${issue.keys.join(', ')}`;
    case 'invalid_union':
      return `must be ${issue.errors
        .flat()
        .map((option) => wanted(option, value).replace('must be ', ''))
        .join(' or ')}`;
    default:
      return issue.message;
  }
}
