import { beforeEach, expect, test } from 'vitest';
import { ledgerOf } from '../../../services/job-types/ledger.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { runDueSchedules } from '../../../services/scheduler/schedules.ts';
import { silent } from '../../broker/peers.ts';
import { gatewayMesh } from '../mesh.ts';

/** The day before Independence Day of 2026 is a Friday on which the exchange is closed (NYSE, holidays of 2026). */
const HOLIDAY = '2026-07-03T13:00:00Z';
const NAME = 'before the session';
const mesh = gatewayMesh({
  'scheduler.schedules': [{ name: NAME, job: 'fetch_portfolios', cron: '0 9 * * 1-5', time_zone: 'America/New_York', skip_holidays: true }],
});
beforeEach(() => mesh.db.run('DELETE FROM schedule_runs'));

const schedule = async () => (await mesh.operator.get('/v1/schedules')).body.schedules[0];
/** The leader's look at a moment. */
async function look(at: string): Promise<void> {
  const clock = new ManualClock(at);
  await runDueSchedules({
    ledger: ledgerOf(mesh.db, clock, mesh.config),
    config: mesh.config,
    announcer: { enqueued: async () => {} },
    log: silent,
  });
}

test('a schedule says when it runs next, and that it never has', async () => {
  const { next_run_at, ...rest } = await schedule();
  expect(rest).toMatchObject({ name: NAME, job: 'fetch_portfolios', last_run_at: null, decided_at: null, skipped: null, queued: null });
  const next = Temporal.Instant.from(next_run_at).toZonedDateTimeISO('America/New_York');
  expect([next.hour, next.minute, next.dayOfWeek <= 5, next_run_at > new Date().toISOString()]).toEqual([9, 0, true, true]);
});

test('a run that was started says what it made, and one that was skipped why', async () => {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: 1 }] });
  await look('2026-07-02T12:00:00Z');
  await look('2026-07-02T13:00:01Z');
  expect(await schedule()).toMatchObject({
    last_run_at: '2026-07-02T13:00:00.000Z',
    decided_at: '2026-07-02T13:00:01.000Z',
    skipped: null,
    queued: 2,
    joined: 0,
  });
  await look(HOLIDAY);
  expect(await schedule()).toMatchObject({
    last_run_at: '2026-07-03T13:00:00.000Z',
    skipped: 'the exchange has no session on 2026-07-03',
    queued: 0,
  });
});

test('while automatic fetching is off the next run says that it will be skipped', async () => {
  await mesh.operator.post('/v1/auto-fetch', { enabled: false });
  expect((await mesh.operator.get('/v1/schedules')).body.auto_fetch).toBe(false);
  expect((await schedule()).next_skipped).toBe('automatic fetching is switched off (by admin)');
});

test('a run by hand makes the jobs of the schedule, and leaves its next run where it is', async () => {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: 1 }] });
  const before = await schedule();
  const run = () => mesh.operator.post(`/v1/schedules/${encodeURIComponent(NAME)}/run`);
  expect(await run()).toMatchObject({ status: 202, body: { queued: 2, joined: 0, refused: 0, reason: null } });
  expect((await run()).body).toMatchObject({ queued: 0, joined: 2 });
  expect(await schedule()).toEqual(before);
  expect(await mesh.db.rows('SELECT type FROM jobs ORDER BY type')).toEqual([{ type: 'analysis' }, { type: 'batch_fetch' }]);
  expect((await mesh.operator.get('/v1/audit?action=schedule.run')).body.rows[0]).toMatchObject({ target: `schedule:${NAME}` });
});

test('an unknown schedule is 404', async () => {
  expect((await mesh.operator.post('/v1/schedules/none/run')).body.code).toBe('schedule.unknown');
});
