-- online: yes
-- Bars as they were traded, and what was computed from them.

CREATE TABLE symbols (
  symbol       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  newest_bar   DATE NULL,
  as_of        DATETIME(3) NULL COMMENT 'the moment the newest bar was true',
  checked_at   DATETIME(3) NULL COMMENT 'the last time a source was asked with success, newer data or not',
  close        DECIMAL(18, 6) NULL COMMENT 'newest raw close',
  currency     VARCHAR(8)  CHARACTER SET ascii COLLATE ascii_bin NULL,
  time_zone    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  source       VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NULL,
  analysed_at  DATETIME(3) NULL,
  analysed_bar DATE NULL,
  analysed_as_of DATETIME(3) NULL COMMENT 'as_of of the newest bar that the analysis used',
  volatility   DOUBLE NULL COMMENT '20-day realised, annualised',
  PRIMARY KEY (symbol)
) ENGINE = InnoDB COMMENT = 'one row a symbol: all that freshness and priority need, in one read';

CREATE TABLE bars (
  symbol         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  date           DATE NOT NULL COMMENT 'of the session, in the exchange''s zone',
  open           DECIMAL(18, 6) NOT NULL,
  high           DECIMAL(18, 6) NOT NULL,
  low            DECIMAL(18, 6) NOT NULL,
  close          DECIMAL(18, 6) NOT NULL,
  adjusted_close DECIMAL(26, 14) NOT NULL COMMENT 'scaled for all later splits and dividends known at as_of',
  volume         DECIMAL(22, 4) NOT NULL,
  source         VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  as_of          DATETIME(3) NOT NULL,
  PRIMARY KEY (symbol, date)
) ENGINE = InnoDB;

CREATE TABLE corporate_actions (
  symbol VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  date   DATE NOT NULL COMMENT 'ex-date',
  kind   ENUM('split', 'dividend') NOT NULL,
  value  DECIMAL(20, 10) NOT NULL COMMENT 'split: new shares for one old; dividend: cash a share',
  source VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  as_of  DATETIME(3) NOT NULL,
  PRIMARY KEY (symbol, date, kind)
) ENGINE = InnoDB;

CREATE TABLE analyses (
  symbol      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  date        DATE NOT NULL COMMENT 'of the newest bar used',
  computed_at DATETIME(3) NOT NULL,
  bars_used   INT UNSIGNED NOT NULL,
  indicators  JSON NOT NULL,
  `signal`    ENUM('buy', 'sell', 'hold') NOT NULL,
  confidence  DOUBLE NOT NULL COMMENT '0-1',
  reasons     JSON NOT NULL,
  PRIMARY KEY (symbol, date)
) ENGINE = InnoDB;

CREATE TABLE source_budget (
  `key`  VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  points INT NOT NULL DEFAULT 0,
  expire BIGINT UNSIGNED NULL,
  PRIMARY KEY (`key`)
) ENGINE = InnoDB COMMENT = 'requests to each source in the present minute, counted by all workers together';
