/**
 * Runs a migration so that it goes on where it was cut. The server commits before and after every statement that changes a table's shape, so no transaction holds a migration
 * together: what is done is counted in `schema_steps`, in one row for the migration that is under way.
 */
import { createHash } from 'node:crypto';
import type { Sql, Transaction } from '../services/platform/database/database.ts';
import { ConfigError } from '../services/platform/errors.ts';

export type Way = 'up' | 'down';

/** A migration that was begun and is not at its end. `done`: its steps that are known to be done; one more may be. */
export interface Begun {
  version: number;
  way: Way;
  done: number;
  checksum: string;
}

/** A comment, a text, a name, or the end of a statement. */
const PIECES = /--[^\n]*|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`|;/gs;
const END = '\0';

/** A prepared statement ends with its connection, so it goes with the variable that it is made of. */
const GOES_WITH_THE_ONE_BEFORE = /^(PREPARE|EXECUTE|DEALLOCATE)\b/i;

/** What the server says of a change that is made already: table exists, unknown table, column exists, key exists, no such column or key. */
export const DONE_ALREADY = new Set([1050, 1051, 1060, 1061, 1091]);

/** The statements of a migration, without its comments; those that need each other are one step. */
export function stepsOf(text: string): string[] {
  const marked = text.replaceAll(PIECES, (piece) => (piece === ';' ? END : piece.startsWith('--') ? '' : piece));
  const steps: string[] = [];
  for (const statement of marked.split(END).map((one) => one.trim()))
    if (GOES_WITH_THE_ONE_BEFORE.test(statement)) steps.push(`${steps.pop()};\n${statement}`);
    else if (statement !== '') steps.push(statement);
  return steps;
}

/** Of a text, so that no other one goes on with it. */
export const checksumOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** For a schema of a version before, too, which has no such table. */
export async function makeStepsTable(connection: Sql): Promise<void> {
  await connection.run(
    "CREATE TABLE IF NOT EXISTS schema_steps (version INT NOT NULL PRIMARY KEY, way ENUM('up', 'down') NOT NULL, done INT NOT NULL, checksum CHAR(16) NOT NULL)",
  );
}

/** The migration that was cut, if one was. */
export async function begunOf(connection: Sql): Promise<Begun | undefined> {
  const [begun] = await connection.rows<Begun>('SELECT version, way, done, checksum FROM schema_steps');
  return begun;
}

/**
 * Runs the statements of a migration that are not done yet. `first` is written with its begin and `last` with its end, each in one transaction with the count. Where it was cut,
 * the first statement that is not counted may be done all the same, since its change is committed before it is counted: then the server says so, and it counts as done.
 * Errors: `ConfigError('schema.cut')` when another one is under way, or this one was begun with another text; those of its statements.
 */
export async function runSteps(
  connection: Transaction,
  { version, name, way, text }: { version: number; name: string; way: Way; text: string },
  { first, last }: Partial<Record<'first' | 'last', () => Promise<void>>>,
): Promise<void> {
  const checksum = checksumOf(text);
  const begun = await begunOf(connection);
  if (begun === undefined) {
    await first?.();
    await connection.run('INSERT INTO schema_steps (version, way, done, checksum) VALUES (?, ?, 0, ?)', [version, way, checksum]);
    await connection.run('COMMIT');
  } else if (begun.version !== version || begun.checksum !== checksum)
    throw new ConfigError(
      'schema.cut',
      `migration ${begun.version} was cut on its way ${begun.way}, and is not what this build would run now, ${version} (${name}) on its way ${way}: go on with the build that began it`,
    );
  const steps = stepsOf(text);
  const counted = (step: string, index: number): string =>
    `${step};\nUPDATE schema_steps SET done = ${index + 1} WHERE version = ${version}`;
  let done = begun?.done ?? 0;
  if (begun !== undefined && done < steps.length) {
    await connection.run(steps[done]!).catch((error: { errno?: number }) => {
      if (!DONE_ALREADY.has(error.errno ?? 0)) throw error;
    });
    done += 1;
  }
  // In one packet: the count of each is committed with the statement behind it.
  if (done < steps.length) await connection.run(steps.map(counted).slice(done).join(';\n'));
  await last?.();
  await connection.run('DELETE FROM schema_steps WHERE version = ?', [version]);
  await connection.run('COMMIT');
}
