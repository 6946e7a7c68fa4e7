/** Layouts in which the table that a job stands in is its state: a change is a DELETE here and an INSERT there. */
import { count, EXPIRY, ids, type Layout, LEASE, NOW, PAYLOAD, type Taken, WHY } from './layout.ts';

export interface StateOptions {
  /** How a ready job is found by its id: by the queue and priority of its row in `jobs`, by a key of its own, or as the primary key beside a key for the claim. */
  ready: 'jobs' | 'key' | 'primary';
  /** A key of `ready` by which the expiry finds jobs. */
  expiry?: boolean;
  /** A key of `ready` by which a worker for some types finds its jobs. */
  byType?: boolean;
  /** The key of `ended`. */
  ended?: 'none' | 'state' | 'time';
  /** Dedupe keys, which are deleted at the end of their job. */
  keys?: boolean;
  /** The end of a job is written into its row instead of inserted. */
  updatedAtEnd?: boolean;
  together?: boolean;
  fromCursor?: boolean;
}

const KEYS = {
  jobs: 'PRIMARY KEY (queue, priority, job_id)',
  key: 'PRIMARY KEY (queue, priority, job_id), UNIQUE KEY ux_job (job_id)',
  primary: 'PRIMARY KEY (job_id), KEY ix_claim (queue, priority, job_id)',
};
const ENDED_KEYS = { none: '', state: ', KEY ix_ended (state, ended_at)', time: ', KEY ix_ended (ended_at)' };
const QUEUE = "queue ENUM('foreground', 'background_fetch', 'background_analysis') NOT NULL";
const WORKER = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL';

function tablesOf({ ready, expiry, byType, ended = 'state', updatedAtEnd }: StateOptions): string[] {
  const end = updatedAtEnd
    ? `, state ENUM('live', 'completed', 'failed') NOT NULL DEFAULT 'live', attempt SMALLINT UNSIGNED NULL, worker_id ${WORKER}, started_at DATETIME(3) NULL, ended_at DATETIME(3) NULL, result JSON NULL, KEY ix_ended (state, ended_at)`
    : '';
  return [
    `CREATE TABLE l_jobs (id BINARY(16) NOT NULL PRIMARY KEY, ${QUEUE}, priority INT UNSIGNED NOT NULL, max_attempts SMALLINT UNSIGNED NOT NULL,
       type VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, symbol VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
       dedupe_key VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, enqueued_at DATETIME(3) NOT NULL,
       payload JSON NOT NULL, why JSON NOT NULL, triggered_by VARCHAR(32) NOT NULL, KEY ix_symbol (symbol, id)${end}) ENGINE = InnoDB`,
    `CREATE TABLE l_ready (${QUEUE}, priority INT UNSIGNED NOT NULL, job_id BINARY(16) NOT NULL, attempt SMALLINT UNSIGNED NOT NULL DEFAULT 0,
       expires_at DATETIME(3) NOT NULL, type VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'fetch',
       ${KEYS[ready]}${expiry ? ', KEY ix_expiry (expires_at)' : ''}${byType ? ', KEY ix_type (type, queue, priority)' : ''}) ENGINE = InnoDB`,
    `CREATE TABLE l_running (job_id BINARY(16) NOT NULL PRIMARY KEY, worker_id ${WORKER}, attempt SMALLINT UNSIGNED NOT NULL,
       started_at DATETIME(3) NOT NULL, lease_until DATETIME(3) NOT NULL) ENGINE = InnoDB`,
    'CREATE TABLE l_keys (dedupe_key VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, job_id BINARY(16) NOT NULL) ENGINE = InnoDB',
    `CREATE TABLE l_ended (job_id BINARY(16) NOT NULL PRIMARY KEY, state ENUM('completed', 'completed_with_errors', 'failed', 'cancelled', 'expired') NOT NULL,
       attempt SMALLINT UNSIGNED NOT NULL, worker_id ${WORKER}, started_at DATETIME(3) NULL, ended_at DATETIME(3) NOT NULL, code VARCHAR(64) NULL,
       reason VARCHAR(2000) NULL, result JSON NULL${ENDED_KEYS[ended]}) ENGINE = InnoDB`,
  ];
}

interface Row extends Taken {
  priority: number;
}

/**
 * Key look-ups whatever the statistics say. `(priority = ? AND job_id IN (?)) OR …` became a scan of the whole queue when few rows were left, and two callers a deadlock; a row
 * constructor `(priority, job_id) IN (…)` is a scan of the table.
 */
function deleteReady(rows: readonly Row[], options: StateOptions): [sql: string, params: unknown[]] {
  if (options.ready === 'primary') return ['DELETE r FROM l_ready r FORCE INDEX (PRIMARY) WHERE job_id IN (?)', [ids(rows)]];
  return [
    `DELETE r FROM JSON_TABLE(?, '$[*]' COLUMNS (priority INT UNSIGNED PATH '$[0]', id CHAR(32) CHARACTER SET ascii PATH '$[1]')) k
      STRAIGHT_JOIN l_ready r FORCE INDEX (PRIMARY) ON r.queue = 'foreground' AND r.priority = k.priority AND r.job_id = UNHEX(k.id)`,
    [JSON.stringify(rows.map(({ priority, id }) => [priority, id.toString('hex')]))],
  ];
}

export function stateLayout(name: string, options: StateOptions): Layout {
  const { keys = false, updatedAtEnd = false, fromCursor = false } = options;
  const index = options.ready === 'primary' ? 'ix_claim' : 'PRIMARY';
  return {
    name,
    tables: ['l_ended', 'l_keys', 'l_running', 'l_ready', 'l_jobs'],
    create: tablesOf(options),
    together: options.together ?? false,
    fromCursor,
    enqueue(tx, jobs) {
      if (keys) tx.later('INSERT INTO l_keys VALUES ?', [jobs.map(({ id, key }) => [key, id])]);
      tx.later(
        'INSERT INTO l_jobs (id, queue, priority, max_attempts, type, symbol, dedupe_key, enqueued_at, payload, why, triggered_by) VALUES ?',
        [
          jobs.map(({ id, priority, key }) => [
            id,
            'foreground',
            priority,
            4,
            'fetch',
            'AAPL',
            keys ? key : null,
            NOW,
            PAYLOAD,
            WHY,
            'user_login',
          ]),
        ],
      );
      tx.later('INSERT INTO l_ready (queue, priority, job_id, expires_at) VALUES ?', [
        jobs.map(({ id, priority }) => ['foreground', priority, id, EXPIRY]),
      ]);
    },
    async claim(tx, worker, limit, { priority, id }) {
      const rows = await tx.rows<Row>(
        `SELECT job_id AS id, priority, attempt FROM l_ready FORCE INDEX (${index}) WHERE queue = 'foreground'
          ${fromCursor ? 'AND (priority > ? OR (priority = ? AND job_id > ?))' : ''} ORDER BY priority, job_id LIMIT ? FOR UPDATE SKIP LOCKED`,
        fromCursor ? [priority, priority, id, limit] : [limit],
      );
      if (rows.length === 0) return [];
      tx.later(...deleteReady(rows, options));
      tx.later('INSERT INTO l_running VALUES ?', [rows.map((row) => [row.id, worker, row.attempt + 1, NOW, LEASE])]);
      const details = await tx.rows<{ id: Buffer; dedupe_key: string | null }>(
        'SELECT id, type, symbol, dedupe_key, enqueued_at, payload, triggered_by FROM l_jobs FORCE INDEX (PRIMARY) WHERE id IN (?)',
        [ids(rows)],
      );
      const keyOf = new Map(details.map((row) => [row.id.toString('hex'), row.dedupe_key ?? undefined]));
      return rows.map((row) => ({ ...row, attempt: row.attempt + 1, key: keyOf.get(row.id.toString('hex')) }));
    },
    async complete(tx, worker, jobs) {
      const { affectedRows } = await tx.run(
        'DELETE r FROM l_running r FORCE INDEX (PRIMARY) WHERE job_id IN (?) AND worker_id = ? AND (job_id, attempt) IN (?)',
        [ids(jobs), worker, jobs.map(({ id, attempt }) => [id, attempt])],
      );
      if (affectedRows !== jobs.length) throw new Error('a job of another worker');
      if (keys) tx.later('DELETE k FROM l_keys k FORCE INDEX (PRIMARY) WHERE dedupe_key IN (?)', [jobs.map(({ key }) => key).sort()]);
      if (updatedAtEnd)
        tx.later(
          "UPDATE l_jobs FORCE INDEX (PRIMARY) SET state = 'completed', attempt = 1, worker_id = ?, started_at = ?, ended_at = ?, result = '{}' WHERE id IN (?)",
          [worker, NOW, NOW, ids(jobs)],
        );
      else
        tx.later('INSERT INTO l_ended (job_id, state, attempt, worker_id, started_at, ended_at, result) VALUES ?', [
          jobs.map(({ id, attempt }) => [id, 'completed', attempt, worker, NOW, NOW, '{}']),
        ]);
    },
    left: async (sql) => (await count(sql, 'l_ready')) + (await count(sql, 'l_running')),
  };
}
