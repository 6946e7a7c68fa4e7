-- online: yes
-- Weekly stock picks: the profile of each user, the reports, and how the picks did.

CREATE TABLE profiles (
  user_id    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  profile    JSON NOT NULL,
  changed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (user_id)
) ENGINE = InnoDB;

CREATE TABLE weekly_reports (
  user_id       VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  week_of       DATE NOT NULL COMMENT 'a Monday in Los Angeles',
  version       SMALLINT UNSIGNED NOT NULL,
  source        ENUM('llm', 'quant', 'sample') NOT NULL,
  is_simulated  TINYINT UNSIGNED NOT NULL,
  data_date     DATE NOT NULL COMMENT 'of the newest prices that it rests on',
  generated_at  DATETIME(3) NOT NULL,
  universe_hash BINARY(32) NOT NULL COMMENT 'same hash, same picks; see pick_universes',
  tickers       JSON NOT NULL,
  document      MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the whole report',
  job_id        BINARY(16) NOT NULL COMMENT 'the job that made it',
  PRIMARY KEY (user_id, week_of, version),
  KEY ix_week (week_of, user_id)
) ENGINE = InnoDB COMMENT = 'content only: a version is inserted once and never changed; the state of the work is that of its job';

CREATE TABLE report_drafts (
  user_id    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  week_of    DATE NOT NULL,
  version    SMALLINT UNSIGNED NOT NULL,
  intent_key VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the paid call that words it: the facts in its answer are those of this draft',
  job_id     CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the job that wrote it',
  document   MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (user_id, week_of, version)
) ENGINE = InnoDB COMMENT = 'the report before a model is paid to word it; deleted with the commit of the version';

CREATE TABLE pick_universes (
  hash      BINARY(32) NOT NULL,
  data_date DATE NOT NULL,
  eligible  JSON NOT NULL COMMENT 'the symbols that a report could choose from',
  PRIMARY KEY (hash)
) ENGINE = InnoDB;

CREATE TABLE pick_returns (
  start_date  DATE NOT NULL COMMENT 'the first session that closed after the report: the first close at which a reader could buy',
  symbol      VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  weeks       TINYINT UNSIGNED NOT NULL COMMENT '1, 4 or 12',
  state       ENUM('open', 'final', 'carried', 'delisted', 'missing') NOT NULL,
  start_on    DATE NULL,
  start_close DOUBLE NULL COMMENT 'as traded',
  end_on      DATE NULL,
  end_close   DOUBLE NULL,
  value       DOUBLE NULL COMMENT 'a fraction, dividends and splits included',
  computed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (start_date, symbol, weeks)
) ENGINE = InnoDB COMMENT = 'one row for all reports with this pick and start';

CREATE TABLE pick_universe_returns (
  start_date  DATE NOT NULL,
  hash        BINARY(32) NOT NULL,
  weeks       TINYINT UNSIGNED NOT NULL,
  value       DOUBLE NULL COMMENT 'mean of the eligible symbols at equal weights',
  computed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (start_date, hash, weeks)
) ENGINE = InnoDB;
