/** Shared by the definitions of all commands: reads values, and runs a command. */
import { InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { dayOption } from '../../job-types/job-type.ts';
import type { GlobalOptions } from '../session.ts';

export interface Program {
  /** The options of the program together with those of the command. */
  all<Options extends object>(own: Options): GlobalOptions & Options;
  /** Takes the exit code of the command. */
  finish(code: number): void;
}

/** Of a list: the same rows for a spreadsheet. */
export const asCsv = (): Option => new Option('--csv', 'for a spreadsheet: the rows as CSV').conflicts('json');

export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** Each of `choices` may be given several times; the first one that is given replaces `standard`. */
export function collectChoice(choices: readonly string[], standard: readonly string[]) {
  return (value: string, before: readonly string[] | undefined): string[] => {
    if (!choices.includes(value)) throw new InvalidArgumentError(`Allowed choices are ${choices.join(', ')}.`);
    return before === standard ? [value] : [...(before ?? []), value];
  };
}

export function count(text: string): number {
  return upTo(Number.MAX_SAFE_INTEGER)(text);
}

export function upTo(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw new InvalidArgumentError(
      most === Number.MAX_SAFE_INTEGER ? 'It must be a whole number of at least 1.' : `It must be a whole number from 1 to ${most}.`,
    );
  };
}

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** A time such as `30m`, `12h` or `90d`, in seconds. */
export function span(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError('Write a number and s, m, h or d, such as 90d.');
  return Number(digits) * (SECONDS[unit] as number);
}

/** Seconds from now, or a moment. */
export type Expiry = number | Date;

/** A time from now such as `90d`, or a moment such as `2027-01-01T00:00:00Z`. */
export function expiry(text: string): Expiry {
  if (z.iso.datetime({ offset: true }).safeParse(text).success) return new Date(text);
  try {
    return span(text);
  } catch {
    throw new InvalidArgumentError('Write a time from now, such as 90d, or a moment, such as 2027-01-01T00:00:00Z.');
  }
}

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It must be a number.');
}

/** An exponent of popularity, 0 to 3. */
export function zipf(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 3) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 3.');
}

/** A score of 0 to 100. */
export function score(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 100) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 100.');
}

/** A value that a schema checks and converts; its first issue is the error. */
export function valid(schema: z.ZodType): (text: string) => unknown {
  return (text) => {
    const { data, error } = schema.safeParse(text);
    if (error === undefined) return data;
    throw new InvalidArgumentError(error.issues[0]?.message ?? '');
  };
}

/** A calendar day that exists. */
export const day = valid(dayOption) as (text: string) => string;
