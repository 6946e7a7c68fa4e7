/**
 * Answers that must not be lost with their process. Each batch of logins commits one row of `login_answers` with its jobs, and deletes it when the answers are
 * published. Whatever is left was not answered: it is answered again from `user_portfolio_priority`. A process that dies between the publish and the delete leaves
 * answers that come twice.
 */

import { idFromBytes, idToBytes, sortedBytes } from '../ledger/id.ts';
import { type Ledger, nowOf } from '../ledger/job.ts';
import type { Bus } from '../platform/bus/bus.ts';
import { fromJson, type Sql, type Transaction, toJson } from '../platform/database/database.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
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
const LOOK_MS = 5_000;
const LEASE_SECONDS = 30;
const SHARED = 'shared with a request that is more urgent';
/** Batches read at once, and job ids in one statement. */
const PAGE = 20;
const IDS = 5_000;

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

/**
 * Publishes the answers of the batches that were admitted before `before` and within the last ten minutes, of one `instance` or of all, except those that `isAnswering` says to be under
 * way. Gives their number.
 * Nothing is done while the broker is away. Errors: those of the database.
 */
export async function answerPending(
  { db }: Pick<Ledger, 'db'>,
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
    const page = await db.rows<{ id: Buffer; logins: unknown }>(
      `SELECT id, logins FROM login_answers WHERE id > ? AND admitted_at < ? AND admitted_at > ? AND (? IS NULL OR instance = ?) ORDER BY id LIMIT ${PAGE}`,
      [cursor, before, new Date(now.getTime() - ANSWERED_FOR_MS), instance ?? null, instance ?? null],
    );
    for (const { id, logins } of page) {
      if (isAnswering(idFromBytes(id))) continue;
      const answers = await readAnswers(db, fromJson(logins) as [string, number][]);
      await Promise.all(answers.map((answer) => bus.publish('portfolio', answer)));
      // A message of QoS 0 is dropped without an error when the connection is lost.
      if ((bus.state as Bus['state']) !== 'online') return answered;
      await forgetPending(db, [idFromBytes(id)]);
      answered += answers.length;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) break;
    cursor = last.id;
  }
  return answered;
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
  let looking: Promise<void> | undefined;

  async function look(): Promise<void> {
    try {
      if (bus.state !== 'online') return;
      const now = nowOf(ledger);
      let answered = ownDone ? 0 : await answerPending(ledger, bus, { now, before: startedAt, instance });
      ownDone = true;
      if (await tryLead(ledger.db, 'login_answers', instance, LEASE_SECONDS, now))
        answered += await answerPending(ledger, bus, { now, before: new Date(now.getTime() - GRACE_MS), isAnswering });
      if (answered > 0) log.info({ answered }, `answered ${answered} logins that were committed and not answered`);
    } catch (error) {
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
