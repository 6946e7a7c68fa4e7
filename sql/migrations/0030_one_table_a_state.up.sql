-- online: no, the old version does not find its jobs any more
-- One table a state: a job's row in `jobs` says what was asked for and is hardly ever changed; where it stands is the table that holds its id.
-- Every statement may run twice, so a migration that was cut goes on when it is started again. What was copied and dropped already is empty then.

SET @rename_jobs = IF(
  (SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'jobs' AND column_name = 'state') = 1,
  'RENAME TABLE jobs TO jobs_of_before', 'DO 0');
PREPARE rename_jobs FROM @rename_jobs;
EXECUTE rename_jobs;
DEALLOCATE PREPARE rename_jobs;

CREATE TABLE IF NOT EXISTS jobs_of_before (
  id             BINARY(16)        NOT NULL COMMENT 'UUIDv7: ascends with time, so equal priorities run in order of arrival',
  queue          ENUM('foreground', 'background_fetch', 'background_analysis') NOT NULL,
  state          ENUM('scheduled', 'blocked', 'ready', 'running', 'completed', 'completed_with_errors', 'failed', 'cancelled', 'expired') NOT NULL,
  priority       INT UNSIGNED      NOT NULL COMMENT 'level (1-10) x 10000 + 9999 - round(score x 9999): the smallest is the most urgent',
  attempt        SMALLINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the fencing token: never goes down',
  max_attempts   SMALLINT UNSIGNED NOT NULL,
  due_at         DATETIME(3)       NOT NULL COMMENT 'when time moves it on: scheduled = its start, ready and blocked = its expiry, running = the end of its lease, ended = when it ended',
  type           VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  symbol         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  user_id        VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'who asked first',
  worker_id      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  blocked_on     ENUM('slot', 'dependency') NULL,
  aged           TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'levels gained by waiting',
  has_dependents TINYINT UNSIGNED NOT NULL DEFAULT 0,
  dedupe_key     VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  active_key     VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
                 AS (IF(state IN ('scheduled', 'ready', 'running', 'blocked'), dedupe_key, NULL)) VIRTUAL COMMENT 'one live job a key',
  enqueued_at    DATETIME(3)       NOT NULL,
  started_at     DATETIME(3)       NULL,
  ended_at       DATETIME(3)       NULL,
  deaths         TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'attempts that the death of their process ended; from the second on the job runs in a process of its own',
  crashes        TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'of these, the ones in a process of its own',
  PRIMARY KEY (id),
  UNIQUE KEY ux_active (active_key),
  KEY ix_claim (queue, state, priority, id),
  KEY ix_due (state, due_at, id),
  KEY ix_symbol (symbol, id)
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS job_details (
  job_id       BINARY(16) NOT NULL,
  payload      JSON NOT NULL,
  why          JSON NOT NULL COMMENT 'factors, weights and result of the priority',
  triggered_by VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (job_id)
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS job_results (
  job_id   BINARY(16) NOT NULL,
  code     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'why it ended other than completed, for programs',
  reason   VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'the same for people',
  result   JSON NULL,
  progress JSON NULL,
  PRIMARY KEY (job_id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS jobs (
  id             BINARY(16)        NOT NULL COMMENT 'UUIDv7: ascends with time, so equal priorities run in order of arrival',
  queue          ENUM('foreground', 'background_fetch', 'background_analysis') NOT NULL,
  priority       INT UNSIGNED      NOT NULL COMMENT 'level (1-10) x 10000 + 9999 - round(score x 9999): the smallest is the most urgent. Changed, with the queue, only by joining and ageing',
  max_attempts   SMALLINT UNSIGNED NOT NULL,
  deaths         TINYINT UNSIGNED  NOT NULL DEFAULT 0 COMMENT 'attempts that the death of their process ended; from the second on the job runs in a process of its own',
  crashes        TINYINT UNSIGNED  NOT NULL DEFAULT 0 COMMENT 'of these, the ones in a process of its own',
  aged           TINYINT UNSIGNED  NOT NULL DEFAULT 0 COMMENT 'levels gained by waiting',
  has_dependents TINYINT UNSIGNED  NOT NULL DEFAULT 0,
  type           VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  symbol         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  user_id        VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'who asked first',
  dedupe_key     VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  enqueued_at    DATETIME(3)       NOT NULL,
  payload        JSON NOT NULL,
  why            JSON NOT NULL COMMENT 'factors, weights and result of the priority',
  triggered_by   VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (id),
  KEY ix_symbol (symbol, id)
) ENGINE = InnoDB COMMENT = 'what was asked for; where a job stands is the table of states that holds its id';

CREATE TABLE IF NOT EXISTS ready (
  queue      ENUM('foreground', 'background_fetch', 'background_analysis') NOT NULL,
  priority   INT UNSIGNED      NOT NULL COMMENT 'as in jobs',
  job_id     BINARY(16)        NOT NULL,
  type       VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'as in jobs',
  attempt    SMALLINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the fencing token: the attempts so far; never goes down',
  due_at     DATETIME(3)       NOT NULL COMMENT 'when it has waited too long',
  blocked_on ENUM('slot', 'dependency') NULL COMMENT 'slot: it was made ready for a slot that is free',
  PRIMARY KEY (queue, priority, job_id),
  KEY ix_type (type, queue, priority)
) ENGINE = InnoDB COMMENT = 'what can be claimed, in the order of the claims';

CREATE TABLE IF NOT EXISTS scheduled (
  queue      ENUM('foreground', 'background_fetch', 'background_analysis') NOT NULL,
  priority   INT UNSIGNED      NOT NULL COMMENT 'as in jobs',
  job_id     BINARY(16)        NOT NULL,
  attempt    SMALLINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the fencing token: the attempts so far; never goes down',
  due_at     DATETIME(3)       NOT NULL COMMENT 'its start',
  PRIMARY KEY (job_id),
  KEY ix_due (due_at),
  KEY ix_queue (queue, priority)
) ENGINE = InnoDB COMMENT = 'later starts and retries';

CREATE TABLE IF NOT EXISTS blocked (
  queue      ENUM('foreground', 'background_fetch', 'background_analysis') NOT NULL,
  priority   INT UNSIGNED      NOT NULL COMMENT 'as in jobs',
  job_id     BINARY(16)        NOT NULL,
  attempt    SMALLINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the fencing token: the attempts so far; never goes down',
  due_at     DATETIME(3)       NOT NULL COMMENT 'when it has waited too long',
  blocked_on ENUM('slot', 'dependency') NOT NULL,
  PRIMARY KEY (job_id),
  KEY ix_due (due_at),
  KEY ix_queue (queue, priority)
) ENGINE = InnoDB COMMENT = 'waits for a slot or another job';

CREATE TABLE IF NOT EXISTS running (
  job_id         BINARY(16)        NOT NULL,
  worker_id      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  attempt        SMALLINT UNSIGNED NOT NULL COMMENT 'the fencing token: never goes down',
  started_at     DATETIME(3)       NULL,
  due_at         DATETIME(3)       NOT NULL COMMENT 'the end of its lease',
  has_dependents TINYINT UNSIGNED  NOT NULL DEFAULT 0 COMMENT 'as in jobs, for its end',
  has_user       TINYINT UNSIGNED  NOT NULL DEFAULT 0 COMMENT 'whether it holds a slot of a user',
  dedupe_key     VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'as in jobs, for its end',
  PRIMARY KEY (job_id)
) ENGINE = InnoDB COMMENT = 'as many rows as workers have places: read as a whole';

CREATE TABLE IF NOT EXISTS ended (
  job_id     BINARY(16)        NOT NULL,
  state      ENUM('completed', 'completed_with_errors', 'failed', 'cancelled', 'expired') NOT NULL,
  attempt    SMALLINT UNSIGNED NOT NULL,
  worker_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  started_at DATETIME(3)       NULL,
  ended_at   DATETIME(3)       NOT NULL,
  code       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'why it ended other than completed, for programs',
  reason     VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'the same for people',
  result     JSON NULL,
  PRIMARY KEY (job_id),
  KEY ix_ended (state, ended_at)
) ENGINE = InnoDB COMMENT = 'inserted once; removed when its job is started again or deleted';

CREATE TABLE IF NOT EXISTS live_keys (
  dedupe_key VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  job_id     BINARY(16) NOT NULL,
  PRIMARY KEY (dedupe_key)
) ENGINE = InnoDB COMMENT = 'the live job of each key';

INSERT IGNORE INTO ready (queue, priority, job_id, type, attempt, due_at, blocked_on)
  SELECT queue, priority, id, type, attempt, due_at, blocked_on FROM jobs_of_before WHERE state = 'ready' ORDER BY queue, priority, id;
INSERT IGNORE INTO scheduled (queue, priority, job_id, attempt, due_at)
  SELECT queue, priority, id, attempt, due_at FROM jobs_of_before WHERE state = 'scheduled';
INSERT IGNORE INTO blocked (queue, priority, job_id, attempt, due_at, blocked_on)
  SELECT queue, priority, id, attempt, due_at, blocked_on FROM jobs_of_before WHERE state = 'blocked';
INSERT IGNORE INTO running (job_id, worker_id, attempt, started_at, due_at, has_dependents, has_user, dedupe_key)
  SELECT id, worker_id, attempt, started_at, due_at, has_dependents, user_id IS NOT NULL, dedupe_key FROM jobs_of_before WHERE state = 'running';
INSERT IGNORE INTO ended (job_id, state, attempt, worker_id, started_at, ended_at, code, reason, result)
  SELECT j.id, j.state, j.attempt, j.worker_id, j.started_at, COALESCE(j.ended_at, j.due_at), r.code, r.reason, r.result
    FROM jobs_of_before j LEFT JOIN job_results r ON r.job_id = j.id
   WHERE j.state IN ('completed', 'completed_with_errors', 'failed', 'cancelled', 'expired') ORDER BY j.id;
INSERT IGNORE INTO live_keys (dedupe_key, job_id)
  SELECT active_key, id FROM jobs_of_before WHERE active_key IS NOT NULL;
INSERT IGNORE INTO jobs
    (id, queue, priority, max_attempts, deaths, crashes, aged, has_dependents, type, symbol, user_id, dedupe_key, enqueued_at, payload, why, triggered_by)
  SELECT j.id, j.queue, j.priority, j.max_attempts, j.deaths, j.crashes, j.aged, j.has_dependents, j.type, j.symbol, j.user_id, j.dedupe_key, j.enqueued_at,
         d.payload, d.why, d.triggered_by
    FROM jobs_of_before j JOIN job_details d ON d.job_id = j.id ORDER BY j.id;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW job_states AS
  SELECT j.id, j.queue,
         CASE WHEN r.job_id IS NOT NULL THEN 'ready' WHEN s.job_id IS NOT NULL THEN 'scheduled' WHEN b.job_id IS NOT NULL THEN 'blocked'
              WHEN n.job_id IS NOT NULL THEN 'running' ELSE e.state END AS state,
         j.priority, COALESCE(r.attempt, s.attempt, b.attempt, n.attempt, e.attempt) AS attempt, j.max_attempts,
         COALESCE(r.due_at, s.due_at, b.due_at, n.due_at, e.ended_at) AS due_at, j.type, j.symbol, j.user_id,
         COALESCE(n.worker_id, e.worker_id) AS worker_id, COALESCE(r.blocked_on, b.blocked_on) AS blocked_on, j.aged, j.has_dependents,
         j.enqueued_at, COALESCE(n.started_at, e.started_at) AS started_at, e.ended_at, j.deaths, j.crashes
    FROM jobs j
    LEFT JOIN ready r ON r.queue = j.queue AND r.priority = j.priority AND r.job_id = j.id
    LEFT JOIN scheduled s ON s.job_id = j.id
    LEFT JOIN blocked b ON b.job_id = j.id
    LEFT JOIN running n ON n.job_id = j.id
    LEFT JOIN ended e ON e.job_id = j.id;

DROP TABLE IF EXISTS jobs_of_before;
DROP TABLE IF EXISTS job_details;
DROP TABLE IF EXISTS job_results;
