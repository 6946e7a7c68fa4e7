import { once } from 'node:events';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rankRequests } from '../../services/job-types/rank/request.ts';
import { enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { readJob } from '../../services/ledger/read/jobs.ts';
import { readRun } from '../../services/market/options/store/runs.ts';
import { connectionOptions } from '../../services/platform/database/database.ts';
import { startTestMesh, type TestMesh, untilAllEnded } from './mesh.ts';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await startTestMesh();
});
afterAll(() => mesh.stop());

const simulated = [
  'logging.level=silent',
  'stock_jobs.data_fetch.sources=simulated',
  'ranking.chains.sources=simulated',
  'ranking.chains.simulated.contracts=300',
];

test('a worker killed between the chain and the publishing leaves no half run behind, and another one publishes it', async () => {
  // The handler reads this table when it has its chain, and waits here.
  const lock = await mysql.createConnection(connectionOptions(mesh.asRoot()));
  await lock.query('LOCK TABLES iv_history WRITE');
  const [, victim] = await Promise.all([mesh.service('scheduler'), mesh.service('worker', simulated)]);
  const origin = { cause: 'user_request', rules: { user_request: 3, scheduled_update: 5, background_analysis: 8 } } as const;
  const answers = await enqueue(mesh.ledger, rankRequests(['AAPL'], ['entry'], origin, { windowSeconds: 300, stale: new Set(['AAPL']) }));
  await mesh.announcer.enqueued(answers);
  const id = answers.flatMap((answer) => (answer.outcome !== 'refused' && answer.type === 'rank' ? [answer.id] : []))[0] as string;
  const waiting = async () =>
    (
      await mesh.db.rows(
        "SELECT 1 FROM information_schema.processlist WHERE info LIKE '%FROM iv_history%' AND info NOT LIKE '%processlist%'",
      )
    ).length;
  await expect.poll(waiting).toBe(1);

  victim.kill('SIGKILL');
  await once(victim, 'exit');
  expect(await readRun(mesh.db, 'AAPL', 'entry', { limit: 1 })).toBeUndefined();
  expect(await mesh.db.rows('SELECT COUNT(*) AS n FROM options_ranks')).toEqual([{ n: 0 }]);
  await lock.end();
  await mesh.service('worker', simulated);

  expect(await untilAllEnded(mesh.db)).toEqual({ completed: 2 });
  expect(await readJob(mesh.db, id)).toMatchObject({
    attempt: 2,
    attempts: [
      { attempt: 1, outcome: 'lease_lost' },
      { attempt: 2, outcome: 'completed' },
    ],
  });
  const page = await readRun(mesh.db, 'AAPL', 'entry', { limit: 100 });
  expect(page?.ranks).toHaveLength(Math.min(page?.run.eligible ?? 0, 100));
  expect(await mesh.db.rows('SELECT COUNT(*) AS n FROM option_runs')).toEqual([{ n: 1 }]);
});
