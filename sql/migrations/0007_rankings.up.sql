-- online: yes
-- Option rankings: runs with their ranks, what they are measured against, and the positions that exit mode looks at.

CREATE TABLE option_runs (
  run_id        BINARY(16)   NOT NULL COMMENT 'UUIDv7',
  symbol        VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ranking_mode  ENUM('monitor', 'entry', 'exit') NOT NULL,
  run_at        DATETIME(3)  NOT NULL,
  as_of         DATETIME(3)  NOT NULL COMMENT 'when the chain was quoted',
  source        VARCHAR(24)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'simulated: a made-up chain',
  spot          DOUBLE       NOT NULL COMMENT 'dollars a share',
  total         INT UNSIGNED NOT NULL COMMENT 'contracts of the chain, in exit mode positions: eligible and all reasons',
  eligible      INT UNSIGNED NOT NULL,
  reasons       JSON         NOT NULL COMMENT 'how many were not ranked, by reason',
  gaps          JSON         NOT NULL COMMENT 'what the chain lacks although it should have it',
  atm_iv        DOUBLE       NULL COMMENT '30-day constant maturity, annual',
  iv_rank       DECIMAL(7, 4) NULL,
  iv_percentile DECIMAL(7, 4) NULL,
  trend         ENUM('bullish', 'bearish', 'neutral') NOT NULL,
  job_id        BINARY(16)   NOT NULL,
  PRIMARY KEY (run_id),
  KEY ix_run_at (run_at),
  CONSTRAINT option_runs_mode CHECK (ranking_mode IN ('entry', 'exit', 'monitor'))
) ENGINE = InnoDB COMMENT = 'one row a ranking of a symbol in a mode';

CREATE TABLE option_current (
  symbol       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ranking_mode ENUM('monitor', 'entry', 'exit') NOT NULL,
  run_id       BINARY(16)  NOT NULL,
  PRIMARY KEY (symbol, ranking_mode),
  KEY ix_run (run_id)
) ENGINE = InnoDB COMMENT = 'the published run, committed together with its rows: readers see all of a run or nothing of it';

CREATE TABLE options_ranks (
  run_id        BINARY(16)   NOT NULL,
  place         SMALLINT UNSIGNED NOT NULL COMMENT 'from 1, by the rank of the run''s own mode',
  symbol        VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ranking_mode  ENUM('monitor', 'entry', 'exit') NOT NULL,
  run_at        DATETIME(3)  NOT NULL,
  contract      VARCHAR(21)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'OCC symbol without padding',
  position      VARCHAR(20)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'id of option_positions; empty but in exit mode',
  user_id       VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'whose position',
  side          ENUM('call', 'put') NOT NULL,
  expiration    DATE         NOT NULL,
  strike        DOUBLE       NOT NULL,
  dte           SMALLINT     NOT NULL COMMENT 'whole calendar days',
  spot          DOUBLE       NULL,
  bid           DOUBLE       NOT NULL COMMENT 'dollars a share, like all prices here',
  ask           DOUBLE       NOT NULL,
  mid           DOUBLE       NOT NULL,
  volume        DOUBLE       NULL,
  open_interest DOUBLE       NULL,
  quoted_at     DATETIME(3)  NOT NULL,
  iv            DOUBLE       NOT NULL COMMENT 'annual, 0.25 = 25 %',
  delta         DOUBLE       NULL,
  gamma         DOUBLE       NULL,
  theta         DOUBLE       NULL COMMENT 'dollars a calendar day',
  vega          DOUBLE       NULL COMMENT 'dollars a volatility point',
  entry_price   DOUBLE       NULL,
  stop_pct      DOUBLE       NULL,
  composite_rank DECIMAL(7, 4) NULL,
  entry_rank    DECIMAL(7, 4) NULL COMMENT 'in entry mode only',
  exit_rank     DECIMAL(7, 4) NULL COMMENT 'in exit mode only',
  momentum_score DECIMAL(7, 4) NULL,
  value_score   DECIMAL(7, 4) NULL,
  greeks_score  DECIMAL(7, 4) NULL,
  entry_value_score DECIMAL(7, 4) NULL,
  catalyst_score DECIMAL(7, 4) NULL,
  profit_protection_score DECIMAL(7, 4) NULL,
  protection_score DECIMAL(7, 4) NULL,
  deterioration_score DECIMAL(7, 4) NULL,
  time_urgency_score DECIMAL(7, 4) NULL,
  spread_score  DECIMAL(7, 4) NULL,
  iv_rank       DECIMAL(7, 4) NULL,
  iv_percentile DECIMAL(7, 4) NULL,
  iv_discount_score DECIMAL(7, 4) NULL,
  band          ENUM('strong', 'good', 'fair', 'weak') NOT NULL,
  data_quality  DECIMAL(5, 4) NOT NULL COMMENT '0-1: what of the full weight was measured',
  `signals`     JSON         NOT NULL,
  missing       JSON         NOT NULL COMMENT 'components and parts of the mode''s own rank that were not measured',
  weights       JSON         NOT NULL COMMENT 'the weights really used, by rank or part',
  blocks        JSON         NOT NULL COMMENT 'the building blocks that have no column',
  PRIMARY KEY (run_id, place),
  UNIQUE KEY ux_contract (run_id, contract, position),
  KEY ix_entry_rank (entry_rank),
  KEY ix_exit_rank (exit_rank),
  KEY ix_mode (ranking_mode),
  KEY ix_symbol_entry (symbol, ranking_mode, entry_rank),
  KEY ix_symbol_exit (symbol, ranking_mode, exit_rank),
  CONSTRAINT options_ranks_mode CHECK (ranking_mode IN ('entry', 'exit', 'monitor'))
) ENGINE = InnoDB COMMENT = 'one row a ranked contract of a run, in exit mode a position';

CREATE TABLE iv_history (
  symbol VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  date   DATE        NOT NULL COMMENT 'of the session',
  iv     DOUBLE      NOT NULL COMMENT '30-day at-the-money, annual',
  source VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  as_of  DATETIME(3) NOT NULL,
  PRIMARY KEY (symbol, date)
) ENGINE = InnoDB;

CREATE TABLE chain_days (
  symbol    VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  date      DATE         NOT NULL COMMENT 'of the session',
  source    VARCHAR(24)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  as_of     DATETIME(3)  NOT NULL,
  contracts INT UNSIGNED NOT NULL,
  data      MEDIUMBLOB   NOT NULL COMMENT 'deflated columns: contracts, mid, iv, volume, open interest',
  PRIMARY KEY (symbol, date),
  KEY ix_date (date)
) ENGINE = InnoDB COMMENT = 'what a chain was at the end of a day: thousands of contracts a row';

CREATE TABLE option_positions (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  user_id     VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  contract    VARCHAR(21) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  underlying  VARCHAR(6)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'root of the contract: BRKB for BRK.B',
  quantity    DOUBLE      NOT NULL COMMENT 'contracts',
  entry_price DOUBLE      NOT NULL COMMENT 'dollars a share',
  entry_iv    DOUBLE      NULL COMMENT 'annual',
  entry_spot  DOUBLE      NULL COMMENT 'dollars a share of the underlying',
  target      DOUBLE      NULL COMMENT 'the price of the underlying that is hoped for',
  stop        DOUBLE      NULL COMMENT 'loss at which it is stopped, as a share of the entry price',
  opened_at   DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  KEY ix_user (user_id, id),
  KEY ix_underlying (underlying, id)
) ENGINE = InnoDB;
