import { ConfigError } from '../errors.ts';

/** One problem. `text` names file and line, the key, the value and the way out. */
export interface Problem {
  code: string;
  text: string;
}

/** At most so many problems are named. The others are counted. */
const SHOWN = 50;

/** Problems in one error, a line each. Its code is the problems' own when all have the same, else `config.invalid`. */
export function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const codes = new Set(problems.map(({ code }) => code));
  const more = problems.length > SHOWN ? `\nand ${problems.length - SHOWN} more` : '';
  const named = problems.slice(0, SHOWN).map(({ text }) => text);
  throw new ConfigError(codes.size === 1 ? problems[0]!.code : 'config.invalid', `${named.join('\n')}${more}`);
}

/** A value as shown in messages. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : typeof value === 'number' ? String(value) : JSON.stringify(value);
  return shorten(text);
}

/** At most 80 characters of a text that a file or an option gave. */
export function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}

/** Whether another problem would still be named: advice for the others is not worth its time. */
export function isNamed(problems: readonly Problem[]): boolean {
  return problems.length < SHOWN;
}
