-- online: yes
-- What is known of companies beside their prices, and what a model makes of it.

CREATE TABLE fundamentals (
  symbol             VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  day                DATE NOT NULL COMMENT 'on which it was fetched, UTC: one row a day, the newest of it',
  fetched_at         DATETIME(3) NOT NULL,
  source             ENUM('yahoo_finance', 'alpha_vantage', 'simulated') NOT NULL,
  name               VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  quote_type         VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  sector_key         VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  sector             VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  industry_key       VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  industry           VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  currency           VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'of the price',
  financial_currency VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'of the statements',
  data               JSON NOT NULL COMMENT 'the numbers by name; each may be null',
  earnings_from      DATE NULL COMMENT 'of the next report: the first and the last day on which it is expected',
  earnings_to        DATE NULL,
  earnings_estimate  TINYINT UNSIGNED NULL,
  PRIMARY KEY (symbol, day),
  KEY ix_day (day)
) ENGINE = InnoDB;

CREATE TABLE news (
  symbol       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  id           BINARY(32) NOT NULL COMMENT 'SHA-256 of the link',
  published_at DATETIME(3) NOT NULL,
  fetched_at   DATETIME(3) NOT NULL,
  source       ENUM('yahoo_finance', 'alpha_vantage', 'simulated') NOT NULL,
  title        VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  publisher    VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  link         VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  tickers      JSON NOT NULL,
  PRIMARY KEY (symbol, id),
  KEY ix_symbol (symbol, published_at),
  KEY ix_published (published_at)
) ENGINE = InnoDB COMMENT = 'headlines; no text of articles';

CREATE TABLE news_checks (
  symbol     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  checked_at DATETIME(3) NOT NULL,
  source     ENUM('yahoo_finance', 'alpha_vantage', 'simulated') NOT NULL,
  PRIMARY KEY (symbol)
) ENGINE = InnoDB COMMENT = 'when the news of a symbol were asked for, which may have been none';

CREATE TABLE model_analyses (
  symbol      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at  DATETIME(3) NOT NULL,
  facts_hash  BINARY(32) NOT NULL,
  data_date   DATE NULL COMMENT 'of the newest price among the facts',
  model       VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  provider    VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  spend_id    BIGINT UNSIGNED NOT NULL,
  sentiment   DOUBLE NOT NULL COMMENT '-1 to 1',
  recommendation ENUM('strong_buy', 'buy', 'hold', 'sell', 'strong_sell') NOT NULL,
  confidence  DOUBLE NOT NULL COMMENT 'the own of the model, not calibrated',
  document    JSON NOT NULL COMMENT 'facts, rendered sentences, dropped ones with the reason',
  stale_after DATETIME(3) NOT NULL,
  PRIMARY KEY (symbol, created_at),
  KEY ix_created (created_at)
) ENGINE = InnoDB;
