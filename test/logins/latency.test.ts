import { expect, test } from 'vitest';
import { readLoginToJobsP95 } from '../../services/logins/latency.ts';
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
