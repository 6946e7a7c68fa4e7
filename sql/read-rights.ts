/** What dashboards may read with the account `stockmesh_read`: the columns listed here, and nothing that a later migration adds. */
import { escapeId, escape as quote } from 'mysql2';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { SET_SQL_MODE, type Sql } from '../services/platform/database/database.ts';
import { accountNames } from './accounts.ts';

/** Columns, separated by spaces. Each column of the table is in one of the two. */
interface TableRights {
  read: string;
  /** Not for dashboards: secrets, addresses of receivers, and what a person holds, does or asked for. */
  hidden?: string;
}

/** A table is not readable until it is here. `hidden`: none of its columns, those of later migrations included. */
export const READ_RIGHTS: Readonly<Record<string, TableRights | 'hidden'>> = {
  alerts: { read: 'name state value threshold since text' },
  analyses: { read: 'symbol date computed_at bars_used indicators signal confidence reasons' },
  api_keys: 'hidden',
  audit_log: 'hidden',
  backups: { read: 'snapshot_at finished_at host row_count byte_count', hidden: 'folder' },
  bars: { read: 'symbol date open high low close adjusted_close volume source as_of' },
  callbacks: { read: 'job_id state attempts due_at last_status created_at', hidden: 'id key_id url host user_id last_error' },
  chain_days: { read: 'symbol date source as_of contracts data' },
  corporate_actions: { read: 'symbol date kind value source as_of' },
  dedupe_windows: 'hidden',
  fundamentals: {
    read: 'symbol day fetched_at source name quote_type sector_key sector industry_key industry currency financial_currency data earnings_from earnings_to earnings_estimate',
  },
  history_absences: { read: 'object_key state reason source asked_at until job_id' },
  history_budgets: { read: 'account slot holder until rests_until' },
  history_fetches: { read: 'object_key job_id attempt' },
  history_objects: {
    read:
      'object_key asset data_schema data_interval contract_filter root from_day to_day row_count byte_count sha256 etag schema_version source as_of modified_at is_partial days ' +
      'quality degraded job_id stored_at',
    hidden: 'provenance',
  },
  holdings: 'hidden',
  imports: { read: 'users positions imported_at', hidden: 'sha256 source' },
  instances: { read: 'instance service capacity running started_at heartbeat_at clock_offset_ms capabilities', hidden: 'session' },
  iv_history: { read: 'symbol date iv source as_of' },
  blocked: { read: 'queue priority job_id attempt due_at blocked_on' },
  ended: { read: 'job_id state attempt worker_id started_at ended_at code reason', hidden: 'result' },
  jobs: {
    read: 'id queue priority max_attempts deaths crashes aged has_dependents type symbol user_id enqueued_at triggered_by trace capability',
    hidden: 'dedupe_key payload why',
  },
  job_states: {
    read: 'id queue state priority attempt max_attempts due_at type symbol user_id worker_id blocked_on aged has_dependents enqueued_at started_at ended_at deaths crashes capability',
  },
  live_keys: 'hidden',
  ready: { read: 'queue priority job_id capability type attempt due_at blocked_on' },
  running: { read: 'job_id worker_id attempt started_at due_at has_dependents has_user', hidden: 'dedupe_key' },
  scheduled: { read: 'queue priority job_id attempt due_at' },
  job_askers: 'hidden',
  job_attempts: { read: 'job_id attempt worker_id started_at ended_at outcome code reason' },
  job_dependencies: { read: 'job_id needs_id is_part' },
  job_items: { read: 'job_id item_key state attempts row_count byte_count reason updated_at' },
  job_subscribers: 'hidden',
  leases: { read: 'name holder until' },
  login_answers: { read: 'id instance admitted_at taken_at', hidden: 'logins' },
  logins: 'hidden',
  mesh_stats: {
    read: 'step_s at minutes ready running scheduled blocked oldest_s enqueued completed failed workers slots busy logins details',
  },
  model_analyses: {
    read: 'symbol created_at data_date model provider sentiment recommendation confidence document stale_after',
    hidden: 'facts_hash spend_id',
  },
  news: { read: 'symbol id published_at fetched_at source title publisher link tickers' },
  news_checks: { read: 'symbol checked_at source' },
  notify_deliveries: { read: 'event_id route channel message_id', hidden: 'recipient' },
  notify_events: { read: 'id name severity subject at route routed', hidden: 'details' },
  notify_messages: {
    read: 'id first_event route channel lane state severity due_at attempts code created_at sealed_at',
    hidden: 'recipient address last_error',
  },
  notify_repeats: { read: 'route subject due_at times', hidden: 'event' },
  notify_stops: 'hidden',
  notify_users: 'hidden',
  option_current: { read: 'symbol ranking_mode run_id run_at' },
  option_positions: 'hidden',
  option_runs: {
    read: 'run_id symbol ranking_mode run_at as_of source spot total eligible reasons gaps atm_iv iv_rank iv_percentile trend job_id',
    hidden: 'left_out',
  },
  options_ranks: {
    read:
      'run_id place symbol ranking_mode run_at contract side expiration strike dte spot bid ask mid volume open_interest quoted_at iv iv_source delta gamma theta vega rho ' +
      'composite_rank entry_rank exit_rank momentum_score value_score greeks_score entry_value_score catalyst_score profit_protection_score protection_score ' +
      'deterioration_score time_urgency_score spread_score iv_rank iv_percentile iv_discount_score band data_quality signals missing weights blocks marks',
    hidden: 'position user_id entry_price stop_pct',
  },
  pick_returns: { read: 'start_date symbol weeks state start_on start_close end_on end_close value computed_at' },
  pick_universe_returns: { read: 'start_date weeks value computed_at', hidden: 'hash' },
  pick_universes: { read: 'data_date eligible', hidden: 'hash' },
  profiles: 'hidden',
  queues: { read: 'queue' },
  report_drafts: 'hidden',
  schedule_runs: { read: 'name last_run_at decided_at skipped queued joined refused' },
  schema_migrations: { read: 'version name checksum applied_at online' },
  schema_steps: { read: 'version way done checksum' },
  session_codes: 'hidden',
  sessions: 'hidden',
  settings: { read: 'name value changed_at', hidden: 'changed_by' },
  slot_waits: { read: 'user_id priority job_id' },
  source_health: { read: 'source instance answers errors open_until last_ok_at last_error_at last_code last_error' },
  spend: {
    read:
      'id payment purpose state reserved_micros settled_micros cost_source provider model_asked model_answered price_in price_out tokens_in tokens_out tokens_reasoning ' +
      'tokens_cached searches reserved_at sent_at deadline answered_at settled_at job_id attempt',
    hidden: 'intent_key user_id provider_ref request_hash raw citations error',
  },
  spend_windows: { read: 'purpose' },
  source_budget: { read: 'key points expire' },
  stream_tokens: 'hidden',
  symbol_failures: { read: 'symbol what sources since asked_at again_at times code reason' },
  symbols: {
    read:
      'symbol newest_bar as_of checked_at close currency time_zone source analysed_at analysed_bar analysed_as_of volatility history_checked_at unrestated_split ' +
      'bars_version bars_digest digest_from digest_through',
  },
  user_portfolio_priority: { read: 'user_id at admitted_at total queued fresh fresh_at', hidden: 'decisions' },
  user_slots: { read: 'user_id slot job_id' },
  webhook_secrets: 'hidden',
  weekly_reports: 'hidden',
  write_probes: { read: 'id at' },
};

const words = (text = ''): string[] => text.split(' ').filter((word) => word !== '');

/** Whether dashboards may read a column; undefined where nobody has decided it. */
export function mayRead(table: string, column: string): boolean | undefined {
  const rights = READ_RIGHTS[table];
  if (rights === undefined) return undefined;
  if (rights === 'hidden' || words(rights.hidden).includes(column)) return false;
  return words(rights.read).includes(column) ? true : undefined;
}

type Columns = ReadonlyMap<string, readonly string[]>;

const COLUMNS = `SELECT table_name AS \`table\`, column_name AS \`column\`
  FROM information_schema.columns
  WHERE table_schema = ?
  ORDER BY table_name, ordinal_position`;

interface ColumnRow {
  table: string;
  column: string;
}

function byTable(rows: readonly ColumnRow[]): Columns {
  const groups = Map.groupBy(rows, ({ table }) => table);
  return new Map([...groups].map(([table, group]) => [table, group.map(({ column }) => column)]));
}

const readable = (rows: readonly ColumnRow[]): Columns => byTable(rows.filter(({ table, column }) => mayRead(table, column) === true));

/** `SELECT (…) ON …` for a GRANT or REVOKE. With a table it names one schema: there "_" and "%" stand for themselves. */
const onColumns = (database: string, table: string, columns: readonly string[], right = 'SELECT'): string =>
  `${right} (${columns.map((column) => escapeId(column, true)).join(', ')}) ON ${escapeId(database, true)}.${escapeId(table, true)}`;

/** The statements that give `account` (as SQL writes it) these rights and no others, for the columns that the schema has now. For a server of your own. */
export async function readGrants(db: Sql, database: string, account: string): Promise<string[]> {
  const rows = await db.rows<ColumnRow>(COLUMNS, [database]);
  return [
    `REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${account}`,
    ...[...readable(rows)].map(([table, columns]) => `GRANT ${onColumns(database, table, columns)} TO ${account}`),
  ];
}

/**
 * Gives `stockmesh_read` these rights in the schema and takes all others there away, such as those of earlier versions, which could read everything. Sends nothing where they are
 * right. After the migrations, since a table that is not there cannot be granted. `hosts`: as for `createAccounts`.
 */
export async function grantReading(root: Connection, { database, hosts }: { database: string; hosts: readonly string[] }): Promise<void> {
  // The server's own mode decides how the quoted names below are read.
  await root.query(SET_SQL_MODE);
  const ask = async <T>(sql: string, params: unknown[]): Promise<T[]> => (await root.query<(T & RowDataPacket)[]>(sql, params))[0];
  const wanted = readable(await ask<ColumnRow>(COLUMNS, [database]));
  for (const host of hosts) {
    const account = `${quote(accountNames.read)}@${quote(host)}`;
    const broad = await ask<{ place: string; table: string | null }>(
      `SELECT DISTINCT table_schema AS place, NULL AS \`table\`
         FROM information_schema.schema_privileges
         WHERE grantee = ? AND REPLACE(table_schema, '\\\\', '') = ?
       UNION ALL
       SELECT DISTINCT table_schema, table_name
         FROM information_schema.table_privileges
         WHERE grantee = ? AND table_schema = ?`,
      [account, database, account, database],
    );
    for (const { place, table } of broad)
      await root.query(`REVOKE ALL PRIVILEGES ON ${escapeId(place, true)}.${table === null ? '*' : escapeId(table, true)} FROM ${account}`);
    const held = await ask<ColumnRow & { right: string }>(
      `SELECT table_name AS \`table\`, column_name AS \`column\`, privilege_type AS \`right\`
         FROM information_schema.column_privileges
         WHERE grantee = ? AND table_schema = ?`,
      [account, database],
    );
    for (const { table, column, right } of held.filter((one) => one.right !== 'SELECT' || !wanted.get(one.table)?.includes(one.column)))
      await root.query(`REVOKE ${onColumns(database, table, [column], right)} FROM ${account}`);
    const has = byTable(held.filter(({ right }) => right === 'SELECT'));
    for (const [table, columns] of lacking(wanted, has)) await root.query(`GRANT ${onColumns(database, table, columns)} TO ${account}`);
  }
}

/** Those of `all` that `some` lacks. */
function lacking(all: Columns, some: Columns): Columns {
  const rows = [...all].flatMap(([table, columns]) => columns.map((column) => ({ table, column })));
  return byTable(rows.filter(({ table, column }) => !some.get(table)?.includes(column)));
}
