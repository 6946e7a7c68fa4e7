/** The faults of paid reports: a process that dies at each point of a paid call, a database that is away, a lease that is lost, a run that is started twice. */

import { pino } from 'pino';
import { picksRequests } from '../../../services/job-types/picks/request.ts';
import { weeklyRun } from '../../../services/job-types/picks/weekly.ts';
import { cancel } from '../../../services/ledger/control.ts';
import { enqueue, enqueueWith } from '../../../services/ledger/enqueue/enqueue.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { runDueSchedules } from '../../../services/scheduler/schedules.ts';
import { wordsFor } from '../../picks/stored-universe.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { until } from '../leases/workers.ts';
import { contentOf, type Ground, type PicksRound } from './ground.ts';

export interface PicksCase {
  name: string;
  /** Among the long trials and in `npm run faults`. */
  long?: true;
  /** So many users of a round; each case says how its promise differs from a worded report for each user. */
  run(ground: Ground, users: number): Promise<PicksRound>;
}

/** So many of the workers' processes die in a round at most, and fewer than it has users. */
const DEATHS = 4;

/** A worker dies at a point of the call; the answers of `lost` points never reached the database. */
function death(point: string): PicksCase['run'] {
  return async (ground, users) => {
    await ground.prepare(users);
    ground.deaths(point, Math.min(DEATHS, users - 1));
    const startedAt = performance.now();
    await ground.request();
    await ground.startWorkers();
    await ground.ended();
    if (ground.died() === 0) throw new Error(`no worker has died at the point "${point}": the round shows nothing`);
    return ground.count(startedAt);
  };
}

/** Holds all answers until `fault` is over. */
async function whileAsked(ground: Ground, users: number, fault: (answer: () => void) => Promise<void>): Promise<PicksRound> {
  await ground.prepare(users);
  const go = Promise.withResolvers<void>();
  let waiting = 0;
  ground.server.behave((request) => ({ kind: 'hold', text: wordsFor(request), waiting: () => void waiting++, go: go.promise }));
  const startedAt = performance.now();
  await ground.request();
  await ground.startWorkers();
  await until('asked: the model', () => waiting > 0);
  await fault(() => {
    ground.server.behave((request) => ({ kind: 'answer', text: wordsFor(request) }));
    go.resolve();
  });
  await ground.ended();
  return ground.count(startedAt);
}

/** The jobs that a case counts without running them, one for each user and week. */
async function countJobs({ mesh }: Ground, wanted: number, startedAt: number): Promise<PicksRound> {
  const rows = await mesh.db.rows<{ dedupe_key: string; n: number }>(
    "SELECT dedupe_key, COUNT(*) AS n FROM jobs WHERE type = 'picks' GROUP BY dedupe_key",
  );
  const doubled = rows.reduce((sum, { n }) => sum + n - 1, 0);
  const none = { failed: 0, requests: 0, reports: 0, worded: 0, unknown: 0, told: 0 };
  return {
    ...none,
    sent: wanted,
    done: rows.length,
    lost: wanted - rows.length,
    doubled,
    recoverySeconds: (performance.now() - startedAt) / 1000,
  };
}

/** Sundays around both changes of the clock, and midnight in Los Angeles of one without. */
const WEEKENDS = ['2026-03-08', '2026-10-31', '2027-03-13', '2027-11-06', '2026-06-06'];

export const PICKS_CASES: readonly PicksCase[] = [
  { name: 'kill -9 before the call', long: true, run: death('reserved') },
  { name: 'kill -9 when the call was marked as sent', run: death('sent') },
  {
    name: 'kill -9 during the call',
    long: true,
    run: (ground, users) =>
      whileAsked(ground, users, async (answer) => {
        for (const worker of ground.workers.slice(0, 2)) worker.kill('SIGKILL');
        answer();
      }),
  },
  { name: 'kill -9 when the answer was here and not stored', long: true, run: death('arrived') },
  { name: 'kill -9 between answer and parse', long: true, run: death('stored') },
  { name: 'kill -9 between parse and commit', run: death('parsed') },
  {
    name: 'database away during the call',
    long: true,
    run: (ground, users) => whileAsked(ground, users, (answer) => ground.mesh.restartDatabase(async () => answer())),
  },
  {
    name: 'lease lost while the answer streams',
    long: true,
    run: (ground, users) =>
      whileAsked(ground, users, async (answer) => {
        const [frozen] = ground.workers;
        frozen?.kill('SIGSTOP');
        await until('claimed again: a job', async () => {
          const rows = await ground.mesh.db.rows("SELECT id FROM job_states WHERE type = 'picks' AND attempt > 1 LIMIT 1");
          return rows.length > 0;
        });
        answer();
        frozen?.kill('SIGCONT');
      }),
  },
  {
    name: 'weekly run started twice',
    async run(ground, users) {
      await ground.prepare(users);
      const startedAt = performance.now();
      const config = configOf({ 'picks.universe.lists': [], 'picks.universe.held_and_watched': false, 'picks.universe.most_fetched': 0 });
      const { ledger, announcer, db } = ground.mesh;
      const fire = async (): Promise<void> => {
        const requests = await weeklyRun(ledger, config, { cause: 'scheduled_update', rules: config.jobs.priority_rules });
        await announcer.enqueued(await db.transaction((tx) => enqueueWith(tx, ledger, requests)));
      };
      await Promise.all([fire(), fire()]);
      await ground.startWorkers();
      await fire();
      await ground.ended();
      await fire();
      await ground.ended();
      return ground.count(startedAt);
    },
  },
  {
    name: "week's boundary in Los Angeles, both changes of the clock",
    async run(ground, users) {
      await ground.prepare(users);
      const startedAt = performance.now();
      const schedule = {
        name: 'weekly picks',
        cron: '30 5 * * 1',
        time_zone: 'America/Los_Angeles',
        job: 'weekly_picks',
        skip_holidays: false,
      };
      const config = configOf({
        'scheduler.schedules': [schedule],
        'picks.universe.lists': [],
        'picks.universe.held_and_watched': false,
        'picks.universe.most_fetched': 0,
      });
      const clock = new ManualClock('2026-01-01T00:00:00Z');
      const ledger = { ...ground.mesh.ledger, clock };
      const options = { ledger, config, announcer: { enqueued: async () => undefined }, log: pino({ level: 'silent' }) };
      for (const day of WEEKENDS.toSorted()) {
        clock.set(`${day}T00:00:00Z`);
        await ground.mesh.db.run("DELETE FROM schedule_runs WHERE name = 'weekly picks'");
        // Three days by quarters of an hour, each looked at by two schedulers.
        for (let quarter = 0; quarter < 3 * 96; quarter++) {
          await Promise.all([runDueSchedules(options), runDueSchedules(options)]);
          clock.advance({ minutes: 15 });
        }
      }
      return countJobs(ground, users * WEEKENDS.length, startedAt);
    },
  },
  {
    name: 'status writes leave the content alone',
    async run(ground, users) {
      await ground.prepare(users);
      const startedAt = performance.now();
      await ground.request();
      await ground.startWorkers();
      await ground.ended();
      const round = await ground.count(startedAt);
      const before = await contentOf(ground);
      // A second version is asked for, claimed, and cancelled while the model is asked; others are cancelled as they wait.
      ground.server.behave({ kind: 'silent' });
      const origin = { cause: 'user_request', rules: configOf().jobs.priority_rules } as const;
      const again = await enqueue(ground.mesh.ledger, picksRequests(ground.users, { week: ground.week, reason: 'manual_trigger', origin }));
      await ground.mesh.announcer.enqueued(again);
      await until('running: a second version', async () => (await ground.mesh.db.rows('SELECT job_id FROM running LIMIT 1')).length > 0);
      for (const answer of again) if (answer.outcome !== 'refused') await cancel(ground.mesh.ledger, answer.id, 'a test cancels');
      await ground.ended();
      const touched = before === (await contentOf(ground)) ? 0 : 1;
      return { ...round, failed: round.failed + touched };
    },
  },
];
