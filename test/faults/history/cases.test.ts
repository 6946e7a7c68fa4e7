import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { longTest } from '../../support/long.ts';
import { killedRound, PATIENCE, undisturbedRun } from './cases.ts';
import { type HistoryGround, openHistoryGround, VICTIMS } from './ground.ts';

let ground: HistoryGround;
beforeAll(async () => {
  ground = await openHistoryGround();
});
afterAll(() => ground.stop());

/** Two weeks in place of the year of `npm run faults -- --only history`. */
test('worker, database, broker and store are killed at random: each day has the object that an undisturbed run gives, once', async () => {
  const counts = await killedRound(ground, VICTIMS, 7, { from: '2024-03-01', to: '2024-03-15' });
  expect(counts).toMatchObject({ sent: 11, done: 11, lost: 0, doubled: 0, failed: 0 });
}, 120_000);

longTest(
  'the only worker is stopped by SIGTERM: what was under way is handed back without an attempt, and nothing else is asked for again',
  async () => {
    // Five times as many objects as are under way at once.
    const month = { from: '2024-03-01', to: '2024-03-31' };
    const calm = await undisturbedRun(ground, month);
    const id = await ground.begin(month);
    const key = Buffer.from(id.replaceAll('-', ''), 'hex');
    await expect.poll(() => ground.done(), { interval: 5, timeout: 30_000 }).toBeGreaterThan(2);
    await ground.stopWorker();
    expect(await ground.done()).toBeLessThan(calm.stored.size);
    expect(await ground.mesh.db.rows('SELECT state, max_attempts - attempt AS tries FROM job_states WHERE id = ?', [key])).toEqual([
      { state: 'ready', tries: loadConfig({ env: {} }).config.stock_jobs.data_fetch.max_retries + 1 },
    ]);
    expect(await ground.mesh.db.rows('SELECT outcome, code FROM job_attempts WHERE job_id = ?', [key])).toEqual([
      { outcome: 'handed_back', code: 'worker.shutdown' },
    ]);
    await ground.kill('worker');
    const { state, items, doubled, stored, requests } = await ground.result(id, PATIENCE);
    expect({ state, items, doubled, stored }).toEqual({
      state: 'completed',
      items: { done: calm.stored.size },
      doubled: 0,
      stored: calm.stored,
    });
    const underWay = loadConfig({ env: {} }).config.history.concurrency;
    expect(requests - calm.requests).toBeLessThanOrEqual((underWay * calm.requests) / calm.stored.size);
  },
  120_000,
);
