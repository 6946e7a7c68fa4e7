import { createInterface } from 'node:readline/promises';
import { InputError } from '../../platform/errors.ts';

/** Asks the person at the terminal. `what`: what would happen, the question. False: no. Errors: `InputError(code)` where there is no terminal to ask on, with the way out. */
export async function confirmed(code: string, what: { happens: string; question: string }): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new InputError(code, `${what.happens}; confirm it with --yes`);
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if (/^y(es)?$/i.test((await ask.question(`${what.question} [y/N] `)).trim())) return true;
    process.stderr.write('nothing was changed\n');
    return false;
  } finally {
    ask.close();
  }
}
