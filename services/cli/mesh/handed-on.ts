/** The `--set` values of `stockmesh up`, on their way to its services: in the environment, since every user of a machine can read the arguments of every process. */
import { z } from 'zod';
import { InputError } from '../../platform/errors.ts';

const VARIABLE = 'STOCKMESH_SET';
const schema = z.array(z.string());

export const handedOn = (set: readonly string[]): NodeJS.ProcessEnv => ({ [VARIABLE]: JSON.stringify(set) });

/** What this process was handed on. It is taken out of the environment, so that no child of this process has it. Errors: `InputError('option.bad_set')`. */
export function takeHandedOn(env: NodeJS.ProcessEnv = process.env): string[] {
  const text = env[VARIABLE];
  delete env[VARIABLE];
  if (text === undefined || text === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const set = schema.safeParse(value);
  if (set.success) return set.data;
  throw new InputError(
    'option.bad_set',
    `the variable ${VARIABLE} is for "stockmesh up" and its services: remove it, and give your values in a file with --config`,
  );
}
