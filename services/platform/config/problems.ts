import { ConfigError } from '../errors.ts';

/** Where a problem is: a line of a file, or what else gave the value, such as `option --set`. */
export type Place = { readonly file: string; readonly line: number } | string;

/** One problem. `text` names the key, the value and the way out. */
export interface Problem {
  code: string;
  place?: Place;
  text: string;
}

/** At most so many problems are named: the first that were found. The others are counted. */
const SHOWN = 50;

/** Problems in one error, a line each, those of a file together and in the order of its lines. Its code is the problems' own when all have the same, else `config.invalid`. */
export function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const codes = new Set(problems.map(({ code }) => code));
  const more = problems.length > SHOWN ? `\nand ${problems.length - SHOWN} more` : '';
  const files = Map.groupBy(problems.slice(0, SHOWN), ({ place }) => (typeof place === 'object' ? place.file : place));
  const named = [...files.values()].flatMap((own) => own.sort((a, b) => lineOf(a) - lineOf(b)).map(lineText));
  throw new ConfigError(codes.size === 1 ? problems[0]!.code : 'config.invalid', `${named.join('\n')}${more}`);
}

const lineOf = ({ place }: Problem): number => (typeof place === 'object' ? place.line : 0);
const lineText = ({ place, text }: Problem): string => (place === undefined ? text : `${placeText(place)}: ${text}`);

export function placeText(place: Place): string {
  return typeof place === 'object' ? `${place.file}:${place.line}` : place;
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
