/** Ledgers of any size, made by the server itself: as many rows as that many enqueues would leave. */
import type { Database } from '../../../services/platform/database/database.ts';
import { numbers } from '../../support/job-rows.ts';
import { payload } from '../contenders/contender.ts';

const CHUNK = 10_000;

interface Chunk {
  from: number;
  to: number;
}

/** Rows of `jobs`. UUIDv7: 48 bits of milliseconds, the version, a counter, the variant, the rest at random. */
async function storeJobs(root: Database, { from, to }: Chunk, first: number): Promise<void> {
  await root.run(
    `INSERT INTO jobs (id, queue, priority, max_attempts, type, symbol, enqueued_at, payload, why, triggered_by)
     SELECT UNHEX(CONCAT(LPAD(HEX(? + seq DIV 4), 12, '0'), '7', LPAD(HEX(seq MOD 4), 3, '0'), '8', SUBSTR(SHA2(seq, 256), 1, 15))),
            'foreground', 10000 + 9999 - seq MOD 5000, 4, 'fetch', CONCAT('S', seq MOD 500), UTC_TIMESTAMP(3), ?, '{"text":"bench"}', 'user_login'
       FROM ${numbers(from, to)}`,
    [first, JSON.stringify(payload(0))],
  );
}

/** Stores the jobs chunk by chunk, and each chunk's rows of a state: `select` is the rest of an INSERT into it, over the chunk's jobs. */
async function store(root: Database, jobs: number, first: number, insert: string, progress: (stored: number) => void): Promise<void> {
  for (let from = 0; from < jobs; from += CHUNK) {
    const to = Math.min(jobs, from + CHUNK) - 1;
    await storeJobs(root, { from, to }, first);
    const lowest = `${(first + from / 4).toString(16).padStart(12, '0')}7`.padEnd(32, '0');
    await root.run(`${insert} FROM (SELECT * FROM jobs WHERE id >= UNHEX(?) ORDER BY id LIMIT ?) placed`, [lowest, to - from + 1]);
    progress(to + 1);
  }
}

/** As many ready jobs of type fetch in the foreground, older than all others. */
export async function storeWaiting(root: Database, jobs: number): Promise<void> {
  const insert =
    'INSERT INTO ready (queue, priority, job_id, type, due_at) SELECT queue, priority, id, type, UTC_TIMESTAMP(3) + INTERVAL 1 DAY';
  await store(root, jobs, Date.now() - 3_600_000, insert, () => {});
  await root.run('ANALYZE TABLE jobs, ready');
}

/** As many completed jobs, older than those that wait. */
export async function storeEnded(root: Database, jobs: number, progress: (stored: number) => void): Promise<void> {
  const insert = `INSERT INTO ended (job_id, state, attempt, worker_id, started_at, ended_at, result)
    SELECT id, 'completed', 1, 'worker-1', enqueued_at, enqueued_at, '{"rows":1}'`;
  await store(root, jobs, Date.now() - 86_400_000, insert, progress);
  await root.run('ANALYZE TABLE jobs, ended');
}
