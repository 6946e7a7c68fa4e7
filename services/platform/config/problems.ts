import { ConfigError } from '../errors.ts';

/** One problem. `text` names file and line, the key, the value and the way out. */
export interface Problem {
  code: string;
  text: string;
}

/** All problems in one error, a line each. Its code is the problems' own when all have the same, else `config.invalid`. */
export function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const codes = new Set(problems.map(({ code }) => code));
  throw new ConfigError(codes.size === 1 ? problems[0]!.code : 'config.invalid', problems.map(({ text }) => text).join('\n'));
}

/** A value as shown in messages. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : typeof value === 'number' ? String(value) : JSON.stringify(value);
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}
