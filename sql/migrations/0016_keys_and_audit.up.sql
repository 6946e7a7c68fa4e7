-- online: yes
-- Keys that end by themselves and are renewed, tokens for event streams, and who changed what by hand.

ALTER TABLE api_keys
  ADD COLUMN expires_at DATETIME(3) NULL COMMENT 'not in force from then on; NULL = until it is revoked',
  ADD COLUMN rotated_at DATETIME(3) NULL COMMENT 'when it got its present secret, unless that is its first one',
  ADD COLUMN old_hash   BINARY(32)  NULL COMMENT 'SHA-256 of the secret before that',
  ADD COLUMN old_until  DATETIME(3) NULL COMMENT 'the old secret is in force until then',
  ADD UNIQUE KEY ux_hash (hash),
  ADD UNIQUE KEY ux_old_hash (old_hash);

ALTER TABLE callbacks
  ADD COLUMN user_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'the user that the request named: what is sent is what this user may see';

CREATE TABLE stream_tokens (
  hash       BINARY(32)  NOT NULL COMMENT 'SHA-256 of the token, which is 256 random bits',
  key_id     CHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'a stream may show what this key may see',
  expires_at DATETIME(3) NOT NULL COMMENT 'a stream must be opened before',
  PRIMARY KEY (hash),
  KEY ix_expires (expires_at)
) ENGINE = InnoDB COMMENT = 'open an event stream without a header; of a minute or so';

CREATE TABLE audit_log (
  id      BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  at      DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT 'by the clock of the database',
  source  ENUM('http', 'cli') NOT NULL,
  actor   VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'http = id of the key, NULL without one; cli = account@host of the operating system',
  name    VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'of the key',
  address VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'of the caller',
  action  VARCHAR(48)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  target  VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  outcome ENUM('done', 'refused') NOT NULL,
  code    VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'why it was refused',
  times   INT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'refusals of the same kind that one row stands for',
  details VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'for people',
  PRIMARY KEY (id),
  KEY ix_at (at),
  KEY ix_actor (actor, id),
  KEY ix_target (target, id)
) ENGINE = InnoDB COMMENT = 'changes by hand, and refusals; rows never change';
