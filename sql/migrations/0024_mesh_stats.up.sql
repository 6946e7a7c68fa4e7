-- online: yes
-- The mesh over time, for the charts of the dashboard: what was, minute by minute, is not lost with a reload.

CREATE TABLE mesh_stats (
  step_s    SMALLINT UNSIGNED NOT NULL COMMENT '60 = a minute; 3600 = an hour, made of its minutes',
  at        DATETIME(3) NOT NULL COMMENT 'its begin',
  minutes   SMALLINT UNSIGNED NOT NULL COMMENT 'minutes that the row is made of',
  ready     INT UNSIGNED NOT NULL COMMENT 'jobs; of an hour the mean, as of all that is no count of what happened',
  running   INT UNSIGNED NOT NULL,
  scheduled INT UNSIGNED NOT NULL,
  blocked   INT UNSIGNED NOT NULL,
  oldest_s  DOUBLE NULL COMMENT 'wait of the oldest ready job; of an hour the longest',
  enqueued  INT UNSIGNED NOT NULL,
  completed INT UNSIGNED NOT NULL,
  failed    INT UNSIGNED NOT NULL,
  workers   SMALLINT UNSIGNED NOT NULL,
  slots     INT UNSIGNED NOT NULL,
  busy      INT UNSIGNED NOT NULL,
  logins    INT UNSIGNED NOT NULL COMMENT 'that had jobs, and whose data were all fresh within it',
  details   JSON NOT NULL COMMENT 'by queue, type, code and source, and counts by logarithmic buckets of waits, runs and the time from a login to fresh data',
  PRIMARY KEY (step_s, at)
) ENGINE = InnoDB COMMENT = 'written by the leading scheduler; kept for 30 days';

CREATE TABLE source_health (
  source        VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the worker that asks it: each has a circuit of its own',
  answers       BIGINT UNSIGNED NOT NULL COMMENT 'since the worker has started',
  errors        BIGINT UNSIGNED NOT NULL,
  open_until    DATETIME(3) NULL COMMENT 'not asked before, after repeated failures',
  last_ok_at    DATETIME(3) NULL,
  last_error_at DATETIME(3) NULL,
  last_code     VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NULL,
  last_error    VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  PRIMARY KEY (source, instance)
) ENGINE = InnoDB COMMENT = 'what each worker has seen of each market source; rows of dead workers are deleted';

ALTER TABLE user_portfolio_priority
  ADD COLUMN fresh_at DATETIME(3) NULL COMMENT 'when the last of its jobs had completed; NULL = it had none, one failed, or it was not followed';
