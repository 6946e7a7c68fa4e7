/**
 * How many jobs one key, and one user, may have waiting: those that were asked for over HTTP or on the command line, by whom they were asked for. A job that several asked
 * for counts for each. Logins and schedules are not counted. The numbers are read at most a few times a second for each asker and reckoned up in between, so a request costs
 * no query, and the limit may be passed by what other processes take within a second.
 */
import type { EnqueueAnswer, JobRequest } from '../../ledger/enqueue/enqueue.ts';
import type { Refusal } from '../../ledger/enqueue/submit.ts';
import { idToBytes } from '../../ledger/id.ts';
import type { Database, Sql, Transaction } from '../../platform/database/database.ts';

/** Somebody whose waiting jobs are limited. */
export interface Asker {
  /** `key:{id}` or `user:{id}`. */
  id: string;
  most: number;
  /** The configuration key of the limit. */
  quota: string;
}

const idOfKey = (keyId: string): string => `key:${keyId}`;
const idOfUser = (user: string): string => `user:${user}`;

/** The quota of a key. */
export function keyAsker(keyId: string, { jobs_per_key }: { jobs_per_key: number }): Asker {
  return { id: idOfKey(keyId), most: jobs_per_key, quota: 'gateway.quotas.jobs_per_key' };
}

/** The quota of a user, over HTTP and on the command line. */
export function userAsker(user: string, { jobs_per_user }: { jobs_per_user: number }): Asker {
  return { id: idOfUser(user), most: jobs_per_user, quota: 'gateway.quotas.jobs_per_user' };
}

/** Those who do not want a job any more have its places free. */
export function forgetAskers(tx: Transaction, jobId: string, { keyId, users }: { keyId: string; users: readonly string[] }): void {
  tx.later('DELETE FROM job_askers WHERE job_id = ? AND asker IN (?)', [idToBytes(jobId), [idOfKey(keyId), ...users.map(idOfUser)]]);
}

export interface Admitted {
  /** Positions of the requests that are within the quotas. */
  admitted: number[];
  refused: (Refusal & { quota: string })[];
  /** Records who asked, in the transaction of the jobs. `answers`: those of the admitted requests. */
  record(tx: Transaction, answers: readonly EnqueueAnswer[]): void;
  /** The requests are committed, or have failed. Must be called. */
  done(): void;
}

export interface JobQuotas {
  /**
   * Which requests are within the quotas, in their order. `askersOf`: whose quotas a request uses. `unitOf`: requests of the same unit, such as a fetch and its analysis,
   * are admitted or refused together.
   */
  admit(
    requests: readonly JobRequest[],
    askersOf: (request: JobRequest) => readonly Asker[],
    unitOf: (index: number) => unknown,
  ): Promise<Admitted>;
}

interface Count {
  /** Waiting jobs at the last look, and those that were committed since. */
  waiting: number;
  /** Jobs of calls that are under way. */
  reserved: number;
  /** `performance.now()` of the last look. */
  at: number;
  /** Milliseconds that it took. */
  cost: number;
  looking: Promise<void> | undefined;
}

/** A number is used for so long. */
const OLD_MS = 1_000;
/** One that refuses is looked at again sooner, and not with every request. */
const OLD_REFUSAL_MS = 200;
/** But not sooner than after so many times as long as the look took: some 30 ms for 6,000 jobs. */
const AGE_OF_COST = 20;
/** Askers that are remembered: more than any process meets in a second. */
const MOST_ASKERS = 5_000;
/** So many rows of ended jobs are worth a statement that deletes them. */
const WORTH_DELETING = 1_000;

export function createJobQuotas(db: Database): JobQuotas {
  const counts = new Map<string, Count>();

  /** The numbers of these askers, those that are too old after one look for all of them. `adding`: jobs of each. */
  async function countsOf(askers: readonly (Asker & { adding: number })[]): Promise<Map<string, Count>> {
    const found = new Map(
      askers.map(({ id }) => [
        id,
        counts.getOrInsertComputed(id, () => ({ waiting: 0, reserved: 0, at: Number.NEGATIVE_INFINITY, cost: 0, looking: undefined })),
      ]),
    );
    const old = askers.filter(({ id, most, adding }) => {
      const { at, cost, waiting, reserved, looking } = found.get(id) as Count;
      const oldest = waiting + reserved + adding > most ? OLD_REFUSAL_MS : OLD_MS;
      return looking === undefined && performance.now() - at >= Math.max(oldest, cost * AGE_OF_COST);
    });
    if (old.length > 0) {
      const looking = lookFor(old.map((asker) => [asker, found.get(asker.id) as Count]));
      for (const { id } of old) (found.get(id) as Count).looking = looking;
    }
    await Promise.all(new Set([...found.values()].map(({ looking }) => looking)));
    if (counts.size > MOST_ASKERS) for (const [id, { reserved }] of counts) if (reserved === 0 && !found.has(id)) counts.delete(id);
    return found;
  }

  async function lookFor(old: readonly [Asker, Count][]): Promise<void> {
    const started = performance.now();
    try {
      const waiting = await look(
        db,
        old.map(([asker]) => asker),
      );
      for (const [{ id }, count] of old) {
        count.waiting = waiting.get(id) ?? 0;
        count.at = performance.now();
        count.cost = count.at - started;
      }
    } finally {
      for (const [, count] of old) count.looking = undefined;
    }
  }

  return {
    async admit(requests, askersOf, unitOf) {
      const askers = requests.map(askersOf);
      const byId = Map.groupBy(askers.flat(), ({ id }) => id);
      const found = await countsOf([...byId.values()].map((all) => ({ ...(all[0] as Asker), adding: all.length })));
      const plan = (held: ReadonlySet<string>): Plan => planOf({ requests, askers, unitOf }, (id) => found.get(id) as Count, held);
      const first = plan(new Set());
      // Who asks again for what waits already, such as after an answer that was lost, takes no further place.
      const { admitted, refused, taken } = first.refused.length === 0 ? first : plan(await heldAlready(db, requests, [...byId.keys()]));
      for (const [id, jobs] of taken) (found.get(id) as Count).reserved += jobs;
      let committed = false;
      return {
        ...{ admitted, refused },
        record(tx, answers) {
          const rows = answers.flatMap((answer, position): [id: string, asker: string][] =>
            answer.outcome === 'refused' ? [] : (askers[admitted[position] as number] as readonly Asker[]).map(({ id }) => [answer.id, id]),
          );
          committed = true;
          // In the order of the primary key: two requests for the same jobs must not wait for each other crosswise.
          rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
          if (rows.length > 0)
            tx.later('INSERT IGNORE INTO job_askers (job_id, asker) VALUES ?', [rows.map(([id, asker]) => [idToBytes(id), asker])]);
        },
        done() {
          for (const [id, jobs] of taken) {
            const count = found.get(id) as Count;
            count.reserved -= jobs;
            if (committed) count.waiting += jobs;
          }
        },
      };
    },
  };
}

interface Plan {
  admitted: number[];
  refused: Admitted['refused'];
  /** Places by asker. */
  taken: Map<string, number>;
}

function planOf(
  {
    requests,
    askers,
    unitOf,
  }: { requests: readonly JobRequest[]; askers: readonly (readonly Asker[])[]; unitOf: (index: number) => unknown },
  countOf: (id: string) => Pick<Count, 'waiting' | 'reserved'>,
  held: ReadonlySet<string>,
): Plan {
  const plan: Plan = { admitted: [], refused: [], taken: new Map() };
  for (const unit of Map.groupBy(requests.keys(), unitOf).values()) {
    const wanted = unit.flatMap((index) => {
      const { dedupeKey } = requests[index] as JobRequest;
      return (askers[index] as readonly Asker[]).filter(({ id }) => dedupeKey === undefined || !held.has(`${id} ${dedupeKey}`));
    });
    const over = [...Map.groupBy(wanted, ({ id }) => id).values()].find((jobs) => {
      const [{ id, most }] = jobs as [Asker];
      const { waiting, reserved } = countOf(id);
      return waiting + reserved + (plan.taken.get(id) ?? 0) + jobs.length > most;
    });
    if (over === undefined) {
      plan.admitted.push(...unit);
      for (const { id } of wanted) plan.taken.set(id, (plan.taken.get(id) ?? 0) + 1);
    } else plan.refused.push(...unit.map((index) => refusalOf(requests[index] as JobRequest, index, over[0] as Asker)));
  }
  plan.admitted.sort((a, b) => a - b);
  return plan;
}

/** Which of the requests mean live jobs that an asker has asked for before: `asker dedupeKey`. By primary keys. */
async function heldAlready(sql: Sql, requests: readonly JobRequest[], askers: readonly string[]): Promise<Set<string>> {
  const keys = new Set(requests.flatMap(({ dedupeKey }) => (dedupeKey === undefined ? [] : [dedupeKey])));
  if (keys.size === 0) return new Set();
  const rows = await sql.rows<{ asker: string; dedupe_key: string }>(
    `SELECT STRAIGHT_JOIN a.asker, k.dedupe_key FROM live_keys k FORCE INDEX (PRIMARY) JOIN job_askers a FORCE INDEX (PRIMARY) ON a.job_id = k.job_id
      WHERE k.dedupe_key IN (?) AND a.asker IN (?)`,
    [[...keys].sort(), askers],
  );
  return new Set(rows.map(({ asker, dedupe_key }) => `${asker} ${dedupe_key}`));
}

function refusalOf(request: JobRequest, index: number, { id, most, quota }: Asker): Admitted['refused'][number] {
  const reason = `${id.replace(':', ' ')} has ${most} jobs waiting, or would have (${quota}); ask again when some have run, or raise the limit`;
  return { request, index, code: 'quota.jobs', reason, quota };
}

interface Found {
  asker: string;
  waiting: number;
  ended: number;
  found: number;
}

/** The first jobs of an asker: all that may wait, and enough to see whether many have ended. */
const JOBS_OF = '(SELECT asker, job_id FROM job_askers FORCE INDEX (ix_asker) WHERE asker = ? ORDER BY job_id LIMIT ?)';
const longest = ({ most }: Asker): number => most + 2 * WORTH_DELETING;

/** The waiting jobs of each asker. Walks ix_asker, and deletes the rows of ended jobs where there are many, so that the walk stays short. */
async function look(sql: Sql, askers: readonly Asker[]): Promise<Map<string, number>> {
  const counted = new Map<string, number>();
  for (let left = askers; left.length > 0; ) {
    const rows = await sql.rows<Found>(
      `SELECT a.asker, COUNT(*) AS found, COALESCE(SUM(j.id IS NOT NULL AND n.job_id IS NULL AND e.job_id IS NULL), 0) AS waiting,
              SUM(j.id IS NULL OR e.job_id IS NOT NULL) AS ended
         FROM (${left.map(() => JOBS_OF).join(' UNION ALL ')}) a
         LEFT JOIN jobs j ON j.id = a.job_id LEFT JOIN running n ON n.job_id = a.job_id LEFT JOIN ended e ON e.job_id = a.job_id GROUP BY a.asker`,
      left.flatMap((asker) => [asker.id, longest(asker)]),
    );
    const byId = new Map(rows.map((row) => [row.asker, row]));
    const many = left.filter(({ id }) => Number(byId.get(id)?.ended ?? 0) >= WORTH_DELETING);
    for (const { id } of left) counted.set(id, Number(byId.get(id)?.waiting ?? 0));
    for (const asker of many) await deleteEndedOf(sql, asker);
    // Behind those that are deleted now others may wait.
    left = many.filter((asker) => byId.get(asker.id)?.found === longest(asker));
  }
  return counted;
}

async function deleteEndedOf(sql: Sql, asker: Asker): Promise<void> {
  const rows = await sql.rows<{ job_id: Buffer }>(
    `SELECT a.job_id FROM ${JOBS_OF} a LEFT JOIN jobs j ON j.id = a.job_id LEFT JOIN ended e ON e.job_id = a.job_id WHERE j.id IS NULL OR e.job_id IS NOT NULL`,
    [asker.id, longest(asker)],
  );
  await sql.run('DELETE FROM job_askers WHERE job_id IN (?) AND asker = ?', [rows.map(({ job_id }) => job_id), asker.id]);
}
