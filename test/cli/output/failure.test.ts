/** How an error ends a command: its exit code, and the lines on standard error. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { exitCodeOf, report } from '../../../services/cli/output/failure.ts';
import { ConfigError, InputError, PermanentError, TransientError } from '../../../services/platform/errors.ts';

test.each<[unknown, number]>([
  [new InputError('symbol.invalid', 'x'), 2],
  [new InputError('job.invalid_id', 'x'), 2],
  // Valid, but there is no such thing.
  [new InputError('user.unknown', 'x'), 1],
  [new InputError('job.ended', 'x'), 1],
  [new ConfigError('config.unknown_key', 'x'), 2],
  [new ConfigError('source.lean_path', 'x'), 2],
  ...['mesh.not_running', 'schema.older', 'database.bad_url', 'data.in_use', 'broker.down', 'install.failed', 'port.in_use'].map(
    (code): [unknown, number] => [new ConfigError(code, 'x'), 1],
  ),
  [new TransientError('database.unavailable', 'x'), 1],
  [new PermanentError('source.denied', 'x'), 1],
  [new Error('x'), 1],
  ['x', 1],
])('%s ends with %i', (error, code) => {
  expect(exitCodeOf(error)).toBe(code);
});

function reported(error: unknown): string {
  let text = '';
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((part) => {
    text += part;
    return true;
  });
  onTestFinished(() => spy.mockRestore());
  report(error);
  return text;
}

const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code });
const CHECK = '("npx stockmesh config show database")';

test.each<[unknown, string[]]>([
  [new InputError('x.y', 'one\ntwo'), ['one', 'two']],
  [new Error('a\x1b[2Jb'), ['a\\u001b[2Jb']],
  ['text', ['text']],
  [
    new TransientError('database.unavailable', 'ECONNREFUSED; it is tried again'),
    [`the database cannot be reached (ECONNREFUSED); is stockmesh running? Start it with "npm start", or check database.* ${CHECK}`],
  ],
  [
    new TransientError('database.unavailable', 'the database does not answer within 5 s'),
    [`the database does not answer within 5 s; is stockmesh running? Start it with "npm start", or check database.* ${CHECK}`],
  ],
  [
    coded('ER_ACCESS_DENIED_ERROR', 'Access denied'),
    [`the database refuses the account (Access denied); check database.url, or database.username and database.password ${CHECK}`],
  ],
  [
    coded('ER_DBACCESS_DENIED_ERROR', 'Access denied'),
    [`the database refuses the account (Access denied); check database.url, or database.username and database.password ${CHECK}`],
  ],
  [
    coded('ER_BAD_DB_ERROR', 'Unknown database'),
    ['the database server has no such database (Unknown database); create it, or correct database.url or database.database'],
  ],
])('%s is reported a line a problem, each with the name of the command', (error, lines) => {
  expect(reported(error)).toBe(lines.map((line) => `stockmesh: ${line}\n`).join(''));
});
