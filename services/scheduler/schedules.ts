/**
 * Runs by the calendar. A row holds the newest run of each schedule that was started or skipped. It changes in the transaction that inserts the run's jobs. So a
 * restart neither repeats a run nor forgets one that fell due without a leader, and a run whose jobs cannot be written is due again a second later.
 */
import { Cron } from 'croner';
import { portfolioBatches } from '../job-types/batch-fetch/request.ts';
import { weeklyRun } from '../job-types/picks/weekly.ts';
import { universeRequests } from '../job-types/picks-universe/request.ts';
import { rankingRequests } from '../job-types/rank/request.ts';
import type { Origin } from '../job-types/request.ts';
import type { Announcer } from '../ledger/announce.ts';
import { type EnqueueAnswer, enqueueWith, type JobRequest } from '../ledger/enqueue/enqueue.ts';
import { type Ledger, nowOf } from '../ledger/job.ts';
import { usCalendar } from '../market/calendar/calendar.ts';
import { readPaused } from '../market/freshness/failures.ts';
import { sourceSet } from '../market/freshness/freshness.ts';
import { rateSymbols } from '../market/portfolios/base-currency.ts';
import { parseSymbol } from '../market/symbol.ts';
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

/** A run that is later than this is skipped. */
const LATEST_MS = 3_600_000;
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
export function dueRun({ cron, time_zone, skip_holidays }: Omit<Schedule, 'name' | 'job'>, last: Date, now: Date): DueRun | undefined {
  const pattern = new Cron(cron, { timezone: time_zone, paused: true });
  const first = pattern.nextRun(last);
  if (first === null || first > now) return undefined;
  // previousRuns leaves its reference out.
  const [newest = first] = pattern.previousRuns(1, new Date(now.getTime() + 1));
  const late = now.getTime() - newest.getTime();
  const day = Temporal.Instant.fromEpochMilliseconds(newest.getTime()).toZonedDateTimeISO(time_zone).toPlainDate().toString();
  let skip: string | undefined;
  if (skip_holidays && !usCalendar.isTradingDay(day)) skip = `the exchange has no session on ${day}`;
  else if (late >= LATEST_MS)
    skip = `it was due ${Math.round(late / 60_000)} minutes ago, while no scheduler led; a run is made up for within an hour`;
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

async function run(schedule: Schedule, found: DueRun, { ledger, config, announcer, log }: ScheduleOptions): Promise<void> {
  const { enabled, changed_by } = await readAutoFetch(ledger.db);
  const due = enabled ? found : { ...found, skip: `automatic fetching is switched off (by ${changed_by})` };
  const at = due.at.toISOString();
  const requests = due.skip === undefined ? await JOBS[schedule.job](ledger, config) : [];
  const answers = await commitRun(ledger, schedule.name, due.at, requests);
  if (answers === undefined) return;
  const about = { schedule: schedule.name, at, ...(due.missed ? { missed: 'earlier runs too' } : {}) };
  if (due.skip !== undefined) {
    log.warn(about, `schedule "${schedule.name}" skips its run of ${at}: ${due.skip}`);
    return;
  }
  const count = (outcome: EnqueueAnswer['outcome']) => answers.filter((answer) => answer.outcome === outcome).length;
  const counts = { queued: count('queued'), joined: count('joined'), refused: count('refused') };
  log.info({ ...about, ...counts }, `schedule "${schedule.name}" has started its run of ${at}`);
  const refused = answers.find((answer) => answer.outcome === 'refused');
  if (refused !== undefined)
    log.warn({ ...about, code: refused.code }, `${counts.refused} jobs of schedule "${schedule.name}" were refused: ${refused.reason}`);
  await announcer.enqueued(answers);
}

/** Commits a run with its jobs; undefined when another leader has decided about it already. */
function commitRun(ledger: Ledger, name: string, at: Date, requests: readonly JobRequest[]): Promise<EnqueueAnswer[] | undefined> {
  const commit = async (tx: Transaction): Promise<EnqueueAnswer[] | undefined> => {
    const [row] = await tx.rows<{ last_run_at: Date }>('SELECT last_run_at FROM schedule_runs WHERE name = ? FOR UPDATE', [name]);
    if (row === undefined || row.last_run_at >= at) return undefined;
    await tx.run('UPDATE schedule_runs SET last_run_at = ? WHERE name = ?', [at, name]);
    return await enqueueWith(tx, ledger, requests);
  };
  return ledger.db.transaction(commit);
}

const scheduled = ({ jobs }: Config): Origin => ({ cause: 'scheduled_update', rules: jobs.priority_rules });

/** What each job of a schedule asks for. */
const JOBS: Record<Schedule['job'], (ledger: Ledger, config: Config) => Promise<JobRequest[]>> = {
  /** All symbols that anybody holds or watches, by a walk of ix_symbol from symbol to symbol, and the rates of their currencies; without those that the sources had no answer for lately. */
  async fetch_portfolios(ledger, config) {
    const rows = await ledger.db.rows<{ symbol: string; currency: string | null }>(
      'SELECT h.symbol, s.currency FROM (SELECT symbol FROM holdings GROUP BY symbol) h LEFT JOIN symbols s ON s.symbol = h.symbol',
    );
    const paused = await readPaused(ledger.db, sourceSet(config), nowOf(ledger));
    return portfolioBatches(
      [...rows.map(({ symbol }) => symbol), ...rateSymbols(rows, config.portfolio.base_currency)].filter((symbol) => !paused.has(symbol)),
      config.stock_jobs.data_fetch.batch_size,
      scheduled(config),
    );
  },
  /** The options of the watchlist's symbols, in each of its modes. */
  rank_watchlist({ clock, db }, config) {
    const { watchlist, watchlist_modes } = config.ranking;
    return rankingRequests(watchlist.map(parseSymbol), watchlist_modes, { config, clock, db, origin: scheduled(config) });
  },
  /** A report of the present week for each user who has none, after the stale symbols were fetched. */
  weekly_picks(ledger, config) {
    return weeklyRun(ledger, config, scheduled(config));
  },
  /** The stale symbols of the universe, and the track record of earlier picks. */
  picks_universe({ clock, db }, config) {
    return universeRequests({ db, clock, config }, { always: true });
  },
};
