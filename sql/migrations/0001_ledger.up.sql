-- online: yes
-- The job ledger. One narrow hot table; what is big or rarely read lives beside it.

CREATE TABLE jobs (
  id             BINARY(16)        NOT NULL COMMENT 'UUIDv7: ascends with time, so equal priorities run in order of arrival',
  queue          ENUM('foreground', 'background_fetch', 'background_analysis') NOT NULL,
  state          ENUM('scheduled', 'blocked', 'ready', 'running', 'completed', 'completed_with_errors', 'failed', 'cancelled', 'expired') NOT NULL,
  priority       INT UNSIGNED      NOT NULL COMMENT 'level (1-10) x 10000 + 9999 - round(score x 9999): the smallest is the most urgent',
  attempt        SMALLINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the fencing token: never goes down',
  max_attempts   SMALLINT UNSIGNED NOT NULL,
  due_at         DATETIME(3)       NOT NULL COMMENT 'when time moves it on: scheduled = its start, ready and blocked = its expiry, running = the end of its lease, ended = when it ended',
  type           VARCHAR(24)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  symbol         VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NULL,
  user_id        VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'who asked first',
  worker_id      VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NULL,
  blocked_on     ENUM('slot', 'dependency') NULL,
  aged           TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'levels gained by waiting',
  has_dependents TINYINT UNSIGNED NOT NULL DEFAULT 0,
  dedupe_key     VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  active_key     VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
                 AS (IF(state IN ('scheduled', 'ready', 'running', 'blocked'), dedupe_key, NULL)) VIRTUAL COMMENT 'one live job a key',
  enqueued_at    DATETIME(3)       NOT NULL,
  started_at     DATETIME(3)       NULL,
  ended_at       DATETIME(3)       NULL,
  PRIMARY KEY (id),
  UNIQUE KEY ux_active (active_key),
  KEY ix_claim (queue, state, priority, id),
  KEY ix_due (state, due_at, id),
  KEY ix_symbol (symbol, id)
) ENGINE = InnoDB;

CREATE TABLE job_details (
  job_id       BINARY(16) NOT NULL,
  payload      JSON NOT NULL,
  why          JSON NOT NULL COMMENT 'factors, weights and result of the priority',
  triggered_by VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (job_id)
) ENGINE = InnoDB;

CREATE TABLE job_results (
  job_id   BINARY(16) NOT NULL,
  code     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'why it ended other than completed, for programs',
  reason   VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'the same for people',
  result   JSON NULL,
  progress JSON NULL,
  PRIMARY KEY (job_id)
) ENGINE = InnoDB;

CREATE TABLE job_attempts (
  job_id     BINARY(16) NOT NULL,
  attempt    SMALLINT UNSIGNED NOT NULL,
  worker_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  started_at DATETIME(3) NULL,
  ended_at   DATETIME(3) NOT NULL,
  outcome    ENUM('failed', 'retried', 'lease_lost', 'handed_back', 'cancelled') NOT NULL,
  code       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  reason     VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  PRIMARY KEY (job_id, attempt)
) ENGINE = InnoDB COMMENT = 'attempts that did not complete; the one that did is the job row itself';

CREATE TABLE job_subscribers (
  job_id  BINARY(16) NOT NULL,
  user_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (job_id, user_id),
  KEY ix_user (user_id, job_id)
) ENGINE = InnoDB COMMENT = 'who is told when it ends';

CREATE TABLE job_dependencies (
  job_id   BINARY(16) NOT NULL,
  needs_id BINARY(16) NOT NULL,
  PRIMARY KEY (job_id, needs_id),
  KEY ix_needs (needs_id, job_id)
) ENGINE = InnoDB;

CREATE TABLE job_items (
  job_id     BINARY(16) NOT NULL,
  item_key   VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  state      ENUM('pending', 'done', 'skipped', 'no_data', 'failed') NOT NULL DEFAULT 'pending',
  attempts   SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  row_count  INT UNSIGNED NULL,
  byte_count BIGINT UNSIGNED NULL,
  reason     VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  updated_at DATETIME(3) NOT NULL,
  PRIMARY KEY (job_id, item_key),
  KEY ix_state (job_id, state)
) ENGINE = InnoDB;

CREATE TABLE user_slots (
  user_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  slot    TINYINT UNSIGNED NOT NULL,
  job_id  BINARY(16) NULL COMMENT 'the running job that holds it; NULL = free',
  PRIMARY KEY (user_id, slot),
  KEY ix_job (job_id)
) ENGINE = InnoDB COMMENT = 'max_concurrent_per_user rows a user; leased with the job that holds one';

CREATE TABLE slot_waits (
  user_id  VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  priority INT UNSIGNED NOT NULL,
  job_id   BINARY(16) NOT NULL,
  PRIMARY KEY (user_id, priority, job_id),
  KEY ix_job (job_id)
) ENGINE = InnoDB COMMENT = 'jobs blocked for a slot, by each user whose slot would do, most urgent first';

CREATE TABLE dedupe_windows (
  dedupe_key VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  job_id     BINARY(16) NOT NULL,
  until      DATETIME(3) NOT NULL,
  PRIMARY KEY (dedupe_key),
  KEY ix_until (until)
) ENGINE = InnoDB COMMENT = 'keys whose job stands for later requests also after it completed';

CREATE TABLE queues (
  queue ENUM('foreground', 'background_fetch', 'background_analysis') NOT NULL,
  PRIMARY KEY (queue)
) ENGINE = InnoDB COMMENT = 'one row a queue, locked by enqueuers only while a queue is near its limit';
INSERT INTO queues (queue) VALUES ('foreground'), ('background_fetch'), ('background_analysis');

CREATE TABLE instances (
  instance     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  service      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  session      CHAR(36)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  capacity     SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  running      SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  started_at   DATETIME(3) NOT NULL,
  heartbeat_at DATETIME(3) NOT NULL,
  PRIMARY KEY (instance)
) ENGINE = InnoDB COMMENT = 'who is alive, known without the broker';

CREATE TABLE leases (
  name   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  holder VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  until  DATETIME(3) NOT NULL,
  PRIMARY KEY (name)
) ENGINE = InnoDB;

CREATE TABLE alerts (
  name      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state     ENUM('raised', 'cleared') NOT NULL,
  value     DOUBLE NOT NULL,
  threshold DOUBLE NOT NULL,
  since     DATETIME(3) NOT NULL,
  text      VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (name)
) ENGINE = InnoDB;
