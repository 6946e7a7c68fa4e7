-- online: yes
-- What paid calls of a language model may cost, and did.

CREATE TABLE spend (
  id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  intent_key       VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'what is bought: picks:{user}:{week}:v{n}:word, llm:{symbol}:{facts}',
  payment          SMALLINT UNSIGNED NOT NULL COMMENT '1, and one more after each release: at most one request is sent for each row',
  purpose          ENUM('picks', 'llm_analysis') NOT NULL,
  user_id          VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  job_id           BINARY(16) NOT NULL,
  attempt          SMALLINT UNSIGNED NOT NULL,
  state            ENUM('reserved', 'sent', 'answered', 'settled', 'released', 'unknown') NOT NULL,
  reserved_micros  BIGINT UNSIGNED NOT NULL COMMENT 'millionths of a dollar',
  settled_micros   BIGINT UNSIGNED NULL,
  cost_source      ENUM('provider', 'tokens', 'reserved', 'operator') NULL,
  provider         VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'host and port',
  model_asked      VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  model_answered   VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  provider_ref     VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'by which the provider knows the call',
  request_hash     BINARY(32) NOT NULL,
  price_in         DOUBLE NOT NULL COMMENT 'dollars a million tokens, as configured then',
  price_out        DOUBLE NOT NULL,
  tokens_in        INT UNSIGNED NULL,
  tokens_out       INT UNSIGNED NULL,
  tokens_reasoning INT UNSIGNED NULL,
  tokens_cached    INT UNSIGNED NULL,
  searches         INT UNSIGNED NULL,
  raw              MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'the answer as it came',
  citations        JSON NULL,
  reserved_at      DATETIME(3) NOT NULL,
  sent_at          DATETIME(3) NULL,
  deadline         DATETIME(3) NULL COMMENT 'whoever sent it reads no longer than this',
  answered_at      DATETIME(3) NULL,
  settled_at       DATETIME(3) NULL,
  error            VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  PRIMARY KEY (id),
  UNIQUE KEY ux_intent (intent_key, payment),
  KEY ix_purpose (purpose, reserved_at),
  KEY ix_state (state, id),
  KEY ix_user (user_id, id)
) ENGINE = InnoDB;

CREATE TABLE spend_windows (
  purpose ENUM('picks', 'llm_analysis') NOT NULL,
  PRIMARY KEY (purpose)
) ENGINE = InnoDB COMMENT = 'one row a purpose, locked while a reservation is held against its caps';
INSERT INTO spend_windows (purpose) VALUES ('picks'), ('llm_analysis');
