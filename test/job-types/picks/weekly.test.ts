import { beforeEach, expect, test } from 'vitest';
import { ProfileSchema } from '../../../services/picks/profile.ts';
import { storeProfile } from '../../../services/picks/store/profiles.ts';
import { storeReports } from '../../../services/picks/store/reports.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { runDueSchedules } from '../../../services/scheduler/schedules.ts';
import { silent } from '../../broker/peers.ts';
import { reportFor } from '../../picks/report/invented-report.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { fixture } from '../../scheduler/mesh.ts';

const mesh = fixture();
/** The shipped schedule, with a universe of two. */
const config = configOf({
  'scheduler.schedules': configOf().scheduler.schedules.filter(({ job }) => job === 'weekly_picks'),
  'picks.universe.lists': [{ name: 'two', symbols: ['AAPL', 'MSFT'] }],
});
/** Monday, 5:30 in Los Angeles, in winter. */
const DUE = '2026-11-23T13:30:00Z';

beforeEach(async () => {
  await mesh.db.run('DELETE FROM weekly_reports');
  for (const user of ['ada', 'bob']) await storeProfile(mesh.db, user, ProfileSchema.parse({}), new Date(0));
});

async function look(at: string, by = config): Promise<void> {
  const options = { ledger: mesh.ledger(by, new ManualClock(at)), config: by, announcer: { enqueued: async () => undefined }, log: silent };
  await runDueSchedules(options);
}
const reports = async () => {
  const rows = await mesh.db.rows<{ dedupe_key: string }>("SELECT dedupe_key FROM jobs WHERE type = 'picks' ORDER BY dedupe_key");
  return rows.map(({ dedupe_key }) => dedupe_key);
};
const BOTH = ['picks:2026-11-23:ada', 'picks:2026-11-23:bob'];

test('on Monday at half past five in Los Angeles each user gets a report, after the universe, and no moment earlier', async () => {
  await look('2026-11-22T12:00:00Z');
  await look('2026-11-23T13:29:59Z');
  expect(await reports()).toEqual([]);
  await look(DUE);
  await look('2026-11-23T13:30:01Z');
  expect(await reports()).toEqual(BOTH);
  const rows = await mesh.db.rows<{ type: string; state: string; n: number }>(
    'SELECT type, state, COUNT(*) AS n FROM job_states GROUP BY type, state ORDER BY type + 0, type',
  );
  expect(rows.map(({ type, state, n }) => `${n} ${type} ${state}`).sort()).toEqual([
    '1 batch_fetch ready',
    '1 picks_universe blocked',
    '2 picks blocked',
    '2 research ready',
  ]);
});

test('in summer it is the same hour of the same clock', async () => {
  await look('2026-06-01T12:29:59Z');
  expect(await reports()).toEqual([]);
  await look('2026-06-01T12:30:00Z');
  expect(await reports()).toEqual(['picks:2026-06-01:ada', 'picks:2026-06-01:bob']);
});

test('a user who has a report of the week gets no second one', async () => {
  const report = { ...reportFor(), user_id: 'ada', week_of: '2026-11-23', version: 1 };
  await mesh.db.transaction((tx) => storeReports(tx, [{ report, jobId: Buffer.alloc(16), eligible: [] }]));
  await look('2026-11-22T12:00:00Z');
  await look(DUE);
  expect(await reports()).toEqual(['picks:2026-11-23:bob']);
});

test('a run that fell due while no scheduler led is made up for within its week, once', async () => {
  await look('2026-11-22T12:00:00Z');
  await look('2026-11-26T20:00:00Z');
  await look('2026-11-26T20:00:01Z');
  expect(await reports()).toEqual(BOTH);
});

test('a run of a week that is almost over is skipped, and the next one is on its Monday', async () => {
  await look('2026-11-22T12:00:00Z');
  await look('2026-11-29T14:00:00Z');
  expect(await reports()).toEqual([]);
  await look('2026-11-30T13:30:00Z');
  expect(await reports()).toEqual(['picks:2026-11-30:ada', 'picks:2026-11-30:bob']);
});

test('in static mode nothing is asked for', async () => {
  const still = { ...config, picks: { ...config.picks, generation: false } };
  await look('2026-11-22T12:00:00Z', still);
  await look(DUE, still);
  expect(await mesh.db.rows('SELECT id FROM jobs')).toEqual([]);
});
