/** Processes that stand still for longer than another one waits for their answers. */
import type { ChildProcess } from 'node:child_process';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { addHoldings } from '../../services/market/portfolios/holdings.ts';
import { connectionOptions } from '../../services/platform/database/database.ts';
import { startTestMesh, type TestMesh } from '../faults/mesh.ts';
import { endProcess } from '../faults/processes.ts';
import { isLong, longTest } from '../support/long.ts';

let mesh: TestMesh;
/** `user at`, as they were heard. */
const answers: string[] = [];
beforeAll(async () => {
  if (!isLong) return;
  mesh = await startTestMesh();
  await mesh.bus.subscribe('portfolio', {}, ({ body }) => void answers.push(`${body.user_id} ${body.at}`)).ready;
});
afterAll(() => mesh?.stop());

const start = (): Promise<ChildProcess> => mesh.service('portfolio-priority');
const countOf = async (sql: string): Promise<number> => (await mesh.db.rows<{ count: number }>(sql))[0]!.count;
const owed = (): Promise<number> => countOf('SELECT COUNT(*) AS count FROM login_answers');

/** A server on which no transaction can commit; gives the function that lets them. */
async function holdCommits(): Promise<() => Promise<void>> {
  const root = await mysql.createConnection(connectionOptions(mesh.asRoot()));
  onTestFinished(() => root.end());
  for (const stage of ['START', 'FLUSH', 'BLOCK_DDL', 'BLOCK_COMMIT']) await root.query(`BACKUP STAGE ${stage}`);
  return async () => void (await root.query('BACKUP STAGE END'));
}

/** Transactions that wait for their commit: statements of their own that do are none. */
const committing = (): Promise<number> =>
  countOf("SELECT COUNT(*) AS count FROM information_schema.processlist WHERE state LIKE '%backup lock%' AND info = 'COMMIT'");

longTest(
  'a process that stands still between commit and answer leaves the answer to the one that gave it meanwhile',
  {
    timeout: 120_000,
  },
  async () => {
    const slow = await start();
    await mesh.db.transaction((tx) => addHoldings(tx, [{ user: 'alice', symbol: 'AAPL', quantity: 1, cost: 1 }], new Date()));
    const release = await holdCommits();
    const at = new Date().toISOString();
    await mesh.bus.publish('login', { userId: 'alice', at });
    await expect.poll(committing, { timeout: 10_000 }).toBe(1);
    slow.kill('SIGSTOP');
    await release();
    await expect.poll(owed, { timeout: 10_000 }).toBe(1);
    const heir = await start();
    await expect.poll(() => answers, { timeout: 30_000 }).toEqual([`alice ${at}`]);
    await expect.poll(owed).toBe(0);
    slow.kill('SIGCONT');
    // A service that stops has done, and answered, all that it had heard.
    await Promise.all([slow, heir].map((child) => endProcess(child, 'SIGTERM')));
    const end = new Date().toISOString();
    await start();
    await mesh.bus.publish('login', { userId: 'last', at: end });
    await expect.poll(() => answers.at(-1), { timeout: 10_000 }).toBe(`last ${end}`);
    expect(answers).toEqual([`alice ${at}`, `last ${end}`]);
  },
);
