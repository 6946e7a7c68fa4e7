import { expect, test } from 'vitest';
import { readLoginToFresh, readLoginToJobsP95 } from '../../services/logins/latency.ts';
import { bucketsOf, noBuckets } from '../../services/platform/monitoring/buckets.ts';
import { MINUTE_S, writeStats } from '../../services/platform/monitoring/mesh-stats.ts';
import { fixture } from '../scheduler/mesh.ts';

const mesh = fixture();

test('the time from a login to its jobs is the 95th percentile of recent logins', async () => {
  const now = mesh.clock.now().epochMilliseconds;
  const rows = Array.from({ length: 20 }, (_, index) => [
    `u${index}`,
    new Date(now - 60_000),
    new Date(now - 60_000 + (index + 1) * 100),
    1,
    1,
    0,
    '[]',
  ]);
  const old = ['old', new Date(now - 3_600_000), new Date(now), 1, 1, 0, '[]'];
  await mesh.db.run('INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES ?', [
    [...rows, old],
  ]);
  // Nearest rank: the 19th of 20 values, 0.1 s to 2.0 s.
  expect(await readLoginToJobsP95(mesh.db, new Date(now))).toBe(1.9);
});

test('without a login there is no such time', async () => {
  expect(await readLoginToJobsP95(mesh.db, new Date(mesh.clock.now().epochMilliseconds))).toBeNull();
});

test('the time from a login to fresh data is that of the logins of the last five whole minutes', async () => {
  const now = mesh.clock.now().epochMilliseconds;
  const minute = (minutesAgo: number, login_fresh: number[]) =>
    writeStats(mesh.db, MINUTE_S, {
      ...{ at: new Date(now - minutesAgo * 60_000), minutes: 1, ready: 0, running: 0, scheduled: 0, blocked: 0, oldest_s: null },
      ...{ enqueued: 0, completed: 0, failed: 0, workers: 1, slots: 1, busy: 0, logins: 1 },
      details: { queues: {}, types: {}, codes: {}, sources: {}, wait: noBuckets(), run: noBuckets(), login_fresh: bucketsOf(login_fresh) },
    });
  await minute(2, new Array(98).fill(0.3));
  await minute(1, [40, 40]);
  await minute(30, new Array(500).fill(500));
  const fresh = await readLoginToFresh(mesh.db, new Date(now));
  // By nearest rank the 50th and the 99th of 100 logins; a bucket's bounds are 1.61 apart.
  expect(fresh?.p50).toBeGreaterThan(0.3 / 1.3);
  expect(fresh?.p50).toBeLessThan(0.3 * 1.3);
  expect(fresh?.p99).toBeGreaterThan(40 / 1.3);
  expect(fresh?.p99).toBeLessThan(40 * 1.3);
});

test('without a login that had jobs there is no time to fresh data', async () => {
  await mesh.db.run('DELETE FROM mesh_stats');
  expect(await readLoginToFresh(mesh.db, new Date(mesh.clock.now().epochMilliseconds))).toBeNull();
});
