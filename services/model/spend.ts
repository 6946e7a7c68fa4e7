/**
 * The spend ledger. Each paid call is a row: `reserved` → `sent` (committed before the first byte leaves) → `answered` (the raw answer, before it is read) → `settled`.
 * `released`: the call was certainly not run, and costs nothing. `unknown`: nobody knows whether it was run, so it counts at its reserve until an operator settles it.
 * Money is in millionths of a dollar. At most one request is sent for a row, and an answer that reached the database is never bought again.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import type { Purpose } from '../platform/config/sections/model.ts';
import { type Database, fromJson, type Sql, type Transaction, toJson } from '../platform/database/database.ts';
import { InputError, PermanentError } from '../platform/errors.ts';

export type SpendState = 'reserved' | 'sent' | 'answered' | 'settled' | 'released' | 'unknown';
export type CostSource = 'provider' | 'tokens' | 'reserved' | 'operator';

/** Where a citation leads, as the provider names it. */
export interface Citation {
  title: string;
  url: string;
  date: string | null;
}

/** Tokens of one call, as the provider counted them; null where it did not say. */
export interface Usage {
  tokensIn: number | null;
  tokensOut: number | null;
  tokensReasoning: number | null;
  tokensCached: number | null;
  searches: number | null;
  /** Millionths of a dollar, where the provider names the cost. */
  costMicros: number | null;
}

export interface Spend {
  id: number;
  intentKey: string;
  /** 1, and one more after each release. */
  payment: number;
  purpose: Purpose;
  userId: string | null;
  state: SpendState;
  reservedMicros: number;
  settledMicros: number | null;
  costSource: CostSource | null;
  provider: string;
  modelAsked: string;
  modelAnswered: string | null;
  raw: string | null;
  citations: readonly Citation[];
  reservedAt: Date;
  deadline: Date | null;
  error: string | null;
}

/** What is bought, and for whom. */
export interface Intent {
  key: string;
  purpose: Purpose;
  user?: string | undefined;
  jobId: Buffer;
  attempt: number;
}

interface Row {
  id: number;
  intent_key: string;
  payment: number;
  purpose: Purpose;
  user_id: string | null;
  state: SpendState;
  reserved_micros: number;
  settled_micros: number | null;
  cost_source: CostSource | null;
  provider: string;
  model_asked: string;
  model_answered: string | null;
  raw: string | null;
  citations: unknown;
  reserved_at: Date;
  deadline: Date | null;
  error: string | null;
}

const COLUMNS = `id, intent_key, payment, purpose, user_id, state, reserved_micros, settled_micros, cost_source, provider, model_asked, model_answered, raw, citations, reserved_at,
  deadline, error`;

/** Which of its rows counts: what it settled at, else its reserve. */
const COST = "IF(state = 'released', 0, COALESCE(settled_micros, reserved_micros))";

/** So many of the last calls say what one may cost at most. */
const LAST_CALLS = 20;

const MICROS = 1_000_000;
export const dollars = (micros: number): string => `$${(micros / MICROS).toFixed(micros !== 0 && micros < 10_000 ? 4 : 2)}`;

const spendOf = (row: Row): Spend => ({
  id: row.id,
  intentKey: row.intent_key,
  payment: row.payment,
  purpose: row.purpose,
  userId: row.user_id,
  state: row.state,
  reservedMicros: row.reserved_micros,
  settledMicros: row.settled_micros,
  costSource: row.cost_source,
  provider: row.provider,
  modelAsked: row.model_asked,
  modelAnswered: row.model_answered,
  raw: row.raw,
  citations: row.citations === null ? [] : (fromJson(row.citations) as Citation[]),
  reservedAt: row.reserved_at,
  deadline: row.deadline,
  error: row.error,
});

/** The newest row of an intent, or undefined. */
export async function readIntent(sql: Sql, key: string): Promise<Spend | undefined> {
  const [row] = await sql.rows<Row>(`SELECT ${COLUMNS} FROM spend WHERE intent_key = ? ORDER BY payment DESC LIMIT 1`, [key]);
  return row && spendOf(row);
}

export interface Reservation {
  intent: Intent;
  /** The whole request: its hash stands in the row. */
  request: string;
  /** Bytes of the prompt: two a token at least. */
  promptBytes: number;
}

type ModelConfig = Config['model'];

/**
 * Reserves the most that a call can cost. The whole of it fits into the caps of the day and the week, or nothing is reserved. A row that is there and not released is
 * given back as it is. Errors: `PermanentError('model.cap_reached')`, with what is left and until when.
 */
export function reserve(db: Database, clock: Clock, model: ModelConfig, { intent, request, promptBytes }: Reservation): Promise<Spend> {
  return db.transaction(async (tx) => {
    // Whoever reserves for this purpose waits here: a sum that others add to at the same moment is no cap.
    await tx.rows('SELECT purpose FROM spend_windows WHERE purpose = ? FOR UPDATE', [intent.purpose]);
    const known = await readIntent(tx, intent.key);
    if (known !== undefined && known.state !== 'released') return known;
    const now = clock.now();
    const reserved = await mostNow(tx, model, intent.purpose, promptBytes);
    for (const [window, start, next] of windowsAt(now)) {
      const [sum] = await tx.rows<{ micros: string | number | null }>(
        `SELECT SUM(${COST}) AS micros FROM spend FORCE INDEX (ix_purpose) WHERE purpose = ? AND reserved_at >= ?`,
        [intent.purpose, start],
      );
      const cap = Math.round(model.caps[intent.purpose][window] * MICROS);
      const spent = Number(sum?.micros ?? 0);
      if (spent + reserved > cap)
        throw new PermanentError(
          'model.cap_reached',
          `this call may cost ${dollars(reserved)} and ${dollars(Math.max(cap - spent, 0))} of the ${dollars(cap)} a ${window} for ${intent.purpose} is left (model.caps.${intent.purpose}.${window}); ` +
            `the next ${window} begins ${next.toISOString().slice(0, 16)}Z`,
        );
    }
    await tx.run(
      `INSERT INTO spend (intent_key, payment, purpose, user_id, job_id, attempt, state, reserved_micros, provider, model_asked, request_hash, price_in, price_out, reserved_at)
       VALUES (?)`,
      [
        [
          intent.key,
          (known?.payment ?? 0) + 1,
          intent.purpose,
          intent.user ?? null,
          intent.jobId,
          intent.attempt,
          'reserved',
          reserved,
          new URL(model.base_url as string).host,
          model.name,
          createHash('sha256').update(request).digest(),
          model.price_in ?? 0,
          model.price_out ?? 0,
          new Date(now.epochMilliseconds),
        ],
      ],
    );
    return (await readIntent(tx, intent.key)) as Spend;
  });
}

/** What each call costs beside its tokens, in millionths of a dollar. */
export const feeOf = ({ fee_per_call }: Pick<ModelConfig, 'fee_per_call'>): number => Math.round(fee_per_call * MICROS);

/** The most that a call costs: dollars a million tokens are millionths of a dollar a token. */
function mostOf(model: ModelConfig, promptBytes: number): number {
  if (model.reserve_usd !== null) return Math.ceil(model.reserve_usd * MICROS);
  const tokens = Math.ceil(promptBytes / 2) * (model.price_in ?? 0) + model.max_tokens * (model.price_out ?? 0);
  return Math.ceil(tokens) + feeOf(model);
}

/** The most that a call costs, in millionths of a dollar: no less than the dearest of the last ones, since one that cost more than its reserve raises the next ones. */
export async function mostNow(sql: Sql, model: ModelConfig, purpose: Purpose, promptBytes: number): Promise<number> {
  const [row] = await sql.rows<{ micros: number | null }>(
    `SELECT MAX(settled_micros) AS micros FROM (
       SELECT settled_micros FROM spend FORCE INDEX (ix_purpose) WHERE purpose = ? AND model_asked = ? AND cost_source IN ('provider', 'tokens') ORDER BY reserved_at DESC LIMIT ${LAST_CALLS}
     ) AS last_calls`,
    [purpose, model.name],
  );
  return Math.max(mostOf(model, promptBytes), row?.micros ?? 0);
}

/** The windows of the caps: a day of UTC, and a week that begins on Monday. */
function windowsAt(now: Temporal.Instant): [window: 'day' | 'week', start: Date, next: Date][] {
  const today = now.toZonedDateTimeISO('UTC').startOfDay();
  const monday = today.subtract({ days: today.dayOfWeek - 1 });
  const at = (time: Temporal.ZonedDateTime): Date => new Date(time.epochMilliseconds);
  return [
    ['day', at(today), at(today.add({ days: 1 }))],
    ['week', at(monday), at(monday.add({ days: 7 }))],
  ];
}

/** Commits that the request leaves now. False when another process has sent it, or it is not `reserved` any more. */
export async function markSent(sql: Sql, id: number, now: Date, deadline: Date): Promise<boolean> {
  const { affectedRows } = await sql.run("UPDATE spend SET state = 'sent', sent_at = ?, deadline = ? WHERE id = ? AND state = 'reserved'", [
    now,
    deadline,
    id,
  ]);
  return affectedRows === 1;
}

/** What came back, before anybody reads it. */
export interface RawAnswer {
  raw: string;
  model: string | null;
  providerRef: string | null;
  citations: readonly Citation[];
  usage: Usage;
}

/** Stores an answer, once, whoever brings it. It also takes the place of `unknown`. */
export async function storeAnswer(
  sql: Sql,
  id: number,
  now: Date,
  { raw, model, providerRef, citations, usage }: RawAnswer,
): Promise<void> {
  await sql.run(
    `UPDATE spend SET state = 'answered', raw = ?, model_answered = ?, provider_ref = ?, citations = ?, tokens_in = ?, tokens_out = ?, tokens_reasoning = ?, tokens_cached = ?,
       searches = ?, settled_micros = ?, cost_source = IF(? IS NULL, NULL, 'provider'), answered_at = ?, error = NULL WHERE id = ? AND state IN ('sent', 'unknown')`,
    [
      raw,
      model?.slice(0, 100) ?? null,
      providerRef?.slice(0, 190) ?? null,
      toJson(citations),
      usage.tokensIn,
      usage.tokensOut,
      usage.tokensReasoning,
      usage.tokensCached,
      usage.searches,
      usage.costMicros,
      usage.costMicros,
      now,
      id,
    ],
  );
}

/** What the provider said, else by the tokens, else the reserve. Parameters: the time, and the fee of a call. */
const SETTLE = `UPDATE spend SET state = 'settled', settled_at = ?,
    cost_source = COALESCE(cost_source, IF(tokens_in IS NULL OR tokens_out IS NULL, 'reserved', 'tokens')),
    settled_micros = COALESCE(settled_micros, IF(tokens_in IS NULL OR tokens_out IS NULL, reserved_micros, CEIL(tokens_in * price_in + tokens_out * price_out + ?)))
  WHERE state = 'answered'`;

/** Books what an answered call cost. */
export async function settle(sql: Sql, id: number, now: Date, feeMicros: number): Promise<void> {
  await sql.run(`${SETTLE} AND id = ?`, [now, feeMicros, id]);
}

/** The call was certainly not run: it costs nothing, also where somebody who waited for it has given it up as unknown. */
export async function release(sql: Sql, id: number, now: Date, error: string): Promise<void> {
  await sql.run(
    "UPDATE spend SET state = 'released', settled_micros = 0, settled_at = ?, error = ? WHERE id = ? AND state IN ('reserved', 'sent', 'unknown')",
    [now, error.slice(0, 2_000), id],
  );
}

/** Why a call has no answer that nobody reads any more. */
export const NO_READER = 'the process that had sent it ended before it had the answer';

/** Nobody knows whether the call was run. An answer that comes yet takes its place. */
export async function markUnknown(sql: Sql, id: number, error: string): Promise<void> {
  await sql.run("UPDATE spend SET state = 'unknown', error = ? WHERE id = ? AND state = 'sent'", [error.slice(0, 2_000), id]);
}

/** A call is given up when its next step is overdue by so much. Its process would have ended each step within seconds, or its tries within a minute. */
const ABANDONED_MS = 600_000;

/**
 * Ends the calls whose jobs do not come back, such as one that was cancelled: what was not sent is released, what has no answer is `unknown`, and what was answered is booked.
 * By ix_state, which leads to the few that are in work.
 */
export async function endAbandoned(sql: Sql, now: Date, feeMicros: number): Promise<void> {
  const since = new Date(now.getTime() - ABANDONED_MS);
  await sql.run(
    `UPDATE spend SET state = 'released', settled_micros = 0, settled_at = ?, error = 'its job ended before it was sent'
      WHERE state = 'reserved' AND reserved_at < ?`,
    [now, since],
  );
  await sql.run("UPDATE spend SET state = 'unknown', error = ? WHERE state = 'sent' AND deadline < ?", [NO_READER, since]);
  await sql.run(`${SETTLE} AND answered_at < ?`, [now, feeMicros, since]);
}

/** No bill names more for one call. */
const DEAREST_MICROS = 10_000 * MICROS;

/** An operator says what an unknown call cost, by the provider's bill. `alongside`: written with it, for the audit. Errors: `InputError('spend.unknown_id' | 'spend.not_unknown' | 'spend.bad_cost')`. */
export async function settleByHand(
  db: Database,
  clock: Clock,
  id: number,
  micros: number,
  alongside: (tx: Transaction) => void = () => {},
): Promise<Spend> {
  if (!(micros >= 0 && micros <= DEAREST_MICROS))
    throw new InputError('spend.bad_cost', `${micros / MICROS} dollars is no cost of a call; it is from 0 to ${DEAREST_MICROS / MICROS}`);
  return db.transaction(async (tx) => {
    const [row] = await tx.rows<Row>(`SELECT ${COLUMNS} FROM spend WHERE id = ? FOR UPDATE`, [id]);
    if (row === undefined) throw new InputError('spend.unknown_id', `there is no call ${id} in the spend ledger`);
    if (row.state !== 'unknown')
      throw new InputError('spend.not_unknown', `call ${id} is ${row.state}: only a call whose payment is unknown is settled by hand`);
    await tx.run("UPDATE spend SET state = 'settled', settled_micros = ?, cost_source = 'operator', settled_at = ? WHERE id = ?", [
      micros,
      new Date(clock.now().epochMilliseconds),
      id,
    ]);
    alongside(tx);
    return spendOf({ ...row, state: 'settled', settled_micros: micros, cost_source: 'operator' });
  });
}

export interface SpendFilter {
  purpose?: Purpose | undefined;
  user?: string | undefined;
  state?: SpendState | undefined;
  /** Only calls older than this one. */
  before?: number | undefined;
  limit: number;
}

/** Calls, the newest first; without their raw answers. */
export async function listSpend(sql: Sql, filter: SpendFilter): Promise<Spend[]> {
  const where: [condition: string, value: unknown][] = [];
  if (filter.purpose !== undefined) where.push(['purpose = ?', filter.purpose]);
  if (filter.user !== undefined) where.push(['user_id = ?', filter.user]);
  if (filter.state !== undefined) where.push(['state = ?', filter.state]);
  if (filter.before !== undefined) where.push(['id < ?', filter.before]);
  const rows = await sql.rows<Row>(
    `SELECT ${COLUMNS.replace('raw,', 'NULL AS raw,')} FROM spend ${where.length === 0 ? '' : `WHERE ${where.map(([text]) => text).join(' AND ')}`} ORDER BY id DESC LIMIT ?`,
    [...where.map(([, value]) => value), filter.limit],
  );
  return rows.map(spendOf);
}

/** What a purpose has spent in the windows of `now`, and how much of it nobody is sure of. */
export interface SpendTotals {
  purpose: Purpose;
  window: 'day' | 'week';
  spentMicros: number;
  unknownMicros: number;
  capMicros: number;
  calls: number;
}

export async function readTotals(sql: Sql, clock: Clock, model: ModelConfig): Promise<SpendTotals[]> {
  const purposes = Object.keys(model.caps) as Purpose[];
  const totals = await Promise.all(
    windowsAt(clock.now()).map(async ([window, start]) => {
      const rows = await sql.rows<{ purpose: Purpose; spent: string | number; unsure: string | number; calls: number }>(
        `SELECT purpose, SUM(${COST}) AS spent, SUM(IF(state = 'unknown', reserved_micros, 0)) AS unsure, COUNT(*) AS calls FROM spend FORCE INDEX (ix_purpose)
          WHERE purpose IN (?) AND reserved_at >= ? GROUP BY purpose`,
        [purposes, start],
      );
      const byPurpose = new Map(rows.map((row) => [row.purpose, row]));
      return purposes.map((purpose): SpendTotals => {
        const row = byPurpose.get(purpose);
        return {
          purpose,
          window,
          spentMicros: Number(row?.spent ?? 0),
          unknownMicros: Number(row?.unsure ?? 0),
          capMicros: Math.round(model.caps[purpose][window] * MICROS),
          calls: row?.calls ?? 0,
        };
      });
    }),
  );
  return totals.flat();
}
