/**
 * Runs by the calendar. A row holds the newest run of each schedule that was started or skipped. It changes in the transaction that inserts the run's jobs. So a
 * restart neither repeats a run nor forgets one that fell due without a leader, and a run whose jobs cannot be written is due again a second later.
 */
import { Cron } from 'croner';
import { holidaySkip, scheduledRequests, switchedOff } from '../job-types/scheduled.ts';
import type { Announcer } from '../ledger/announce.ts';
import { countOutcomes, type EnqueueAnswer, enqueueWith, type JobRequest } from '../ledger/enqueue/enqueue.ts';
import { inTrace, type TracedCommit } from '../ledger/enqueue/traced.ts';
import { type Ledger, nowOf } from '../ledger/job.ts';
import type { Config } from '../platform/config/load.ts';
import type { Transaction } from '../platform/database/database.ts';
import type { Logger } from '../platform/log/log.ts';
import { readAutoFetch } from '../platform/registry/settings.ts';
import type { Duty } from './duties.ts';

type Schedule = Config['scheduler']['schedules'][number];

export interface ScheduleOptions {
  ledger: Ledger;
  config: Config;
  announcer: Pick<Announcer, 'enqueued'>;
  log: Logger;
}

/** A run that is later than this is skipped. The run of the week is worth its while until the week is almost over. */
const latestOf = (job: Schedule['job'] | undefined): { ms: number; text: string } =>
  job === 'weekly_picks' ? { ms: 6 * 86_400_000, text: 'six days' } : { ms: 3_600_000, text: 'an hour' };
const LOOK_SECONDS = 1;

export interface DueRun {
  /** The newest moment that fell due. */
  at: Date;
  /** How many earlier ones fell due since the last run; this one stands for them all. */
  missed: boolean;
  /** Why there is nothing to do. */
  skip?: string | undefined;
}

/**
 * What fell due in (last, now]; undefined when nothing did. Times are those of the schedule's zone: one that a change to summer time leaves out runs at the first
 * moment after the gap, one that comes twice runs once. `skip_holidays` asks the exchange's calendar about the zone's day.
 */
export function dueRun(
  schedule: Omit<Schedule, 'name' | 'job'> & Partial<Pick<Schedule, 'job'>>,
  last: Date,
  now: Date,
): DueRun | undefined {
  const pattern = new Cron(schedule.cron, { timezone: schedule.time_zone, paused: true });
  const first = pattern.nextRun(last);
  if (first === null || first > now) return undefined;
  // previousRuns leaves its reference out.
  const [newest = first] = pattern.previousRuns(1, new Date(now.getTime() + 1));
  const late = now.getTime() - newest.getTime();
  const latest = latestOf(schedule.job);
  let skip = holidaySkip(schedule, newest);
  if (skip === undefined && late >= latest.ms)
    skip = `it was due ${Math.round(late / 60_000)} minutes ago, while no scheduler led; a run is made up for within ${latest.text}`;
  return { at: newest, missed: first < newest, skip };
}

/** The leader's look at all schedules, once a second. */
export function schedulesDuty(options: ScheduleOptions): Duty {
  return { name: 'schedules', everySeconds: LOOK_SECONDS, run: () => runDueSchedules(options) };
}

/** Starts what is due. A schedule seen for the first time begins now. Errors: those of the database; what was not started is due again. */
export async function runDueSchedules(options: ScheduleOptions): Promise<void> {
  const { ledger, config } = options;
  const { schedules } = config.scheduler;
  if (schedules.length === 0) return;
  const now = nowOf(ledger);
  const rows = await ledger.db.rows<{ name: string; last_run_at: Date }>('SELECT name, last_run_at FROM schedule_runs WHERE name IN (?)', [
    schedules.map(({ name }) => name),
  ]);
  const lastOf = new Map(rows.map(({ name, last_run_at }) => [name, last_run_at]));
  const fresh = schedules.filter(({ name }) => !lastOf.has(name));
  if (fresh.length > 0)
    await ledger.db.run('INSERT IGNORE INTO schedule_runs (name, last_run_at) VALUES ?', [fresh.map(({ name }) => [name, now])]);

  const failures: unknown[] = [];
  for (const schedule of schedules) {
    const last = lastOf.get(schedule.name);
    const due = last === undefined ? undefined : dueRun(schedule, last, now);
    // One schedule's failure must not keep the others from running.
    if (due !== undefined) await run(schedule, due, options).catch((error: unknown) => failures.push(error));
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures);
}

/** A run is a trace of its own; one that is skipped is none. */
async function run(schedule: Schedule, found: DueRun, options: ScheduleOptions): Promise<void> {
  const { enabled, changed_by } = await readAutoFetch(options.ledger.db);
  const due = enabled ? found : { ...found, skip: switchedOff(changed_by) };
  if (due.skip !== undefined) return commitAndTell(schedule, due, options, (_, commit) => commit());
  const attributes = { 'schedule.name': schedule.name, 'schedule.job': schedule.job };
  await inTrace('schedule', { attributes }, (commitTraced) => commitAndTell(schedule, due, options, commitTraced));
}

async function commitAndTell(
  schedule: Schedule,
  due: DueRun,
  { ledger, config, announcer, log }: ScheduleOptions,
  commitTraced: TracedCommit,
): Promise<void> {
  const at = due.at.toISOString();
  const requests = due.skip === undefined ? await scheduledRequests(schedule.job, ledger, config) : [];
  const answers = await commitTraced(requests, () => commitRun(ledger, schedule.name, due, requests));
  if (answers === undefined) return;
  const about = { schedule: schedule.name, at, ...(due.missed ? { missed: 'earlier runs too' } : {}) };
  if (due.skip !== undefined) {
    log.warn(about, `schedule "${schedule.name}" skips its run of ${at}: ${due.skip}`);
    return;
  }
  const counts = countOutcomes(answers);
  log.info({ ...about, ...counts }, `schedule "${schedule.name}" has started its run of ${at}`);
  const refused = answers.find((answer) => answer.outcome === 'refused');
  if (refused !== undefined)
    log.warn({ ...about, code: refused.code }, `${counts.refused} jobs of schedule "${schedule.name}" were refused: ${refused.reason}`);
  await announcer.enqueued(answers);
}

/** Commits a run with its jobs and what became of it; undefined when another leader has decided about it already. */
function commitRun(
  ledger: Ledger,
  name: string,
  { at, skip }: DueRun,
  requests: readonly JobRequest[],
): Promise<EnqueueAnswer[] | undefined> {
  const commit = async (tx: Transaction): Promise<EnqueueAnswer[] | undefined> => {
    const [row] = await tx.rows<{ last_run_at: Date }>('SELECT last_run_at FROM schedule_runs WHERE name = ? FOR UPDATE', [name]);
    if (row === undefined || row.last_run_at >= at) return undefined;
    const answers = await enqueueWith(tx, ledger, requests);
    const { queued, joined, refused } = countOutcomes(answers);
    tx.later('UPDATE schedule_runs SET last_run_at = ?, decided_at = ?, skipped = ?, queued = ?, joined = ?, refused = ? WHERE name = ?', [
      ...[at, nowOf(ledger), skip?.slice(0, 500) ?? null, queued, joined, refused, name],
    ]);
    return answers;
  };
  return ledger.db.transaction(commit);
}
