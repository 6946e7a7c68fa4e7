-- online: yes
-- Who holds and watches what, who signed in when, and what that caused.

CREATE TABLE holdings (
  user_id     VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  symbol      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  quantity    DECIMAL(24, 8) NOT NULL COMMENT '0 = only watched',
  cost        DECIMAL(18, 6) NULL COMMENT 'a share, in the instrument''s currency',
  imported_at DATETIME(3) NOT NULL,
  PRIMARY KEY (user_id, symbol),
  KEY ix_symbol (symbol, user_id)
) ENGINE = InnoDB;

CREATE TABLE logins (
  user_id       VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  activity      DOUBLE NOT NULL COMMENT 'logins, decayed to last_login_at',
  last_login_at DATETIME(3) NOT NULL,
  hours         JSON NOT NULL COMMENT '24 counts by hour of day, UTC, for the predictive pre-fetch',
  prefetched_on DATE NULL COMMENT 'the last day this user was pre-fetched for',
  PRIMARY KEY (user_id)
) ENGINE = InnoDB;

CREATE TABLE user_portfolio_priority (
  user_id   VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  at        DATETIME(3) NOT NULL COMMENT 'of the login',
  admitted_at DATETIME(3) NOT NULL COMMENT 'when its jobs were written',
  total     SMALLINT UNSIGNED NOT NULL,
  queued    SMALLINT UNSIGNED NOT NULL,
  fresh     SMALLINT UNSIGNED NOT NULL,
  decisions JSON NOT NULL COMMENT 'per symbol: what was queued or skipped, and why',
  PRIMARY KEY (user_id, at),
  KEY ix_at (at)
) ENGINE = InnoDB;
