/**
 * Answers that must not be lost with their process. Each batch of logins commits one row of `login_answers` with its jobs, and deletes it when the answers are
 * published. Whatever is left was not answered: it is answered from `user_portfolio_priority`, by one process, which has taken the row. A process that dies, is stopped for
 * ten seconds, or loses its connection to the broker between the publish and the delete leaves answers that come twice.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { idFromBytes, idToBytes, sortedBytes } from '../ledger/id.ts';
import { type Ledger, nowOf } from '../ledger/job.ts';
import type { Bus } from '../platform/bus/bus.ts';
import { fromJson, type Sql, type Transaction, toJson } from '../platform/database/database.ts';
import { codeOf, messageOf, TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { tryLead } from '../platform/registry/leases.ts';
import { type AnswerRow, answerOfRow, type PortfolioAnswer } from './answer.ts';
import { keptOf } from './kept-decisions.ts';

/** A batch as the process knows it that has committed it. */
export interface PendingBatch {
  id: string;
  instance: string;
}

/** Older answers help nobody: the user has seen the data by then. */
const ANSWERED_FOR_MS = 10 * 60_000;
/** The process that committed a batch answers it within milliseconds. After this time another one does. */
const GRACE_MS = 10_000;
/** A process that comes later than this after its commit, or after it has taken a batch, looks at the row before it publishes. Less than the grace: a statement lies between. */
export const LATE_MS = GRACE_MS / 2;
const LOOK_MS = 5_000;
/** A database that takes longer to answer was away. What others have published meanwhile they have not been able to delete. */
const AWAY_MS = 2_000;
const LEASE_SECONDS = 30;
const SHARED = 'shared with a request that is more urgent';
/** Batches read at once, and job ids in one statement. */
const PAGE = 20;
const IDS = 5_000;
/** Answers that are encoded at once, 14 KB each for twenty symbols with both jobs. The others wait as what they are made of. */
const ENCODED = 50;

/** Written with the logins, in their transaction. */
export function keepPending(
  tx: Transaction,
  { id, instance }: PendingBatch,
  logins: readonly { user: string; atMs: number }[],
  now: Date,
): void {
  const unique = new Map(logins.map(({ user, atMs }) => [`${user} ${atMs}`, [user, atMs]]));
  tx.later('INSERT INTO login_answers (id, instance, admitted_at, logins) VALUES (?)', [
    [idToBytes(id), instance, now, toJson([...unique.values()])],
  ]);
}

/** The batches are answered. */
export async function forgetPending(sql: Sql, ids: readonly string[]): Promise<void> {
  await sql.run('DELETE FROM login_answers WHERE id IN (?)', [sortedBytes(ids)]);
}

/** Whether the batch is this process's to answer from now on, for ten seconds: false when it is answered, or another process has taken it meanwhile. */
export async function takePending({ db }: Pick<Ledger, 'db'>, id: string, now: Date): Promise<boolean> {
  const asked = performance.now();
  const { affectedRows } = await db.run('UPDATE login_answers SET taken_at = ? WHERE id = ? AND (taken_at IS NULL OR taken_at < ?)', [
    now,
    idToBytes(id),
    new Date(now.getTime() - GRACE_MS),
  ]);
  // A process that stood still since then has lost it.
  return affectedRows === 1 && performance.now() - asked < LATE_MS;
}

interface PendingRow {
  id: Buffer;
  logins: unknown;
}

/**
 * Publishes the answers of the batches that were admitted before `before` and within the last ten minutes, of one `instance` or of all, except those that `isAnswering` says to be under
 * way. Gives their number.
 * Nothing is done while the broker is away. Errors: those of the database.
 */
export async function answerPending(
  ledger: Pick<Ledger, 'db'>,
  bus: Pick<Bus, 'publish' | 'state'>,
  {
    now,
    before,
    instance,
    isAnswering = () => false,
  }: { now: Date; before: Date; instance?: string; isAnswering?: ((pending: string) => boolean) | undefined },
): Promise<number> {
  let answered = 0;
  for (let cursor: Buffer = Buffer.alloc(16); bus.state === 'online'; ) {
    // A walk of the primary key: the table holds what is being answered, and nothing else.
    const page = await ledger.db.rows<PendingRow>(
      `SELECT id, logins FROM login_answers WHERE id > ? AND admitted_at < ? AND admitted_at > ? AND (? IS NULL OR instance = ?) ORDER BY id LIMIT ${PAGE}`,
      [cursor, before, new Date(now.getTime() - ANSWERED_FOR_MS), instance ?? null, instance ?? null],
    );
    answered += await answerBatches(
      ledger,
      bus,
      page.filter(({ id }) => !isAnswering(idFromBytes(id))),
      now,
    );
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) break;
    cursor = last.id;
  }
  return answered;
}

/** Publishes the answers of those of the batches that are committed and not answered. Gives their number. Errors: those of the database. */
export async function answerThese(
  ledger: Pick<Ledger, 'db'>,
  bus: Pick<Bus, 'publish' | 'state'>,
  ids: readonly string[],
  now: Date,
): Promise<number> {
  const rows = await ledger.db.rows<PendingRow>('SELECT id, logins FROM login_answers WHERE id IN (?) ORDER BY id', [sortedBytes(ids)]);
  return answerBatches(ledger, bus, rows, now);
}

async function answerBatches(
  ledger: Pick<Ledger, 'db'>,
  bus: Pick<Bus, 'publish' | 'state'>,
  rows: readonly PendingRow[],
  now: Date,
): Promise<number> {
  const started = performance.now();
  let answered = 0;
  for (const { id, logins } of rows) {
    const answers = await readAnswers(ledger.db, fromJson(logins) as [string, number][]);
    if (bus.state !== 'online') return answered;
    if (!(await takePending(ledger, idFromBytes(id), new Date(now.getTime() + performance.now() - started)))) continue;
    if (!(await publishAnswers(bus, answers))) return answered;
    await forgetPending(ledger.db, [idFromBytes(id)]);
    answered += answers.length;
  }
  return answered;
}

/** Whether the broker was handed all of them. It may be away, or take them too slowly: their batch then stays pending, and is answered once more. */
export async function publishAnswers(bus: Pick<Bus, 'publish' | 'state'>, answers: readonly PortfolioAnswer[]): Promise<boolean> {
  for (let start = 0; start < answers.length; start += ENCODED) {
    // The next batch asks the database meanwhile.
    if (start > 0) await nextTurn();
    const results = await Promise.allSettled(answers.slice(start, start + ENCODED).map((answer) => bus.publish('portfolio', answer)));
    const faults = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    const own = faults.find((fault) => !(fault instanceof TransientError));
    if (own !== undefined) throw own;
    if (faults.length > 0) return false;
  }
  // What was handed to a connection that is lost by now may not have arrived.
  return bus.state === 'online';
}

/** The answers to logins, from their rows and those of their jobs. A login whose row is deleted has none. */
async function readAnswers(sql: Sql, logins: readonly [user: string, atMs: number][]): Promise<PortfolioAnswer[]> {
  if (logins.length === 0) return [];
  const rows = await sql.rows<AnswerRow>(
    `SELECT user_id, at, total, queued, fresh, decisions FROM user_portfolio_priority WHERE ${logins.map(() => '(user_id = ? AND at = ?)').join(' OR ')}`,
    logins.flatMap(([user, atMs]) => [user, new Date(atMs)]),
  );
  const kept = rows.map((row) => ({ ...row, decisions: keptOf(row.decisions) }));
  const ids = [
    ...new Set(kept.flatMap(({ decisions }) => decisions.flatMap(({ fetch, analysis }) => [fetch?.id ?? [], analysis?.id ?? []].flat()))),
  ];
  const reasons = new Map<string, { text: string; user?: string }>();
  for (let start = 0; start < ids.length; start += IDS) {
    const details = await sql.rows<{ job_id: Buffer; why: unknown }>(
      'SELECT id AS job_id, why FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?)',
      [sortedBytes(ids.slice(start, start + IDS))],
    );
    for (const { job_id, why } of details) reasons.set(idFromBytes(job_id), fromJson(why) as { text: string; user?: string });
  }
  return kept.map((row) =>
    answerOfRow(row, (id) => {
      const reason = reasons.get(id);
      // A job keeps the reason of its most urgent request: another user's is not told.
      return reason === undefined || reason.user === row.user_id ? reason?.text : SHARED;
    }),
  );
}

/**
 * Answers what was left: what this instance has committed in an earlier life, as soon as the broker is there; and what any process has left unanswered for ten
 * seconds, looked for by one instance. Returns the function that ends it and waits for the work under way.
 */
export function startAnswering({
  ledger,
  bus,
  log,
  instance,
  isAnswering,
}: {
  ledger: Ledger;
  bus: Pick<Bus, 'publish' | 'state' | 'onState'>;
  log: Logger;
  instance: string;
  /** The batches that this process answers by itself, however long that takes on a busy machine. */
  isAnswering?: (pending: string) => boolean;
}): () => Promise<void> {
  const startedAt = nowOf(ledger);
  let ownDone = false;
  /** The last look met a database that was away. */
  let wasAway = false;
  /** The last look left the answers of others to them. */
  let hasWaited = false;
  let looking: Promise<void> | undefined;

  /** Answers what others have left, unless the database was away until now: they get a while to delete what they have answered meanwhile. */
  async function answerOthers(now: Date): Promise<number> {
    const asked = performance.now();
    const leads = await tryLead(ledger.db, 'login_answers', instance, LEASE_SECONDS, now);
    // Only once: a machine on which each statement takes so long has answers to give, too.
    hasWaited = !hasWaited && (wasAway || performance.now() - asked > AWAY_MS);
    wasAway = false;
    return !leads || hasWaited ? 0 : answerPending(ledger, bus, { now, before: new Date(now.getTime() - GRACE_MS), isAnswering });
  }

  async function look(): Promise<void> {
    try {
      if (bus.state !== 'online') return;
      const now = nowOf(ledger);
      let answered = ownDone ? 0 : await answerPending(ledger, bus, { now, before: startedAt, instance });
      ownDone = true;
      answered += await answerOthers(now);
      if (answered > 0) log.info({ answered }, `answered ${answered} logins that were committed and not answered`);
    } catch (error) {
      wasAway = true;
      log.warn({ code: codeOf(error) }, `committed logins are not answered yet, trying again in ${LOOK_MS / 1000} s: ${messageOf(error)}`);
    }
  }

  const tick = (): void => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
  };
  const timer = setInterval(tick, LOOK_MS);
  const stopListening = bus.onState(tick);
  tick();
  return async () => {
    clearInterval(timer);
    stopListening();
    await looking;
  };
}
