/** The layout of before: one row a job, which changes its state under three secondary indexes. */
import type { Transaction } from '../../../services/platform/database/database.ts';
import { count, EXPIRY, ids, type Layout, LEASE, NOW, PAYLOAD, type Taken, WHY } from './layout.ts';

const JOBS = `CREATE TABLE l_jobs (
  id BINARY(16) NOT NULL, queue ENUM('foreground', 'background_fetch', 'background_analysis') NOT NULL,
  state ENUM('scheduled', 'blocked', 'ready', 'running', 'completed', 'completed_with_errors', 'failed', 'cancelled', 'expired') NOT NULL,
  priority INT UNSIGNED NOT NULL, attempt SMALLINT UNSIGNED NOT NULL DEFAULT 0, max_attempts SMALLINT UNSIGNED NOT NULL, due_at DATETIME(3) NOT NULL,
  type VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, symbol VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  worker_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL, dedupe_key VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  active_key VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin AS (IF(state IN ('scheduled', 'ready', 'running', 'blocked'), dedupe_key, NULL)) VIRTUAL,
  enqueued_at DATETIME(3) NOT NULL, started_at DATETIME(3) NULL, ended_at DATETIME(3) NULL,
  PRIMARY KEY (id), UNIQUE KEY ux_active (active_key), KEY ix_claim (queue, state, priority, id), KEY ix_due (state, due_at, id), KEY ix_symbol (symbol, id)
) ENGINE = InnoDB`;
const DETAILS =
  'CREATE TABLE l_details (job_id BINARY(16) NOT NULL PRIMARY KEY, payload JSON NOT NULL, why JSON NOT NULL, triggered_by VARCHAR(32) NOT NULL) ENGINE = InnoDB';
const RESULTS =
  'CREATE TABLE l_results (job_id BINARY(16) NOT NULL PRIMARY KEY, code VARCHAR(64) NULL, reason VARCHAR(2000) NULL, result JSON NULL) ENGINE = InnoDB';

const SELECT = (where: string): string =>
  `SELECT STRAIGHT_JOIN j.id, j.priority, j.attempt, j.type, j.symbol, j.enqueued_at, d.payload, d.triggered_by
     FROM l_jobs j FORCE INDEX (ix_claim) JOIN l_details d FORCE INDEX (PRIMARY) ON d.job_id = j.id
    WHERE j.queue = 'foreground' AND j.state = 'ready' ${where} ORDER BY j.priority, j.id LIMIT ? FOR UPDATE SKIP LOCKED`;

export function updatedLayout({ keys, fromCursor = false }: { keys: boolean; fromCursor?: boolean }): Layout {
  return {
    name: `one row a job, updated${fromCursor ? ', with a cursor' : ''}`,
    tables: ['l_results', 'l_details', 'l_jobs'],
    create: [JOBS, DETAILS, RESULTS],
    fromCursor,
    enqueue(tx, jobs) {
      tx.later('INSERT INTO l_jobs (id, queue, state, priority, max_attempts, due_at, type, symbol, dedupe_key, enqueued_at) VALUES ?', [
        jobs.map(({ id, priority, key }) => [id, 'foreground', 'ready', priority, 4, EXPIRY, 'fetch', 'AAPL', keys ? key : null, NOW]),
      ]);
      tx.later('INSERT INTO l_details VALUES ?', [jobs.map(({ id }) => [id, PAYLOAD, WHY, 'user_login'])]);
    },
    async claim(tx, worker, limit, { priority, id }) {
      const rows = fromCursor
        ? await tx.rows<Taken>(SELECT('AND (j.priority > ? OR (j.priority = ? AND j.id > ?))'), [priority, priority, id, limit])
        : await tx.rows<Taken>(SELECT(''), [limit]);
      if (rows.length > 0)
        tx.later(
          "UPDATE l_jobs FORCE INDEX (PRIMARY) SET state = 'running', attempt = attempt + 1, worker_id = ?, started_at = ?, due_at = ? WHERE id IN (?)",
          [worker, NOW, LEASE, ids(rows)],
        );
      return rows;
    },
    async complete(tx: Transaction, worker, jobs) {
      const rows = await tx.rows<{ worker_id: string }>(
        'SELECT id, attempt, state, worker_id FROM l_jobs FORCE INDEX (PRIMARY) WHERE id IN (?) ORDER BY id FOR UPDATE',
        [ids(jobs)],
      );
      if (rows.some(({ worker_id }) => worker_id !== worker)) throw new Error('a job of another worker');
      tx.later("UPDATE l_jobs FORCE INDEX (PRIMARY) SET state = 'completed', ended_at = ?, due_at = ? WHERE id IN (?)", [
        NOW,
        NOW,
        ids(jobs),
      ]);
      tx.later('INSERT INTO l_results (job_id, result) VALUES ?', [ids(jobs).map((id) => [id, '{}'])]);
    },
    left: (sql) => count(sql, "l_jobs WHERE state IN ('ready', 'running')"),
  };
}
