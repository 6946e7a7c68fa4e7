-- online: yes
-- Historical downloads: what is stored, what a source does not have, who downloads what at this moment, and the budget of an account. A job may have parts.

ALTER TABLE job_dependencies
  ADD COLUMN is_part TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT '1: the job needed is a part of this one, is cancelled and started again with it, and its items count as items of it';

ALTER TABLE job_items
  MODIFY COLUMN state ENUM('pending', 'done', 'skipped', 'no_data', 'failed', 'not_entitled', 'not_yet') NOT NULL DEFAULT 'pending';

CREATE TABLE history_objects (
  object_key     VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asset          ENUM('option', 'stock') NOT NULL,
  data_schema    ENUM('quote', 'ohlc', 'eod', 'earnings') NOT NULL,
  data_interval  VARCHAR(4)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  contract_filter VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'as in the key; empty: the whole chain',
  root           VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  from_day       DATE NOT NULL COMMENT 'of the period, which may not be over',
  to_day         DATE NOT NULL,
  row_count      BIGINT UNSIGNED NOT NULL,
  byte_count     BIGINT UNSIGNED NOT NULL,
  sha256         BINARY(32) NOT NULL,
  etag           VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'of the store',
  schema_version SMALLINT UNSIGNED NOT NULL,
  source         VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  as_of          DATETIME(3) NOT NULL COMMENT 'when the source was asked',
  modified_at    DATETIME(3) NULL COMMENT 'when the source says that the data last changed',
  is_partial     TINYINT UNSIGNED NOT NULL COMMENT '1: its period was not over, or days of it are missing',
  days           JSON NOT NULL COMMENT 'rows of each trading day that has some',
  quality        JSON NOT NULL COMMENT 'rows that are stored and odd, by kind',
  degraded       VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'why the data are worth less than usual',
  provenance     JSON NOT NULL COMMENT 'requests, versions of source and writer',
  job_id         BINARY(16) NOT NULL COMMENT 'the job that stored it',
  stored_at      DATETIME(3) NOT NULL,
  PRIMARY KEY (object_key),
  KEY ix_root (root, asset, data_schema, data_interval, contract_filter, from_day),
  KEY ix_stored (stored_at)
) ENGINE = InnoDB COMMENT = 'the manifest: an object counts only with its row here';

CREATE TABLE history_absences (
  object_key VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state      ENUM('asked_once', 'empty', 'failed', 'not_entitled') NOT NULL COMMENT 'asked_once: empty beside a day with data, so it is asked again',
  reason     VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  source     VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asked_at   DATETIME(3) NOT NULL,
  until      DATETIME(3) NULL COMMENT 'until then it is not asked again; NULL: it may be asked at any time',
  job_id     BINARY(16) NOT NULL,
  PRIMARY KEY (object_key)
) ENGINE = InnoDB COMMENT = 'objects that a job could not store, by the last answer';

CREATE TABLE history_fetches (
  object_key VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  job_id     BINARY(16) NOT NULL,
  attempt    SMALLINT UNSIGNED NOT NULL,
  PRIMARY KEY (object_key)
) ENGINE = InnoDB COMMENT = 'who downloads an object; it counts while this attempt of the job runs';

CREATE TABLE history_budgets (
  account      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  slot         SMALLINT UNSIGNED NOT NULL,
  holder       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'NULL: free',
  until        DATETIME(3) NULL COMMENT 'a holder that does not renew it by then has lost it',
  rests_until  DATETIME(3) NULL COMMENT 'until then nobody gets it: the account asked too much, or has a limit of requests a minute',
  PRIMARY KEY (account, slot)
) ENGINE = InnoDB COMMENT = 'the requests that an account of a source may have under way, one row each';
