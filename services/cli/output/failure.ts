/** Reports a failed command: a line with the reason and the next step, and an exit code. */

import { debuglog } from 'node:util';
import { COMMAND } from '../../platform/command-name.ts';
import { ConfigError, codeOf, InputError, isDatabaseAway, messageOf } from '../../platform/errors.ts';
import { plain } from './table.ts';

export const FAILURE = 1;
export const WRONG_USE = 2;

/** Codes of valid input that names something unknown: exit code 1, not 2. */
const NOT_TO_BE_HAD = new Set([
  'job.unknown',
  'job.ended',
  'job.live',
  'job.superseded',
  'user.unknown',
  'symbol.unknown',
  'key.unknown',
  'instance.unknown',
  'db.accounts_exist',
  'position.unknown',
  'ranks.cursor_gone',
  'object.unknown',
  'history.unknown',
  'history.incomplete',
  'history.no_source',
  'export.file_exists',
  'notify.bounce_unknown',
  'notify.bounce_unsent',
  'notify.not_stopped',
]);
/** Codes of errors outside of the command: stockmesh does not run, or the database has the wrong version or settings. */
const OUTSIDE = ['mesh.', 'schema.', 'database.', 'data.', 'broker.', 'install.', 'port.'];

export function exitCodeOf(error: unknown): number {
  const code = codeOf(error);
  if (error instanceof InputError) return NOT_TO_BE_HAD.has(code) ? FAILURE : WRONG_USE;
  if (error instanceof ConfigError) return OUTSIDE.some((area) => code.startsWith(area)) ? FAILURE : WRONG_USE;
  return FAILURE;
}

/** `NODE_DEBUG=stockmesh` shows where an error came from. */
const debug = debuglog('stockmesh');

/** Writes the error on standard error, a line for each problem. */
export function report(error: unknown): void {
  if (error instanceof Error) debug('%s', error.stack);
  for (const text of linesOf(error)) process.stderr.write(`stockmesh: ${plain(text)}\n`);
}

function linesOf(error: unknown): string[] {
  const code = codeOf(error);
  if (isDatabaseAway(error)) {
    const why = messageOf(error).replace(/; it is tried again$/, '');
    const what = why.startsWith('the database') ? why : `the database cannot be reached (${why})`;
    return [`${what}; is stockmesh running? Start it with "npm start", or check database.* ("${COMMAND} config show database")`];
  }
  switch (code) {
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_DBACCESS_DENIED_ERROR':
      return [
        `the database refuses the account (${messageOf(error)}); check database.url, or database.username and database.password ("${COMMAND} config show database")`,
      ];
    case 'ER_BAD_DB_ERROR':
      return [`the database server has no such database (${messageOf(error)}); create it, or correct database.url or database.database`];
    default:
      return messageOf(error).split('\n');
  }
}
