/** Files that are imported into a database of the test file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect } from 'vitest';
import { readHoldings } from '../../../services/market/portfolios/holdings.ts';
import { importPortfolioCsv } from '../../../services/market/portfolios/import.ts';
import { InputError } from '../../../services/platform/errors.ts';
import { databaseOfFile } from '../../support/database.ts';

export const HEADER = 'user,symbol,quantity,cost';
export const now = new Date('2026-03-02T10:00:00Z');

/** A database without holdings at the start of each test. `fileOf` writes a file; `held` and `refused` import one, named `p.csv` in messages. */
export async function portfolioFiles() {
  const { db } = await databaseOfFile();
  const folder = mkdtempSync(join(tmpdir(), 'portfolio-files-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  beforeEach(() => db.run('DELETE FROM holdings'));

  function fileOf(content: string | Buffer): string {
    const path = join(folder, `${crypto.randomUUID()}.csv`);
    writeFileSync(path, content);
    return path;
  }

  /** Imports a file; gives all holdings as [user, symbol, quantity, cost]. */
  async function held(content: string | Buffer): Promise<unknown[][]> {
    await importPortfolioCsv(db, fileOf(content), { now, name: 'p.csv' });
    const users = (await db.rows<{ user: string }>('SELECT DISTINCT user_id AS user FROM holdings')).map(({ user }) => user);
    const holdings = await readHoldings(db, users);
    return [...holdings].flatMap(([user, own]) => own.map(({ symbol, quantity, cost }) => [user, symbol, quantity, cost]));
  }

  /** The lines of the error with which a file is refused; nothing of it is stored then. */
  async function refused(content: string | Buffer): Promise<string[]> {
    const error = await held(content).catch((thrown: unknown) => thrown);
    if (!(error instanceof InputError)) throw new Error(`not refused: ${JSON.stringify(error)}`);
    expect(await db.rows('SELECT user_id FROM holdings')).toEqual([]);
    return error.message.split('\n').filter((line) => line !== 'Nothing was imported.');
  }

  return { db, fileOf, held, refused };
}
