-- Back to one row a job. Every statement may run twice, as on the way there.

DROP VIEW IF EXISTS job_states;
SET @rename_jobs = IF(
  (SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'jobs' AND column_name = 'state') = 0
  AND (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'jobs') = 1,
  'RENAME TABLE jobs TO jobs_of_after', 'DO 0');
PREPARE rename_jobs FROM @rename_jobs;
EXECUTE rename_jobs;
DEALLOCATE PREPARE rename_jobs;

CREATE TABLE IF NOT EXISTS jobs_of_after (
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

CREATE TABLE IF NOT EXISTS jobs (
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

INSERT IGNORE INTO jobs
    (id, queue, state, priority, attempt, max_attempts, due_at, type, symbol, user_id, worker_id, blocked_on, aged, has_dependents, dedupe_key, enqueued_at,
     started_at, ended_at, deaths, crashes)
  SELECT j.id, j.queue, t.state, j.priority, t.attempt, j.max_attempts, t.due_at, j.type, j.symbol, j.user_id, t.worker_id, t.blocked_on, j.aged, j.has_dependents,
         j.dedupe_key, j.enqueued_at, t.started_at, t.ended_at, j.deaths, j.crashes
    FROM (SELECT job_id, 'ready' AS state, attempt, due_at, blocked_on, NULL AS worker_id, NULL AS started_at, NULL AS ended_at FROM ready
          UNION ALL SELECT job_id, 'scheduled', attempt, due_at, NULL, NULL, NULL, NULL FROM scheduled
          UNION ALL SELECT job_id, 'blocked', attempt, due_at, blocked_on, NULL, NULL, NULL FROM blocked
          UNION ALL SELECT job_id, 'running', attempt, due_at, NULL, worker_id, started_at, NULL FROM running
          UNION ALL SELECT job_id, state, attempt, ended_at, NULL, worker_id, started_at, ended_at FROM ended) t
    JOIN jobs_of_after j ON j.id = t.job_id;
INSERT IGNORE INTO job_details (job_id, payload, why, triggered_by)
  SELECT id, payload, why, triggered_by FROM jobs_of_after ORDER BY id;
INSERT IGNORE INTO job_results (job_id, code, reason, result)
  SELECT job_id, code, reason, result FROM ended WHERE code IS NOT NULL OR reason IS NOT NULL OR result IS NOT NULL ORDER BY job_id;

DROP TABLE IF EXISTS jobs_of_after;
DROP TABLE IF EXISTS ready;
DROP TABLE IF EXISTS scheduled;
DROP TABLE IF EXISTS blocked;
DROP TABLE IF EXISTS running;
DROP TABLE IF EXISTS live_keys;
DROP TABLE IF EXISTS ended;
