/** The manifest: what is stored, and what a source did not have. An object counts only with its row here. */
import { fromJson, type Sql, type Transaction, toJson } from '../platform/database/database.ts';
import { InputError } from '../platform/errors.ts';
import { type ContractFilter, type Dataset, filterName, type ObjectSpec } from './dataset.ts';
import type { Quality } from './parquet/convert.ts';
import type { SourceRequest } from './sources/source.ts';

/** A stored object. */
export interface ManifestRow {
  object: ObjectSpec;
  rows: number;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Of the store. */
  etag: string;
  schemaVersion: number;
  source: string;
  /** When the source was asked. */
  asOf: Date;
  /** When the source says that the data last changed. */
  modified: Date | null;
  /** Its period was not over, or trading days of it are missing. */
  isPartial: boolean;
  /** Rows of each trading day that has some. */
  days: Readonly<Record<string, number>>;
  quality: Quality;
  degraded: string | null;
  provenance: { requests: readonly SourceRequest[]; source: string; writer: string };
  jobId: Buffer;
  storedAt: Date;
}

/** `asked_once`: empty beside a day with data, so it is asked again before it counts as empty. */
export type AbsenceState = 'asked_once' | 'empty' | 'failed' | 'not_entitled';

export interface Absence {
  key: string;
  state: AbsenceState;
  reason: string;
  source: string;
  askedAt: Date;
  /** Until then it is not asked again. */
  until: Date | null;
  jobId: Buffer;
}

interface ObjectRow {
  object_key: string;
  asset: Dataset['asset'];
  data_schema: Dataset['schema'];
  data_interval: Dataset['interval'];
  contract_filter: string;
  root: string;
  from_day: string;
  to_day: string;
  row_count: number;
  byte_count: number;
  sha256: Buffer;
  etag: string;
  schema_version: number;
  source: string;
  as_of: Date;
  modified_at: Date | null;
  is_partial: number;
  days: unknown;
  quality: unknown;
  degraded: string | null;
  provenance: unknown;
  job_id: Buffer;
  stored_at: Date;
}

const COLUMNS = `object_key, asset, data_schema, data_interval, contract_filter, root, DATE_FORMAT(from_day, '%Y-%m-%d') AS from_day, DATE_FORMAT(to_day, '%Y-%m-%d') AS to_day, row_count,
  byte_count, sha256, etag, schema_version, source, as_of, modified_at, is_partial, days, quality, degraded, provenance, job_id, stored_at`;

/** Keys that one statement names. */
const KEYS_AT_ONCE = 1_000;

/** The database refuses to compare its keys, which are ASCII, with other text. */
const COMPARABLE = /^[\x20-\x7e]*$/;

/** The stored ones of these objects, by key. */
export async function readObjects(sql: Sql, asked: readonly string[]): Promise<Map<string, ManifestRow>> {
  const found = new Map<string, ManifestRow>();
  const keys = asked.filter((key) => COMPARABLE.test(key));
  for (let start = 0; start < keys.length; start += KEYS_AT_ONCE) {
    const rows = await sql.rows<ObjectRow>(`SELECT ${COLUMNS} FROM history_objects WHERE object_key IN (?)`, [
      keys.slice(start, start + KEYS_AT_ONCE),
    ]);
    for (const row of rows) found.set(row.object_key, manifestRow(row));
  }
  return found;
}

/** What is known of objects that are not stored, by key. */
export async function readAbsences(sql: Sql, keys: readonly string[]): Promise<Map<string, Absence>> {
  const found = new Map<string, Absence>();
  for (let start = 0; start < keys.length; start += KEYS_AT_ONCE) {
    const rows = await sql.rows<{
      object_key: string;
      state: AbsenceState;
      reason: string;
      source: string;
      asked_at: Date;
      until: Date | null;
      job_id: Buffer;
    }>('SELECT object_key, state, reason, source, asked_at, until, job_id FROM history_absences WHERE object_key IN (?)', [
      keys.slice(start, start + KEYS_AT_ONCE),
    ]);
    for (const { object_key, asked_at, job_id, ...row } of rows)
      found.set(object_key, { ...row, key: object_key, askedAt: asked_at, jobId: job_id });
  }
  return found;
}

/** Whether anything is stored of a root that is not made up. Walks ix_root. */
export async function hasRealObjects(sql: Sql, root: string): Promise<boolean> {
  const [row] = await sql.rows("SELECT 1 FROM history_objects FORCE INDEX (ix_root) WHERE root = ? AND source <> 'simulated' LIMIT 1", [
    root,
  ]);
  return row !== undefined;
}

export interface ObjectFilter extends Partial<Dataset> {
  root?: string | undefined;
  /** Only unfiltered ones: `null`. */
  filter?: ContractFilter | null | undefined;
  /** Objects whose period ends on or after `from` and begins on or before `to`. */
  from?: string | undefined;
  to?: string | undefined;
  /** Only keys after this one. */
  after?: string | undefined;
  limit: number;
}

/** Stored objects in the order of their keys. Errors: `InputError('history.bad_cursor')` for an `after` that is no key. */
export async function listObjects(sql: Sql, filter: ObjectFilter): Promise<ManifestRow[]> {
  if (filter.after !== undefined && !COMPARABLE.test(filter.after))
    throw new InputError(
      'history.bad_cursor',
      `${JSON.stringify(filter.after)} is not a cursor; use the value of "next" from the page before`,
    );
  const where: [condition: string, value: unknown][] = [];
  if (filter.root !== undefined) where.push(['root = ?', filter.root]);
  if (filter.asset !== undefined) where.push(['asset = ?', filter.asset]);
  if (filter.schema !== undefined) where.push(['data_schema = ?', filter.schema]);
  if (filter.interval !== undefined) where.push(['data_interval = ?', filter.interval]);
  if (filter.filter !== undefined) where.push(['contract_filter = ?', filterName(filter.filter ?? undefined)]);
  if (filter.from !== undefined) where.push(['to_day >= ?', filter.from]);
  if (filter.to !== undefined) where.push(['from_day <= ?', filter.to]);
  if (filter.after !== undefined) where.push(['object_key > ?', filter.after]);
  const rows = await sql.rows<ObjectRow>(
    `SELECT ${COLUMNS} FROM history_objects ${where.length === 0 ? '' : `WHERE ${where.map(([condition]) => condition).join(' AND ')}`} ORDER BY object_key LIMIT ?`,
    [...where.map(([, value]) => value), filter.limit],
  );
  return rows.map(manifestRow);
}

function manifestRow(row: ObjectRow): ManifestRow {
  const unit = row.from_day === row.to_day ? 'day' : row.from_day.slice(0, 7) === row.to_day.slice(0, 7) ? 'month' : 'year';
  const name = row.from_day.slice(0, { day: 10, month: 7, year: 4 }[unit]);
  const [, maxDte, basePct] = /^(\d+)-([\d.e-]+)$/.exec(row.contract_filter) ?? [];
  return {
    object: {
      key: row.object_key,
      asset: row.asset,
      schema: row.data_schema,
      interval: row.data_interval,
      root: row.root,
      period: { unit, name, from: row.from_day, to: row.to_day },
      filter: maxDte === undefined ? undefined : { maxDte: Number(maxDte), basePct: Number(basePct) },
    },
    rows: row.row_count,
    bytes: row.byte_count,
    sha256: row.sha256.toString('hex'),
    etag: row.etag,
    schemaVersion: row.schema_version,
    source: row.source,
    asOf: row.as_of,
    modified: row.modified_at,
    isPartial: row.is_partial === 1,
    days: fromJson(row.days) as ManifestRow['days'],
    quality: fromJson(row.quality) as Quality,
    degraded: row.degraded,
    provenance: fromJson(row.provenance) as ManifestRow['provenance'],
    jobId: row.job_id,
    storedAt: row.stored_at,
  };
}

/** Writes what a job has stored, and forgets what was missing of it. In the transaction that completes the items. */
export async function storeObjects(tx: Pick<Transaction, 'run'>, rows: readonly ManifestRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.run(
    `REPLACE INTO history_objects (object_key, asset, data_schema, data_interval, contract_filter, root, from_day, to_day, row_count, byte_count, sha256, etag, schema_version, source,
       as_of, modified_at, is_partial, days, quality, degraded, provenance, job_id, stored_at) VALUES ?`,
    [
      rows.map((row) => [
        row.object.key,
        row.object.asset,
        row.object.schema,
        row.object.interval,
        filterName(row.object.filter),
        row.object.root,
        row.object.period.from,
        row.object.period.to,
        row.rows,
        row.bytes,
        Buffer.from(row.sha256, 'hex'),
        row.etag,
        row.schemaVersion,
        row.source,
        row.asOf,
        row.modified,
        row.isPartial,
        toJson(row.days),
        toJson(row.quality),
        row.degraded,
        toJson(row.provenance),
        row.jobId,
        row.storedAt,
      ]),
    ],
  );
  await tx.run('DELETE FROM history_absences WHERE object_key IN (?)', [rows.map(({ object }) => object.key)]);
}

/** Writes what a job could not store. A stored object stays. */
export async function storeAbsences(tx: Transaction, absences: readonly Absence[]): Promise<void> {
  if (absences.length === 0) return;
  await tx.run('REPLACE INTO history_absences (object_key, state, reason, source, asked_at, until, job_id) VALUES ?', [
    absences.map(({ key, state, reason, source, askedAt, until, jobId }) => [
      key,
      state,
      reason.slice(0, 2_000),
      source,
      askedAt,
      until,
      jobId,
    ]),
  ]);
}
