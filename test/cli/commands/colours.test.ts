/** What is coloured on a terminal is what a person must see first. */
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { storeAnalyses, storeChecks } from '../../../services/market/bars/store.ts';
import { deleteJobs } from '../../support/job-rows.ts';
import { addJob, ago, overDatabase } from '../over-database.ts';

const { db, run } = await overDatabase();
beforeEach(() => {
  vi.stubEnv('FORCE_COLOR', '1');
  onTestFinished(() => void vi.unstubAllEnvs());
});

/** ECMA-48, select graphic rendition. */
const CODES = { dim: 2, red: 31, green: 32, yellow: 33, magenta: 35, cyan: 36, bold: 1 } as const;
const painted = (style: keyof typeof CODES, text: string): string => `\x1b[${CODES[style]}m${text}\x1b[`;

test('points of an analysis are green for, red against, and plain where there are none; made-up prices are yellow', async () => {
  const asOf = new Date('2021-03-31T20:00:00Z');
  const reason = (indicator: string, points: number) => ({ indicator, observation: 'x', points, weight: 20 });
  await db.transaction(async (tx) => {
    await storeChecks(tx, [
      ...[
        {
          symbol: 'AAA',
          newestBar: '2021-03-31',
          asOf,
          checkedAt: new Date(),
          close: 1,
          currency: 'USD',
          timeZone: null,
          source: 'simulated' as const,
        },
      ],
    ]);
    await storeAnalyses(tx, [
      {
        ...{ symbol: 'AAA', date: '2021-03-31', signal: 'sell', confidence: 1, score: 0, computedAt: new Date(), barsUsed: 1, asOf },
        ...{ reasons: [reason('a', 3), reason('b', -4), reason('c', 0)], values: {} as never },
      },
    ]);
  });
  const { stdout } = await run('symbol', 'AAA');
  expect(stdout).toContain(painted('green', '+3'));
  expect(stdout).toContain(painted('red', '-4'));
  expect(stdout).toMatch(/ 0 {2}/);
  expect(stdout).not.toMatch(/\x1b\[\d+m0\x1b/);
  expect(stdout).toContain(painted('yellow', 'simulated: made-up prices'));
  expect(stdout).toContain(painted('magenta', 'outdated'));
  expect(stdout).toContain(painted('red', 'sell'));
});

test('a failed job and failed items are red, a dead letter and a mesh without workers too', async () => {
  onTestFinished(async () => {
    await deleteJobs(db);
  });
  const id = await addJob(db, { state: 'failed', type: 'batch_fetch', symbol: null, ended: ago(5), due: ago(5) });
  await db.run(
    "INSERT INTO job_items (job_id, item_key, state, updated_at) SELECT id, 'AAA', 'failed', NOW() FROM job_states UNION SELECT id, 'BBB', 'done', NOW() FROM job_states",
  );
  expect((await run('jobs')).stdout).toContain(painted('red', 'failed'));
  const { stdout } = await run('job', id);
  expect(stdout).toMatch(/AAA +\x1b\[31mfailed\x1b/);
  expect(stdout).toMatch(/BBB +done/);
  const stats = (await run('stats')).stdout;
  expect(stats).toContain(painted('red', '1 failed job'));
  expect(stats).toContain(painted('red', 'none is alive: nothing will be done'));
});

test('a queue in which jobs wait is bold, one in which jobs run is cyan', async () => {
  onTestFinished(async () => {
    await deleteJobs(db);
  });
  await addJob(db);
  await addJob(db, { state: 'running', worker: 'w' });
  const { stdout } = await run('stats');
  const line = stdout.split('\n').find((one) => one.startsWith('background_fetch'))!;
  expect(line).not.toMatch(/\x1b\[(1|36)m0/);
  expect(stdout).toContain(painted('bold', '1'));
  expect(stdout).toContain(painted('cyan', '1'));
});

test('a key of the configuration that is not the default stands out', async () => {
  const { stdout } = await run('config', 'show', 'worker', '--set', 'worker.poll_interval=7');
  expect(stdout).toContain(painted('cyan', 'option --set worker.poll_interval'));
  expect(stdout).toContain(painted('dim', 'default'));
});
