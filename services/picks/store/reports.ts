/** The stored reports. A version is inserted once, with all its content, and never changed: no write of a state can touch it. */
import { fromJson, type Sql, type Transaction, toJson } from '../../platform/database/database.ts';
import { type NotifyEvent, tell } from '../../platform/outbox.ts';
import { NOT_ADVICE } from '../report/disclosures.ts';
import { type Report, ReportSchema } from '../report/schema.ts';

/** One version, without its content. */
export interface ReportHead {
  weekOf: string;
  version: number;
  source: Report['source'];
  simulated: boolean;
  dataDate: string;
  generatedAt: Date;
  tickers: readonly string[];
  universeHash: Buffer;
}

interface HeadRow {
  week_of: string;
  version: number;
  source: Report['source'];
  is_simulated: number;
  data_date: string;
  generated_at: Date;
  tickers: unknown;
  universe_hash: Buffer;
}

const HEAD = 'week_of, version, source, is_simulated, data_date, generated_at, tickers, universe_hash';

const headOf = (row: HeadRow): ReportHead => ({
  weekOf: row.week_of,
  version: row.version,
  source: row.source,
  simulated: row.is_simulated === 1,
  dataDate: row.data_date,
  generatedAt: row.generated_at,
  tickers: fromJson(row.tickers) as string[],
  universeHash: row.universe_hash,
});

/** The versions of a user's reports, the newest week and version first. Walks the primary key. */
export async function listReports(
  sql: Sql,
  user: string,
  { week, before, limit }: { week?: string; before?: string; limit: number },
): Promise<ReportHead[]> {
  const rows = await sql.rows<HeadRow>(
    `SELECT ${HEAD} FROM weekly_reports WHERE user_id = ?${week === undefined ? '' : ' AND week_of = ?'}${before === undefined ? '' : ' AND week_of < ?'}
      ORDER BY week_of DESC, version DESC LIMIT ?`,
    [user, ...(week === undefined ? [] : [week]), ...(before === undefined ? [] : [before]), limit],
  );
  return rows.map(headOf);
}

/** The newest version: of a week, of the newest week before one, or of all; undefined where there is none. */
export async function readReport(
  sql: Sql,
  user: string,
  { week, beforeWeek, version }: { week?: string | undefined; beforeWeek?: string | undefined; version?: number | undefined } = {},
): Promise<Report | undefined> {
  const conditions: [string, unknown][] = [
    ['week_of = ?', week],
    ['week_of < ?', beforeWeek],
    ['version = ?', version],
  ];
  const given = conditions.filter(([, value]) => value !== undefined);
  const [row] = await sql.rows<{ document: string }>(
    `SELECT document FROM weekly_reports WHERE user_id = ?${given.map(([text]) => ` AND ${text}`).join('')} ORDER BY week_of DESC, version DESC LIMIT 1`,
    [user, ...given.map(([, value]) => value)],
  );
  return row && ReportSchema.parse(JSON.parse(row.document));
}

/** The newest version of each of the users, who has one. Two walks of the primary key: the newest week of each, and the versions of that week. */
export async function newestReports(sql: Sql, users: readonly string[]): Promise<Map<string, ReportHead>> {
  if (users.length === 0) return new Map();
  const weeks = await sql.rows<{ user_id: string; week_of: string }>(
    'SELECT user_id, MAX(week_of) AS week_of FROM weekly_reports FORCE INDEX (PRIMARY) WHERE user_id IN (?) GROUP BY user_id',
    [users],
  );
  if (weeks.length === 0) return new Map();
  const rows = await sql.rows<HeadRow & { user_id: string }>(
    `SELECT user_id, ${HEAD} FROM weekly_reports FORCE INDEX (PRIMARY) WHERE (user_id, week_of) IN (?) ORDER BY user_id, version`,
    [weeks.map(({ user_id, week_of }) => [user_id, week_of])],
  );
  return new Map(rows.map((row) => [row.user_id, headOf(row)]));
}

/** The users who have a report of a week. By ix_week. */
export async function usersWithReport(sql: Sql, week: string): Promise<Set<string>> {
  const rows = await sql.rows<{ user_id: string }>('SELECT DISTINCT user_id FROM weekly_reports FORCE INDEX (ix_week) WHERE week_of = ?', [
    week,
  ]);
  return new Set(rows.map(({ user_id }) => user_id));
}

/** A new version with what it was chosen from. */
export interface NewReport {
  report: Report;
  jobId: Buffer;
  /** The symbols that it could choose from; null where they were stored before, with its draft. */
  eligible: readonly string[] | null;
  /** Whether a route wants to be told that it is ready. */
  tells?: boolean;
}

function readyEvent({ report }: NewReport): NotifyEvent {
  const { user_id: user, week_of: week, version, data_date, simulated, stock_picks, generated_at } = report;
  const tickers = stock_picks.map(({ ticker }) => ticker).join(', ');
  return {
    ...{ name: 'picks.ready', severity: 'info', subject: `picks:${user}`, at: new Date(generated_at) },
    details: {
      ...{ user, week, version },
      summary: `${tickers}, by ${simulated ? 'made-up prices' : 'prices'} of ${data_date}. ${NOT_ADVICE}`,
    },
  };
}

const INSERT_UNIVERSES = 'INSERT IGNORE INTO pick_universes (hash, data_date, eligible) VALUES ?';
const universeRow = ({ universe, data_date }: Report, eligible: readonly string[]) => [
  Buffer.from(universe.hash, 'hex'),
  data_date,
  toJson(eligible),
];

/** Inserts new versions, takes their drafts away, and tells of them whoever wants to know. In the transaction that completes their jobs. */
export async function storeReports(tx: Transaction, reports: readonly NewReport[]): Promise<void> {
  if (reports.length === 0) return;
  tx.later(
    'INSERT INTO weekly_reports (user_id, week_of, version, source, is_simulated, data_date, generated_at, universe_hash, tickers, document, job_id) VALUES ?',
    [
      reports.map(({ report, jobId }) => [
        report.user_id,
        report.week_of,
        report.version,
        report.source,
        Number(report.simulated),
        report.data_date,
        new Date(report.generated_at),
        Buffer.from(report.universe.hash, 'hex'),
        toJson(report.stock_picks.map(({ ticker }) => ticker)),
        JSON.stringify(report),
        jobId,
      ]),
    ],
  );
  const universes = new Map(
    reports.flatMap(({ report, eligible }) => (eligible === null ? [] : [[report.universe.hash, universeRow(report, eligible)] as const])),
  );
  if (universes.size > 0) tx.later(INSERT_UNIVERSES, [[...universes.values()]]);
  tell(tx, reports.filter(({ tells }) => tells).map(readyEvent));
  tx.later('DELETE FROM report_drafts WHERE (user_id, week_of, version) IN (?)', [
    reports.map(({ report }) => [report.user_id, report.week_of, report.version]),
  ]);
}

/** A report before a model words it: what is bought is bound to its facts. */
export interface Draft {
  intentKey: string;
  report: Report;
  /** The job that wrote it. */
  jobId: string;
}

export async function readDraft(sql: Sql, user: string, week: string, version: number): Promise<Draft | undefined> {
  const [row] = await sql.rows<{ intent_key: string; document: string; job_id: string }>(
    'SELECT intent_key, document, job_id FROM report_drafts WHERE user_id = ? AND week_of = ? AND version = ?',
    [user, week, version],
  );
  return row && { intentKey: row.intent_key, report: ReportSchema.parse(JSON.parse(row.document)), jobId: row.job_id };
}

/** Keeps a draft before its words are paid for, with the symbols that it could choose from, and returns the one that counts: of two attempts of one job the first one's, since its words may be under way. */
export async function storeDraft(sql: Sql, { intentKey, report, jobId }: Draft, eligible: readonly string[]): Promise<Draft> {
  const { user_id: user, week_of: week, version } = report;
  await sql.run(INSERT_UNIVERSES, [[universeRow(report, eligible)]]);
  await sql.run(
    `INSERT INTO report_drafts (user_id, week_of, version, intent_key, job_id, document) VALUES (?)
       ON DUPLICATE KEY UPDATE intent_key = IF(job_id = VALUES(job_id), intent_key, VALUES(intent_key)),
         document = IF(job_id = VALUES(job_id), document, VALUES(document)), job_id = VALUES(job_id)`,
    [[user, week, version, intentKey, jobId, JSON.stringify(report)]],
  );
  return (await readDraft(sql, user, week, version)) ?? { intentKey, report, jobId };
}
