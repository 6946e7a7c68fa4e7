/**
 * Who changed what by hand, and who was refused. A row is committed with its change. It never holds a secret: no key, no token, no address of a webhook, no body of a
 * request. Requests for work are no such changes: a job says itself who asked for it and why.
 */
import type { Sql, Transaction } from '../database/database.ts';

/** What is recorded, each with its meaning. */
export const AUDITED = {
  'job.cancel': 'a job was cancelled',
  'job.leave': 'a user left a job that others want',
  'job.retry': 'a job was started again',
  'job.redrive': 'ended jobs were started again',
  'portfolio.replace': 'the portfolio of a user was replaced',
  'portfolio.import': 'portfolios were replaced from a file',
  'positions.replace': 'the option positions of a user were replaced',
  'position.add': 'an option position was added',
  'position.remove': 'an option position was removed',
  'profile.replace': 'the profile of a user was changed',
  'spend.settle': 'an operator said what a paid call cost',
  'auto_fetch.switch': 'automatic fetching was switched on or off',
  'schedule.run': 'a schedule was run by hand',
  'instance.drain': 'a service was told to finish its work and end',
  'instance.reload': 'a service was told to finish its work and start again',
  'key.create': 'a key was made',
  'key.rotate': 'a key got a new secret',
  'key.webhook_secret': 'the webhooks of a key got a new secret',
  'key.revoke': 'a key was revoked',
  'session.open': 'a browser was signed in',
  'notify.user': 'the address of a user, or what this user is told of, was changed',
  'notify.test': 'a message was sent to try a route',
  'notify.resume': 'an address that mail had come back from is written to again',
  'backup.restore': 'the database was filled from a backup',
  'schema.up': 'migrations were applied by hand',
  'schema.down': 'migrations were taken back',
  'access.refused': 'a request had no key in force, or one without the scope',
} as const;
export type AuditedAction = keyof typeof AUDITED;

/** Who acts, and from where. */
export interface Actor {
  source: 'http' | 'cli';
  /** The id of a key, or `account@host` of the operating system; null without a key in force. */
  actor: string | null;
  /** Of the key. */
  name: string | null;
  address: string | null;
}

export interface AuditedChange {
  action: Exclude<AuditedAction, 'access.refused'>;
  /** What was changed: `job:{id}`, `user:{id}`, `key:{id}`, `position:{id}`, `spend:{id}`. */
  target?: string | undefined;
  /** For people. */
  details?: string | undefined;
}

export interface AuditRow extends Actor {
  id: string;
  at: Date;
  action: AuditedAction;
  target: string | null;
  outcome: 'done' | 'refused';
  /** Why it was refused. */
  code: string | null;
  /** Refusals that the row stands for. */
  times: number;
  details: string | null;
}

const COLUMNS = ['source', 'actor', 'name', 'address', 'action', 'target', 'outcome', 'code', 'times', 'details'] as const;
const INSERT = `INSERT INTO audit_log (${COLUMNS.join(', ')}) VALUES ?`;
const LONGEST_TARGET = 190;
const LONGEST_DETAILS = 500;

type NewRow = Omit<AuditRow, 'id' | 'at'>;

const valuesOf = (row: NewRow): unknown[] =>
  COLUMNS.map((name) =>
    name === 'target'
      ? (row.target?.slice(0, LONGEST_TARGET) ?? null)
      : name === 'details'
        ? (row.details?.slice(0, LONGEST_DETAILS) ?? null)
        : row[name],
  );

/** Records a change in the transaction that makes it. */
export function recordChange(tx: Transaction, actor: Actor, { action, target, details }: AuditedChange): void {
  tx.later(INSERT, [
    [valuesOf({ ...actor, action, target: target ?? null, outcome: 'done', code: null, times: 1, details: details ?? null })],
  ]);
}

/** A refused request, or several of the same kind. */
export type Refusal = Actor & Pick<AuditRow, 'target' | 'code' | 'times'>;

export async function recordRefusals(sql: Sql, refusals: readonly Refusal[]): Promise<void> {
  await sql.run(INSERT, [refusals.map((one) => valuesOf({ ...one, action: 'access.refused', outcome: 'refused', details: null }))]);
}

export interface AuditFilter {
  action?: AuditedAction | undefined;
  actor?: string | undefined;
  target?: string | undefined;
  outcome?: AuditRow['outcome'] | undefined;
  since?: Date | undefined;
  /** Only rows older than this one: the cursor of the next page. */
  before?: string | undefined;
  limit: number;
}

/** Newest first. Walks the primary key, ix_actor or ix_target from its end. */
export async function listAudit(sql: Sql, { action, actor, target, outcome, since, before, limit }: AuditFilter): Promise<AuditRow[]> {
  const conditions: [condition: string, value: unknown][] = [
    ['action = ?', action],
    ['actor = ?', actor],
    ['target = ?', target],
    ['outcome = ?', outcome],
    ['at >= ?', since],
    ['id < ?', before],
  ];
  const given = conditions.filter(([, value]) => value !== undefined);
  const where = given.length === 0 ? '' : `WHERE ${given.map(([condition]) => condition).join(' AND ')}`;
  const rows = await sql.rows<Omit<AuditRow, 'id'> & { id: number | string }>(
    `SELECT id, at, ${COLUMNS.join(', ')} FROM audit_log ${where} ORDER BY id DESC LIMIT ?`,
    [...given.map(([, value]) => value), limit],
  );
  return rows.map((row) => ({ ...row, id: String(row.id) }));
}
