import { idFromBytes } from '../../ledger/id.ts';
import type { State } from '../../ledger/job.ts';
import { operatorOf } from '../../picks/configured.ts';
import { type Disclosure, disclosuresOf } from '../../picks/report/disclosures.ts';
import type { Report } from '../../picks/report/schema.ts';
import { weekOf } from '../../picks/report/week.ts';
import { sampleReport } from '../../picks/sample.ts';
import { readReport } from '../../picks/store/reports.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { LIVE_STATES } from '../../platform/job-states.ts';
import { picksKey } from './request.ts';

/** What is shown of a user's picks: the last good report, with what it is, and what is being done. */
export interface ShownPicks {
  report: Report | undefined;
  disclosures: Disclosure[];
  /** The Monday of the present week. */
  thisWeek: string;
  /** Whether the report is of the week that was asked for. */
  isCurrent: boolean;
  status: 'ready' | 'making' | 'failed' | 'none' | 'sample';
  job: WeekJob | undefined;
}

export interface WeekJob {
  id: string;
  state: State;
  code: string | null;
  reason: string | null;
}

interface Parts {
  db: Sql;
  clock: Clock;
  config: Config;
}

/**
 * The report of a week, or the newest of all without one: an older report is shown as what it is, with its own week. In static mode the sample. Errors:
 * `ConfigError('picks.interests_required')`.
 */
export async function showPicks({ db, clock, config }: Parts, user: string, week?: string): Promise<ShownPicks> {
  const thisWeek = weekOf(clock.now());
  const asked = week ?? thisWeek;
  if (!config.picks.generation) {
    const report = await sampleReport(user, config);
    return { report, disclosures: disclosed(report, config), thisWeek, isCurrent: false, status: 'sample', job: undefined };
  }
  const [report, job] = await Promise.all([readReport(db, user, { week }), newestJob(db, user, asked)]);
  const isCurrent = report?.week_of === asked;
  const isLive = job !== undefined && (LIVE_STATES as readonly State[]).includes(job.state);
  const failed = job !== undefined && (job.state === 'failed' || job.state === 'expired' || job.state === 'cancelled');
  return {
    report,
    disclosures: report === undefined ? [] : disclosed(report, config),
    thisWeek,
    isCurrent,
    status: isLive ? 'making' : failed ? 'failed' : isCurrent ? 'ready' : 'none',
    job,
  };
}

const disclosed = (report: Report, { picks }: Config): Disclosure[] => disclosuresOf(report, operatorOf(picks), picks.rules);

/** The user's newest job for a week. Walks ix_user of job_subscribers from its end. */
async function newestJob(db: Sql, user: string, week: string): Promise<WeekJob | undefined> {
  const [row] = await db.rows<{ id: Buffer; state: State; code: string | null; reason: string | null }>(
    `SELECT q.id, j.state, r.code, r.reason FROM job_subscribers s
       JOIN jobs q ON q.id = s.job_id JOIN job_states j ON j.id = q.id LEFT JOIN ended r ON r.job_id = q.id
      WHERE s.user_id = ? AND q.dedupe_key = ? ORDER BY s.job_id DESC LIMIT 1`,
    [user, picksKey(user, week)],
  );
  return row && { id: idFromBytes(row.id), state: row.state, code: row.code, reason: row.reason };
}
